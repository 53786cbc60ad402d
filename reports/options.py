"""Options of a summary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..errors import ReportError
from .grouping import FIGURES

GROUPINGS: Final = ("module", "line", "operator")
SORTS: Final = tuple(FIGURES)


@dataclass(frozen=True, slots=True)
class SummaryOptions:
    """How a summary is grouped, and what of it is shown.

    Attributes:
        by: "module", "line" or "operator".
        depth: levels of modules that are shown; None for as many as fit into 50 rows.
        sort: the figure by which rows are ordered, most first: "flops", "moved", "activations", "saved",
            "messages", "parameters" or "calls". None keeps modules in the order of their calls, and puts
            the lines and operators with most FLOPs first.
        top: how many rows are shown of each level; None for all.
        fold: whether equal neighbours are one row, ``×12``, with their sum.
        width: columns that text takes at most.
    """

    by: str = "module"
    depth: int | None = None
    sort: str | None = None
    top: int | None = None
    fold: bool = True
    width: int = 100

    def __post_init__(self) -> None:
        if self.by not in GROUPINGS:
            raise ReportError(f"a summary is by {', '.join(GROUPINGS)}, not by {self.by!r}")
        if self.sort is not None and self.sort not in SORTS:
            raise ReportError(f"a summary is sorted by {', '.join(SORTS)}, not by {self.sort!r}")
        for name, least in (("depth", 0), ("top", 1), ("width", 80)):
            number = getattr(self, name)
            if number is None and name != "width":
                continue
            if not isinstance(number, int) or isinstance(number, bool) or number < least:
                raise ReportError(f"{name} is a whole number from {least}, not {number!r}")
