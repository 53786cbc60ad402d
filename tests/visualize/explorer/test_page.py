"""The page as it opens: in a browser, in a notebook's frame, and where scripts are off."""

import html
import json
import random
from pathlib import Path

import pytest
from playwright.sync_api import Browser

import opscope
from opscope.exploring import notebook_bundle
from opscope.ir import (
    DType,
    Effect,
    Frame,
    Graph,
    Operator,
    Scope,
    ScopeKind,
    SourceRange,
    TensorType,
)
from support.explorer_page import PRESS, ExplorerPage

TYPE = TensorType(DType.F32, (2, 3))
RELU = Operator("aten::relu", effects=Effect.NONE)

SMALL = """
graph Small(%x : f32[2, 3]):
  %a : f32[2, 3] = aten::relu(%x)    # net.py:1
  %b : f32[2, 3] = aten::exp(%a)    # net.py:2
  return (%b)
"""
HOSTILE = [
    "plain",
    'a"b',
    "a'b",
    "a:b",
    "a\nb",
    "<b>bold</b>",
    "a&amp;b",
    "a\\u2028b \u2028 \u2029",
    "</script><script>window.broken = 1</script>",
    "<img src=x onerror='window.broken = 1'>",
    "-->",
    "]]>",
    "__proto__",
    "constructor",
    "模型 é \U0001f525",
    "\u202egnirts",
    "{{script}}",
]


def chain(count: int) -> Graph:
    """Return a graph of nodes of varying operators, one after the other in no scope."""
    graph = Graph("chain")
    last = graph.add_input(TYPE, "x")
    dice = random.Random(0)
    for _ in range(count):
        operator = Operator(f"aten::step{dice.randrange(1000)}", effects=Effect.NONE)
        last = graph.append(operator, (last,), (TYPE,)).output
    graph.set_outputs([last])
    return graph


def hostile() -> Graph:
    """Return a graph in which every name is made to break pages."""
    graph = Graph(HOSTILE[8])
    last = graph.add_input(TYPE, "x")
    for name in HOSTILE:
        scope = Scope(graph.root_scope, ScopeKind.MODULE, name, name)
        place = SourceRange(name, 1, 1, function=name)
        frame = Frame.resolved(place)
        for _ in range(2):
            last = graph.append(RELU, (last,), (TYPE,), scope=scope, stack=frame).output
    graph.set_outputs([last])
    return graph


def test_it_opens_without_an_error_and_asks_for_nothing_but_itself(page: ExplorerPage) -> None:
    page.open(opscope.parse(SMALL))
    assert page.boxes() == ["x", "relu", "exp", "output"]
    assert page.problems == []


def test_what_is_small_is_shown_whole_and_can_be_read(page: ExplorerPage) -> None:
    page.open(opscope.parse(SMALL))
    assert page.ask("return view.view.zoom;") >= 0.8
    for title in page.boxes():
        place = page.place(title)
        assert place.x > 280
        assert place.y > 40
        assert place.x + place.width < 1400 - 380
        assert place.y + place.height < 900


def test_what_is_long_opens_at_its_beginning_in_letters_that_can_be_read(
    page: ExplorerPage,
) -> None:
    page.open(chain(140))
    assert page.ask("return view.view.zoom;") >= 0.8
    first = page.place("x")
    assert 40 < first.y < 200
    assert 280 < first.x < 1000


def test_names_from_a_program_are_text_everywhere(page: ExplorerPage) -> None:
    page.open(hostile())
    titles = page.boxes() + page.frames()
    for name in HOSTILE:
        assert any(name[:20] in title for title in titles), (name, titles)
    for branch in range(page.ask("return model.branchCount;")):
        page.ask("session.select({ kind: 'branch', id: given }, { reveal: true });", branch)
    for node in range(page.ask("return model.nodeCount;")):
        page.ask("session.select({ kind: 'node', id: given }, { reveal: true });", node)
    page.page.get_by_role("tab", name="Source").click()
    for word in ("script", "img", "__proto__", "constructor", '"a:b"'):
        page.search(word)
        assert page.page.locator(".finder-hit").count() > 0, word
    assert page.page.evaluate("window.broken") is None
    assert page.page.locator("img, b, #app script").count() == 0


def test_the_policy_stops_a_script_that_stands_in_the_page_all_the_same(page: ExplorerPage) -> None:
    text = opscope.to_html(opscope.parse(SMALL))
    injected = "<script>window.broken = 1</script><img src=x onerror='window.broken = 1'>"
    page.write(text.replace('<div id="app">', f'{injected}<div id="app">'))
    page.visit()
    assert page.page.evaluate("window.broken") is None
    refused = [problem for problem in page.problems if "Content Security Policy" in problem]
    assert len(refused) >= 2
    page.problems.clear()


def test_nothing_can_be_fetched_from_the_page(page: ExplorerPage) -> None:
    page.open(opscope.parse(SMALL))
    fetched = page.page.evaluate(
        "fetch('https://example.com/').then(() => 'fetched', (error) => error.name)"
    )
    assert fetched == "TypeError"
    page.problems.clear()


