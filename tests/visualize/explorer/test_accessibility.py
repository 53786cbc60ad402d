"""What those who use no pointer, or do not see the page, get of it."""

import pytest

import opscope
from support.explorer_page import ExplorerPage

GRAPH = """
graph Net(%x : f32[2]):
  scope body (Body)
  scope body.inner (Inner)
  %a : f32[2] = aten::relu(%x)    # net.py:1
  %b : f32[2] = aten::sin(%a)    # net.py:2 body.inner
  %c : f32[2] = aten::cos(%b)    # net.py:3 body.inner
  %d : f32[2] = aten::exp(%c)    # net.py:4 body
  return (%d)
"""


@pytest.fixture
def net(page: ExplorerPage) -> ExplorerPage:
    """A page of the graph."""
    page.open(opscope.parse(GRAPH))
    return page


def test_every_control_has_a_name(net: ExplorerPage) -> None:
    net.click("relu")
    nameless = net.page.evaluate("""() => {
      const controls = document.querySelectorAll(
        'button, select, input, [tabindex="0"], [role=tree], [role=separator], [role=listbox]');
      const isNamed = (e) => e.getAttribute('aria-label') || e.textContent.trim() || e.title;
      return [...controls].filter((e) => !isNamed(e)).map((e) => e.outerHTML.slice(0, 80));
    }""")
    assert nameless == []


def test_signs_alone_are_no_names(net: ExplorerPage) -> None:
    bare = net.page.evaluate("""() => {
      const isWord = (text) => /[a-z]{2}/i.test(text ?? '');
      const name = (e) => e.getAttribute('aria-label') || e.textContent + ' ' + e.title;
      return [...document.querySelectorAll('button')].filter((e) => !isWord(name(e)))
        .map((e) => e.outerHTML.slice(0, 80));
    }""")
    assert bare == []


def test_the_tree_says_levels_and_what_is_expanded(net: ExplorerPage) -> None:
    net.page.get_by_role("button", name="Expand", exact=True).click()
    net.settle()
    rows = net.page.get_by_role("treeitem").evaluate_all("""(rows) => rows.map((row) => [
      row.querySelector('.tree-title').textContent, row.ariaLevel, row.ariaExpanded,
      `${row.ariaPosInSet}/${row.ariaSetSize}`])""")
    assert rows == [
        ["Net", "1", "true", "1/1"],
        ["body", "2", "true", "1/1"],
        ["inner", "3", None, "1/1"],
    ]
    tree = net.page.get_by_role("tree")
    tree.focus()
    net.press("ArrowDown")
    active = tree.get_attribute("aria-activedescendant")
    chosen = net.page.locator(f"#{active}")
    assert chosen.get_attribute("aria-selected") == "true"


def test_what_is_selected_is_said(net: ExplorerPage) -> None:
    net.click("relu")
    assert net.text(".live") == "relu, 1 in, 1 out"
    net.ask("session.select({ kind: 'branch', id: 1 });")
    assert net.text(".live").startswith("body Body, ")
    assert net.page.locator(".live").get_attribute("aria-live") == "polite"
    net.press("Escape")
    assert net.text(".live") == "nothing selected"


def test_tabs_go_through_all_parts_in_the_order_in_which_they_stand(net: ExplorerPage) -> None:
    order = net.page.evaluate("""() => {
      const parts = { topbar: '.topbar', tree: 'nav', graph: 'main', inspector: 'aside' };
      const found = [];
      const all = document.querySelectorAll('button, select, input, [tabindex="0"]');
      for (const e of all) {
        if (!e.checkVisibility()) continue;
        const part = Object.keys(parts).find((name) => e.closest(parts[name]));
        if (part && found[found.length - 1] !== part) found.push(part);
      }
      return found;
    }""")
    assert order == ["topbar", "tree", "graph", "inspector"]


def test_every_control_is_reached_by_the_tab_key(net: ExplorerPage) -> None:
    net.page.evaluate("""() => {
      const all = document.querySelectorAll('button, select, input, [tabindex="0"]');
      window.__controls = [...all].filter((e) => e.checkVisibility());
    }""")
    count = net.page.evaluate("window.__controls.length")
    reached = set()
    for _ in range(count + 3):
        net.page.keyboard.press("Tab")
        reached.add(net.page.evaluate("window.__controls.indexOf(document.activeElement)"))
    missed = set(range(count)) - reached
    assert [net.page.evaluate(f"window.__controls[{at}].outerHTML") for at in missed] == []


def test_the_borders_are_moved_by_arrows(net: ExplorerPage) -> None:
    width = "document.querySelector('nav').getBoundingClientRect().width"
    before = net.page.evaluate(width)
    net.page.get_by_role("separator", name="Width of the tree").focus()
    net.press("ArrowRight")
    assert net.page.evaluate(width) == pytest.approx(before + 20, abs=1)


def test_the_tabs_say_which_is_shown(net: ExplorerPage) -> None:
    inspector = net.page.get_by_role("tab", name="Inspector")
    source = net.page.get_by_role("tab", name="Source")
    assert inspector.get_attribute("aria-selected") == "true"
    source.click()
    assert source.get_attribute("aria-selected") == "true"
    assert inspector.get_attribute("aria-selected") == "false"
    panels = net.page.get_by_role("tabpanel")
    assert panels.count() == 1


def test_on_a_small_page_everything_is_still_there(net: ExplorerPage) -> None:
    net.page.set_viewport_size({"width": 900, "height": 600})
    net.settle()
    net.picture("small_page")
    beyond = net.page.evaluate("""() => [...document.querySelectorAll('.topbar > *, .bar-tools > *')]
      .filter((e) => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 1)
      .map((e) => e.className || e.title || e.textContent)""")
    assert beyond == []


@pytest.mark.parametrize("size", [(1000, 700), (700, 800), (700, 480)])
def test_on_a_narrow_page_the_graph_has_the_widest_part(
    net: ExplorerPage, size: tuple[int, int]
) -> None:
    net.page.set_viewport_size({"width": size[0], "height": size[1]})
    net.settle()
    net.picture(f"narrow_page_{size[0]}_{size[1]}")
    widths = net.page.evaluate("""() => ['nav', '.stage', '#app > aside'].map(
      (name) => document.querySelector(name).getBoundingClientRect()).map((box) => [box.width, box.top])""")
    (tree, _), (stage, top), (inspector, inspector_top) = widths
    is_below = inspector_top > top
    assert is_below is (size == (700, 800))
    assert stage > tree
    assert is_below or stage > inspector
