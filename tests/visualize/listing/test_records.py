"""Records of nodes and scopes: the fields that programs read."""

import json

from hypothesis import given

from opscope.ir import Graph
from opscope.visualize.listing import ScopeTree, node_records, scope_records
from opscope.visualize.search import Match
from support.annotated_graph import annotated_graph
from support.random_graphs import graphs


def test_a_node_is_a_record() -> None:
    graph = annotated_graph()
    node = graph.nodes(op="aten::add.Tensor")[0]
    assert list(node_records(graph, [(node, (Match("op", "aten::add.Tensor"),))])) == [
        {
            "function": "",
            "index": 1,
            "op": "aten::add.Tensor",
            "results": [{"name": "0", "type": "f32[2, 4]", "dtype": "f32", "shape": [2, 4]}],
            "arguments": [
                {"name": "self", "text": "%h"},
                {"name": "other", "text": "%x"},
                {"name": "alpha", "text": "2"},
            ],
            "operands": ["h", "x"],
            "state": [],
            "scope": "blocks.0",
            "class": "Block",
            "modes": "grad",
            "source": {
                "file": "net.py",
                "line": 9,
                "column": 17,
                "function": "Net.forward",
                "text": "h + x",
            },
            "text": "%0 : f32[2, 4] = aten::add.Tensor(%h, %x, alpha=2)",
            "matches": [{"key": "op", "text": "aten::add.Tensor"}],
        }
    ]


def test_a_scope_is_a_record() -> None:
    records = list(scope_records(ScopeTree(annotated_graph()), 1))
    assert records[:2] == [
        {
            "function": "", "scope": "", "parent": None, "kind": "root", "name": "Net", "class": "",
            "call": 1, "nodes": 7, "parameters": 32,
        },
        {
            "function": "", "scope": "blocks.0", "parent": "", "kind": "module", "name": "blocks.0",
            "class": "Block", "call": 1, "nodes": 3, "parameters": 16,
        },
    ]  # fmt: skip


@given(graphs())
def test_records_of_any_graph_are_lines_of_json(graph: Graph) -> None:
    parts = {"": graph, **graph.functions}
    records = [
        record
        for name, part in parts.items()
        for record in node_records(part, [(node, ()) for node in part.walk()], name)
    ]
    records += scope_records(ScopeTree(graph))
    for record in records:
        text = json.dumps(record)
        assert text.isprintable()
        assert json.loads(text) == record
    nodes = [record for record in records if "op" in record]
    assert [record["index"] for record in nodes] == [
        place for part in parts.values() for place, _ in enumerate(part.walk())
    ]
