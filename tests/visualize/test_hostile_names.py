"""Names made to break pictures: what comes out of every export is what was put in."""

import subprocess
import sys
from xml.etree import ElementTree

import graphviz
import networkx
import pydot
import pytest

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
from opscope.visualize import (
    Scene,
    build_scene,
    render,
    to_dot,
    to_graphviz,
    to_networkx,
    to_pydot,
)
from opscope.visualize.markup import clean

_SVG = "{http://www.w3.org/2000/svg}"

NAMES = [
    "plain",
    'a"b',
    "a'b",
    "a\\",
    "\\",
    "a\\nb",
    "\\N \\G \\E \\T \\H \\L",
    "a:b",
    "a|b",
    "{a|b}",
    "<lambda>",
    "<lambda> <map>",
    "<b>x</b>",
    "</b></font><b>",
    "a&b",
    "&lt;&amp;&#60;",
    "&nbsp;",
    "]]>",
    "<!--",
    "-->",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    'x" URL="javascript:alert(1)',
    "];} digraph evil { a -> b",
    "graph",
    "node",
    "strict",
    "subgraph",
    "%s %d {0}",
    "a;b,c=d",
    "#x//y/*z*/",
    "日本語",
    "émoji 🙂",
    "مرحبا",
    "a" * 30,
]
_CONTROL = [
    *("a\nb", "a\tb", "a\rb", "nul\0l", "esc\x1b[31m", "bell\x07"),
    *("\u2028", "\ud800", "\ufffe", "\u202eabc", ""),
]


def _graph(name: str) -> Graph:
    """Return a graph in which everything a person can name has this name."""
    tensor = TensorType(DType.F32, (2, 2))
    graph = Graph(name)
    model = Scope(graph.root_scope, ScopeKind.MODULE, name, name)
    inner = Scope(model, ScopeKind.MODULE, name, name)
    function = Scope(model, ScopeKind.FUNCTION, name)
    stack = Frame.resolved(SourceRange(name, 1, 2, function=name, path=name))
    operator = Operator(f"mine::{name or 'op'}", effects=Effect.NONE)
    value = graph.add_input(tensor, name)
    weight = graph.add_state(name or "w", tensor)
    for scope in (inner, inner, function, model):
        node = graph.append(operator, (value, weight, name), [tensor], scope=scope, stack=stack)
        value = node.output
        value.name = name
    graph.set_outputs([value])
    return graph


def _texts(svg: bytes) -> list[str]:
    root = ElementTree.fromstring(svg)
    return ["".join(element.itertext()) for element in root.iter(f"{_SVG}text")]


def _spaced(text: str) -> str:
    return " ".join(text.replace("\u00a0", " ").split())


def _expected(scene: Scene) -> list[str]:
    """Return every line of text that the picture of a scene shows."""
    lines = [text for box in scene.boxes for text in (box.title, box.detail) if text]
    lines += [text for c in scene.clusters for text in (c.title, c.detail) if text]
    lines += [scene.title, scene.totals, *scene.notes, *[edge.label for edge in scene.edges]]
    return [_spaced(line) for line in lines if line]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_comes_out_of_the_picture_as_it_went_in(name: str) -> None:
    scene = build_scene(_graph(name))
    shown = sorted(_spaced(text) for text in _texts(render(scene)))
    legend = [family.value for family in scene.legend] if len(scene.legend) > 1 else []
    assert [text for text in shown if text] == sorted([*_expected(scene), *legend])
    assert any(name[:20].strip() in box.title for box in scene.boxes)


@pytest.mark.parametrize("name", NAMES)
def test_tooltips_tell_the_whole_name(name: str) -> None:
    scene = build_scene(_graph(name))
    root = ElementTree.fromstring(render(scene))
    titles = {title.text for title in root.iter(f"{_SVG}title")}
    tooltips = {box.tooltip for box in scene.boxes}
    tooltips |= {cluster.tooltip for cluster in scene.clusters}
    tooltips |= {edge.tooltip for edge in scene.edges}
    assert {clean(tooltip) for tooltip in tooltips if tooltip} <= titles


@pytest.mark.parametrize("name", _CONTROL)
def test_what_no_picture_can_hold_is_replaced(name: str) -> None:
    svg = render(build_scene(_graph(name)))
    text = svg.decode()
    assert not set(name) & set("\0\r\x1b\x07\u202e\ufffe") & set(text)
    ElementTree.fromstring(svg)


@pytest.mark.parametrize("name", [*NAMES, *_CONTROL])
def test_nothing_in_the_picture_is_loaded_linked_or_run(name: str) -> None:
    root = ElementTree.fromstring(render(build_scene(_graph(name))))
    for element in root.iter():
        tag = element.tag.removeprefix(_SVG)
        assert tag in {
            "svg",
            "g",
            "title",
            "desc",
            "text",
            "path",
            "polygon",
            "ellipse",
            "polyline",
        }
        for attribute, value in element.attrib.items():
            assert "href" not in attribute
            assert not attribute.startswith("on")
            assert "javascript:" not in value or attribute == "aria-label"


@pytest.mark.parametrize("name", [*NAMES, *_CONTROL])
def test_pydot_holds_the_same_picture(name: str) -> None:
    scene = build_scene(_graph(name))
    picture = to_pydot(scene)
    assert isinstance(picture, pydot.Dot)
    assert sorted(_texts(render(picture.to_string()))) == sorted(_texts(render(scene)))


@pytest.mark.parametrize("name", [*NAMES, *_CONTROL])
def test_graphviz_holds_the_same_picture(name: str) -> None:
    scene = build_scene(_graph(name))
    picture = to_graphviz(scene)
    assert isinstance(picture, graphviz.Source)
    assert picture.source == to_dot(scene)


@pytest.mark.parametrize("name", [*NAMES, *_CONTROL])
def test_networkx_holds_the_names_themselves(name: str) -> None:
    exported = to_networkx(_graph(name))
    operators = [facts for _, facts in exported.nodes(data=True) if facts["kind"] == "operator"]
    assert exported.graph["name"] == name
    assert {facts["op"] for facts in operators} == {f"mine::{name or 'op'}"}
    assert {facts["module"] for facts in operators} == {name, ""}
    assert networkx.is_directed_acyclic_graph(exported)


def test_importing_pictures_loads_none_of_the_libraries() -> None:
    program = (
        "import sys, opscope.visualize;"
        "heavy = {'torch', 'numpy', 'networkx', 'pydot', 'graphviz', 'pygraphviz'};"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
