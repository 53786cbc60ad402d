"""The nodes of a scope, a row each."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import ClassVar

from ...ir import Node, TensorType, Type
from .paint import Paint
from .rows import Cell, Rows
from .subject import Subject

_MARKS = 2
_NESTING = "  "


class NodeTable(Rows):
    """Name, operator, types and place of each node.

    Args:
        subject: what is browsed.
        is_hit: whether a search has found a node.
    """

    has_heading: ClassVar[bool] = True

    def __init__(
        self, subject: Subject, is_hit: Callable[[Node], bool], *, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self._subject = subject
        self._is_hit = is_hit
        self._listed: Sequence[Node] = ()

    @property
    def row_count(self) -> int:
        """How many nodes there are."""
        return len(self._listed)

    @property
    def nodes_shown(self) -> Sequence[Node]:
        """The nodes that are listed."""
        return self._listed

    @property
    def node(self) -> Node | None:
        """The node with the cursor; None in a scope without nodes."""
        return self._listed[self.cursor] if self._listed else None

    def show_nodes(self, nodes: Sequence[Node]) -> None:
        """Show other nodes, with the cursor on the first."""
        self._listed = nodes
        self.cursor = 0
        self.scroll_to(y=0, animate=False)
        self.rows_changed()

    def row_of(self, node: Node) -> int | None:
        """Return the row of a node; None if it is not among those that are shown."""
        place = self._subject.place(node)
        row = bisect_left(self._listed, place, key=self._subject.place)
        is_there = row < len(self._listed) and self._listed[row] is node
        return row if is_there else None

    def heading(self, width: int, paint: Paint) -> Sequence[Cell]:
        """Return what the columns are."""
        titles = ("result", "operator", "type", "source")
        marks: Cell = ("", _MARKS, paint.faint)
        columns = zip(titles, _widths(width), strict=True)
        return (marks, *[(title, columns, paint.faint) for title, columns in columns])

    def cells(self, row: int, width: int, paint: Paint) -> Sequence[Cell]:
        """Return the cells of a node."""
        node = self._listed[row]
        references = self._subject.statements(node).references
        results = ", ".join(references[value] for value in node.outputs) or "–"
        name, operator, type_, place = _widths(width)
        gap: Cell = (" ", 1, paint.text)
        return (
            self._mark(node, paint),
            (_NESTING * _depth(node) + results, name - 1, paint.strong),
            gap,
            (
                node.operator.name.removeprefix("aten::"),
                operator - 1,
                paint.operator(node.operator),
            ),
            gap,
            (", ".join(short_type(value.type) for value in node.outputs), type_ - 1, paint.text),
            gap,
            (_tail(place_text(node), place), place, paint.faint),
        )

    def _mark(self, node: Node, paint: Paint) -> Cell:
        if self._subject.diagnostics_of(node):
            return ("!", _MARKS, paint.warning)
        if self._is_hit(node):
            return ("●", _MARKS, paint.hit)
        return ("?" if self._subject.guards_of(node) else "", _MARKS, paint.accent)


def _widths(width: int) -> tuple[int, int, int, int]:
    """Return how wide the columns are, the last one what is left."""
    left = max(width - _MARKS, 0)
    name, operator, type_ = left * 24 // 100, left * 25 // 100, left * 28 // 100
    return name, operator, type_, left - name - operator - type_


def short_type(type_: Type) -> str:
    """Return a type without what is rarely asked for: strides, devices, gradients."""
    text = str(type_).replace(", ", ",")
    return text.partition("{")[0] if isinstance(type_, TensorType) else text


def place_text(node: Node) -> str:
    """Return the line that caused a node, by the last part of its file's name: ``net.py:12``."""
    place = node.source
    return "" if place is None else f"{place.file.rpartition('/')[2]}:{place.line}"


def _tail(text: str, width: int) -> str:
    """Return the end of a text that is too long: there stands the number of the line."""
    return text if len(text) <= width else f"…{text[len(text) - width + 1 :]}"


def _depth(node: Node) -> int:
    """Return how many nodes own the blocks that a node stands in."""
    depth = 0
    block = node.block
    while block is not None and block.owner is not None:
        depth += 1
        block = block.owner.block
    return depth
