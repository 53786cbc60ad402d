"""Where the elements of a tensor lie in memory, as far as its type tells."""

from __future__ import annotations

from itertools import product

from ..ir import TensorType, row_major_strides

_MOST_ELEMENTS = 1 << 16  # above which elements are not compared one by one


def strides_of(type_: TensorType) -> tuple[int, ...] | None:
    """Return a tensor's strides in elements; None where they are not known."""
    if type_.strides is not None or type_.shape is None or type_.layout.name != "strided":
        return type_.strides
    sizes = tuple([size for size in type_.shape if isinstance(size, int)])
    return row_major_strides(sizes) if len(sizes) == len(type_.shape) else None


def same_geometry(one: object, other: object) -> bool:
    """Whether two types agree in element type, sizes and strides."""
    return (
        isinstance(one, TensorType)
        and isinstance(other, TensorType)
        and one.dtype == other.dtype
        and one.shape == other.shape
        and strides_of(one) is not None
        and strides_of(one) == strides_of(other)
    )


def reaches_no_further(one: TensorType, other: TensorType) -> bool:
    """Whether a tensor that begins where another does ends where that one does, or before."""
    first, second = reach_of(one), reach_of(other)
    return first is not None and second is not None and first <= second


def is_dense(type_: TensorType) -> bool:
    """Whether a tensor's elements fill a stretch of memory, each once."""
    strides = strides_of(type_)
    if strides is None or type_.shape is None:
        return False
    step = 1
    for stride, size in sorted(zip(strides, type_.shape, strict=True)):
        if not isinstance(size, int) or (size != 1 and stride != step):
            return False
        step *= size
    return True


def overlaps_itself(type_: TensorType) -> bool:
    """Whether two elements of a tensor are, or may be, at one place, as after ``expand``."""
    strides = strides_of(type_)
    if strides is None or type_.shape is None:
        return True
    reach = 0
    for stride, size in sorted(zip(strides, type_.shape, strict=True)):
        if size == 0:
            return False
        if size == 1:
            continue
        if not isinstance(size, int) or stride <= reach:
            return places_of(type_) is None or _has_twins(type_)
        reach += stride * (size - 1)
    return False


def reach_of(type_: TensorType) -> int | None:
    """Return how many bytes lie between the first and behind the last element; None if unknown."""
    strides = strides_of(type_)
    if strides is None or type_.shape is None or type_.dtype is None:
        return None
    if len(strides) != len(type_.shape):  # a type that somebody wrote, which no tensor has
        return None
    if 0 in type_.shape:
        return 0
    elements = 1
    for length, stride in zip(type_.shape, strides, strict=True):
        if not isinstance(length, int):
            return None
        elements += (length - 1) * stride
    return elements * type_.dtype.nbytes


def places_of(type_: TensorType) -> list[int] | None:
    """Return where each element lies, in elements from the first; None if there are too many."""
    strides, numel = strides_of(type_), type_.numel
    if strides is None or numel is None or numel > _MOST_ELEMENTS or type_.shape is None:
        return None
    ranges = [
        range(0, size * stride, stride) if stride else [0] * size
        for size, stride in zip(type_.shape, strides, strict=True)
        if isinstance(size, int)
    ]
    return [sum(steps) for steps in product(*ranges)]


def _has_twins(type_: TensorType) -> bool:
    places = places_of(type_)
    return places is None or len(set(places)) < len(places)
