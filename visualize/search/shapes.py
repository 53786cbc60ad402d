"""Shapes in queries: ``1x3`` for sizes that follow one another anywhere, ``[1,3]`` for a whole shape."""

from __future__ import annotations

import re

from ...errors import QueryError
from ...ir import Dim, SymDim

_SEPARATOR = re.compile(r"\s*[,\N{MULTIPLICATION SIGN}]\s*|(?<=[\d*])x|x(?=[\d*])", re.IGNORECASE)
_WHOLE = re.compile(r"\[(.*)\]\Z", re.DOTALL)


def sizes_text(shape: tuple[Dim, ...]) -> str:
    """Return a shape as the patterns here read it: ``,1,3,`` and ``,`` for a scalar's."""
    return "," + "".join(f"{dim.name if isinstance(dim, SymDim) else dim}," for dim in shape)


def shape_pattern(text: str, is_literal: bool) -> re.Pattern[str]:
    """Return what finds sizes in the text of a shape.

    Raises:
        QueryError: they are no sizes.
    """
    whole = _WHOLE.match(text)
    inside = text if whole is None else whole[1].strip()
    sizes = _SEPARATOR.split(inside) if inside else []
    if not all(sizes) or (not sizes and whole is None):
        raise QueryError(
            f"shape: {text} is no shape; write 1x3 for sizes that follow one another,"
            " or [1,3] for a whole shape"
        )
    expression = "," + "".join(f"{_size(size, is_literal)}," for size in sizes)
    if whole is not None:
        expression = rf"\A{expression}\Z"
    return re.compile(expression, re.IGNORECASE)


def _size(text: str, is_literal: bool) -> str:
    pieces = [text] if is_literal else text.split("*")
    return "[^,]*".join(map(re.escape, pieces))
