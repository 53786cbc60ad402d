"""What of a program engines leave to libraries: nothing is gained where most of the time goes there.

Note [Estimated times]
    The time of an operator is estimated by the sizes that runs had: so many nanoseconds per element, or per
    product where it is one of matrices, and some microseconds for the call. That is true within a factor of
    two on the processors of today, and unlike a measurement of few runs it is the same each time. It only
    saves an engine the work on programs that cannot gain by it; whether others do, a trial finds out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import prod
from typing import Final

from ...ir import Node, TensorType, Type

_CALL_S: Final = 4e-6
_ELEMENT_S: Final = 1e-9
_PRODUCT_S: Final = 5e-11

Sizes = Sequence[int]
Products = Callable[[Sizes, Sequence[Sizes]], int]
"""How many products an operator computes, given the sizes of its result and of its tensors."""


def library_share(found: Iterable[tuple[Node, TensorType, Sequence[Type]]]) -> float:
    """Return which part of the time goes to operators that libraries compute; see Note [Estimated times].

    Args:
        found: nodes with the type of the result, and the types of the tensors that they take, as runs had
            them.
    """
    in_libraries = elsewhere = 0.0
    for node, made, taken in found:
        products = _PRODUCTS.get(_base_of(node.kind))
        sizes = [known for known in map(_sizes_of, taken) if known is not None]
        result = _sizes_of(made)
        if result is None:
            continue
        if products is None:
            elsewhere += _CALL_S + _ELEMENT_S * prod(result)
        elif len(sizes) > 1:
            in_libraries += _CALL_S + _PRODUCT_S * products(result, sizes)
    return in_libraries / ((in_libraries + elsewhere) or 1.0)


def _base_of(kind: str) -> str:
    return kind.removeprefix("aten::").partition(".")[0]


def _sizes_of(type_: Type) -> Sizes | None:
    """Return sizes where all are known; None of another value."""
    if not isinstance(type_, TensorType) or type_.shape is None:
        return None
    sizes = [size for size in type_.shape if isinstance(size, int)]
    return sizes if len(sizes) == len(type_.shape) else None


def _by_row_of(number: int) -> Products:
    """Each element of the result is a product with a row of one of the tensors."""
    return lambda made, taken: prod(made) * (taken[number][-1:] or [1])[0]


def _convolution(made: Sizes, taken: Sequence[Sizes]) -> int:
    return prod(made) * prod(taken[1][1:])


def _attention(made: Sizes, taken: Sequence[Sizes]) -> int:
    return 2 * prod(made) * taken[1][-2]


_PRODUCTS: Final[dict[str, Products]] = {
    **dict.fromkeys(("matmul", "mm", "bmm", "mv", "dot", "linear", "inner"), _by_row_of(0)),
    **dict.fromkeys(("addmm", "addbmm", "baddbmm", "addmv"), _by_row_of(1)),
    **dict.fromkeys(
        ("conv1d", "conv2d", "conv3d", "convolution", "_convolution", "mkldnn_convolution"),
        _convolution,
    ),
    "scaled_dot_product_attention": _attention,
}
