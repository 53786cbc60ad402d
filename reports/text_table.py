"""Text: a table for terminals, its figures aligned, no wider than it is told."""

from __future__ import annotations

import textwrap
from typing import Final

from .table import Line, Table

_BAR: Final = 8  # characters
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"
_LEAST_LABEL: Final = 6
_ENOUGH_LABEL: Final = 32  # below which bars make room for labels
_MOST_LABEL: Final = 60


def to_text(table: Table, width: int = 100) -> str:
    """Return a table as lines of at most ``width`` characters; long labels lose a part."""
    widths = [
        max([len(heading), *[len(line.cells[column]) for line in table.lines]])
        for column, heading in enumerate(table.columns)
    ]
    labels = [_label(line) for line in table.lines]
    wanted = max([len(table.heading), *map(len, labels)])
    figures = sum(widths) + 2 * len(widths)
    bar = table.bar if width - figures - _BAR - 1 >= min(wanted, _ENOUGH_LABEL) else None
    if bar is not None:
        figures += _BAR + 1
    room = min(max(width - figures, _LEAST_LABEL), max(wanted, _LEAST_LABEL), _MOST_LABEL)
    rule = "─" * (room + figures)
    title = table.title if len(table.title) <= width else f"{table.title[: width - 1]}…"
    text = [title, "", _row(table.heading, table.columns, room, widths, bar, None), rule]
    for line, label in zip(table.lines, labels, strict=True):
        text.append(_row(_fitted(line, label, room), line.cells, room, widths, bar, line.share))
    text.append(rule)
    text.extend(_facts(table.facts, max(room + figures, min(width, 80))))
    return "\n".join(line.rstrip() for line in text) + "\n"


def _row(
    label: str,
    cells: tuple[str, ...],
    room: int,
    widths: list[int],
    bar: int | None,
    share: float | None,
) -> str:
    text = label.ljust(room)
    for column, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        text += f"  {cell:>{width}}"
        if column == bar:
            text += " " + ("" if share is None else _bar(share)).ljust(_BAR)
    return text


def _bar(share: float) -> str:
    eighths = round(min(max(share, 0.0), 1.0) * _BAR * 8)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _label(line: Line) -> str:
    return _branch(line) + line.label + (f"  {line.detail}" if line.detail else "")


def _branch(line: Line) -> str:
    if not line.is_last:
        return ""
    stem = "".join("  " if last else "│ " for last in line.is_last[:-1])
    return stem + ("└ " if line.is_last[-1] else "├ ")


def _fitted(line: Line, label: str, room: int) -> str:
    """Return a label of at most ``room`` characters: the detail goes first, then the name's beginning."""
    if len(label) <= room:
        return label
    bare = _branch(line) + line.label
    left = room - len(bare) - 2
    if left >= 4 and line.detail:
        return f"{bare}  {line.detail[: left - 1]}…"
    if len(bare) <= room:
        return bare
    branch = _branch(line)[: max(room - 6, 0)]
    return f"{branch}…{line.label[-(room - len(branch) - 1) :]}"


def _facts(facts: tuple[tuple[str, str], ...], width: int) -> list[str]:
    indent = max([len(name) for name, _ in facts], default=0) + 2
    lines = []
    for name, fact in facts:
        lines.extend(
            textwrap.wrap(
                fact,
                width,
                initial_indent=name.ljust(indent),
                subsequent_indent=" " * indent,
                break_on_hyphens=False,
            )
        )
    return lines
