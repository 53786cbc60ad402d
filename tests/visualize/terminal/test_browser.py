"""The browser, driven by keys."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from textual.pilot import Pilot

from opscope.ir import Frame, Graph, Node, Scope, ScopeKind, TensorType, parse, unknown_operator
from opscope.ir.conditions import guards_of
from opscope.ir.findings import Diagnostic, DiagnosticKind
from opscope.visualize.search import parse_query
from opscope.visualize.terminal import Browser, Subject
from opscope.visualize.terminal.chooser import Chooser
from opscope.visualize.terminal.detail_view import DetailView
from opscope.visualize.terminal.help_page import HelpPage
from opscope.visualize.terminal.node_table import NodeTable
from opscope.visualize.terminal.paint import Paint
from opscope.visualize.terminal.rows import Cell
from opscope.visualize.terminal.scope_panel import ScopePanel
from support.annotated_graph import annotated_graph, operators

_SIZE = (150, 44)
_SMALL = (80, 24)

CALLS = """graph g(%x : f32[1]) -> (f32[1]):
  %a : f32[1] = aten::exp(%x)
  %h : f32[1] = prim::call(@part, %a)    # net.py:4 fc (Linear)
  return (%h)

function part(%x : f32[1]) -> (f32[1]):
  %h : f32[1] = aten::neg(%x)            # net.py:9 tail (Tail)
  return (%h)
