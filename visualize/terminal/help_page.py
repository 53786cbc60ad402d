"""What keys do, and how searches are written."""

from __future__ import annotations

from typing import ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from ..search import FILTERS
from .detail_view import DetailView
from .paint import Paint, paint_for

_KEYS: Final = (
    ("Tab", "to the next panel: scopes, nodes, details"),
    ("↑ ↓ PgUp PgDn Home End", "move; j and k do too"),
    ("→ ← Space", "open and close a scope"),
    ("Enter", "go in: a scope's nodes, the scope of a node, what a call calls"),
    ("Backspace", "back to where you were"),
    ("/", "search; Enter goes to the first hit, Escape leaves the search"),
    ("n  N", "next and previous hit, which are marked ●"),
    ("p  c", "to what makes the operands of a node, to what reads its results"),
    ("y", "copy the node as text, or the address of a scope"),
    ("t", "dark or light"),
    ("?", "this page"),
    ("q", "leave"),
)
_MARKS: Final = (
    ("●", "found by the search"),
    ("!", "a diagnostic concerns the node"),
    ("?", "a replay checks what the node computes"),
)
_WAYS: Final = (
    (
        "conv 64x3",
        "both words, anywhere: names, operators, scopes, types, source …",
    ),
    ('"x + y"', "a phrase; * in it stands for itself"),
    ("-relu  -op:add", "nodes that it does not fit"),
    ("op:conv*", "* is any text; without it, filters look for whole words"),
)
_NAME_WIDTH: Final = 24


class HelpPage(ModalScreen[None]):
    """The page that ? shows."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter,backspace", "dismiss(None)", "Close"),
    ]
    CSS = """
    HelpPage { align: center middle; }
    HelpPage DetailView {
        width: 90%; max-width: 104; height: 90%; max-height: 46; border: round $accent;
        background: $surface; padding: 0 1;
    }
    """

    def compose(self) -> ComposeResult:
        """Make the page."""
        page = DetailView()
        page.border_title = Text("keys and searches")
        yield page

    def on_mount(self) -> None:
        """Fill the page."""
        page = self.query_one(DetailView)
        page.show_lines(help_lines(paint_for(is_dark=self.app.current_theme.dark)))
        page.focus()


def help_lines(paint: Paint) -> list[Text]:
    """Return the lines of the page."""
    filters = [(f"{key}:", filter_.meaning) for key, filter_ in FILTERS.items()]
    groups = (("keys", _KEYS), ("marks", _MARKS), ("searches", (*_WAYS, *filters)))
    lines: list[Text] = []
    for title, entries in groups:
        lines += [Text(), Text(title, paint.accent)] if lines else [Text(title, paint.accent)]
        for name, meaning in entries:
            line = Text("  ").append(f"{name:<{_NAME_WIDTH}} ", paint.strong)
            lines.append(line.append(meaning, paint.text))
    return lines
