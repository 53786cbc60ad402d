"""The browser: three panels, a search, and the ways from node to node."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple

from rich.text import Text
from textual import on, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Footer, Input, Static

from ...errors import QueryError
from ...ir import FunctionRef, Node
from ..listing import Branch
from ..search import Query, parse_query
from .chooser import Chooser
from .detail_view import DetailView
from .help_page import HelpPage
from .node_details import node_lines
from .node_table import NodeTable
from .paint import app_themes, paint_for, shown, theme_name
from .rows import Rows
from .scope_details import scope_lines
from .scope_panel import ScopePanel
from .searching import Search
from .subject import Subject

_LOOK_S = 0.02  # how long a search looks before keys are answered
_MOST_BACK = 1000


class _Stop(NamedTuple):
    """Where somebody has been."""

    branch: Branch
    node: Node | None
    panel: str


class Browser(App[None]):
    """Shows a subject in the terminal.

    Attributes:
        subject: what is browsed.
        search: what was searched for last; None before the first search.

    Args:
        subject: what is browsed.
        query: what to search for at the start.
    """

    TITLE = "opscope"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search", key_display="/"),
        Binding("n", "hit(False)", "Next"),
        Binding("N,shift+n", "hit(True)", "Previous", show=False),
        Binding("p", "producers", "Producers"),
        Binding("c", "consumers", "Consumers"),
        Binding("backspace", "go_back", "Back", key_display="⌫"),
        Binding("y", "copy", "Copy"),
        Binding("t", "theme", "Theme", show=False),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("q,ctrl+c", "quit", "Quit", key_display="q"),
        Binding("escape", "leave_search", show=False),
    ]
    CSS = """
    #panels { height: 1fr; }
    #scopes { width: 36%; max-width: 64; }
    #nodes { height: 45%; }
    #details { height: 1fr; padding: 0 1; }
    #scopes, #nodes, #details {
        border: round $border-blurred; background: $background; border-title-color: $foreground;
        scrollbar-color: $border-blurred; scrollbar-color-hover: $accent;
        scrollbar-color-active: $accent; scrollbar-background: $background;
        scrollbar-background-hover: $background; scrollbar-background-active: $background;
    }
    #scopes:focus, #nodes:focus, #details:focus { border: round $accent; }
    #status { height: 1; padding: 0 1; background: $panel; }
    #search { display: none; background: $panel; padding: 0 1; }
    #search.asked { display: block; }
    """

    def __init__(self, subject: Subject, query: Query | None = None) -> None:
        super().__init__()
        self.subject = subject
        self.search: Search | None = None
        self._first_query = query
        self._branch = subject.tree.roots[0]
        self._way: list[_Stop] = []
        self._panel = "scopes"  # whose cursor the details are about
        for theme in app_themes():
            self.register_theme(theme)
        self.theme = theme_name(is_dark=True)

    def compose(self) -> ComposeResult:
        """Make the panels."""
        with Horizontal(id="panels"):
            scopes = ScopePanel(self.subject.tree.roots, id="scopes")
            scopes.border_title = Text(shown(self.subject.title) or " ")
            yield scopes
            with Vertical():
                yield NodeTable(self.subject, self._is_hit, id="nodes")
                yield DetailView(id="details")
        yield Static(id="status", markup=False)
        placeholder = 'words, "a phrase", op:conv2d, shape:1x3, -relu'
        yield Input(id="search", placeholder=placeholder, compact=True)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Show the whole graph, and start the first search."""
        self._show_branch(self._branch)
        self._scopes.focus()
        if self._first_query is not None:
            self._start_search(self._first_query)

    @property
    def node(self) -> Node | None:
        """The node with the cursor."""
        return self._table.node

    @property
    def branch(self) -> Branch:
        """The scope whose nodes are shown."""
        return self._branch

    @property
    def status(self) -> str:
        """The line below the panels."""
        return str(self.query_one("#status", Static).content)

    @on(Rows.Moved, "#scopes")
    def show_scope(self) -> None:
        """Show the nodes of the scope with the cursor."""
        if self._scopes.branch is not self._branch:
            self._show_branch(self._scopes.branch)

    @on(Rows.Moved, "#nodes")
    def show_node(self) -> None:
        """Show the details of the node with the cursor."""
        if self._panel == "nodes":
            self._show_details()

    @on(Rows.Chosen, "#scopes")
    def enter_scope(self) -> None:
        """Go on among the nodes of a scope."""
        if self.node is not None:
            self._remember()
            self._table.focus()

    @on(Rows.Chosen, "#nodes")
    def enter_node(self) -> None:
        """Go into what a node calls, or into its scope; then to the details."""
        node = self.node
        if node is None:
            return
        called = next(filter(None, map(self.subject.function, _functions(node))), None)
        inner = called or self.subject.tree.branch_of(node)
        if inner is self._branch:
            self._details.focus()
            return
        self._remember()
        self._show_branch(inner)
        self._table.move_cursor(self._table.row_of(node) or 0, is_jump=True)

    @on(Input.Submitted, "#search")
    def submit(self, event: Input.Submitted) -> None:
        """Search for what was written."""
        try:
            query = parse_query(event.value)
        except QueryError as error:
            self._say(" · ".join(str(error).splitlines()), is_error=True)
            return
        self.action_leave_search()
        if query.terms:
            self._remember()
            self._start_search(query)
        else:
            self.search = None
            self._show_search()

    def on_descendant_focus(self) -> None:
        """Show the details of what has the keys now."""
        panel = self._focused_panel
        if panel in ("scopes", "nodes") and panel != self._panel:
            self._panel = panel
            self._show_details()

    def action_search(self) -> None:
        """Ask what to search for."""
        field = self.query_one("#search", Input)
        field.add_class("asked")
        field.focus()

    def action_leave_search(self) -> None:
        """Close the line in which searches are written."""
        field = self.query_one("#search", Input)
        if field.has_class("asked"):
            field.remove_class("asked")
            (self._table if self._panel == "nodes" else self._scopes).focus()
            self._show_status()

    def action_hit(self, is_back: bool) -> None:
        """Go to the next hit, or to the one before."""
        if self.search is None:
            self._say("there was no search yet; / starts one", is_error=True)
            return
        node = self.node
        place = -1 if node is None else self.subject.place(node)
        hit = self.search.next(place, is_back=is_back)
        if hit is not None:
            self._remember()
            self.go_to(hit.node)

    def action_producers(self) -> None:
        """Go to what makes an operand of the node."""
        node = self.node
        if node is not None:
            made = [value.node for value in node.inputs if value.node is not None]
            self._go_to_one_of(made, "producers", "nothing but inputs and state is read here")

    def action_consumers(self) -> None:
        """Go to what reads a result of the node."""
        node = self.node
        if node is not None:
            users = [user for value in node.outputs for user in value.users]
            nodes = [user if isinstance(user, Node) else user.owner for user in users]
            nobody = "the graph returns it" if users else "nothing reads this"
            self._go_to_one_of(filter(None, nodes), "consumers", nobody)

    def action_go_back(self) -> None:
        """Go back to where somebody has been before."""
        if not self._way:
            self._say("this is where you started")
            return
        stop = self._way.pop()
        self._show_branch(stop.branch)
        row = None if stop.node is None else self._table.row_of(stop.node)
        self._table.move_cursor(row or 0, is_jump=True)
        (self._table if stop.panel == "nodes" else self._scopes).focus()

    def action_copy(self) -> None:
        """Copy the node as text, or the address of the scope, and show that."""
        node = self.node
        if self._panel == "nodes" and node is not None:
            text = self.subject.statements(node).statement(node)
        else:
            text = self._branch.scope.address or self._branch.name
        self.copy_to_clipboard(text.encode(errors="replace").decode())
        self.notify(shown(text), title="copied", markup=False)

    def action_theme(self) -> None:
        """Change between dark and light."""
        self.theme = theme_name(is_dark=not self.current_theme.dark)
        self._show_details()

    def action_help(self) -> None:
        """Show what keys do."""
        self.push_screen(HelpPage())

    def go_to(self, node: Node) -> None:
        """Put the cursor on a node, in the scope that is shown if it stands there."""
        row = self._table.row_of(node)
        if row is None:
            self._show_branch(self.subject.tree.branch_of(node))
            row = self._table.row_of(node)
        assert row is not None, "the branch of a node has it"
        self._panel = "nodes"
        self._table.focus()
        self._table.move_cursor(row, is_jump=True)

    @work(exclusive=True)
    async def _look(self, search: Search) -> None:
        """Search on, and go to the first hit as soon as it is found."""
        is_there = is_done = False
        while not is_done:
            search.look(_LOOK_S)
            is_done = search.is_done
            hit = None if is_there else search.from_here()
            if hit is not None:
                is_there = True
                self.go_to(hit.node)
            self._show_search()
            await asyncio.sleep(0)

    def _start_search(self, query: Query) -> None:
        node = self.node
        start = 0 if node is None else self.subject.place(node)
        self.search = Search(self.subject, query, start)
        self._look(self.search)

    def _go_to_one_of(
        self, nodes: Iterator[Node] | Sequence[Node], title: str, nobody: str
    ) -> None:
        ordered = sorted(dict.fromkeys(nodes), key=self.subject.place)
        if not ordered:
            self._say(nobody)
        elif len(ordered) == 1:
            self._arrive(ordered[0])
        else:
            self.push_screen(Chooser(self.subject, ordered, title), self._arrive)

    def _arrive(self, node: Node | None) -> None:
        if node is not None:
            self._remember()
            self.go_to(node)

    def _remember(self) -> None:
        stop = _Stop(self._branch, self.node, self._panel)
        if not self._way or self._way[-1] != stop:
            self._way.append(stop)
        del self._way[:-_MOST_BACK]

    def _show_branch(self, branch: Branch) -> None:
        self._branch = branch
        self._table.show_nodes(self.subject.nodes_in(branch))
        title = branch.scope.address or branch.name
        if branch.scope.class_name:
            title += f" ({branch.scope.class_name})"
        self._table.border_title = Text(shown(title) or " ")
        self._scopes.select(branch)
        self._show_details()

    def _show_details(self) -> None:
        paint = paint_for(is_dark=self.current_theme.dark)
        node = self.node
        if self._panel == "nodes" and node is not None:
            self._details.show_lines(node_lines(self.subject, node, paint))
            self._details.border_title = "node"
        else:
            self._details.show_lines(scope_lines(self.subject, self._branch, paint))
            self._details.border_title = "scope"
        self._show_status()

    def _show_search(self) -> None:
        self._table.refresh()
        self._show_status()

    def _show_status(self) -> None:
        count = self._table.row_count
        words = [f"{self._table.cursor + 1:,} of {count:,} nodes" if count else "no nodes"]
        search = self.search
        if search is not None:
            so_far = "" if search.is_done else " so far"
            number = None if self.node is None else search.number(self.node)
            at = f"hit {number:,} of " if number is not None else ""
            noun = "" if number is not None else " hits" if len(search) != 1 else " hit"
            words.append(f"{search.query.text}: {at}{len(search):,}{noun}{so_far}")
            hit = None if self.node is None else search.hit(self.node)
            if hit is not None:
                words += [f"{match.key} {match.text}" for match in hit.where]
        self._say("  ·  ".join(words))

    def _say(self, text: str, *, is_error: bool = False) -> None:
        paint = paint_for(is_dark=self.current_theme.dark)
        style = paint.warning if is_error else paint.faint
        line = Text(shown(text), style, no_wrap=True, overflow="ellipsis")
        self.query_one("#status", Static).update(line)

    def _is_hit(self, node: Node) -> bool:
        return self.search is not None and self.search.has(node)

    @property
    def _focused_panel(self) -> str:
        focused: Widget | None = self.focused
        return "" if focused is None else focused.id or ""

    @property
    def _scopes(self) -> ScopePanel:
        return self.query_one("#scopes", ScopePanel)

    @property
    def _table(self) -> NodeTable:
        return self.query_one("#nodes", NodeTable)

    @property
    def _details(self) -> DetailView:
        return self.query_one("#details", DetailView)


def _functions(node: Node) -> Iterator[str]:
    return (arg.name for arg in node.all_args if isinstance(arg, FunctionRef))


def browse(subject: Subject, query: Query | None = None) -> None:
    """Show a subject in the terminal, until people leave.

    Args:
        subject: what is browsed.
        query: what to search for at the start.
    """
    browser = Browser(subject, query)
    gc.freeze()  # a graph is all that the collector would look through, while keys wait
    browser.run()
