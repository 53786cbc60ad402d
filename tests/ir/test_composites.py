"""Notes of the calls that scopes of composite operators stand for."""

from __future__ import annotations

import pytest
from hypothesis import given

import opscope
from opscope.ir import parse
from opscope.ir.composites import noted_composites
from support.ir_text import node_named, value_named
from support.random_graphs import composite_graphs, property_settings

TEXT = """\
graph(%x : f32[2, 3], %w : f32[4, 3], %n : int) -> (f32[2, 4]):
  scope fc (Linear)
  mode no_grad
  scope fc/linear<operator> is %y = aten::linear(%x, %w)                  # net.py:3:5
  mode grad
  %0 : f32[3, 4] = aten::t(%w)                                            # net.py:3:5 fc/linear<operator>
  scope fc/linear<operator>/matmul<operator> is [%y], _ : int = f(%x, [%0, 2], dim=%n)
  %y : f32[2, 4] = aten::mm(%x, %0)     # ? fc/linear<operator>/matmul<operator>
  %1 : f32[2, 4] = aten::relu(%y)                                         # net.py:3:5 fc (Linear)
  return (%1)
"""


def test_text_says_what_a_scope_stands_for() -> None:
    graph = parse(TEXT)
    linear, matmul = graph.composites.values()
    assert linear.operator.name == "aten::linear"
    assert linear.nodes == (node_named(graph, "0"), node_named(graph, "y"))
    assert not linear.modes.grad
    assert matmul.groups == (1, None)
    assert matmul.keywords == ("dim",)
    assert str(parse(str(graph))) == str(graph)
    assert [line.strip() for line in str(graph).splitlines() if " is " in line] == [
        line.strip() for line in TEXT.splitlines() if " is " in line
    ]


def test_a_copy_has_notes_of_its_own() -> None:
    graph = parse(TEXT)
    copy = graph.copy()
    assert str(copy) == str(graph)
    linear = next(iter(copy.composites.values()))
    assert linear.nodes == (node_named(copy, "0"), node_named(copy, "y"))
    node_named(copy, "1").replace_input(0, value_named(copy, "x"))
    assert len(noted_composites(copy)) == len(noted_composites(graph)) == 2


def change_an_argument(graph: opscope.Graph) -> None:
    node_named(graph, "y").replace_input(0, value_named(graph, "w"))


def put_a_node_behind(graph: opscope.Graph) -> None:
    last = node_named(graph, "y")
    with graph.inserting_after(last):
        graph.append(last.operator, scope=last.scope)


def put_a_node_between(graph: opscope.Graph) -> None:
    with graph.inserting(node_named(graph, "y")):
        graph.append(node_named(graph, "0").operator)


def read_another_value(graph: opscope.Graph) -> None:
    value_named(graph, "x").replace_all_uses_with(graph.add_input(value_named(graph, "x").type))


@pytest.mark.parametrize(
    "change", [change_an_argument, put_a_node_behind, put_a_node_between, read_another_value]
)
def test_a_note_counts_as_long_as_its_nodes_are_as_they_were(change: object) -> None:
    graph = parse(TEXT)
    assert callable(change)
    change(graph)
    assert "aten::linear" not in str(graph)
    assert not any(scope.name == "linear" for scope in graph.copy().composites)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("scope fc is %y = aten::linear(%x)", "fc is not the scope of an operator"),
        (
            "scope fc/f<operator> is %y = aten::linear(%x)",
            "no node of scope fc/f<operator> follows",
        ),
        ("scope fc/linear<operator> is %x = aten::linear(%x)", "%x is no result of the nodes"),
        ("scope fc/linear<operator> is %z = aten::linear(%x)", "%z is not defined"),
        ("scope fc/linear<operator> is %y = aten::linear(%y)", "%y is used before it is defined"),
    ],
)
def test_notes_that_cannot_be(wrong: str, message: str) -> None:
    right = "scope fc/linear<operator> is %y = aten::linear(%x, %w)"
    with pytest.raises(opscope.ParseError, match=message):
        parse(TEXT.replace(right, wrong))


@property_settings
@given(composite_graphs())
def test_text_and_copies_keep_all_notes(graph: opscope.Graph) -> None:
    text = str(graph)
    assert str(parse(text)) == text
    assert str(graph.copy()) == text
    assert len(parse(text).composites) == len(noted_composites(graph))
