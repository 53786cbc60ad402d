"""The tree of scopes and the search, and how the graph follows them."""

import pytest

import opscope
from support.explorer_page import PRESS, ExplorerPage

GRAPH = """
graph Net(%x : f32[2]):
  scope body (Body)
  scope body.left (Left)
  scope body.right (Right)
  scope head (Head)
  %a : f32[2] = aten::relu(%x)    # net.py:1
  %b : f32[2] = aten::sin(%a)    # net.py:2 body.left
  %c : f32[2] = aten::cos(%b)    # net.py:3 body.left
  %d : f32[2] = aten::exp(%a)    # net.py:4 body.right
  %e : f32[2] = aten::log(%d)    # net.py:5 body.right
  %f : f32[2] = aten::add.Tensor(%c, %e)    # net.py:6 body
  %g : f32[2] = aten::sin(%f)    # net.py:7 head
  %h : f32[2] = aten::neg(%g)    # net.py:8 head
  return (%h)
"""


@pytest.fixture
def net(page: ExplorerPage) -> ExplorerPage:
    """A page of the graph, all folded."""
    page.open(opscope.parse(GRAPH))
    page.ask("session.foldAll();")
    return page


def row(page: ExplorerPage) -> str:
    """Return the title of the row that is selected; empty for none."""
    chosen = page.page.locator("[role=treeitem][aria-selected=true] .tree-title")
    return chosen.inner_text() if chosen.count() else ""


def test_what_is_selected_in_the_graph_is_selected_in_the_tree(net: ExplorerPage) -> None:
    net.click("head")
    assert row(net) == "head"
    net.double_click("body")
    net.double_click("left")
    net.click("cos")
    assert row(net) == "left"
    net.page.get_by_role("button", name="Operators").click()
    net.settle()
    assert row(net) == "cos"


def test_a_click_in_the_tree_selects_in_the_graph_and_a_double_click_shows_it(
    net: ExplorerPage,
) -> None:
    net.page.get_by_role("button", name="Expand", exact=True).click()
    net.settle()
    left = net.page.locator(".tree-title", has_text="left")
    left.click()
    net.settle()
    assert net.selected() == "branch left"
    left.dblclick()
    net.settle()
    assert "body" in net.frames()
    assert 280 < net.place("left").x < 1020


def test_the_first_click_in_the_tree_selects_however_long_it_takes(net: ExplorerPage) -> None:
    """Rows that are drawn anew while the button is down would lose it: nothing was pressed and released."""
    body = net.page.locator(".tree-row", has_text="body")
    body.click(delay=4 * PRESS)
    net.settle()
    assert net.selected() == "branch body"
    net.page.locator(".tree-row", has_text="head").click(delay=4 * PRESS)
    net.settle()
    assert net.selected() == "branch head"


def test_a_double_click_in_the_tree_may_be_quicker_than_its_first_click_is_drawn(
    net: ExplorerPage,
) -> None:
    net.page.get_by_role("button", name="Expand", exact=True).click()
    net.settle()
    place = net.page.locator(".tree-title", has_text="left").bounding_box()
    assert place is not None
    net.page.evaluate(  # as of a page that has much to draw
        """() => {
          const draw = window.requestAnimationFrame;
          window.requestAnimationFrame = (run) => setTimeout(() => draw(run), 60);
        }"""
    )
    mouse = net.page.mouse
    mouse.move(place["x"] + 3, place["y"] + 3)
    mouse.down()
    mouse.up()
    mouse.down(click_count=2)
    net.page.wait_for_timeout(4 * PRESS)
    mouse.up(click_count=2)
    net.settle()
    assert net.selected() == "branch left"
    assert "body" in net.frames()


def test_a_button_whose_end_the_page_never_sees_does_not_stop_the_tree(net: ExplorerPage) -> None:
    place = net.page.locator(".tree-title", has_text="head").bounding_box()
    assert place is not None
    net.page.mouse.move(place["x"] + 3, place["y"] + 3)
    net.page.mouse.down(button="right")  # the system's menu takes the rest
    net.page.get_by_role("tree").focus()
    net.press("Home", "ArrowDown")
    assert row(net) == "body"


def test_the_keys_of_the_tree_move_expand_and_collapse(net: ExplorerPage) -> None:
    tree = net.page.get_by_role("tree")
    tree.focus()
    net.press("Home", "ArrowDown")
    assert net.selected() == "branch body"
    net.press("ArrowLeft")
    folded = net.page.locator("[role=treeitem]").count()
    net.press("ArrowRight")
    assert net.page.locator("[role=treeitem]").count() == folded + 2
    net.press("ArrowRight")
    assert net.selected() == "branch left"
    net.press("ArrowLeft")
    assert net.selected() == "branch body"
    net.press("h")
    assert net.selected() == "branch head"
    net.press("End", "Home")
    assert net.selected() == "branch Net"


def test_a_search_marks_what_it_finds_and_enter_reveals_it(net: ExplorerPage) -> None:
    net.search("op:sin")
    assert net.marked() == ["sin", "sin"]
    assert net.text(".finder-count") == "2"
    net.picture("search")
    net.press("ArrowDown", "Enter")
    assert net.selected() == "node sin"
    assert "sin" in net.boxes()
    place = net.place("sin")
    assert 280 < place.x < 1020
    assert 42 < place.y < 860
    assert net.ask("return view.emphasis.marked.size;") == 2


def test_marks_in_folded_branches_are_seen_on_them(net: ExplorerPage) -> None:
    net.search("op:sin")
    marked = net.ask("return [...view.emphasis.marked].map(nameOf).sort();")
    assert marked == ["body", "head"]


def test_a_mistake_in_a_search_is_told(net: ExplorerPage) -> None:
    net.search("opp:sin")
    assert "Did you mean op:?" in net.text(".finder-note")
    assert net.marked() == []


def test_clearing_the_search_clears_its_marks(net: ExplorerPage) -> None:
    net.search("sin")
    net.page.get_by_role("button", name="Clear").click()
    net.settle()
    assert net.marked() == []


def test_the_branches_above_are_named_where_their_titles_are_out_of_sight(
    net: ExplorerPage,
) -> None:
    net.ask("session.unfoldAll(); view.zoomBy(3);")
    net.settle()
    net.bring("cos")
    names = net.page.locator(".whereabouts button").all_inner_texts()
    assert names[0] == "body"
    net.page.locator(".whereabouts button").first.click()
    net.settle()
    assert net.selected() == "branch body"


def test_the_minimap_moves_the_view(net: ExplorerPage) -> None:
    net.ask("session.unfoldAll(); view.zoomBy(3);")
    net.settle()
    before = net.ask("return view.view.y;")
    box = net.page.locator(".minimap").bounding_box()
    assert box is not None
    net.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] - 4)
    net.settle()
    assert net.ask("return view.view.y;") > before


def test_enter_goes_to_what_was_typed_however_fast(net: ExplorerPage) -> None:
    net.search("exp")
    net.page.locator(".finder-input").evaluate(
        """(input) => {
          input.value = 'log';
          input.dispatchEvent(new Event('input', { bubbles: true }));
          input.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true }));
        }"""
    )
    net.settle()
    assert net.ask("return model.nodeTitle(session.selection.id);") == "log"
