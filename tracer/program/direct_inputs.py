"""The tensors of a call straight from its arguments, where it is like a call that was looked at closely.

To bind arguments to parameters and to look at each by itself takes longer than a small program runs. What
comes of it depends on how many arguments there are and under which names, on which constants are among
them, and on the types of the tensors, which torch compares in one call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter
from typing import Any, Final

import torch

from ...ir.structure import StructureKind
from ..dispatch.dispatcher import quick_type_check
from ..dispatch.tensors import PLAIN_CLASSES
from .inputs import InputSpec

_MOST_KINDS: Final = 64
"""How many kinds of calls are noted at most, one after another: a note costs more than it saves once."""
_UNCHANGING: Final = frozenset(
    (int, float, complex, bool, str, bytes, type(None), torch.dtype, torch.device)
)
"""Classes of constants that are as they were as long as they are themselves."""
_COLLECTING: Final = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


@dataclass(frozen=True, slots=True)
class _Kind:
    """Calls that fit.

    Attributes:
        names: of the arguments that are given by name, in order.
        positions: of the tensors among all arguments, in the order of leaves; None where they are these.
        constants: the positions of all other arguments, each with what it must be.
        count: of all arguments.
        are_alike: whether tensors have the types that they must have, and no two of them are one.
    """

    names: tuple[str, ...]
    positions: tuple[int, ...] | None
    constants: tuple[tuple[int, Any], ...]
    count: int
    are_alike: Callable[..., bool]

    def leaves(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Sequence[Any] | None:
        """Return the tensors among the arguments of a call; None if it is of another kind."""
        if kwargs or self.names:
            if tuple(kwargs) != self.names:
                return None
            args = (*args, *kwargs.values())
        if len(args) != self.count:
            return None
        for position, constant in self.constants:
            if args[position] is not constant:
                return None
        leaves = args if self.positions is None else [args[at] for at in self.positions]
        return leaves if self.are_alike(*leaves) else None


class DirectInputs:
    """Gives the tensors of calls, as :class:`InputSpec` does.

    Args:
        inputs: what the program takes.
    """

    def __init__(self, inputs: InputSpec) -> None:
        self._inputs = inputs
        self._kind: _Kind | None = None  # of the call that was noted last
        self._left = _MOST_KINDS if _may_be_direct(inputs) else 0

    def leaves(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Sequence[torch.Tensor]:
        """Return the tensors among the arguments of a replay, in the order of the graph's inputs.

        Raises:
            InputError: as :meth:`InputSpec.leaves` does.
        """
        kind = self._kind  # another thread may note one
        if kind is not None:
            direct = kind.leaves(args, kwargs)
            if direct is not None:
                return direct
        leaves = self._inputs.leaves(args, kwargs)
        if self._left > 0:
            self._left -= 1
            self._kind = self._kind_of(args, kwargs, leaves)
        return leaves

    def _kind_of(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], leaves: Sequence[torch.Tensor]
    ) -> _Kind | None:
        """Return the kind of a call that fits; None if it says too little of other calls of that kind."""
        if not leaves or not all(map(_is_plain, leaves)):
            return None
        passed = (*args, *kwargs.values())
        bound = self._inputs.arguments.bind(args, kwargs).values()
        others = [part for part in bound if not isinstance(part, torch.Tensor)]
        if any(part.__class__ not in _UNCHANGING for part in others):
            return None
        positions = {id(part): at for at, part in enumerate(passed)}
        if not all(id(leaf) in positions for leaf in leaves):
            return None  # one is a default, which is not passed
        places = tuple([positions[id(leaf)] for leaf in leaves])
        constants = tuple([(at, part) for at, part in enumerate(passed) if at not in places])
        are_alike = quick_type_check(leaves, counts_strides=True)
        if are_alike is None:
            return None
        is_in_order = places == tuple(range(len(passed)))
        return _Kind(
            tuple(kwargs), None if is_in_order else places, constants, len(passed), are_alike
        )


def _may_be_direct(inputs: InputSpec) -> bool:
    """Whether each argument of a program is a tensor or a constant, and no tensor is two things."""
    signature = inputs.arguments.signature
    if signature is None or any(p.kind in _COLLECTING for p in signature.parameters.values()):
        return False
    if any(twin is not None for twin in inputs.same_as) or any(inputs.state):
        return False
    return all(
        child.kind is StructureKind.LEAF
        or (child.kind is StructureKind.CONSTANT and child.class_ is None)
        for child in inputs.structure.children
    )


def _is_plain(tensor: torch.Tensor) -> bool:
    return (
        tensor.__class__ in PLAIN_CLASSES
        and tensor.layout is torch.strided
        and not tensor.is_nested
    )
