"""Whole graphs as networkx multigraphs."""

import networkx
from hypothesis import given, settings

from opscope.ir import Graph, parse
from opscope.visualize import to_networkx
from support.random_graphs import graphs


def test_every_input_state_operator_output_and_use_is_there() -> None:
    exported = to_networkx(
        parse("""
            graph Net(%x : f32[8, 16]):
              state %fc.weight : f32[16, 16]
              %h : f32[8, 16] = aten::linear(%x, %fc.weight) # net.py:12:15 fc (Linear)
              %y : f32[8, 16] = aten::add.Tensor(%h, %h, alpha=2) # net.py:13
              return (%y)
        """)
    )
    tensor = {"type": "f32[8, 16]", "device": "cpu", "dtype": "float32", "shape": (8, 16)}
    assert dict(exported.nodes(data=True)) == {
        "input0": {"kind": "input", "name": "x", **tensor},
        "state0": {
            "kind": "parameter",
            "name": "fc.weight",
            **tensor,
            "type": "f32[16, 16]",
            "shape": (16, 16),
        },
        "node0": {
            "kind": "operator",
            "op": "aten::linear",
            "name": "h",
            "family": "linear · conv · matmul",
            "scope": "fc",
            "module": "Linear",
            "source": "net.py:12:15",
            **tensor,
        },
        "node1": {
            "kind": "operator",
            "op": "aten::add.Tensor",
            "name": "y",
            "family": "elementwise",
            "scope": "",
            "module": "",
            "source": "net.py:13",
            **tensor,
        },
        "output0": {"kind": "output", "name": "y", **tensor},
    }
    assert [
        (source, target, facts["operand"], facts["value"], facts["result"], facts["type"])
        for source, target, facts in exported.edges(data=True)
    ] == [
        ("input0", "node0", 0, "x", 0, "f32[8, 16]"),
        ("state0", "node0", 1, "fc.weight", 0, "f32[16, 16]"),
        ("node0", "node1", 0, "h", 0, "f32[8, 16]"),
        ("node0", "node1", 1, "h", 0, "f32[8, 16]"),
        ("node1", "output0", 0, "y", 0, "f32[8, 16]"),
    ]


def test_nodes_of_inner_blocks_name_their_owner() -> None:
    exported = to_networkx(
        parse("""
            graph(%x : f32[4], %p : bool[]):
              %r : f32[4] = prim::If(%p)
                block0(%i : f32[4]):
                  %t : f32[4] = aten::exp(%i)
                  -> (%t)
              return (%r)
        """)
    )
    assert exported.nodes["node1"]["owner"] == "node0"
    assert list(exported.edges) == [
        ("input1", "node0", 0),
        ("node0", "node1", 0),
        ("node0", "output0", 0),
    ]


@settings(max_examples=40)
@given(graphs())
def test_uses_are_edges_one_for_one(graph: Graph) -> None:
    exported = to_networkx(graph)
    parts = (graph, *graph.functions.values())
    uses = sum(len(node.inputs) for part in parts for node in part.walk())
    uses += sum(len(part.outputs) for part in parts)
    assert exported.number_of_edges() == uses
    assert networkx.is_directed_acyclic_graph(exported)
