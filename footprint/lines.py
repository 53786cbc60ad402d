"""Lines of a report: tables that fit, lists that wrap, and nothing that a terminal would obey."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

_LEAST_WIDTH: Final = 60
_MOST_OF_CELL: Final = 44
_MOST_TYPES: Final = 3
_GAP: Final = "  "
_UNITS: Final = ("B", "kB", "MB", "GB", "TB")


def grouped_table(
    headings: Sequence[str], groups: Mapping[str, Sequence[Sequence[str]]], width: int
) -> Iterator[str]:
    """Yield the lines of a table whose rows stand in groups; the last column is cut to fit.

    Args:
        headings: of the columns.
        groups: the cells of each row, by the name of its group.
        width: how many columns of characters there are.
    """
    room = max(width, _LEAST_WIDTH)
    cells = [headings, *(row for group in groups.values() for row in group)]
    widths = [min(max(len(row[at]) for row in cells), _MOST_OF_CELL) for at in range(len(headings))]
    yield _line(headings, widths, room)
    for name, group in groups.items():
        yield f"{printable(name)} ({len(group)})"
        for row in group:
            yield _line(row, widths, room)


def wrapped(title: str, items: Sequence[str], width: int) -> Iterator[str]:
    """Yield a title and what it is of, with commas, in as many lines as it takes."""
    if not items:
        yield f"{title}: none"
        return
    line = f"{title}:"
    for item in map(printable, items):
        if len(line) + len(item) + 2 > width and line.strip():
            yield line
            line = "   "
        line += f" {item}{',' if item is not items[-1] else ''}"
    yield line.rstrip(",")


def shortened(words: Sequence[str]) -> str:
    """Return the first few words, and how many more there are."""
    more = f" +{len(words) - _MOST_TYPES}" if len(words) > _MOST_TYPES else ""
    return " ".join(words[:_MOST_TYPES]) + more


def counted(count: int, what: str) -> str:
    """Return a number of things in words."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def size_text(size: int) -> str:
    """Return a number of bytes as people say it."""
    amount, unit = float(size), 0
    while amount >= 1000 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.0f} {_UNITS[unit]}" if unit == 0 else f"{amount:.1f} {_UNITS[unit]}"


def failure_line(name: str, message: str) -> str:
    """Return that a model failed, and why, in one line."""
    first = message.partition("\n")[0]
    return printable(f"failed: {first}" if name in first else f"failed: {name}: {first}")


def printable(text: str) -> str:
    """Return text in one line, without what a terminal would obey."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def cut(text: str, width: int) -> str:
    """Return text that is cut, and says so, if it is wider."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _line(cells: Sequence[str], widths: Sequence[int], width: int) -> str:
    padded = [cell.ljust(size) for cell, size in zip(cells[:-1], widths, strict=False)]
    line = _GAP.join([*padded, cells[-1]]).rstrip()
    return cut(line, width)
