"""The graph on the page, pointed at with a mouse: selecting, folding, and what stays where it was."""

import pytest

import opscope
from opscope.ir import Graph
from opscope.passes.outline import Outline
from support.explorer_page import ExplorerPage, Place

STACK = """
graph Stack(%x : f32[4, 8]):
  state %stem.weight : f32[8, 8], %layers.0.w : f32[8], %layers.1.w : f32[8], %layers.2.w : f32[8]
  scope stem (Linear)
  scope layers (Sequential)
  scope layers.0 (Block)
  scope layers.1 (Block)
  scope layers.2 (Block)
  scope head (Head)
  %a : f32[4, 8] = aten::linear(%x, %stem.weight)    # net.py:1 stem
  %b0 : f32[4, 8] = aten::mul.Tensor(%a, %layers.0.w)    # net.py:2 layers.0
  %c0 : f32[4, 8] = aten::relu(%b0)    # net.py:3 layers.0
  %d0 : f32[4, 8] = aten::add.Tensor(%c0, %a)    # net.py:4 layers.0
  %b1 : f32[4, 8] = aten::mul.Tensor(%d0, %layers.1.w)    # net.py:2 layers.1
  %c1 : f32[4, 8] = aten::relu(%b1)    # net.py:3 layers.1
  %d1 : f32[4, 8] = aten::add.Tensor(%c1, %d0)    # net.py:4 layers.1
  %b2 : f32[4, 8] = aten::mul.Tensor(%d1, %layers.2.w)    # net.py:2 layers.2
  %c2 : f32[4, 8] = aten::relu(%b2)    # net.py:3 layers.2
  %d2 : f32[4, 8] = aten::add.Tensor(%c2, %d1)    # net.py:4 layers.2
  %e : f32[4, 8] = aten::sigmoid(%d2)    # net.py:5 head
  %f : f32[4, 8] = aten::exp(%e)    # net.py:6 head
  %y : f32[4, 8] = aten::div.Tensor(%f, %e)    # net.py:7 head
  return (%y)
"""
COND = """
graph Cond(%p : bool[], %x : f32[2]):
  %y : f32[2] = higher_order::cond(%p, [%x])    # net.py:1
    block0(%a : f32[2]):
      %b : f32[2] = aten::relu(%a)    # net.py:2
      %c : f32[2] = aten::exp(%b)    # net.py:3
      -> (%c)
    block1(%d : f32[2]):
      %e : f32[2] = aten::neg(%d)    # net.py:5
      %f : f32[2] = aten::sin(%e)    # net.py:6
      -> (%f)
  return (%y)
"""
SIZES = """
graph Sizes(%x : f32[2, 3]):
  %n : int = aten::sym_size.int(%x, 0)    # net.py:1
  %m : int = aten::mul.int(%n, 2)    # net.py:1
  %a : f32[2, 3] = aten::relu(%x)    # net.py:2
  %unread : f32[2, 3] = aten::exp(%a)    # net.py:3
  %y : f32[6] = aten::reshape(%a, [%m])    # net.py:4
  return (%y)
"""
FAN = """
graph Fan(%x : f32[2]):
  scope left (Left)
  scope right (Right)
  %hub : f32[2] = aten::relu(%x)    # net.py:1
  %a : f32[2] = aten::sin(%hub)    # net.py:2 left
  %b : f32[2] = aten::cos(%a)    # net.py:3 left
  %c : f32[2] = aten::exp(%hub)    # net.py:4 right
  %d : f32[2] = aten::log(%c)    # net.py:5 right
  %e : f32[2] = aten::add.Tensor(%b, %d)    # net.py:6
  %f : f32[2] = aten::mul.Tensor(%e, %hub)    # net.py:7
  return (%f)
"""


def outlined() -> Graph:
    """Return the stack with its blocks as one function, called three times."""
    graph = opscope.parse(STACK)
    Outline("layers.*").run(graph)
    return graph


def test_a_click_selects_an_operator_and_the_inspector_shows_it(page: ExplorerPage) -> None:
    page.open(opscope.parse(FAN))
    page.click("relu")
    assert page.selected() == "node relu"
    assert "relu" in page.text("aside")
    page.page.mouse.click(320, 800)
    assert page.selected() == ""


def test_a_click_on_a_folded_branch_selects_it_and_a_double_click_unfolds_it(
    page: ExplorerPage,
) -> None:
    page.open(opscope.parse(STACK))
    page.ask("session.foldAll();")
    page.click("head")
    assert page.selected() == "branch head"
    assert page.boxes() == ["x", "linear", "layers", "head", "output"]
    page.double_click("head")
    assert page.boxes() == ["x", "linear", "layers", "output", "sigmoid", "exp", "div"]
    assert page.frames() == ["head"]
    page.double_click("head")
    assert page.boxes() == ["x", "linear", "layers", "head", "output"]


