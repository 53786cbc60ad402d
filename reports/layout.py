"""Layout: which columns, rows and sentences a summary shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from .grouping import Group
from .options import SummaryOptions
from .phases import Phase
from .table import Line, Table
from .units import bytes_text, count_text, duration_text, share_text

_HEADINGS: Final = {"module": "Module", "line": "Line", "operator": "Operator"}
_MOST_ROWS: Final = 50  # that a table has by itself


@dataclass(frozen=True, slots=True)
class _Column:
    heading: str
    figure: Callable[[Group], float]
    text: Callable[[Any], str]

    def cell(self, group: Group) -> str:
        """Return the group's figure as text; a dash for none, so that the others stand out."""
        figure = self.figure(group)
        return self.text(figure) if figure else "–"


def lay_out(
    root: Group, options: SummaryOptions, title: str, facts: tuple[tuple[str, str], ...]
) -> Table:
    """Return the table of some groups."""
    depth = _fitting_depth(root) if options.depth is None else options.depth
    columns = _columns(root, options)
    share = next((i for i, column in enumerate(columns) if column.heading == "%"), None)
    weight = _duration if _duration(root) else _flops
    whole = weight(root)
    lines = tuple(
        Line(
            _one_line(label),
            _one_line(group.class_name),
            is_last,
            tuple(column.cell(group) for column in columns),
            weight(group) / whole if whole else 0.0,
        )
        for group, label, is_last in _shown(root, options, depth, ())
    )
    headings = tuple(column.heading for column in columns)
    return Table(_one_line(title), _HEADINGS[options.by], headings, share, lines, facts)


def _columns(root: Group, options: SummaryOptions) -> list[_Column]:
    """Return the columns that say something: those with a figure in any row."""
    whole = root.total.flops
    columns = []
    if options.by != "module":
        columns.append(_Column("Nodes", lambda group: group.total.nodes, "{:,}".format))
    elif any(group.calls > (len(group.members) or 1) for group in _walk(root)):
        columns.append(_Column("Calls", lambda group: group.calls, "{:,}".format))
    if _duration(root):
        return columns + list(_timed_columns(root))
    if options.by != "operator" and root.parameters:
        columns.append(_Column("Params", lambda group: group.parameters, count_text))
    if whole:
        phases = [phase for phase in Phase if phase in root.costs and root.costs[phase].flops]
        if len(phases) > 1:
            columns += [_Column(p.value.capitalize(), _flops_of(p), count_text) for p in phases]
        else:
            columns.append(_Column("FLOPs", _flops, count_text))
        columns.append(_Column("%", _flops, lambda part: share_text(part, whole)))
    columns.append(_Column("Moved", _moved, bytes_text))
    columns.append(_Column("Activations", lambda group: group.total.activation_bytes, bytes_text))
    if root.total.saved_bytes:
        columns.append(_Column("Saved", lambda group: group.total.saved_bytes, bytes_text))
    if root.total.message_bytes:
        columns.append(_Column("Messages", lambda group: group.total.message_bytes, bytes_text))
    return columns


def _timed_columns(root: Group) -> Iterator[_Column]:
    """Yield the columns of a program that was timed: how long, and how much in a second."""
    whole = _duration(root)
    yield _Column("Time", _duration, duration_text)
    yield _Column("%", _duration, lambda part: share_text(part, whole))
    if root.total.flops:
        yield _Column("FLOPs", _flops, count_text)
        yield _Column("FLOP/s", lambda group: _rate(_flops(group), group), count_text)
    yield _Column("Moved", _moved, bytes_text)
    yield _Column("Moved/s", lambda group: _rate(_moved(group), group), bytes_text)


def _duration(group: Group) -> float:
    return group.total.duration_s


def _flops(group: Group) -> int:
    return group.total.flops


def _moved(group: Group) -> int:
    return group.total.moved_bytes


def _rate(count: int, group: Group) -> int:
    """Return how much of something a group does in a second."""
    duration_s = _duration(group)
    return round(count / duration_s) if duration_s else 0


def _flops_of(phase: Phase) -> Callable[[Group], int]:
    return lambda group: group.costs[phase].flops if phase in group.costs else 0


def _fitting_depth(root: Group) -> int:
    """Return how many levels fit into a table of reasonable length: one at least."""
    level = list(root.inner.values())
    rows, depth = 0, 0
    while level and (depth == 0 or rows + len(level) <= _MOST_ROWS):
        rows += len(level)
        depth += 1
        level = [inner for group in level for inner in group.inner.values()]
    return depth


def _walk(group: Group) -> Iterator[Group]:
    yield group
    for inner in group.inner.values():
        yield from _walk(inner)


def _shown(
    group: Group, options: SummaryOptions, depth: int, is_last: tuple[bool, ...]
) -> Iterator[tuple[Group, str, tuple[bool, ...]]]:
    """Yield the groups that are shown with their labels, and one for those left out of a level."""
    yield group, label_of(group), is_last
    if len(is_last) >= depth:
        return
    inner = list(group.inner.values())
    limit = len(inner) if options.top is None else options.top
    rest = inner[limit:]
    for position, each in enumerate(inner[:limit]):
        ends = position == min(limit, len(inner)) - 1 and not rest
        yield from _shown(each, options, depth, (*is_last, ends))
    if rest:
        others = Group(f"… {len(rest):,} more")
        for each in rest:
            others.add(each)
            others.calls += each.calls
        yield others, others.name, (*is_last, True)


def label_of(group: Group) -> str:
    """Return a group's name, or those of the equal neighbours that it stands for: ``h.0–11  ×12``."""
    if len(group.members) < 2:
        return group.name
    return f"{group.members[0]}–{group.members[-1].rpartition('.')[2]}  ×{len(group.members)}"


def _one_line(text: str) -> str:
    return "".join([sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text])
