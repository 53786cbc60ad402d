"""Layout: which columns, rows and sentences a summary shows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from .grouping import Group
from .options import SummaryOptions
from .phases import Phase
from .table import Line, Table
from .units import bytes_text, count_text, share_text

_HEADINGS: Final = {"module": "Module", "line": "Line", "operator": "Operator"}
_FIGURES: Final[dict[str, Callable[[Group], int]]] = {
    "flops": lambda group: group.total.flops,
    "moved": lambda group: group.total.moved_bytes,
    "results": lambda group: group.total.result_bytes,
    "parameters": lambda group: group.parameters,
    "calls": lambda group: group.calls,
}
_NUMBERED: Final = re.compile(r"(.*?)(\d+)\Z")


@dataclass(frozen=True, slots=True)
class _Column:
    heading: str
    cell: Callable[[Group], str]


def lay_out(
    root: Group, options: SummaryOptions, title: str, facts: tuple[tuple[str, str], ...]
) -> Table:
    """Return the table of some groups."""
    columns = _columns(root, options)
    share = next((i for i, column in enumerate(columns) if column.heading == "%"), None)
    whole = root.total.flops
    lines = tuple(
        Line(
            label,
            group.class_name,
            is_last,
            tuple(column.cell(group) for column in columns) if group.calls else ("",) * len(columns),
            group.total.flops / whole if whole else 0.0,
        )
        for group, label, is_last in _shown(root, options, ())
    )
    headings = tuple(column.heading for column in columns)
    return Table(title, _HEADINGS[options.by], headings, share, lines, facts)


def _columns(root: Group, options: SummaryOptions) -> list[_Column]:
    """Return the columns that say something: those with a figure in any row."""
    whole = root.total.flops
    columns = []
    if options.by != "module":
        columns.append(_Column("Nodes", lambda group: f"{group.total.nodes:,}"))
    elif any(group.calls > (len(group.members) or 1) for group in _walk(root)):
        columns.append(_Column("Calls", lambda group: f"{group.calls:,}"))
    if options.by != "operator" and root.parameters:
        columns.append(_Column("Params", lambda group: count_text(group.parameters)))
    if whole:
        phases = [phase for phase in Phase if phase in root.costs and root.costs[phase].flops]
        if len(phases) > 1:
            columns.extend(_Column(p.value.capitalize(), _flops_of(p)) for p in phases)
        else:
            columns.append(_Column("FLOPs", lambda group: count_text(group.total.flops)))
        columns.append(_Column("%", lambda group: share_text(group.total.flops, whole)))
    columns.append(_Column("Moved", lambda group: bytes_text(group.total.moved_bytes)))
    columns.append(_Column("Results", lambda group: bytes_text(group.total.result_bytes)))
    return columns


def _flops_of(phase: Phase) -> Callable[[Group], str]:
    return lambda group: count_text(group.costs[phase].flops) if phase in group.costs else "–"


def _walk(group: Group) -> Iterator[Group]:
    yield group
    for inner in group.inner.values():
        yield from _walk(inner)


def _shown(
    group: Group, options: SummaryOptions, is_last: tuple[bool, ...]
) -> Iterator[tuple[Group, str, tuple[bool, ...]]]:
    """Yield the groups that are shown with their labels, and one without calls for those left out."""
    yield group, label_of(group), is_last
    if options.depth is not None and len(is_last) >= options.depth:
        return
    inner = list(group.inner.values())
    sort = options.sort or ("flops" if options.by != "module" else None)
    if sort is not None:
        inner.sort(key=lambda each: (_FIGURES[sort](each), each.total.moved_bytes), reverse=True)
    limit = len(inner) if options.top is None else options.top
    rest = inner[limit:]
    for position, each in enumerate(inner[:limit]):
        ends = position == min(limit, len(inner)) - 1 and not rest
        yield from _shown(each, options, (*is_last, ends))
    if rest:
        yield Group(""), f"… {len(rest):,} more", (*is_last, True)


def label_of(group: Group) -> str:
    """Return a group's name, or those of the equal neighbours that it stands for: ``h.0–11  ×12``."""
    if len(group.members) < 2:
        return group.name
    first, last = group.members[0], group.members[-1]
    one, other = _NUMBERED.match(first), _NUMBERED.match(last)
    if one and other and one[1] == other[1]:
        span = f"{first}–{other[2]}"
    else:
        span = f"{first}, {last}" if len(group.members) == 2 else f"{first} … {last}"
    return f"{span}  ×{len(group.members)}"