def test_a_click_on_the_sign_folds_and_unfolds(page: ExplorerPage) -> None:
    page.open(opscope.parse(STACK))
    page.ask("session.foldAll();")
    place = page.place("head")
    page.page.mouse.click(place.x + 10, place.middle[1])
    assert "head" in page.frames()
    frame = page.place("head")
    page.page.mouse.click(frame.x + 12, frame.y + 12)
    assert "head" in page.boxes()


@pytest.mark.parametrize("direction", ["TB", "LR"])
def test_what_is_unfolded_stays_under_the_pointer(page: ExplorerPage, direction: str) -> None:
    page.open(opscope.parse(STACK))
    page.ask("session.setDirection(given); session.foldAll(); view.home();", direction)
    before = page.place("layers")
    page.double_click("layers")
    frame = page.place("layers")
    assert "layers" in page.frames()
    assert corner(frame) == pytest.approx(corner(before), abs=1)
    page.double_click("layers")
    assert "layers" in page.boxes()
    assert corner(page.place("layers")) == pytest.approx(corner(before), abs=1)


def test_what_is_folded_at_the_far_end_of_its_title_is_under_the_pointer_then(
    page: ExplorerPage,
) -> None:
    page.open(opscope.parse(STACK))
    frame = page.place("layers")
    pointer = (frame.x + frame.width - 4, frame.y + 8)
    page.page.mouse.dblclick(*pointer)
    page.settle()
    box = page.place("layers")
    assert "layers" in page.boxes()
    assert box.x < pointer[0] < box.x + box.width
    assert box.y < pointer[1] < box.y + box.height


def test_what_was_laid_out_is_kept_but_for_what_is_around_a_change(page: ExplorerPage) -> None:
    page.open(opscope.parse(STACK))
    page.ask("session.unfoldAll();")
    page.ask("window.__levels = new Map(arrangement.levels);")
    page.ask(
        "session.toggle([...Array(model.branchCount).keys()].find((b) => nameOf(~b) === 'layers.1'));"
    )
    changed = page.ask("""
      const same = (b) => window.__levels.get(b) === arrangement.levels.get(b);
      return [...arrangement.levels.keys()].filter((b) => !same(b)).map((b) => nameOf(~b));""")
    assert sorted(changed) == ["Stack", "layers", "layers.0 – layers.2"]
    kept = page.ask("return [...arrangement.levels.keys()].length;")
    assert kept > len(changed)


def test_a_run_of_equal_blocks_is_folded_then_shows_the_first_then_all(page: ExplorerPage) -> None:
    page.open(opscope.parse(STACK))
    run = "layers.0 – layers.2  ×3"
    page.ask("session.foldAll();")
    page.double_click("layers")
    assert run in page.boxes()
    page.picture("repeat_folded")
    page.double_click(run)
    assert run in page.frames()
    assert [title for title in page.boxes() + page.frames() if title.startswith("layers.")] == [
        "layers.0",
        run,
    ]
    page.double_click(run)
    assert [title for title in page.boxes() if title.startswith("layers.")] == [
        "layers.0",
        "layers.1",
        "layers.2",
    ]
    page.picture("repeat_whole")
    page.double_click(run)
    assert run in page.boxes()


def test_an_operator_in_the_first_of_a_run_is_brought_into_view_and_one_in_another_shows_all(
    page: ExplorerPage,
) -> None:
    page.open(opscope.parse(STACK))
    relus = page.ask(
        "return [...Array(model.nodeCount).keys()].filter((n) => nameOf(n) === 'relu');"
    )
    page.ask("session.reveal(given);", relus[0])
    assert page.ask("return arrangement.shownFor(given);", relus[0]) == relus[0]
    assert page.boxes().count("relu") == 1
    page.ask("session.reveal(given);", relus[2])
    assert page.ask("return arrangement.shownFor(given);", relus[2]) == relus[2]
    assert "layers.1" in page.boxes()


def test_the_blocks_of_a_branch_on_data_unfold(page: ExplorerPage) -> None:
    page.open(opscope.parse(COND))
    page.choose("Unfold to a level", "to all operators")
    assert {"relu", "exp", "neg", "sin"} <= set(page.boxes())
    page.picture("cond")
    edges = page.edges()
    assert "relu -> exp" in edges
    assert "neg -> sin" in edges


def test_a_function_is_reached_by_the_list_of_graphs_and_from_its_call(page: ExplorerPage) -> None:
    page.open(outlined())
    calls = [title for title in page.boxes() if "call" in title.lower() or "Block" in title]
    assert calls, page.boxes()
    page.picture("outlined")
    names = page.page.get_by_label("Graph", exact=True).locator("option").all_inner_texts()
    assert names[0] == "Stack"
    page.choose("Graph", names[1])
    assert {"mul", "relu", "add"} <= set(page.boxes())
    page.choose("Graph", "Stack")
    node = page.ask("return [...Array(model.nodeCount).keys()].find((n) => model.callee(n));")
    page.ask("session.select({ kind: 'node', id: given }, { reveal: true });", node)
    page.page.locator("aside").get_by_role("button", name=names[1]).first.click()
    page.settle()
    assert {"mul", "relu", "add"} <= set(page.boxes())
    assert (
        page.page.get_by_label("Graph", exact=True).locator("option:checked").inner_text()
        == (names[1])
    )


