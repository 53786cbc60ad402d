"""What a node runs: torch's function for an operator's name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import torch

from ..errors import ReplayError
from ..ir.callables import close_callables
from ..ir.structure import Structure, StructureKind, is_plain_container, take_apart


def callable_of(name: str) -> Callable[..., Any]:
    """Return the function that runs an operator.

    Raises:
        ReplayError: this process has no such operator.
    """
    own = _OWN.get(name)
    if own is not None:
        return own
    namespace, _, rest = name.partition("::")
    if namespace == "higher_order":
        found: Callable[..., Any] | None = getattr(torch.ops.higher_order, rest, None)
        if found is not None:
            return found
    overload = find_overload(name)
    if overload is None:
        raise ReplayError(
            f"no operator {name} is registered\n  import the package that defines it before the replay"
        )
    # The handle behind the overload object: the same call with one Python frame less.
    return overload._op


def find_overload(name: str) -> torch._ops.OpOverload | None:
    """Return torch's operator of a qualified name; None if this process has not registered it."""
    namespace, _, rest = name.partition("::")
    packet_name, _, overload = rest.partition(".")
    try:
        packet = getattr(getattr(torch.ops, namespace), packet_name)
        found = getattr(packet, overload or "default")
    except (AttributeError, RuntimeError):
        return None
    return found if isinstance(found, torch._ops.OpOverload) else None


plain_calls: Callable[[], Any] = torch._C.DisableTorchFunctionSubclass
"""Gives a context in which subclasses' ``__torch_function__`` is not called: what it did is in the graph."""


def _make_subclass(class_: Any, source: torch.Tensor, requires_grad: bool) -> torch.Tensor:
    return cast(torch.Tensor, torch.Tensor._make_subclass(class_, source, requires_grad))


def _as_subclass(class_: Any, source: torch.Tensor) -> torch.Tensor:
    return cast(torch.Tensor, source.as_subclass(class_))


def _autograd_function(
    class_: Any, *args: Any, structure: Structure | None = None, **flags: Any
) -> Any:
    """Apply a custom autograd function; ``flags`` only tell readers of the graph what it is like."""
    if structure is not None:
        args = close_callables(structure.build(list(_leaves(structure, args))))
    # Its forward is the user's own Python, to which subclasses are what they are everywhere.
    with torch._C._EnableTorchFunction():
        result = _APPLY(class_, *args)
    if isinstance(result, torch.Tensor):
        return result
    tensors = take_apart(result, _is_tensor, lambda part: not is_plain_container(part))[0]
    return tensors[0] if len(tensors) == 1 else tensors


def _leaves(structure: Structure, arg: Any) -> Iterator[Any]:
    """Yield the leaves among arguments that are nested like ``structure``."""
    if structure.kind is StructureKind.LEAF:
        yield arg
    for child, part in zip(structure.children, arg if structure.children else (), strict=True):
        yield from _leaves(child, part)


def _is_tensor(part: Any) -> bool:
    return isinstance(part, torch.Tensor)


_APPLY: Any = cast(Any, torch.autograd.Function.apply).__func__  # a class may have one of its own
_OWN: dict[str, Callable[..., Any]] = {
    "prim::make_subclass": _make_subclass,
    "prim::as_subclass": _as_subclass,
    "prim::autograd_function": _autograd_function,
}

RUNS_BLOCKS_ITSELF = frozenset({"prim::autograd_function"})
"""Operators whose blocks show what they do, and are not what runs."""
