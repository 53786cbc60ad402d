"""Two programs side by side, in a real browser."""

from collections.abc import Callable
from typing import Any

import pytest

import opscope
from support.explorer_page import ExplorerPage

Browse = Callable[..., Any]

BEFORE = """
graph Net(%x : f32[2]):
  %n : f32[2] = aten::neg(%x)             # net.py:1 act (Act)
  %a : f32[2] = aten::relu(%n)            # net.py:2 act (Act)
  %b : f32[2] = aten::dropout(%a, 0.1)    # net.py:3 act (Act)
  %c : f32[2] = aten::exp(%b)             # net.py:4
  return (%c)
"""
AFTER = """
graph Net(%x : f32[2]):
  %a : f32[2] = aten::relu(%x)            # net.py:2 act (Act)
  %b : f32[2] = aten::dropout(%a, 0.2)    # net.py:3 act (Act)
  %c : f32[2] = aten::exp(%b)             # net.py:4
  %d : f32[2] = aten::sin(%c)             # net.py:5
  return (%d)
"""


def open_both(page: ExplorerPage, before: str = BEFORE, after: str = AFTER) -> None:
    page.open(opscope.diff(opscope.parse(before), opscope.parse(after)))


def selected(page: ExplorerPage) -> list[str | None]:
    """Return the titles of what is selected in the two panes."""
    found: list[str | None] = page.page.evaluate(
        """() => window.__explorer.sessions.map(({ selection, model }) =>
        selection ? model.nodeTitle(selection.id) : null)"""
    )
    return found


def rows(page: ExplorerPage) -> list[str]:
    return [row.split("\n")[0].strip() for row in page.page.locator(".change").all_inner_texts()]


def test_the_list_says_what_became_of_each_node(page: ExplorerPage) -> None:
    open_both(page)
    assert [row[:6] for row in rows(page)] == ["− neg", "~ relu", "~ drop", "+ sin"]
    assert page.page.locator(".change-counts").inner_text().split("\n") == [
        "+ 1 added",
        "− 1 removed",
        "~ 2 changed",
    ]
    details = page.page.locator(".change-detail").all_inner_texts()
    assert any("0.1 → 0.2" in detail for detail in details)
    page.picture("side_by_side")


def test_a_change_is_shown_in_both_panes(page: ExplorerPage) -> None:
    open_both(page)
    page.page.locator(".change-changed").last.click()
    assert selected(page) == ["dropout", "dropout"]
    page.page.locator(".change.change-added").click()
    assert selected(page) == [None, "sin"]


def test_keys_go_from_change_to_change(page: ExplorerPage) -> None:
    open_both(page)
    assert selected(page) == ["neg", None]
    page.page.keyboard.press("n")
    assert selected(page) == ["relu", "relu"]
    page.page.keyboard.press("n")
    page.page.keyboard.press("n")
    assert selected(page) == [None, "sin"]
    page.page.keyboard.press("n")  # there is none behind the last
    assert selected(page) == [None, "sin"]
    page.page.keyboard.press("p")
    assert selected(page) == ["dropout", "dropout"]


def test_the_help_tells_the_keys_which_wait_while_it_is_open(page: ExplorerPage) -> None:
    open_both(page)
    page.page.keyboard.press("?")
    assert "the next change, the one before" in page.text("dialog")
    page.page.keyboard.press("n")
    assert selected(page) == ["neg", None]
    page.page.keyboard.press("Escape")
    page.settle()
    page.page.keyboard.press("n")
    assert selected(page) == ["relu", "relu"]


def test_what_is_selected_in_one_pane_is_selected_in_the_other(page: ExplorerPage) -> None:
    open_both(page)
    script = """() => { const [one] = window.__explorer.sessions;
      const id = [...Array(one.model.nodeCount).keys()].find((n) => one.model.nodeTitle(n) === 'exp');
      one.select({ kind: 'node', id }); }"""
    page.page.evaluate(script)
    assert selected(page) == ["exp", "exp"]


def test_boxes_have_the_colour_of_their_change_and_say_it(page: ExplorerPage) -> None:
    open_both(page)
    found: Any = page.page.evaluate(
        """() => window.__explorer.views.map((view) => Object.fromEntries(view.picture.boxes.map((box) =>
        [box.title, [view.emphasis.fill(box.item), view.emphasis.figure(box.item)]])))"""
    )
    before, after = found
    assert before["neg"][1] == "− removed"
    assert after["sin"][1] == "+ added"
    assert before["dropout"][0] == after["dropout"][0] is not None
    assert before["exp"] == [None, ""]
    assert len({before["neg"][0], after["sin"][0], after["dropout"][0]}) == 3


def test_equal_programs_say_so(page: ExplorerPage) -> None:
    open_both(page, after=BEFORE)
    assert rows(page) == []
    assert "Every operator is the same." in page.page.locator("nav").inner_text()


def test_inputs_and_state_that_differ_are_told_above_the_list(page: ExplorerPage) -> None:
    open_both(page, after=BEFORE.replace("f32[2]", "f32[3]"))
    assert "input" in page.page.locator(".change-notes").inner_text()


def test_the_theme_changes_in_both_panes(page: ExplorerPage) -> None:
    open_both(page)
    before = page.page.evaluate("window.__explorer.sessions.map((one) => one.theme)")
    page.page.get_by_title("Light or dark").click()
    after = page.page.evaluate("window.__explorer.sessions.map((one) => one.theme)")
    assert before[0] == before[1] != after[0] == after[1]


def test_names_from_programs_are_text_alone(page: ExplorerPage) -> None:
    hostile = '</script><img src=x onerror="window.__pwned=1">'
    one, two = (opscope.parse(text) for text in (BEFORE, AFTER))
    one.name = two.name = hostile
    page.open(opscope.diff(one, two))
    assert page.page.evaluate("window.__pwned") is None
    assert hostile in page.page.locator("h1").inner_text()


def test_an_overlay_is_for_one_program() -> None:
    diff = opscope.diff(opscope.parse(BEFORE), opscope.parse(AFTER))
    with pytest.raises(opscope.RenderError, match="for one program"):
        opscope.to_html(diff, overlay={})


def test_the_names_of_both_programs_can_be_read(page: ExplorerPage) -> None:
    named = BEFORE.replace("Net", "ResidualNetworkWithAttention")
    open_both(page, named, named.replace("neg", "abs"))
    title = page.page.locator("h1")
    assert title.evaluate("(h) => h.scrollWidth <= h.clientWidth")


def test_what_changed_is_cut_where_a_box_has_no_room_for_it(browse: Browse) -> None:
    script = """
    const context = { measureText: (text) => ({ width: 5 * text.length }) };
    return known.map((text) => fitted(context, text, 50));
    """
    known = ["- removed", "a bit longer", "~ input: %1 (removed) -> %0"]
    assert browse(script, known=known) == ["- removed", "a bit longer", "~ input: %1…"]
