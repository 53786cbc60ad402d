"""Statistics: what the numbers that each node made in one run are like, and where they went wrong first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ..ir import Graph, Node, Value, value_names
from ..ir.measures import Measure
from ..ir.numbers import Numbers
from ..ir.printer import node_text, value_text
from .html_table import to_html
from .table import Line, Table
from .text_table import to_text

_ROWS: Final = 10  # that a table has
_MOST_GIVEN: Final = 3  # inputs and pieces of state that are named


class Statistics:
    """What the floating-point numbers that each node made are like.

    ``print`` shows the largest, and the first node that made a number which is none. The explorer colours by
    them: ``opscope.show(traced, overlay=statistics)``.

    Attributes:
        numbers: all that is known, by node, in the order of the run.
        mean: the mean, of nodes whose numbers are all finite; as are ``std`` and ``absmax``. All three are of
            the first of several results, and of all parts of a list.
        std: the standard deviation.
        absmax: the largest number without its sign.
        nans: how many numbers are NaN, of nodes that made any.
        infs: how many numbers are infinite, of nodes that made any.
        given: what inputs and state held when the run began, by name.
    """

    def __init__(
        self, graph: Graph, numbers: Mapping[Node, Numbers], given: Mapping[Value, Numbers]
    ) -> None:
        self._graph = graph
        self._names = value_names(graph)
        self.numbers = dict(numbers)
        self.given = {value_text(self._names[value]): each for value, each in given.items()}
        found = self.numbers.items()
        self.mean = {node: n.mean for node, n in found if n.mean is not None}
        self.std = {node: n.std for node, n in found if n.std is not None}
        self.absmax = {node: n.absmax for node, n in found if n.absmax is not None}
        self.nans = {node: n.nans for node, n in found if n.nans}
        self.infs = {node: n.infs for node, n in found if n.infs}

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The numbers as overlays of the explorer; what there is none of is left out."""
        named: dict[str, Mapping[Node, float]] = {
            "absmax": self.absmax,
            "std": self.std,
            "NaNs": self.nans,
            "infinities": self.infs,
        }
        return tuple(
            Measure(name, "", numbers, is_additive=False)
            for name, numbers in named.items()
            if numbers
        )

    @property
    def first_nonfinite(self) -> Node | None:
        """The first node that made a NaN or an infinity; ``.source`` is the user's line. None if none did."""
        return next((node for node, n in self.numbers.items() if not n.is_finite), None)

    @property
    def first_nan(self) -> Node | None:
        """The first node that made a NaN; None if none did. Masks are full of infinities, not of these."""
        return next(iter(self.nans), None)

    def __str__(self) -> str:
        return to_text(self._table())

    def _repr_html_(self) -> str:
        return to_html(self._table())

    def __repr__(self) -> str:
        count = sum(1 for n in self.numbers.values() if not n.is_finite)
        return f"<Statistics of {self._graph.name}: {len(self.numbers)} nodes, {count} not finite>"

    def _table(self) -> Table:
        shown = [node for node in self.absmax if not node.operator.is_view]
        largest = sorted(shown, key=self.absmax.__getitem__, reverse=True)[:_ROWS]
        lines = tuple(self._line(node) for node in largest)
        title = f"{self._graph.name}: the largest numbers of one run"
        columns = ("mean", "std", "absmax")
        return Table(title, "Value", columns, None, lines, tuple(self._facts()))

    def _line(self, node: Node) -> Line:
        cells = tuple(
            "–" if number is None else f"{number:.4g}"
            for number in (self.mean.get(node), self.std.get(node), self.absmax[node])
        )
        made = ", ".join(value_text(self._names[value]) for value in node.outputs)
        place = ""
        if node.source is not None:
            place = f"{node.source.file.rpartition('/')[2]}:{node.source.line}"
        name = f"{made} = {node.kind}" if made else node.kind
        return Line(name, place, (), cells, 0.0)

    def _facts(self) -> Iterator[tuple[str, str]]:
        yield "Nodes", f"{len(self.numbers):,} made floating-point numbers"
        broken = {name: numbers for name, numbers in self.given.items() if not numbers.is_finite}
        for name, numbers in list(broken.items())[:_MOST_GIVEN]:
            yield "Given", f"{name} holds {_counts(numbers)}"
        if len(broken) > _MOST_GIVEN:
            yield "", f"and so do {len(broken) - _MOST_GIVEN} more inputs and pieces of state"
        wrong = sum(1 for numbers in self.numbers.values() if not numbers.is_finite)
        if not wrong:
            yield "Finite", "all of them"
            return
        yield (
            "Not finite",
            f"{_nodes(len(self.nans))} made NaN, {_nodes(len(self.infs))} made infinities; mean, std and "
            f"absmax leave {_nodes(wrong)} out",
        )
        first, first_nan = self.first_nonfinite, self.first_nan
        if first is not None:
            yield "First", self._place(first)
        if first_nan is not None and first_nan is not first:
            yield "First NaN", self._place(first_nan)

    def _place(self, node: Node) -> str:
        numbers, source = self.numbers[node], node.source
        text = f"{node_text(node, self._names)} made {_counts(numbers)}"
        if source is not None:
            line = source.text.strip()
            text += f", {source.file}:{source.line}" + (f": {line}" if line else "")
        return text + (f", in {node.scope.path}" if node.scope.path else "")


def _counts(numbers: Numbers) -> str:
    counts = [f"{numbers.nans:,} NaN"] if numbers.nans else []
    counts += [f"{numbers.infs:,} infinite"] if numbers.infs else []
    return f"{' and '.join(counts)} of {numbers.count:,} numbers"


def _nodes(count: int) -> str:
    return f"{count:,} node" if count == 1 else f"{count:,} nodes"
