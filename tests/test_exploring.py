"""Showing a program in the explorer, in a browser, a notebook and a file, coloured by numbers."""

import html
import math
import sys
import types
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import opscope
from opscope import RenderError
from opscope.exploring import exhibit_of, notebook_bundle
from opscope.ir.measures import Measure

TEXT = """
graph Net(%x : f32[2]):
  %a : f32[2] = aten::relu(%x)    # net.py:1
  %b : f32[2] = aten::exp(%a)    # net.py:2
  return (%b)
"""

USES: list[Callable[[Any, Path], object]] = [
    lambda program, _: opscope.show(program),
    lambda program, _: opscope.to_html(program),
    lambda program, folder: opscope.save(program, folder / "net.html"),
    lambda program, folder: opscope.save(program, folder / "net.opscope"),
    lambda program, folder: opscope.save(program, folder / "net.netron"),
    lambda program, _: opscope.to_dot(program),
]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that the browser was asked for."""
    addresses: list[str] = []
    monkeypatch.setattr(webbrowser, "open", addresses.append)
    return addresses


def test_show_opens_a_page_of_its_own_in_the_browser(opened: list[str]) -> None:
    path = opscope.show(opscope.parse(TEXT))
    assert path is not None
    assert opened == [path.resolve().as_uri()]
    assert path.name == "Net.html"
    assert path.read_text().startswith("<!doctype html>")
    again = opscope.show(opscope.parse(TEXT))
    assert again != path


def test_show_writes_the_page_where_it_is_told(opened: list[str], tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    assert opscope.show(opscope.parse(TEXT), path) == path
    assert opened == [path.resolve().as_uri()]
    assert path.read_text() == opscope.to_html(opscope.parse(TEXT))


def test_a_name_that_is_no_file_name_is_made_one(opened: list[str]) -> None:
    graph = opscope.parse(TEXT)
    graph.name = "../../<a> b"
    path = opscope.show(graph)
    assert path is not None
    assert path.name == "_______a__b.html"
    assert len(opened) == 1


def test_in_a_notebook_the_page_is_shown_in_it(
    opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[dict[str, str]] = []
    shell = types.SimpleNamespace(kernel=object())
    display = types.ModuleType("IPython.display")
    monkeypatch.setattr(display, "display", lambda bundle, raw: shown.append(bundle), raising=False)
    package = types.ModuleType("IPython")
    monkeypatch.setattr(package, "get_ipython", lambda: shell, raising=False)
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    assert opscope.show(opscope.parse(TEXT)) is None
    assert opened == []
    assert framed(shown[0]["text/html"]) == opscope.to_html(opscope.parse(TEXT))


def test_a_terminal_of_ipython_is_no_notebook(
    opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    package = types.ModuleType("IPython")
    monkeypatch.setattr(package, "get_ipython", lambda: object(), raising=False)
    monkeypatch.setitem(sys.modules, "IPython", package)
    assert opscope.show(opscope.parse(TEXT)) is not None
    assert len(opened) == 1


def test_a_bundle_has_the_page_in_a_frame_a_picture_and_words() -> None:
    bundle = notebook_bundle(opscope.parse(TEXT))
    assert sorted(bundle) == ["image/svg+xml", "text/html", "text/plain"]
    assert bundle["image/svg+xml"].startswith("<svg")
    assert "explorer" in bundle["text/html"][-60:]
    assert framed(bundle["text/html"]) == opscope.to_html(opscope.parse(TEXT))


def test_a_bundle_of_a_large_program_is_its_picture_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opscope.exploring._MOST_SHOWN", 1)
    shown = notebook_bundle(opscope.parse(TEXT))["text/html"]
    assert "<iframe" not in shown
    assert "<svg" in shown
    assert "2 operators would make this notebook large" in shown
    assert "opscope.show(traced)" in shown


def test_numbers_are_of_one_kind_or_of_several_by_name_before_flops_and_bytes() -> None:
    graph = opscope.parse(TEXT)
    relu, exp = graph.walk()
    one = exhibit_of(graph, {relu: 1.0, exp: 2})
    assert (one.measures[0].name, dict(one.measures[0].numbers)) == ("overlay", {relu: 1.0, exp: 2})
    several = exhibit_of(graph, {"seconds": {relu: 1.0}, "calls": {exp: 3}})
    assert [m.name for m in several.measures] == ["seconds", "calls", "bytes moved", "bytes made"]
    made = exhibit_of(graph, Measure("time", "s", {relu: 1.0}, is_additive=False))
    assert (made.measures[0].unit, made.measures[0].is_additive) == ("s", False)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, "3", None])
def test_a_number_that_is_none_is_an_error_that_names_it(number: Any) -> None:
    graph = opscope.parse(TEXT)
    relu = next(graph.walk())
    with pytest.raises(RenderError, match=f"overlay 'seconds' has {number!r} for .*relu"):
        opscope.to_html(graph, overlay={"seconds": {relu: number}})


def test_a_node_of_another_graph_is_an_error() -> None:
    stranger = next(opscope.parse(TEXT).walk())
    with pytest.raises(RenderError, match="has a node of another graph"):
        opscope.to_html(opscope.parse(TEXT), overlay={stranger: 1.0})


def test_what_is_no_node_is_an_error() -> None:
    with pytest.raises(RenderError, match="has 7 where a node of the graph is wanted"):
        opscope.to_html(opscope.parse(TEXT), overlay={"seconds": {7: 1.0}})  # type: ignore[dict-item]


def framed(element: str) -> str:
    """Return the page that a frame holds."""
    return html.unescape(element.partition('srcdoc="')[2].partition('"')[0])


@pytest.mark.parametrize("program", [None, "net.opscope", len], ids=["None", "path", "function"])
@pytest.mark.parametrize("use", USES)
def test_what_is_no_program_is_refused_with_what_to_do(
    tmp_path: Path, program: Any, use: Callable[[Any, Path], object]
) -> None:
    with pytest.raises(
        TypeError, match=rf"this is {type(program).__name__}\n  trace it first.* opscope\.load"
    ):
        use(program, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_measures_may_come_from_a_generator() -> None:
    graph = opscope.parse(TEXT)
    node = next(iter(graph.walk()))
    given = (Measure(name, "s", {node: 1.0}) for name in ("one", "two"))
    assert [measure.name for measure in exhibit_of(graph, given).measures][:2] == ["one", "two"]


@pytest.mark.parametrize("overlay", [{"time": [1.0, 2.0]}, ["time"], 5])
def test_an_overlay_without_numbers_by_node_is_refused(overlay: Any) -> None:
    with pytest.raises(RenderError, match="numbers by node"):
        opscope.to_html(opscope.parse(TEXT), overlay=overlay)
