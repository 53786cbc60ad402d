"""Whole graphs as GraphML and as node-link JSON, read back by networkx."""

import json
from collections.abc import Mapping
from xml.etree import ElementTree

import networkx
import pytest
from hypothesis import given, settings

from opscope.ir import Graph, Operator, Scope, ScopeKind, TensorType, parse
from opscope.visualize import to_networkx
from opscope.visualize.markup import clean
from opscope.visualize.networkx_files import to_graphml, to_node_link
from support.random_graphs import graphs

_TEXT = """
    graph Net(%x : c64["batch size", 4]):
      state %fc.weight : f32[4, 4]
      %h : f32[8, 4] = prim::call(@twice, %x, %fc.weight) # net.py:12:15 fc (Linear)
      %y : f32[8, 4] = aten::add.Tensor(%h, %h, alpha=2) # net.py:13
      return (%y)

    function twice(%a : f32[8, 4], %w : f32[4, 4]) -> (f32[8, 4]):
      %0 : f32[8, 4] = aten::linear(%a, %w)
      return (%0)
"""


def _plain(facts: Mapping[str, object]) -> dict[str, object]:
    """Return facts as files have them."""
    return {
        name: f"[{', '.join(map(str, fact))}]" if isinstance(fact, tuple) else fact
        for name, fact in facts.items()
    }


def test_node_link_json_is_read_back_whole() -> None:
    graph = parse(_TEXT)
    exported = to_networkx(graph)
    text = to_node_link(graph)
    read = networkx.node_link_graph(json.loads(text), edges="edges")
    assert read.name == "Net"
    assert list(read.nodes(data=True)) == [(n, _plain(f)) for n, f in exported.nodes(data=True)]
    assert list(read.edges(keys=True, data=True)) == list(exported.edges(keys=True, data=True))
    assert text.splitlines()[2] == (
        '{"id": "input0", "kind": "input", "name": "x", "type": "c64[\\"batch size\\", 4]",'
        ' "device": "cpu", "dtype": "complex64", "shape": "[batch size, 4]"},'
    )


def test_graphml_is_read_back_whole() -> None:
    graph = parse(_TEXT)
    exported = to_networkx(graph)
    read = networkx.parse_graphml(to_graphml(graph))
    assert read.is_multigraph()
    assert read.graph["name"] == "Net"
    assert list(read.nodes(data=True)) == [(n, _plain(f)) for n, f in exported.nodes(data=True)]
    assert list(read.edges(keys=True, data=True)) == [
        (source, target, f"use{number}", facts)
        for number, (source, target, facts) in enumerate(exported.edges(data=True))
    ]


def test_ids_are_unique_in_graphml() -> None:
    root = ElementTree.fromstring(to_graphml(parse(_TEXT)).encode())
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))


def test_functions_stand_beside_the_graph() -> None:
    exported = to_networkx(parse(_TEXT))
    assert exported.nodes["node0"]["callee"] == "twice"
    assert exported.nodes["function0.node0"]["function"] == "twice"
    assert [edge[:2] for edge in exported.edges if edge[1].startswith("function")] == [
        ("function0.input0", "function0.node0"),
        ("function0.input1", "function0.node0"),
        ("function0.node0", "function0.output0"),
    ]


@pytest.mark.parametrize(
    "name", ["</data>", 'a"b', "a&lt;b", "]]>", "nul\0l", "a\nb", "\ud800", "", "日本語", "a:b"]
)
def test_names_come_back_as_they_were_as_far_as_xml_can_hold_them(name: str) -> None:
    graph = Graph(name)
    x = graph.add_input(TensorType(), name)
    scope = Scope(graph.root_scope, ScopeKind.MODULE, name, name)
    graph.set_outputs([graph.append(Operator(f"ns::{name}"), (x,), (x.type,), scope=scope).output])
    read = networkx.parse_graphml(to_graphml(graph))
    assert read.graph["name"] == clean(name)
    assert read.nodes["input0"]["name"] == clean(name)
    assert read.nodes["node0"]["op"] == clean(f"ns::{name}")
    assert read.nodes["node0"]["module"] == clean(name)
    linked = networkx.node_link_graph(json.loads(to_node_link(graph)), edges="edges")
    assert linked.nodes["node0"]["op"] == f"ns::{name}"


@settings(max_examples=20)
@given(graphs())
def test_any_graph_is_read_back(graph: Graph) -> None:
    exported = to_networkx(graph)
    read = networkx.parse_graphml(to_graphml(graph), force_multigraph=True)
    assert list(read.nodes) == list(exported.nodes)
    assert [edge[:2] for edge in read.edges] == [edge[:2] for edge in exported.edges]
