"""Which kernels an operator has in torch's dispatcher, by its name: composite ones, and those of autocast."""

from __future__ import annotations

from functools import cache
from typing import Any

from .dispatcher import dispatch_keys, has_kernel, is_dispatched

_BACKENDS = (
    "CPU", "CUDA", "HIP", "XLA", "MPS", "IPU", "XPU", "HPU", "VE", "Lazy", "MTIA", "MAIA",
    "PrivateUse1", "PrivateUse2", "PrivateUse3", "Meta",
)  # fmt: skip
_KINDS = ("", "Autograd", "Sparse", "SparseCsr", "Quantized", "NestedTensor")
_NESTED = "AutogradNestedTensor"
_KEYS = dispatch_keys((*(kind + backend for kind in _KINDS for backend in _BACKENDS), _NESTED))
_AUTOCAST = tuple(dispatch_keys("Autocast" + backend for backend in _BACKENDS))


@cache
def own_kernels(name: str) -> tuple[Any, ...] | None:
    """Return the keys that a composite operator has kernels of its own for; None for any other."""
    if not is_dispatched(name) or not has_kernel(name, "CompositeImplicitAutograd"):
        return None
    own = [key for name_of_key, key in _KEYS.items() if has_kernel(name, name_of_key)]
    if has_kernel(name, "CompositeImplicitAutogradNestedTensor"):
        own.append(_KEYS[_NESTED])
    return tuple(own)


def has_autocast_kernel(name: str) -> bool:
    """Whether automatic mixed precision does something of its own with an operator, on any kind of device."""
    return is_dispatched(name) and any(has_kernel(name, key) for key in _AUTOCAST)
