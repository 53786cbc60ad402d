"""A choice among nodes, where a value has several producers or users."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from ...ir import Node
from .node_table import NodeTable
from .rows import Rows
from .subject import Subject

_MOST_ROWS = 14


class Chooser(ModalScreen[Node | None]):
    """Asks for one of some nodes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,backspace", "dismiss(None)", "Cancel"),
    ]
    CSS = """
    Chooser { align: center middle; }
    Chooser NodeTable { width: 80%; max-width: 120; border: round $accent; background: $surface; }
    """

    def __init__(self, subject: Subject, nodes: Sequence[Node], title: str) -> None:
        super().__init__()
        self._subject = subject
        self._choices = nodes
        self._title = title

    def compose(self) -> ComposeResult:
        """Make the list."""
        table = NodeTable(self._subject, lambda node: False)
        table.border_title = Text(self._title)
        table.styles.height = min(len(self._choices), _MOST_ROWS) + 3
        yield table

    def on_mount(self) -> None:
        """Fill the list, which has the keys."""
        table = self.query_one(NodeTable)
        table.show_nodes(self._choices)
        table.focus()

    @on(Rows.Chosen)
    def choose(self, event: Rows.Chosen) -> None:
        """Give the node back."""
        event.stop()
        self.dismiss(self.query_one(NodeTable).node)

    @on(Rows.Moved)
    def move(self, event: Rows.Moved) -> None:
        """Keep it from those below, who have a list of their own."""
        event.stop()
