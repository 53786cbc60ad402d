"""What a node runs: torch's function for an operator's name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch

from ..errors import ReplayError


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


def _set_data(target: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    target.data = source
    return target


def _write(target: torch.Tensor, contents: torch.Tensor) -> None:
    # As the write that it stands for: autograd does not see it, and no version is counted.
    target.data.copy_(contents)


def _deepcopy(source: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        storage = cast(Any, source.untyped_storage()).clone()
        copied = source.new_empty(()).set_(
            storage, source.storage_offset(), source.size(), source.stride()
        )
    return copied.requires_grad_(source.requires_grad)


def _manual_seed(seed: int) -> None:
    torch.manual_seed(seed)


def _seed_generator(generator: torch.Generator, seed: int) -> None:
    generator.manual_seed(seed)


_OWN: dict[str, Callable[..., Any]] = {
    "prim::set_data": _set_data,
    "prim::write": _write,
    "prim::deepcopy": _deepcopy,
    "prim::manual_seed": _manual_seed,
    "prim::seed_generator": _seed_generator,
    "prim::get_rng_state": torch.random.get_rng_state,
    "prim::set_rng_state": torch.random.set_rng_state,
    "prim::set_default_dtype": torch.set_default_dtype,
    "prim::make_subclass": _make_subclass,
    "prim::as_subclass": _as_subclass,
}
