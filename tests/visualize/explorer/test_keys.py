"""The keyboard: each key does what the help says."""

import pytest

import opscope
from support.explorer_page import ExplorerPage

GRAPH = """
graph Net(%x : f32[2]):
  scope body (Body)
  scope body.left (Left)
  scope body.right (Right)
  %a : f32[2] = aten::relu(%x)    # net.py:1
  %b : f32[2] = aten::sin(%a)    # net.py:2 body.left
  %c : f32[2] = aten::cos(%b)    # net.py:3 body.left
  %d : f32[2] = aten::exp(%a)    # net.py:4 body.right
  %e : f32[2] = aten::log(%d)    # net.py:5 body.right
  %f : f32[2] = aten::add.Tensor(%c, %e)    # net.py:6 body
  %g : f32[2] = aten::neg(%f)    # net.py:7
  return (%g)
"""


@pytest.fixture
def net(page: ExplorerPage) -> ExplorerPage:
    """A page of the graph, all unfolded."""
    page.open(opscope.parse(GRAPH))
    page.ask("session.unfoldAll();")
    return page


def test_arrows_go_along_edges_and_to_neighbours(net: ExplorerPage) -> None:
    seen = []
    net.click("relu")
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp", "ArrowUp"):
        net.press(key)
        seen.append(net.selected())
    assert seen[1:4] in (
        ["node cos", "node add", "node neg"],
        ["node log", "node add", "node neg"],
    )
    assert seen[0] in ("node sin", "node exp")
    assert seen[4] == "node add"
    assert seen[5] in ("node cos", "node log")
    net.click("sin")
    net.press("ArrowRight")
    assert net.selected() == "node cos"
    net.press("ArrowLeft")
    assert net.selected() == "node sin"


def test_the_first_arrow_selects_where_nothing_is_selected(net: ExplorerPage) -> None:
    net.press("ArrowDown")
    assert net.selected() == "node x"


def test_enter_folds_and_unfolds(net: ExplorerPage) -> None:
    net.click("body")
    net.press("Enter")
    assert "body" in net.boxes()
    net.press("Enter")
    assert "body" in net.frames()


def test_backspace_goes_out_and_space_goes_in(net: ExplorerPage) -> None:
    net.click("sin")
    seen = []
    for key in ("Backspace", "Backspace", "Backspace", "Space", "Space"):
        net.press(key)
        seen.append(net.selected())
    assert seen == ["branch left", "branch body", "branch body", "branch left", "node sin"]


def test_space_unfolds_what_it_goes_into(net: ExplorerPage) -> None:
    net.ask("session.foldAll();")
    net.click("body")
    net.press("Space")
    assert net.frames() == ["body"]
    assert net.selected() == "branch left"


def test_e_unfolds_all_of_what_is_selected_and_c_folds_it(net: ExplorerPage) -> None:
    net.ask("session.foldAll();")
    net.click("body")
    net.press("e")
    assert sorted(net.frames()) == ["body", "left", "right"]
    net.press("c")
    assert net.frames() == ["body"]
    net.press("Escape", "c")
    assert net.frames() == []
    net.press("e")
    assert sorted(net.frames()) == ["body", "left", "right"]


def test_plus_and_minus_zoom_and_zero_shows_all_of_it(net: ExplorerPage) -> None:
    zoom = "return view.view.zoom;"
    first = net.ask(zoom)
    net.press("+")
    assert net.ask(zoom) == pytest.approx(first * 1.25)
    net.press("-", "-")
    assert net.ask(zoom) == pytest.approx(first * 0.8)
    net.press("+", "+", "+", "+", "+", "0")
    top, bottom = net.place("x"), net.place("output")
    assert top.y > 42
    assert bottom.y + bottom.height < 900


def test_h_goes_back_to_the_beginning(net: ExplorerPage) -> None:
    net.press("h")
    before = net.place("x")
    net.ask("view.panBy(900, 700);")
    net.press("h")
    assert net.place("x") == before


def test_i_and_s_show_the_inspector_and_the_source(net: ExplorerPage) -> None:
    def shown() -> str:
        return net.page.locator("[role=tab][aria-selected=true]").inner_text()

    net.press("s")
    assert shown() == "Source"
    net.press("i")
    assert shown() == "Inspector"


def test_t_changes_between_light_and_dark(net: ExplorerPage) -> None:
    net.press("t")
    assert net.page.evaluate("document.documentElement.dataset.theme") == "dark"
    net.press("t")
    assert net.page.evaluate("document.documentElement.dataset.theme") == "light"


def test_escape_clears_marks_then_the_selection(net: ExplorerPage) -> None:
    net.click("sin")
    net.ask("session.mark([1, 2]);")
    net.press("Escape")
    assert (net.marked(), net.selected()) == ([], "node sin")
    net.press("Escape")
    assert net.selected() == ""


def test_a_slash_goes_to_the_search_and_escape_leaves_it(net: ExplorerPage) -> None:
    net.press("/")
    net.page.keyboard.type("sin")
    assert net.page.locator(".finder-input").input_value() == "sin"
    net.press("Escape", "Escape", "Escape")
    assert net.page.evaluate("document.activeElement.className") != "finder-input"


def test_letters_typed_into_the_search_are_no_commands(net: ExplorerPage) -> None:
    net.press("/")
    net.page.keyboard.type("stech0p")
    assert net.page.evaluate("document.documentElement.dataset.theme") == "light"
    assert sorted(net.frames()) == ["body", "left", "right"]


def test_a_question_mark_shows_the_help_which_names_every_key(net: ExplorerPage) -> None:
    net.press("?")
    dialog = net.page.get_by_role("dialog")
    assert dialog.is_visible()
    keys = " ".join(dialog.locator("kbd").all_inner_texts())
    for key in ("/", "Enter", "Backspace", "Space", "e", "p", "+", "h", "i", "t", "Esc", "?"):
        assert key in keys, key
    net.picture("help")
    net.press("Escape")
    assert not dialog.is_visible()
