"""Colours: of measures with their legend, of both themes, and of the phases of a training step."""

from itertools import pairwise

import pytest

import opscope
from opscope.ir import Graph
from support.explorer_page import ExplorerPage

GRAPH = """
graph Net(%x : f32[2]):
  scope body (Body)
  %a : f32[2] = aten::relu(%x)    # net.py:1
  %b : f32[2] = aten::sin(%a)    # net.py:2 body
  %c : f32[2] = aten::cos(%b)    # net.py:3 body
  %d : f32[2] = aten::exp(%c)    # net.py:4
  return (%d)
"""


def timed() -> tuple[Graph, dict[str, object]]:
    """Return a graph, and seconds for three of its four operators."""
    graph = opscope.parse(GRAPH)
    relu, sin, cos, _ = graph.walk()
    return graph, {"overlay": {"seconds": {relu: 1e-3, sin: 2e-3, cos: 9e-3}}}


def test_a_measure_colours_boxes_says_figures_and_shows_its_scale(page: ExplorerPage) -> None:
    graph, options = timed()
    page.open(graph, **options)
    page.ask("session.unfoldAll();")
    page.settle()
    inside = {name: inner(page, name) for name in ("relu", "sin", "cos", "exp")}
    page.choose("Colour by", "Colour: seconds")
    for name in ("relu", "sin", "cos"):
        assert page.colour_at(*inside[name]) == page.colour_at(*inner(page, name))
    least, middle, most = (page.colour_at(*inner(page, name)) for name in ("relu", "sin", "cos"))
    assert (least, most) == ("#440154", "#fde725")
    assert middle not in (least, most)
    assert page.page.locator(".legend-ramp").is_visible()
    assert page.text(".legend").startswith("seconds")
    page.picture("measure")
    page.choose("Colour by", "Colour: kind")
    assert page.page.locator(".legend-ramp").count() == 0
    assert "activation" in page.text(".legend")


def test_the_number_of_a_folded_branch_is_the_sum_of_those_inside(page: ExplorerPage) -> None:
    graph, options = timed()
    page.open(graph, **options)
    page.choose("Colour by", "Colour: seconds")
    figures = page.ask("""
      const body = [...Array(model.branchCount).keys()].find((b) => nameOf(~b) === 'body');
      return session.program.measures[session.measure].branches[body];""")
    assert figures == pytest.approx(11e-3)


def test_without_a_number_a_box_keeps_the_colour_of_its_kind(page: ExplorerPage) -> None:
    graph, options = timed()
    page.open(graph, **options)
    before = page.colour_at(*inner(page, "exp"))
    page.choose("Colour by", "Colour: seconds")
    assert page.colour_at(*inner(page, "exp")) == before


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read_on_every_colour_of_the_theme(page: ExplorerPage, theme: str) -> None:
    page.open(opscope.parse(GRAPH))
    palette = page.ask("return session.program.palettes[given];", theme)
    papers = [fill for fill, _ in palette["families"]] + [palette["ends"][0], palette["scope"][0]]
    for paper in [*papers, *palette["frames"], palette["page"]]:
        assert contrast(palette["text"], paper) >= 4.5, paper
        assert contrast(palette["faint"], paper) >= 4.5, paper


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_of_the_panels_can_be_read(page: ExplorerPage, theme: str) -> None:
    page.open(opscope.parse(GRAPH))
    page.ask("session.setTheme(given);", theme)
    names = ("text", "faint", "accent", "warn", "error")
    read = "(name) => getComputedStyle(document.documentElement).getPropertyValue('--' + name)"
    papers = [page.page.evaluate(read, paper).strip() for paper in ("page", "panel")]
    for name in names:
        ink = page.page.evaluate(read, name).strip()
        for paper in papers:
            assert contrast(ink, paper) >= 4.5, (name, ink, paper)


def test_the_ramp_goes_from_dark_to_light_in_even_steps(page: ExplorerPage) -> None:
    graph, options = timed()
    page.open(graph, **options)
    page.choose("Colour by", "Colour: seconds")
    style = page.page.locator(".legend-ramp").evaluate("(e) => e.style.background")
    colours = style.split("rgb(")[1:]
    lights = [
        luminance("#" + "".join(f"{int(c):02x}" for c in colour.split(")")[0].split(",")))
        for colour in colours
    ]
    assert len(lights) == 5
    assert all(one < other for one, other in pairwise(lights))


def inner(page: ExplorerPage, title: str) -> tuple[float, float]:
    """Return a point of a box beside its text."""
    place = page.place(title)
    return place.x + 5, place.middle[1]


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as the accessibility guidelines have it."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    """Return the relative luminance of ``#rrggbb``."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
