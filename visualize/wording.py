"""Wording: numbers, shapes and types as short text."""

from __future__ import annotations

from collections import Counter
from typing import Final

from ..ir import DType, Graph, ListType, TensorType, Type

TIMES: Final = "\N{MULTIPLICATION SIGN}"
TO: Final = "\N{EN DASH}"  # between the first and the last of several
INTO: Final = "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"  # from a scope to the one inside

_UNITS = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


def human(count: int) -> str:
    """Return a count with three significant digits: ``25.6M``, ``784``, ``1.2k``."""
    for size, unit in _UNITS:
        if count >= size * 0.9995:
            text = f"{count / size:.3g}"
            return f"{text}{unit}" if "e" not in text else f"{count / size:.0f}{unit}"
    return str(count)


def counted(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 op``, ``42 ops``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def shortened(text: str, limit: int) -> str:
    """Return text on one line of at most ``limit`` characters, its end replaced by ``…`` if need be."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip(" ·") + "…"


def shape_text(type_: TensorType) -> str:
    """Return a shape as ``1×3×224×224``; ``scalar`` without dimensions, ``?`` where unknown."""
    if type_.shape is None:
        return "?"
    if type_.shape == (0,):
        return "empty"
    return TIMES.join(map(str, type_.shape)) if type_.shape else "scalar"


def type_text(type_: Type, usual: DType | None = None) -> str:
    """Return a type for an edge: the shape, and the dtype where it is not the ``usual`` one."""
    if isinstance(type_, TensorType):
        text = shape_text(type_)
        return text if type_.dtype in (None, usual) else f"{text} {type_.dtype}"
    if isinstance(type_, ListType):
        return f"list of {type_text(type_.element, usual)}"
    return shortened(str(type_), 24)


def usual_dtype(graph: Graph) -> DType | None:
    """Return the floating-point type that most tensors of a graph have; None without any."""
    types = [entry.value.type for entry in graph.state.values()]
    types.extend(value.type for value in graph.inputs)
    types.extend(value.type for node in graph.walk() for value in node.outputs)
    dtypes = Counter(
        type_.dtype for type_ in types if isinstance(type_, TensorType) and type_.dtype
    )
    # The fewest ties: equal counts keep the order in which the types were met.
    ranked = [dtype for dtype, _ in dtypes.most_common()]
    return next((dtype for dtype in ranked if dtype.is_floating_point), None)
