"""What is seen, as files: SVG, PNG and DOT, whatever the names hold."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Download

from opscope.ir import DType, Effect, Graph, Operator, Scope, ScopeKind, TensorType
from opscope.visualize import render
from support.explorer_page import ExplorerPage

TYPE = TensorType(DType.F32, (2, 3))
SVG = "{http://www.w3.org/2000/svg}"
NAMES = ['a"b', "a\\", "\\N \\G", "<b>&amp;</b>", "a\nb", "é \U0001f525", "]]>", "a\x07b", "{x|y}"]


def hostile() -> Graph:
    """Return a graph of two operators in each of some scopes with names that break files."""
    graph = Graph("</svg> \" & '")
    last = graph.add_input(TYPE, "x")
    for number, name in enumerate(NAMES):
        scope = Scope(graph.root_scope, ScopeKind.MODULE, name, f"Class{number}")
        for kind in ("relu", f"op{number}"):
            operator = Operator(f"aten::{kind}", effects=Effect.NONE)
            last = graph.append(operator, (last,), (TYPE,), scope=scope).output
    graph.set_outputs([last])
    return graph


def said(root: ElementTree.Element) -> set[str]:
    """Return all texts of a drawing."""
    texts = (element for element in root.iter() if element.tag in (f"{SVG}text", f"{SVG}tspan"))
    return {element.text or "" for element in texts}


def exported(page: ExplorerPage, what: str) -> tuple[Download, bytes]:
    """Return the file that the page gives."""
    with page.page.expect_download() as waited:
        page.choose("Export", what)
    download = waited.value
    return download, Path(download.path()).read_bytes()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_svg_is_xml_and_says_what_the_boxes_and_frames_say(
    page: ExplorerPage, theme: str
) -> None:
    page.open(hostile())
    page.ask("session.unfoldAll(); session.setTheme(given);", theme)
    download, content = exported(page, "SVG file")
    assert download.suggested_filename.endswith(".svg")
    root = ElementTree.fromstring(content)
    texts = said(root)
    for title in page.boxes() + page.frames():
        assert title.replace("\x07", "\ufffd") in texts, (title, texts)
    fills = {element.get("fill") for element in root.iter(f"{SVG}rect")}
    assert {"light": "#ffffff", "dark": "#0d1117"}[theme] in fills


def test_the_png_is_a_picture_of_the_whole(page: ExplorerPage) -> None:
    page.open(hostile())
    _, content = exported(page, "PNG file")
    assert content.startswith(b"\x89PNG")
    width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
    picture = page.ask("return [view.picture.width, view.picture.height];")
    assert width >= picture[0]
    assert height >= picture[1]
    assert len(content) > 2000


def test_the_dot_goes_through_graphviz_with_every_box_edge_and_name(page: ExplorerPage) -> None:
    page.open(hostile())
    page.ask("session.unfoldAll();")
    _, content = exported(page, "DOT file")
    root = ElementTree.fromstring(render(content.decode(), "svg"))
    texts = said(root)
    for title in page.boxes() + page.frames():
        for line in title.replace("\x07", "\ufffd").splitlines():
            assert any(text.startswith(line) for text in texts), (line, texts)
    edges = [group for group in root.iter(f"{SVG}g") if group.get("class") == "edge"]
    assert len(edges) == len(page.edges())


def test_the_text_of_the_graph_is_copied(page: ExplorerPage) -> None:
    page.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.open(hostile())
    page.choose("Export", "copy the graph as text")
    page.page.wait_for_timeout(100)
    assert page.text(".toast") == "copied"
    text = page.page.evaluate("navigator.clipboard.readText()")
    assert text.splitlines()[0] == "input %x : f32[2, 3]"
    assert "aten::relu(%x)" in text
