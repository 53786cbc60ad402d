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


class CompositeCalls:
    """Tells which calls of an operator are composite, which it is for tensors of most kinds.

    A transform of ``torch.func`` comes before the operators that it is made of, and makes its own of it.
    """

    __slots__ = ("_known", "_own")

    def __init__(self, own: tuple[Any, ...]) -> None:
        # The keys for which the operator has a kernel of its own, or a transform.
        self._own = (*own, *_TRANSFORMS)
        self._known: dict[int, bool] = {}  # by the bits of a call's keys

    def include(self, keyset: Any) -> bool:
        """Whether a call is composite, given its dispatch keys."""
        bits = keyset.raw_repr()
        known = self._known.get(bits)
        if known is None:
            known = self._known[bits] = not any(map(keyset.has, self._own))
        return known and not is_transforming()


@cache
def composite_calls(op: Any) -> CompositeCalls | None:
    """Return what tells which calls of an operator are composite; None where none is.

    One that gives nothing but numbers is taken for a read of a tensor, which has a meaning of its own.
    """
    gives_tensors = any(returned.type in _TENSORS for returned in operator_of(op).returns)
    own = own_kernels(op.name()) if gives_tensors else None
    return None if own is None else CompositeCalls(own)
