"""Graphviz in a process of its own: what comes out, and what happens when it fails."""

import re
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from opscope.errors import RenderError
from opscope.visualize import Box, BoxKind, Direction, Scene, Theme, render, to_dot
from opscope.visualize import rendering as rendering_module

Draw = Callable[..., Scene]

_SVG = "{http://www.w3.org/2000/svg}"
_TEXT = """
    graph Net(%x : f32[8, 16]):
      %a : f32[8, 16] = aten::relu(%x) # net.py:1 body (Body)
      %b : f32[8, 16] = aten::exp(%a) # net.py:2 body (Body)
      return (%b)
"""


def _scene(boxes: int) -> Scene:
    made = tuple(Box(f"n{n}", BoxKind.OPERATOR, None, "op") for n in range(boxes))
    return Scene("Net", "", (), made, (), (), (), Direction.DOWN, Theme.LIGHT)


@pytest.mark.parametrize(
    ("kind", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG\r\n\x1a\n"), ("pdf", b"%PDF-")]
)
def test_each_format_is_what_it_says(draw: Draw, kind: str, start: bytes) -> None:
    assert render(draw(_TEXT), kind).startswith(start)


def test_text_that_somebody_wrote_is_drawn_too() -> None:
    assert b">hello</text>" in render('digraph { a [label="hello"] }')


def test_a_picture_has_words_for_those_who_do_not_see_it(draw: Draw) -> None:
    root = ElementTree.fromstring(render(draw(_TEXT)))
    assert root.get("role") == "img"
    assert root.get("aria-label") == "Graph of Net"
    assert [(element.tag.removeprefix(_SVG), element.text) for element in root[:2]] == [
        ("title", "Graph of Net"),
        ("desc", "2 operations. Reads x. Returns b. Drawn as 2 boxes"),
    ]


def test_boxes_keep_their_names_and_kinds_for_style_sheets(draw: Draw) -> None:
    root = ElementTree.fromstring(render(draw(_TEXT)))
    groups = {group.get("id"): group.get("class") for group in root.iter(f"{_SVG}g")}
    assert groups["n0"] == "node operator"
    assert groups["n2"] == "node input"


def test_text_stays_inside_its_box(draw: Draw) -> None:
    """Holds for the font that Graphviz measured with: its own widths, centred, plus the margins."""
    name = "a_rather_long_name_for_an_operator"
    svg = render(draw(_TEXT.replace("relu", name))).decode()
    node = re.search(r'<g id="n0".*?</g>', svg, re.DOTALL)
    assert node is not None
    outline = re.search(r' d="([^"]*)"', node[0])
    text = re.search(r'<text[^>]* x="([\d.]+)"[^>]*font-size="([\d.]+)"', node[0])
    assert outline is not None
    assert text is not None
    across = [float(x) for x in re.findall(r"(-?[\d.]+),", outline[1])]
    assert float(text[1]) == pytest.approx((min(across) + max(across)) / 2, abs=0.01)
    narrowest = 0.45 * float(text[2]) * len(name)  # points, of any common sans-serif font
    assert max(across) - min(across) > narrowest


def test_an_unknown_format_is_refused_with_those_there_are(draw: Draw) -> None:
    with pytest.raises(RenderError, match="no picture format 'bmp'; choose from svg, png, pdf"):
        render(draw(_TEXT), "bmp")


def test_too_many_boxes_are_refused_at_once() -> None:
    with pytest.raises(RenderError, match="5,001 boxes are too many to lay out and to read"):
        render(_scene(5001))


def _kept(error: RenderError) -> Path:
    match = re.search(r"The DOT text is kept in (\S+)$", str(error))
    assert match is not None
    return Path(match[1])


def test_text_that_is_no_dot_is_kept_for_a_look() -> None:
    with pytest.raises(RenderError, match="Graphviz failed: ") as caught:
        render("digraph { a -> ")
    kept = _kept(caught.value)
    assert kept.read_text() == "digraph { a -> "
    kept.unlink()


def test_a_layout_without_end_is_stopped(draw: Draw) -> None:
    scene = draw(_TEXT)
    with pytest.raises(RenderError, match=r"did not finish within 0\.001 s") as caught:
        render(scene, timeout_s=0.001)
    kept = _kept(caught.value)
    assert kept.read_text(encoding="utf-8") == to_dot(scene)
    kept.unlink()


def test_without_graphviz_the_message_says_what_to_install(
    draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(rendering_module, "find_spec", lambda name: None)
    with pytest.raises(RenderError, match="there is no Graphviz: install pygraphviz"):
        render(draw(_TEXT))


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
def test_a_dot_on_the_path_is_used(
    draw: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "dot"
    program.write_text(
        '#!/bin/sh\nfor word in "$@"; do case $word in -o*) echo \'<svg xmlns="'
        'http://www.w3.org/2000/svg"><g/></svg>\' > "${word#-o}";; esac; done\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    root = ElementTree.fromstring(render(draw(_TEXT)))
    assert [element.tag.removeprefix(_SVG) for element in root] == ["title", "desc", "g"]


def test_a_picture_too_long_for_png_is_scaled_and_warned_about() -> None:
    rows = ";".join(f"n{n} -> n{n + 1}" for n in range(600))
    text = f'digraph {{ ranksep=0.9 node [height=0.4 width=0.1 label=""] {rows} }}'
    with pytest.warns(UserWarning, match=r"the picture is \d+ inches long, too large for a PNG"):
        png = render(text, "png")
    _, height = struct.unpack(">II", png[16:24])
    assert height <= 32_767


def test_titles_of_clusters_are_painted_above_the_edges(draw: Draw) -> None:
    text = _TEXT.replace(
        "return (%b)", "%c : f32[8, 16] = aten::exp(%b) # net.py:2 body (Body)\n      return (%c)"
    )
    scene = draw(text)
    assert [cluster.title for cluster in scene.clusters] == ["body"]
    root = ElementTree.fromstring(render(scene))
    page = root.find(f"{_SVG}g")
    assert page is not None
    last = page[-1]
    assert last.get("class") == "titles"
    assert "".join(last.itertext()).count("body") >= 1
    background = last.find(f".//{_SVG}polygon")
    assert background is not None
    frame = page.find(f"{_SVG}g[@id='clust1']/{_SVG}path")
    assert frame is not None
    assert background.get("fill") == frame.get("fill")