"""


def browse(
    subject: Subject,
    story: Callable[[Screen], Awaitable[None]],
    query: str = "",
    size: tuple[int, int] = _SIZE,
) -> None:
    """Run a browser and let a story press its keys."""

    async def run() -> None:
        browser = Browser(subject, parse_query(query) if query else None)
        async with browser.run_test(size=size) as pilot:
            await browser.workers.wait_for_complete()
            await pilot.pause()
            await story(Screen(browser, pilot))

    # In a thread of its own: what drives pages in other tests leaves a loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, run()).result()


class Screen:
    """What is to be seen, and keys."""

    def __init__(self, browser: Browser, pilot: Pilot[None]) -> None:
        self.browser = browser
        self._pilot = pilot

    async def press(self, *keys: str) -> None:
        """Press keys and wait for what comes of them."""
        for key in keys:
            await self._pilot.press(key)
        await self.browser.workers.wait_for_complete()
        await self._pilot.pause()

    async def search(self, text: str) -> None:
        """Write a search and start it."""
        await self._pilot.press("slash")
        field = self.browser.query_one("#search")
        field.value = text  # type: ignore[attr-defined]
        await self.press("enter")

    @property
    def scopes(self) -> list[str]:
        """The scopes in the tree, the one with the cursor in brackets."""
        panel = self.browser.query_one(ScopePanel)
        rows = [(branch.name, depth) for branch, depth in panel.rows]
        return [
            "  " * depth + (f"[{name}]" if row == panel.cursor else name)
            for row, (name, depth) in enumerate(rows)
        ]

    @property
    def table(self) -> str:
        """The operators in the table, the one with the cursor in brackets."""
        table = self.browser.screen.query_one(NodeTable)
        names = operators(list(table.nodes_shown))
        if names:
            names[table.cursor] = f"[{names[table.cursor]}]"
        return " ".join(names)

    @property
    def details(self) -> list[str]:
        """The lines of the details."""
        return self.browser.query_one("#details", DetailView).text.splitlines()

    @property
    def focus(self) -> str:
        """The panel that has the keys."""
        focused = self.browser.focused
        return "" if focused is None else focused.id or ""

    @property
    def notices(self) -> list[str]:
        """What was told beside the panels."""
        return [notice.message for notice in self.browser._notifications]

    def picture(self) -> str:
        """Return the whole screen as text."""
        lines = self.browser.screen._compositor.render_strips()
        return "\n".join(line.text for line in lines)


def test_it_opens_with_the_whole_graph() -> None:
    async def story(screen: Screen) -> None:
        assert screen.scopes == ["[Net]", "  blocks.0", "    fc", "  blocks.1", "    fc"]
        assert screen.table == "[linear] add.Tensor relu linear add_.Tensor relu to.dtype"
        assert screen.focus == "scopes"
        assert screen.details[:4] == ["Net", "7 nodes · 2 scopes · 32 parameters", "", "a fact"]
        picture = screen.picture()
        for text in ("net.opscope", "%x.1", "f16[2,4]", "net.py:11", "1 of 7 nodes", "Search"):
            assert text in picture

    browse(Subject(annotated_graph(), title="net.opscope", facts=("a fact",)), story)


def test_the_cursor_in_the_tree_chooses_nodes() -> None:
    async def story(screen: Screen) -> None:
        await screen.press("down")
        assert screen.scopes[:2] == ["Net", "  [blocks.0]"]
        assert screen.table == "[linear] add.Tensor relu"
        assert screen.details[0] == "blocks.0   module Block"
        await screen.press("down")
        assert screen.table == "[linear]"
        assert screen.details[-2:] == ["operators", "        1  aten::linear"]

    browse(Subject(annotated_graph()), story)


def test_scopes_are_opened_and_closed() -> None:
    async def story(screen: Screen) -> None:
        await screen.press("down", "left")
        assert screen.scopes == ["Net", "  [blocks.0]", "  blocks.1", "    fc"]
        await screen.press("space")
        assert screen.scopes[2] == "    fc"
        await screen.press("right")
        assert screen.scopes[2] == "    [fc]"
        await screen.press("left", "left", "left", "left")
        assert screen.scopes == ["[Net]"]

    browse(Subject(annotated_graph()), story)


def test_enter_goes_in_and_backspace_back() -> None:
    async def story(screen: Screen) -> None:
        await screen.press("enter")
        assert screen.focus == "nodes"
        await screen.press("down", "down", "enter")
        assert screen.scopes[1] == "  [blocks.0]"
        assert screen.table == "linear add.Tensor [relu]"
        await screen.press("enter")
        assert screen.focus == "details"
        await screen.press("backspace")
        assert screen.scopes[0] == "[Net]"
        assert screen.table == "linear add.Tensor [relu] linear add_.Tensor relu to.dtype"
        await screen.press("backspace")
        assert screen.focus == "scopes"
        await screen.press("backspace")
        assert screen.browser.status == "this is where you started"

    browse(Subject(annotated_graph()), story)


def test_a_search_goes_to_its_hits_in_turn() -> None:
    async def story(screen: Screen) -> None:
        await screen.press("enter", "down", "down", "down", "down")
        await screen.search("op:linear")
        assert screen.table == "[linear] add.Tensor relu linear add_.Tensor relu to.dtype"
        assert "op:linear: hit 1 of 2  ·  op aten::linear" in screen.browser.status
        assert screen.picture().count("●") == 2
        await screen.press("n")
        assert "[linear] add_" in screen.table
        await screen.press("n")
        assert "hit 1 of 2" in screen.browser.status
        await screen.press("N")
        assert "hit 2 of 2" in screen.browser.status
        await screen.press("up")
        assert "op:linear: 2 hits" in screen.browser.status
        await screen.press("backspace", "backspace", "backspace", "backspace")
        assert "[add_.Tensor]" in screen.table

    browse(Subject(annotated_graph()), story)


def test_a_hit_elsewhere_shows_its_scope() -> None:
    async def story(screen: Screen) -> None:
        await screen.press("down")
        await screen.search("half")
        assert screen.scopes[0] == "[Net]"
        assert "[to.dtype]" in screen.table
        assert screen.focus == "nodes"

    browse(Subject(annotated_graph()), story)


def test_a_search_without_hits_stays_where_it_is() -> None:
    async def story(screen: Screen) -> None:
        await screen.search("nowhere")
        assert screen.browser.status == "1 of 7 nodes  ·  nowhere: 0 hits"
        await screen.press("n")
        assert screen.focus == "scopes"

    browse(Subject(annotated_graph()), story)


def test_a_mistake_in_a_search_is_told_and_can_be_mended() -> None:
    async def story(screen: Screen) -> None:
        await screen.search("opp:linear")
        assert screen.browser.status.startswith("there is no filter opp:; did you mean op:?")
        assert screen.focus == "search"
        await screen.press("escape")
        assert screen.focus == "scopes"
        assert screen.browser.status == "1 of 7 nodes"
        await screen.press("n")
        assert screen.browser.status == "there was no search yet; / starts one"

    browse(Subject(annotated_graph()), story)


def test_a_search_may_be_given_at_the_start() -> None:
    async def story(screen: Screen) -> None:
        assert "[add_.Tensor]" in screen.table
        assert screen.details[0] == "aten::add_.Tensor"

    browse(Subject(annotated_graph()), story, "op:add_")


def test_p_and_c_walk_along_values() -> None:
    async def story(screen: Screen) -> None:
        await screen.press("tab", "c")
        assert screen.table == "linear [add.Tensor] relu linear add_.Tensor relu to.dtype"
        await screen.press("p")  # of %h and %x, only %h is made by a node
        assert "[linear] add.T" in screen.table
        await screen.press("p")
        assert screen.browser.status == "nothing but inputs and state is read here"
        await screen.press("end", "c")
        assert screen.browser.status == "the graph returns it"

    browse(Subject(annotated_graph()), story)


def test_one_of_several_consumers_is_chosen() -> None:
    async def story(screen: Screen) -> None:
        await screen.press("tab", "down", "down", "c")
        assert isinstance(screen.browser.screen, Chooser)
        assert screen.table == "[linear] add_.Tensor"
        await screen.press("escape")
        assert "[relu] linear" in screen.table
        await screen.press("c", "down", "enter")
        assert "[add_.Tensor]" in screen.table
        await screen.press("backspace")
        assert "[relu] linear" in screen.table

    browse(Subject(annotated_graph()), story)


def test_enter_on_a_call_goes_into_the_function() -> None:
    async def story(screen: Screen) -> None:
        assert screen.scopes == ["[g]", "  fc", "part", "  tail"]
        await screen.press("tab", "down", "enter")
        assert screen.scopes == ["g", "  fc", "[part]", "  tail"]
        assert screen.table == "[neg]"
        await screen.press("backspace")
        assert screen.table == "exp [prim::call]"
        await screen.search("op:neg")
        assert screen.scopes == ["g", "  fc", "part", "  [tail]"]

    browse(Subject(parse(CALLS)), story)


def test_y_copies_a_node_as_text() -> None:
    async def story(screen: Screen) -> None:
        await screen.press("down", "y")
        assert screen.browser.clipboard == "blocks.0"
        await screen.press("enter", "down", "y")
        assert screen.browser.clipboard == "%0 : f32[2, 4] = aten::add.Tensor(%h, %x, alpha=2)"
        assert "%0 : f32[2, 4] = aten::add.Tensor(%h, %x, alpha=2)" in screen.notices

    browse(Subject(annotated_graph()), story)


def test_help_is_a_page() -> None:
    async def story(screen: Screen) -> None:
        await screen.press("question_mark")
        assert isinstance(screen.browser.screen, HelpPage)
        for text in ("keys", "Backspace", "shape:1x3"):
            assert text in screen.picture()
        await screen.press("escape")
        assert screen.scopes[0] == "[Net]"

    browse(Subject(annotated_graph()), story)


def test_q_quits_but_not_where_a_search_is_written() -> None:
    async def story(screen: Screen) -> None:
        await screen.press("slash", "q")
        assert screen.browser.is_running
        assert screen.browser.query_one("#search").value == "q"  # type: ignore[attr-defined]
        await screen.press("escape", "q")
        assert not screen.browser.is_running

    browse(Subject(annotated_graph()), story)


def test_nodes_that_diagnostics_and_guards_concern_are_marked() -> None:
    graph = parse("""graph g(%x : f32[s0]) -> (f32[1]):
  %a : f32[1] = aten::exp(%x)
  %n : int = aten::sym_size.int(%x, 0)
  %b : bool = aten::gt.int(%n, 1)
  prim::guard(%b, True)
  return (%a)
