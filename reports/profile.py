"""Profile: how long the nodes of a program take, by module, source line or operator."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from ..ir import Graph, Node
from ..ir.collector import paused_collector
from ..ir.measures import Measure
from .costs import Ledger, costs_of
from .grouping import Group, sort_by
from .html_table import to_html
from .layout import lay_out
from .memory import memory_of
from .options import SummaryOptions
from .summary import grouped
from .table import Table
from .text_table import to_text
from .units import duration_text


class Profile:
    """How long each node takes in a replay that runs node by node.

    ``print`` shows it by module; ``table`` by line and operator too. The explorer colours by it:
    ``opscope.show(traced, overlay=profile)``.

    Attributes:
        times: the median time of each node, in seconds; of one that owns blocks or calls a function of the
            graph, with all inside.
        repeats: of how many runs, after a first one that does not count.
    """

    def __init__(self, graph: Graph, times: Mapping[Node, float], repeats: int) -> None:
        self._graph = graph
        self.times = dict(times)
        self.repeats = repeats

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The times as an overlay of the explorer."""
        return (Measure("time", "s", self.times),)

    @property
    def total_s(self) -> float:
        """The time of all nodes, in seconds."""
        return sum(self.times.values())

    def table(self, **options: Any) -> str:
        """Return the times as a table.

        Args:
            options: ``by``, what a row is: "module", "line" or "operator"; ``depth``, levels of modules
                shown; ``top``, rows shown of each level; ``fold``, whether equal neighbours are one row;
                ``width``, columns that text takes at most.

        Raises:
            ReportError: an option is not as it should be.
        """
        chosen = SummaryOptions(**options)
        return to_text(self._laid_out(chosen), chosen.width)

    def __str__(self) -> str:
        return self.table()

    def _repr_html_(self) -> str:
        return to_html(self._laid_out(SummaryOptions()))

    def __repr__(self) -> str:
        return f"<Profile of {self._graph.name}: {duration_text(self.total_s)} in {len(self.times)} nodes>"

    @cached_property
    def _ledger(self) -> Ledger:
        with paused_collector():
            return costs_of(self._graph, memory_of(self._graph), self.times)

    def _laid_out(self, options: SummaryOptions) -> Table:
        root = grouped(self._ledger, self._graph.name, options)
        if options.by != "module":
            sort_by(root, _duration)
        return lay_out(
            root, options, f"{self._graph.name}: {duration_text(self.total_s)}", self._facts()
        )

    def _facts(self) -> tuple[tuple[str, str], ...]:
        count = f"{self.repeats:,} run" + ("" if self.repeats == 1 else "s")
        slowest = sorted(self.times, key=self.times.__getitem__, reverse=True)[:3]
        listed = [
            ", ".join([f"{duration_text(self.times[node])} {node.kind}", *_places(node)])
            for node in slowest
        ]
        return (
            ("Times", f"medians of {count} after a first one, node by node"),
            *(("" if number else "Slowest", text) for number, text in enumerate(listed)),
        )


def _places(node: Node) -> list[str]:
    """Return the line and the module that a node stands in, as far as they are known."""
    source = node.source
    line = [] if source is None else [f"{source.file.rpartition('/')[2]}:{source.line}"]
    return [*line, *([node.scope.path] if node.scope.path else [])]


def _duration(group: Group) -> float:
    return group.total.duration_s
