"""What goes in and out of a branch, and which lines made what."""

from collections.abc import Callable
from typing import Any

from opscope.ir import Frame, SourceRange, parse
from opscope.visualize.explorer import Exhibit

Browse = Callable[..., Any]

COUNTS = """
const lines = [...lineFacts(model, 'net.py')];
return lines.map(([line, { made, through }]) => [line, made.length, through]);
"""


def test_the_borders_of_a_branch_are_what_crosses_them(browse: Browse) -> None:
    graph = """
    graph(%x : f32[2], %y : f32[2]):
      state %w : f32[2]
      %a : f32[2] = aten::neg(%x)
      %b : f32[2] = aten::mul.Tensor(%a, %w)    # net.py:1 body (Body)
      %c : f32[2] = aten::mul.Tensor(%b, %a)    # net.py:1 body (Body)
      %d : f32[2] = aten::exp(%c)    # net.py:1 body (Body)
      %e : f32[2] = aten::mul.Tensor(%c, %y)
      return (%e, %d)
    """
    script = """
    const names = (values) => values.map((v) => model.valueName(v));
    const all = (b) => {
      const { inputs, outputs, state } = borders(model, b);
      return [inputs, outputs, state].map(names);
    };
    return [all(model.branchAt('body')), all(0)];
    """
    body, root = browse(script, graph)
    assert body == [["a"], ["c", "d"], ["w"]]
    assert root == [[], [], ["w"]]


def test_operators_are_counted_the_most_frequent_first(browse: Browse) -> None:
    graph = """
    graph(%x : f32[2]):
      %a : f32[2] = aten::neg(%x)
      %b : f32[2] = aten::exp(%a)
      %c : f32[2] = aten::exp(%b)
      return (%c)
    """
    script = (
        "return operatorCounts(model, 0).map(({ operator, nodes }) => [operator, nodes.length])"
    )
    assert browse(script, graph) == [["aten::exp", 2], ["aten::neg", 1]]


def _frames(*places: tuple[str, int, bool]) -> Frame:
    """Make a stack, its outermost frame first: file, line, and whether it is a library's."""
    frame = None
    for file, line, is_library in places:
        frame = Frame.resolved(SourceRange(file, line), frame, is_library)
    assert frame is not None
    return frame


def _exhibit() -> Exhibit:
    """Make a graph of which line 7 of ``net.py`` made two, and line 3 called what made them."""
    text = "graph(%x : f32[2]):\n  %a : f32[2] = aten::neg(%x)\n  %b : f32[2] = aten::exp(%a)\n  return (%b)"
    graph = parse(text)
    for node, last in zip(graph.walk(), (20, 21), strict=True):
        node.stack = _frames(
            ("net.py", 3, False), ("lib.py", 1, True), ("net.py", 7, False), ("lib.py", last, True)
        )
    return Exhibit(graph)


def test_a_line_counts_what_it_made_and_what_came_through_it(browse: Browse) -> None:
    assert sorted(browse(COUNTS, _exhibit())) == [[3, 0, 2], [7, 2, 2]]


def test_a_line_that_calls_itself_counts_once(browse: Browse) -> None:
    exhibit = _exhibit()
    for node in exhibit.graph.walk():
        node.stack = _frames(("net.py", 3, False), ("net.py", 3, False), ("net.py", 3, False))
    assert browse(COUNTS, exhibit) == [[3, 2, 2]]


def test_what_came_through_a_line_is_found_by_it(browse: Browse) -> None:
    script = """
    const titles = (nodes) => nodes.map((n) => model.nodeTitle(n));
    const through = (file, line) => titles(nodesThrough(model, standsOn(program, file, line)));
    return [through('net.py', 3), through('lib.py', 21), through('net.py', 4), filesOf(model)];
    """
    assert browse(script, _exhibit()) == [
        ["neg", "exp"],
        ["exp"],
        [],
        [{"file": "net.py", "count": 2}],
    ]
