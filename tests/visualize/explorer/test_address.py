"""The part of the address behind ``#``: links show what was seen."""

import pytest

import opscope
from support.explorer_page import ExplorerPage

GRAPH = """
graph Net(%x : f32[2]):
  scope body (Body)
  scope body.left (Left)
  %a : f32[2] = aten::relu(%x)    # net.py:1
  %b : f32[2] = aten::sin(%a)    # net.py:2 body.left
  %c : f32[2] = aten::cos(%b)    # net.py:3 body.left
  %f : f32[2] = aten::neg(%c)    # net.py:6 body
  %g : f32[2] = aten::exp(%f)    # net.py:6 body
  return (%g)
"""


def hash_of(page: ExplorerPage) -> str:
    """Return what stands behind the ``#``."""
    found: str = page.page.evaluate("location.hash.slice(1)")
    return found


def test_what_is_selected_folded_and_coloured_is_seen_again_where_the_link_is_opened(
    page: ExplorerPage,
) -> None:
    page.open(opscope.parse(GRAPH))
    page.ask("session.foldAll();")
    page.double_click("body")
    page.click("exp")
    page.ask("session.setDirection('LR'); session.setMeasure(0);")
    seen = (page.boxes(), page.frames(), page.selected())
    link = hash_of(page)
    assert link
    page.page.goto("about:blank")
    page.visit(link)
    assert (page.boxes(), page.frames(), page.selected()) == seen
    assert page.ask("return [session.direction, session.measure];") == ["LR", 0]
    assert hash_of(page) == link


def test_a_link_that_is_pasted_into_an_open_page_is_followed(page: ExplorerPage) -> None:
    page.open(opscope.parse(GRAPH))
    page.click("exp")
    link = hash_of(page)
    page.ask("session.setDirection('LR'); session.select(null);")
    page.page.evaluate("(hash) => { location.hash = hash; }", link)
    page.page.wait_for_timeout(50)
    assert page.selected() == "node exp"
    assert page.ask("return session.direction;") == "TB"


def test_back_and_forward_go_through_what_was_selected(page: ExplorerPage) -> None:
    page.open(opscope.parse(GRAPH))
    for title in ("relu", "exp", "neg"):
        page.click(title)
    seen = []
    for step in (page.page.go_back, page.page.go_back, page.page.go_back, page.page.go_forward):
        step()
        page.settle()
        seen.append(page.selected())
    assert seen == ["node exp", "node relu", "", "node relu"]


@pytest.mark.parametrize(
    "address",
    [
        "s=n99999",
        "s=b-1",
        "s=<script>",
        "f=9999.1_1.7_x.y",
        "g=77",
        "g=-1",
        "m=99",
        "m=x",
        "m=0.5",
        "d=XX",
        "&&&=",
        "%E0%A4%A",
        "s=v99999999999999999999",
        "__proto__=1",
    ],
)
def test_an_address_that_says_nothing_sensible_changes_nothing(
    page: ExplorerPage, address: str
) -> None:
    page.open(opscope.parse(GRAPH))
    before = (page.boxes(), page.frames())
    page.page.goto("about:blank")
    page.visit(address)
    assert (page.boxes(), page.frames(), page.selected()) == (*before, "")
    assert page.ask("return [session.direction, session.measure];") == ["TB", -1]