def test_size_arithmetic_and_unread_results_appear_with_everything(page: ExplorerPage) -> None:
    page.open(opscope.parse(SIZES))
    assert page.boxes() == ["x", "relu", "reshape", "output"]
    button = page.page.get_by_role("button", name="Everything")
    button.click()
    page.settle()
    assert sorted(page.boxes()) == ["exp", "mul", "output", "relu", "reshape", "sym_size", "x"]
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    page.settle()
    assert page.boxes() == ["x", "relu", "reshape", "output"]


def test_a_selected_value_highlights_all_its_edges(page: ExplorerPage) -> None:
    page.open(opscope.parse(FAN))
    value = page.ask(
        "return [...Array(model.valueCount).keys()].find((v) => model.valueName(v) === 'hub');"
    )
    page.ask("session.select({ kind: 'value', id: given });", value)
    page.settle()
    read = page.ask("""
      const { flows } = arrangement;
      return [...view.emphasis.outOf].map((f) => nameOf(flows.target[f])).sort();""")
    assert read == ["exp", "mul", "sin"]
    page.picture("value")


def test_a_path_between_two_operators_is_marked(page: ExplorerPage) -> None:
    page.open(opscope.parse(FAN))
    page.ask("session.unfoldAll();")
    page.settle()
    page.click("exp")
    page.press("p")
    page.click("mul")
    page.press("p")
    found = page.ask("return view.path.map(nameOf);")
    assert found == ["exp", "log", "add", "mul"]
    assert "a path over 3 edges" in page.text(".toast")
    page.picture("path")
    page.press("Escape")
    assert page.ask("return view.path;") == []


def test_no_path_between_unrelated_operators_is_said(page: ExplorerPage) -> None:
    page.open(opscope.parse(FAN))
    page.ask("session.unfoldAll();")
    page.settle()
    page.click("exp")
    page.press("p")
    page.click("sin")
    page.press("p")
    assert "no data flows" in page.text(".toast")


def test_a_drag_moves_the_picture_and_selects_nothing(page: ExplorerPage) -> None:
    page.open(opscope.parse(FAN))
    before = page.place("relu")
    page.page.mouse.move(*before.middle)
    page.page.mouse.down()
    page.page.mouse.move(before.middle[0] + 60, before.middle[1] + 40, steps=4)
    page.page.mouse.up()
    after = page.place("relu")
    assert (after.x - before.x, after.y - before.y) == pytest.approx((60, 40), abs=1)
    assert page.selected() == ""


def test_the_wheel_scrolls_and_with_ctrl_zooms_around_the_pointer(page: ExplorerPage) -> None:
    page.open(opscope.parse(FAN))
    before = page.place("relu")
    page.page.mouse.move(*before.middle)
    page.page.mouse.wheel(0, 50)
    page.settle()
    moved = page.place("relu")
    assert moved.y - before.y == pytest.approx(-50, abs=1)
    page.page.mouse.move(*moved.middle)
    page.page.keyboard.down("Control")
    page.page.mouse.wheel(0, -120)
    page.page.keyboard.up("Control")
    page.settle()
    near = page.place("relu")
    assert near.width > moved.width * 1.2
    assert near.middle == pytest.approx(moved.middle, abs=1)


def test_hovering_tells_the_line_of_the_graph(page: ExplorerPage) -> None:
    page.open(opscope.parse(FAN))
    page.page.mouse.move(*page.place("relu").middle)
    page.settle()
    assert page.ask("return view.canvas.title;") == "%hub : f32[2] = aten::relu(%x)    # net.py:1"


def test_what_is_selected_and_comes_into_view_glides_there(page: ExplorerPage) -> None:
    page.page.emulate_media(reduced_motion="no-preference")
    page.open(opscope.parse(STACK))
    page.ask("view.panBy(5000, 0); session.reveal(0);")
    first = page.place("x").x
    page.page.wait_for_timeout(60)
    second = page.place("x").x
    page.page.wait_for_timeout(400)
    last = page.place("x").x
    assert first < second < last or first < second == last
    assert 285 < last < 1020


def test_with_reduced_motion_it_is_there_at_once(page: ExplorerPage) -> None:
    page.open(opscope.parse(STACK))
    page.ask("view.panBy(5000, 0); session.reveal(0);")
    assert 285 < page.place("x").x < 1020


def corner(place: Place) -> tuple[float, float]:
    """Return the corner that a box and the branch that it unfolds to share."""
    return place.x, place.y
