"""Nodes and values by what people call them."""

import pytest

from opscope import ReplayError
from opscope.ir import parse
from opscope.ir.selection import Selection, firsts, firsts_of_turns

NET = """
    graph Net(%x : f32[4]) -> (f32[4]):
      state %w : f32[4]
      scope layer (Layer)
      %n : int = aten::sym_size.int(%x, 0)  # pkg/net.py:9 layer.act (Act)
      %h : f32[4] = aten::mul(%x, %w)  # pkg/net.py:3 layer (Layer)
      %a : f32[4] = aten::exp(%h)  # pkg/net.py:9 layer.act (Act)
      %b : f32[4] = aten::neg(%a)  # pkg/net.py:9 layer.act (Act)
      %c : f32[4] = aten::exp(%b)  # pkg/net.py:9 layer.act#2 (Act)
      %d : f32[4] = aten::add(%c, %h)  # pkg/net.py:4 layer (Layer)
      return (%d)
"""


def selection() -> Selection:
    return Selection(parse(NET))


@pytest.mark.parametrize("line", ["pkg/net.py:9", "net.py:9", "*net.py:9"])
def test_a_file_goes_by_its_end_or_a_pattern(line: str) -> None:
    assert [node.kind for node in selection().by_line(line)] == [
        "aten::exp", "aten::neg", "aten::exp",
    ]  # fmt: skip


@pytest.mark.parametrize("line", ["et.py:9", "pkg/net.py:90", "net.py:0"])
def test_other_files_and_lines_are_errors(line: str) -> None:
    with pytest.raises(ReplayError, match=f"Net has nothing of line {line}"):
        selection().by_line(line)


def test_the_nearest_lines_come_first() -> None:
    with pytest.raises(ReplayError) as raised:
        selection().by_line("net.py:5")
    assert str(raised.value).splitlines()[1] == (
        "  there are, for example, pkg/net.py:4, pkg/net.py:3, pkg/net.py:9"
    )


def test_sizes_that_stand_elsewhere_are_not_of_a_scope() -> None:
    found = selection().scopes("layer.act*")
    assert {scope.address: [node.kind for node in nodes] for scope, nodes in found.items()} == {
        "layer.act": ["aten::exp", "aten::neg"],
        "layer.act#2": ["aten::exp"],
    }


def test_results_are_what_others_read() -> None:
    chosen = selection()
    names = {
        scope.address: [chosen.names[value] for value in chosen.results(nodes)]
        for scope, nodes in chosen.scopes("*").items()
    }
    assert names == {"layer": ["%d"], "layer.act": ["%b"], "layer.act#2": ["%c"]}


def test_rows_of_neighbours_and_turns_of_loops() -> None:
    graph = parse(NET)
    of_line = set(Selection(graph).by_line("net.py:9"))
    by_kind = {node.output.name: node for node in graph.block}
    assert firsts(graph.block, of_line) == [by_kind["a"]]
    assert firsts_of_turns(graph.block, of_line) == [by_kind["a"], by_kind["c"]]


def test_state_and_tied_names_are_values() -> None:
    chosen = selection()
    state = chosen.value("%w").state
    assert state is not None
    assert state.name == "w"
    with pytest.raises(ReplayError, match="Net has no value %q"):
        chosen.value("%q")
