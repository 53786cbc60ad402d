"""Which operators are composite: made of calls of other operators, above autograd.

Torch computes them, and their gradients, by the operators that their kernel calls. For tensors of some
kinds, nested ones for instance, a composite operator may have a kernel of its own; there it is none.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from .dispatcher import dispatch_keys, is_transforming
from .own_kernels import own_kernels
from .schemas import operator_of

_TRANSFORMED = ("Batched", "VmapMode", "FuncTorchBatched", "FuncTorchGradWrapper")
_TRANSFORMS = tuple(dispatch_keys(_TRANSFORMED).values())
_TENSORS = frozenset(("Tensor", "List[Tensor]"))


@cache
def _own_kernels(op: Any) -> tuple[Any, ...] | None:
    """Return the keys that a composite operator has kernels of its own for; None for any other.

    One that gives nothing but numbers is taken for a read of a tensor, which has a meaning of its own.
    """
    gives_tensors = any(returned.type in _TENSORS for returned in operator_of(op).returns)
    return own_kernels(op.name()) if gives_tensors else None


def is_composite(op: Any) -> bool:
    """Whether an operator is composite for tensors of most kinds, and gives tensors."""
    return _own_kernels(op) is not None


def is_composite_for(op: Any, keyset: Any) -> bool:
    """Whether an operator is composite in a call, given the dispatch keys of that.

    A transform of ``torch.func`` comes before the operators that it is made of, and makes its own of it.
    """
    own = _own_kernels(op)
    if own is None or is_transforming():
        return False
    return not any(map(keyset.has, (*own, *_TRANSFORMS)))
