"""The rows of the tree of scopes."""

from collections.abc import Callable
from typing import Any

from opscope.ir import parse
from opscope.ir.measures import Measure
from opscope.visualize.explorer import Exhibit

Browse = Callable[..., Any]

GRAPH = """
graph Net(%x : f32[2]):
  state %head.w : f32[2]
  scope body (Body)
  scope body.up (Up)
  scope body.down (Down)
  scope head (Head)
  %a : f32[2] = aten::neg(%x)    # net.py:1 body.up
  %b : f32[2] = aten::exp(%a)    # net.py:2 body.down
  %c : f32[2] = aten::exp(%b)    # net.py:2 body.down
  %d : f32[2] = aten::mul.Tensor(%c, %head.w)    # net.py:3 head
  return (%d)
"""
ROWS = """
const row = (item, at) => {
  const indent = '  '.repeat(outline.level(item) - 1);
  return `${indent}${outline.title(item)} ${outline.positions[at]}/${outline.siblings[at]}`;
};
const rows = () => outline.rows.map(row);
const outline = new Outline(model);
outline.expandAll(false);
"""


def test_rows_are_the_branches_that_are_expanded_and_operators_when_asked_for(
    browse: Browse,
) -> None:
    script = """
    const shown = [rows()];
    outline.expandAll(true);
    shown.push(rows());
    outline.listsNode = (n) => !model.isEnd(n);
    outline.update();
    shown.push(rows());
    return shown;
    """
    folded, scopes, operators = browse(ROWS + script, GRAPH)
    assert folded == ["Net 1/1", "  body 1/2", "  head 2/2"]
    assert scopes == ["Net 1/1", "  body 1/2", "    up 1/2", "    down 2/2", "  head 2/2"]
    assert operators == [
        "Net 1/1",
        "  body 1/2",
        "    up 1/2",
        "      neg 1/1",
        "    down 2/2",
        "      exp 1/2",
        "      exp 2/2",
        "  head 2/2",
        "    mul 1/1",
    ]


def test_siblings_are_sorted_by_a_figure_with_those_that_have_none_last(browse: Browse) -> None:
    graph = parse(GRAPH)
    nodes = list(graph.walk())
    measure = Measure("Time", "s", {nodes[1]: 1.0, nodes[2]: 2.0, nodes[0]: 4.0})
    script = """
    const [operators, , time] = columnsOf(model);
    outline.expandAll(true);
    const sorted = (column, isDescending) => {
      [outline.key, outline.isDescending] = [column.of, isDescending];
      outline.update();
      return outline.rows.map((item) => `${outline.title(item)} ${column.text(column.of(item))}`);
    };
    return [sorted(time, true), sorted(time, false), sorted(operators, true)];
    """
    most, least, operators = browse(ROWS + script, Exhibit(graph, measures=[measure]))
    assert most == ["Net 7 s", "body 7 s", "up 4 s", "down 3 s", "head "]
    assert least == ["Net 7 s", "body 7 s", "down 3 s", "up 4 s", "head "]
    assert operators == ["Net 4", "body 3", "down 2", "up 1", "head 1"]


def test_what_is_selected_is_unfolded_or_stands_for_its_operator(browse: Browse) -> None:
    script = """
    const at = (item) => { const row = outline.unfoldTo(item); return outline.title(outline.rows[row]); };
    const node = 1;
    const found = [at(node), rows().length];
    outline.listsNode = (n) => !model.isEnd(n);
    return [...found, at(node), rows().length];
    """
    assert browse(ROWS + script, GRAPH) == ["up", 5, "neg", 6]


def test_typing_finds_the_next_row_of_that_name_going_around(browse: Browse) -> None:
    script = """
    outline.expandAll(true);
    const found = (text, from) => {
      const at = outline.rowNamed(text, from);
      return at < 0 ? null : outline.title(outline.rows[at]);
    };
    return [found('d', 0), found('b', 3), found('x', 0)];
    """
    assert browse(ROWS + script, GRAPH) == ["down", "body", None]


def test_quantities_are_short_and_carry_their_unit(browse: Browse) -> None:
    script = "return known.map(([figure, unit]) => quantity(figure, unit))"
    known = [
        [0.0123, "s"],
        [2.5e-6, "s"],
        [3.2e9, "FLOP"],
        [784000, "B"],
        [1010, "B"],
        [12, ""],
        [1.5e9, ""],
        [0.00012345, ""],
        [-0.0000005, ""],
    ]
    assert browse(script, known=known) == [
        "12.3 ms",
        "2.5 µs",
        "3.2 GFLOP",
        "766 KiB",
        "1010 B",
        "12",
        "1.5B",
        "1.23e-4",
        "-5e-7",
    ]


def test_a_repeat_tells_how_many_it_stands_for(browse: Browse) -> None:
    lines = "".join(
        f"  scope h.{i} (Block)\n"
        f"  %a{i} : f32[2] = aten::neg(%v{i})    # net.py:1 h.{i}\n"
        f"  %v{i + 1} : f32[2] = aten::exp(%a{i})    # net.py:1 h.{i}\n"
        for i in range(4)
    )
    graph = f"graph(%v0 : f32[2]):\n{lines}  return (%v4)"
    script = """
    return Array.from({ length: model.branchCount }, (_, b) => timesOf(model, ~b)).filter((times) => times);
    """
    assert browse(script, graph) == [4]


def test_what_is_not_drawn_at_first_counts_with_everything(browse: Browse) -> None:
    graph = """
    graph Net(%x : f32[2, 3]):
      scope body (Body)
      %n : int = aten::sym_size.int(%x, 0)  # net.py:1 body
      %a : f32[2, 3] = aten::reshape(%x, [%n, 3])  # net.py:2 body
      %b : f32[2, 3] = aten::exp(%a)  # net.py:3 body
      return (%b)
    """
    script = """
    const figures = (showsAll) => [~0, ~1].map(columnsOf(model, () => showsAll)[0].of);
    return [figures(false), figures(true)];
    """
    assert browse(script, graph) == [[2, 2], [3, 3]]