def test_where_scripts_are_off_there_is_a_picture(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(opscope.to_html(opscope.parse(SMALL)), encoding="utf-8")
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(path.as_uri())
        picture = page.locator("svg").first.bounding_box()
        assert picture is not None
        assert picture["width"] > 50
        assert picture["height"] > 100
        assert page.locator("svg text", has_text="relu").is_visible()
        assert page.locator("noscript p").is_visible()


def test_in_the_frame_of_a_notebook_it_works(page: ExplorerPage, tmp_path: Path) -> None:
    bundle = notebook_bundle(opscope.parse(SMALL))
    outer = tmp_path / "notebook.html"
    outer.write_text(f"<!doctype html><p>Out[1]:</p>{bundle['text/html']}", encoding="utf-8")
    page.address = outer.as_uri()
    page.page.goto(outer.as_uri())
    inner = page.page.frame_locator("iframe")
    inner.locator(".graph canvas").first.wait_for()
    frame = page.page.frames[1]
    while not frame.evaluate("!!window.__explorer"):
        frame.wait_for_timeout(5)
    box = frame.evaluate(
        """() => { const { view } = window.__explorer; const b = view.picture.boxes[1];
        return [(b.x - view.view.x) * view.view.zoom, (b.y - view.view.y) * view.view.zoom]; }"""
    )
    inner.locator(".graph canvas").first.click(position={"x": box[0], "y": box[1]})
    assert frame.evaluate("window.__explorer.session.selection.kind") == "node"
    assert "relu" in frame.locator(".live").inner_text()
    page.picture("notebook")


def test_in_a_frame_that_may_only_run_scripts_it_works(page: ExplorerPage, tmp_path: Path) -> None:
    """As notebooks in editors show what they are given: no address, no storage, no window above."""
    shown = html.escape(notebook_bundle(opscope.parse(SMALL))["text/html"], quote=True)
    outer = tmp_path / "editor.html"
    outer.write_text(
        f'<!doctype html><iframe sandbox="allow-scripts" srcdoc="{shown}" width="1200" height="700">',
        encoding="utf-8",
    )
    page.address = outer.as_uri()
    page.page.goto(outer.as_uri())
    inner = page.page.frame_locator("iframe").frame_locator("iframe")
    inner.locator(".graph canvas").first.wait_for()
    frame = page.page.frames[2]
    while not frame.evaluate("!!window.__explorer"):
        frame.wait_for_timeout(5)
    assert frame.evaluate("window.origin") == "null"
    frame.locator(".tree-row").nth(0).click(delay=PRESS)
    frame.locator(".live", has_text="Small, unfolded").wait_for(state="attached")
    inner.get_by_role("button", name="Let data flow to the right").click()
    inner.get_by_role("button", name="Light or dark").click()
    assert frame.evaluate("document.documentElement.dataset.theme") == "dark"
    inner.get_by_role("combobox", name="Search").fill("op:exp")
    inner.locator(".finder-hit").first.click()
    frame.locator(".live", has_text="exp").wait_for(state="attached")
    inner.get_by_role("button", name="Copy IR").wait_for()
    assert inner.get_by_role("button", name="Copy link").count() == 0


def test_five_thousand_nodes_in_one_scope_are_in_sections_and_open(page: ExplorerPage) -> None:
    page.open(chain(5000))
    spans = [f"operators {n * 250 + 1:,} – {n * 250 + 250:,}" for n in range(20)]
    assert page.boxes() == ["x", *spans, "output"]
    page.picture("flat_5000")
    last = page.ask("return model.nodeCount - 2;")
    page.ask("session.select({ kind: 'node', id: given }, { reveal: true });", last)
    assert page.selected() == f"node {page.boxes()[-1]}"
    assert len(page.boxes()) < 200


def test_a_damaged_page_says_so(page: ExplorerPage) -> None:
    text = opscope.to_html(opscope.parse(SMALL))
    start = text.index('type="application/json">') + len('type="application/json">')
    page.write(text[: start + 40] + "AAAA" + text[start + 44 :])
    page.page.goto(page.address)
    assert "This page is damaged" in page.page.locator(".failure").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_is_the_systems_until_somebody_chooses(page: ExplorerPage, scheme: str) -> None:
    page.page.emulate_media(color_scheme=scheme)
    page.open(opscope.parse(SMALL))
    papers = {"light": "#ffffff", "dark": "#0d1117"}
    assert page.colour_at(300, 60) == papers[scheme]
    assert page.page.evaluate("document.documentElement.dataset.theme") == scheme
    other = "dark" if scheme == "light" else "light"
    page.press("t")
    assert page.colour_at(300, 60) == papers[other]
    red, green, blue = json.loads(
        page.page.evaluate("getComputedStyle(document.body).backgroundColor")
        .replace("rgb(", "[")
        .replace(")", "]")
    )
    assert f"#{red:02x}{green:02x}{blue:02x}" == papers[other]


def test_the_title_of_the_page_is_that_of_the_program(page: ExplorerPage) -> None:
    page.open(hostile())
    assert page.page.title() == html.unescape(HOSTILE[8])
