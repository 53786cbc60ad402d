"""Tensors of the program's own classes: what stands inside them, and what was put onto them.

Note [What a subclass adds]
    An operator on a tensor of another class is one node, whatever the class makes of it: the replay
    calls the operator on such a tensor again. But three things happen to such tensors without an
    operator. The program reads a tensor that another one wraps (``quantized.scale``): that is
    ``prim::inner``. It wraps tensors that it computed: ``prim::wrap``, through the class's own
    ``__tensor_unflatten__``, or ``prim::make_wrapper`` for a class that has none. And it sets
    attributes: ``prim::set_attributes``.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch._subclasses import FakeTensor
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from ...ir import Argument, Value
from ..dispatch.dispatcher import quiet
from ..dispatch.tensors import PLAIN_CLASSES
from ..numbers.ragged import RaggedSizes


@dataclass(frozen=True, slots=True)
class Wrapping:
    """What it takes to wrap tensors again as they were.

    Attributes:
        names: the attributes that hold the inner tensors.
        inner: these tensors; some classes count other objects among them.
        context: what else the class's ``__tensor_unflatten__`` asks for.
        size: of the wrapper, with None where a size is not a number.
        stride: likewise.
    """

    names: tuple[str, ...]
    inner: tuple[Any, ...]
    context: Any
    size: tuple[int | None, ...]
    stride: tuple[int | None, ...]


class Subclasses:
    """What is known of the tensors of other classes that are alive.

    Attributes:
        ragged: which values the sizes of nested tensors are sizes of.
    """

    def __init__(self) -> None:
        self._inside: dict[int, tuple[weakref.ref[torch.Tensor], Value, tuple[str, ...]]] = {}
        self._attributes: dict[int, tuple[weakref.ref[torch.Tensor], dict[str, Any]]] = {}
        self.ragged = RaggedSizes()
        self._made: dict[
            int, tuple[weakref.ref[torch.Tensor], tuple[Any, ...], dict[str, Any]]
        ] = {}

    def note(self, tensor: torch.Tensor, value: Value) -> None:
        """Take note of a tensor of another class that is ``value`` now, with all that it holds."""
        if isinstance(tensor, FakeTensor):
            return
        with quiet():
            self.ragged.note(tensor, value)
            held = {name: _weakly(part) for name, part in vars(tensor).items()}
            self._attributes[id(tensor)] = (weakref.ref(tensor), held)
            for path, inner in inner_tensors(tensor):
                self._inside[id(inner)] = (weakref.ref(inner), value, path)

    def replace(self, becomes: Mapping[Value, Value]) -> None:
        """Make every wrapper that is one of these values be the other."""
        for key, (inner, wrapper, path) in self._inside.items():
            if wrapper in becomes:
                self._inside[key] = inner, becomes[wrapper], path

    def note_made(
        self, tensor: torch.Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Take note of the call that made a wrapper."""
        self._made[id(tensor)] = (weakref.ref(tensor), args, kwargs)

    def outside(self, tensor: torch.Tensor) -> tuple[Value, tuple[str, ...]] | None:
        """Return the wrapper that a tensor stands in, and the attributes that lead to it."""
        found = self._inside.get(id(tensor))
        return found[1:] if found is not None and found[0]() is tensor else None

    def made(self, tensor: torch.Tensor) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """Return the arguments of the call that made a wrapper in this run."""
        found = self._made.get(id(tensor))
        return found[1:] if found is not None and found[0]() is tensor else None

    def changed_attributes(self, tensor: torch.Tensor) -> dict[str, Any]:
        """Return the attributes that the program has set since the tensor was noted."""
        found = self._attributes.get(id(tensor))
        if found is None or found[0]() is not tensor:
            return {}
        known = found[1]
        return {
            name: held
            for name, held in vars(tensor).items()
            if name not in known or _strongly(known[name]) is not held
        }


def _is_wrapper(tensor: Any) -> bool:
    """Whether the class of a tensor says how to take it apart and put it together."""
    return is_traceable_wrapper_subclass(tensor)


def wrapping_of(tensor: Any) -> Wrapping | None:
    """Return how a wrapper is taken apart and made again; None for other tensors."""
    with quiet():
        if isinstance(tensor, FakeTensor) or not _is_wrapper(tensor):
            return None
        names, context = tensor.__tensor_flatten__()
        return Wrapping(
            names=tuple(names),
            inner=tuple([getattr(tensor, name) for name in names]),
            context=context,
            size=_numbers(tensor.size),
            stride=_numbers(tensor.stride),
        )


def attributes_as_arguments(
    attributes: dict[str, Any], argument: Callable[[Any], Argument]
) -> tuple[Argument, ...]:
    """Return the names and the values of attributes as two arguments of a node."""
    return tuple(attributes), tuple([argument(held) for held in attributes.values()])


def _weakly(held: Any) -> Any:
    """Return a reference that keeps no tensor alive: a trace must not change how long tensors live."""
    return weakref.ref(held) if isinstance(held, torch.Tensor) else held


def _strongly(held: Any) -> Any:
    return held() if isinstance(held, weakref.ref) else held


def inner_tensors(
    tensor: Any, above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], torch.Tensor]]:
    """Yield each tensor that a wrapper holds, however deep, with the attributes that lead to it."""
    if _is_wrapper(tensor):
        held = {name: getattr(tensor, name) for name in tensor.__tensor_flatten__()[0]}
    else:
        held = {name: part for name, part in vars(tensor).items() if isinstance(part, torch.Tensor)}
    for name, inner in held.items():
        if not isinstance(inner, torch.Tensor):
            continue
        path = (*above, name)
        yield path, inner
        if inner.__class__ not in PLAIN_CLASSES and inner is not tensor and len(path) < 8:
            yield from inner_tensors(inner, path)


def _numbers(read: Callable[[], Any]) -> tuple[int | None, ...]:
    try:
        return tuple(number if number.__class__ is int else None for number in read())
    except (RuntimeError, NotImplementedError):  # tensors without strides
        return ()
