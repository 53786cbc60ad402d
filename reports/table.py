"""Tables: what a report shows, decided; renderers only draw it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One row.

    Attributes:
        label: what it is about.
        detail: what is said beside the label in a fainter voice: a class, a line's text.
        is_last: for each level from the top, whether nothing follows there; empty for the root.
        cells: the figures, one per column.
        share: the part of the whole that a bar shows, from 0 to 1.
    """

    label: str
    detail: str
    is_last: tuple[bool, ...]
    cells: tuple[str, ...]
    share: float


@dataclass(frozen=True, slots=True)
class Table:
    """A report.

    Attributes:
        title: what it is about, in a line.
        heading: of the labels.
        columns: headings of the figures.
        bar: the column that bars stand behind; None for none.
        lines: the rows.
        facts: what is said below, with its name.
    """

    title: str
    heading: str
    columns: tuple[str, ...]
    bar: int | None
    lines: tuple[Line, ...]
    facts: tuple[tuple[str, str], ...]