""")
    read = Diagnostic(
        DiagnosticKind.DATA_READ, "a branch", None, nodes=(_first(graph),), hint="mend it"
    )

    async def story(screen: Screen) -> None:
        rows = [line.rpartition("│")[0] for line in screen.picture().splitlines()]
        assert [line.split("││")[1].strip()[:2] for line in rows[2:6]] == ["! ", "%n", "? ", "? "]
        await screen.press("tab")
        assert screen.details[2:4] == ["! data read: a branch", "  mend it"]
        await screen.press("end")
        assert "? a replay requires x.size(0) > 1" in screen.details

    browse(Subject(graph, diagnostics=[read], guards=guards_of(graph)), story)


@pytest.mark.parametrize("keys", [("end",), ("pagedown",), ("down",) * 9, ("end", "home", "end")])
def test_the_cursor_stays_on_the_rows(keys: tuple[str, ...]) -> None:
    async def story(screen: Screen) -> None:
        await screen.press("tab", *keys)
        assert screen.table.endswith("[to.dtype]")

    browse(Subject(annotated_graph()), story)


def test_in_a_small_terminal_names_and_lines_are_still_there() -> None:
    graph = annotated_graph()
    for node in graph.walk():
        assert node.source is not None
        place = replace(node.source, file="a_long_name_of_a_file.py")
        node.stack = Frame.resolved(place)

    async def story(screen: Screen) -> None:
        lines = [line.rstrip("│ ") for line in screen.picture().splitlines()]
        assert [line[-7:] for line in lines[2:5]] == ["le.py:7", "le.py:9", "le.py:8"]
        assert "linear" in lines[2]
        assert all(len(line) <= 80 for line in lines)

    browse(Subject(graph), story, size=_SMALL)


def test_only_rows_in_sight_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = Graph("long")
    value = graph.add_input(TensorType(), "x")
    for number in range(5000):
        scope = Scope(graph.root_scope, ScopeKind.MODULE, str(number))
        value = graph.append(
            unknown_operator("aten::neg"), (value,), (TensorType(),), scope=scope
        ).output
    graph.set_outputs([value])
    made: set[int] = set()
    cells = NodeTable.cells

    def counted(table: NodeTable, row: int, width: int, paint: Paint) -> Sequence[Cell]:
        made.add(row)
        return cells(table, row, width, paint)

    monkeypatch.setattr(NodeTable, "cells", counted)

    async def story(screen: Screen) -> None:
        await screen.press("tab", "end")
        assert screen.browser.status == "5,000 of 5,000 nodes"
        assert len(made) < 100
        assert {0, 4999} < made

    browse(Subject(graph), story)


def test_a_graph_without_nodes_can_be_browsed() -> None:
    async def story(screen: Screen) -> None:
        assert screen.table == ""
        await screen.press("enter", "tab", "enter", "p", "c", "y", "n", "down", "end")
        await screen.search("x")
        assert screen.browser.status == "no nodes  ·  x: 0 hits"

    browse(Subject(parse("graph g(%x : f32[1]) -> (f32[1]):\n  return (%x)\n")), story)


def _first(graph: Graph) -> Node:
    return next(graph.walk())
