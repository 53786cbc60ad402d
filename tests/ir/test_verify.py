"""The verifier: one graph that breaks each rule, and what is said of it."""

from collections.abc import Callable

import pytest
from hypothesis import given
from support.ir_text import node_named, value_named
from support.random_graphs import graphs, property_settings

from opscope.errors import VerifyError
from opscope.ir import (
    Block,
    Frame,
    Graph,
    Node,
    Scope,
    ScopeKind,
    SourceRange,
    StateKind,
    parse,
    verify,
)

TEXT = """
    graph(%x : f32[2]):
      state %w = %v : f32[2], %u : f32[3]
      %a : f32[2] = aten::neg(%x)                     # net.py:3 fc (Linear)
      %b : f32[2] = aten::add(%a, [%w, 1], out=%x)    # net.py:4:9 fc (Linear)
      %r : f32[2] = prim::If(%b)
        block0(%i : int):
          %t : f32[2] = aten::exp(%b)
          -> (%t)
      [%c : f32[2], %d : f32[2]] = prim::call(@f, %r)
      return (%c)

    function f(%x : f32[2]):
      return (%x, %x)
"""


def message(graph: Graph) -> str:
    """Return what the verifier says of a graph that is wrong."""
    with pytest.raises(VerifyError) as raised:
        verify(graph)
    return str(raised.value)


@property_settings
@given(graphs())
def test_every_graph_made_through_the_methods_verifies(graph: Graph) -> None:
    verify(graph)


def test_an_operand_is_shown_with_its_source_and_the_later_definition() -> None:
    graph = parse(TEXT)
    node_named(graph, "a").move_after(node_named(graph, "r"))
    assert message(graph) == (
        "%a is used before it is defined\n"
        "  in   %b : f32[2] = aten::add(%a, [%w, 1], out=%x)\n"
        "                               ^^\n"
        "  from net.py:4:9, scope fc (Linear)\n"
        "  %a is defined 2 nodes later, from net.py:3\n"
        "  rule: A value is defined before it is used, in the same block or one around it."
    )


def test_the_users_code_is_quoted_where_it_can_be_read() -> None:
    graph = Graph()
    with open(__file__, encoding="utf-8") as file:
        line = next(number for number, text in enumerate(file, 1) if "the quoted line" in text)
    place = SourceRange("test_verify.py", line, function="test", path=__file__)
    x = graph.add_input(parse(TEXT).inputs[0].type, "x")
    node = graph.append(parse_operator(), (x,), stack=Frame.resolved(place))
    node._args = ()
    assert message(graph).splitlines()[1:3] == [
        "  in   f()",
        f'  from test_verify.py:{line} in test:  assert "the quoted line"',
    ]
    assert "the quoted line"


def parse_operator() -> object:
    (node,) = parse("graph():\n f()\n return ()").block
    return node.operator
