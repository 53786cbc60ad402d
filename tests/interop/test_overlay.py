"""Numbers on nodes for Model Explorer."""

import json
import math

import pytest

from opscope.errors import RenderError
from opscope.interop.model_explorer import to_model_explorer
from opscope.interop.overlay import to_overlay
from opscope.ir import Graph, parse


@pytest.fixture
def graph() -> Graph:
    """Return a graph with a block and a function."""
    return parse("""
        graph Net(%x : f32[4], %p : bool[]):
          %y : f32[4] = aten::neg(%x)
          %r : f32[4] = higher_order::cond(%p, [%y])
            block0(%i : f32[4]):
              %t : f32[4] = aten::exp(%i)
              -> (%t)
            block1(%j : f32[4]):
              -> (%j)
          %z : f32[4] = prim::call(@twice, %r)
          return (%z)

        function twice(%a : f32[4]) -> (f32[4]):
          %0 : f32[4] = aten::add.Tensor(%a, %a)
          return (%0)
    """)


def test_numbers_go_to_the_graph_that_shows_the_node(graph: Graph) -> None:
    negation, _, exponential, _ = graph.walk()
    (addition,) = graph.functions["twice"].walk()
    told = json.loads(to_overlay(graph, {negation: 1.5, exponential: 2, addition: -3}))
    assert {part: each["results"] for part, each in told.items()} == {
        "Net": {"node0": {"value": 1.5}},
        "Net · cond node1 · if true": {"node2": {"value": 2}},
        "@twice": {"node0": {"value": -3}},
    }
    shown = {
        each["id"]: {node["id"] for node in each["nodes"]}
        for each in json.loads(to_model_explorer(graph))["graphs"]
    }
    assert all(set(each["results"]) <= shown[part] for part, each in told.items())


def test_a_node_of_another_graph_is_refused(graph: Graph) -> None:
    other = next(iter(graph.copy().walk()))
    with pytest.raises(RenderError, match="<Node aten::neg> has a number but is not in Net"):
        to_overlay(graph, {other: 1.0})


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_number_that_is_not_finite_is_refused(graph: Graph, number: float) -> None:
    node = next(iter(graph.walk()))
    with pytest.raises(RenderError, match=r"node0 \(aten::neg\) of Net has the number"):
        to_overlay(graph, {node: number})
