"""Programs as messages for Netron."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings

from opscope.interop.netron import to_netron
from opscope.ir import Graph, Operator, Scope, ScopeKind, TensorType
from support.random_graphs import graphs

_Read = Callable[[str], Graph]


def _lines(text: str) -> list[str]:
    """Spell the graph of a message: inputs, nodes and outputs, values by name."""
    (graph,) = json.loads(text)["graphs"]
    names = [value["name"] for value in graph["values"]]

    def told(arguments: list[dict[str, Any]]) -> str:
        return ", ".join(
            f"{arg['name']}={'+'.join(names[at] for at in arg['value'])}" for arg in arguments
        )

    return [
        f"inputs {told(graph['inputs'])}",
        *(
            f"{node['type']['name']}({told(node['inputs'])}) -> {told(node['outputs'])}"
            for node in graph["nodes"]
        ),
        f"outputs {told(graph['outputs'])}",
    ]


_NET = """
    graph Net(%x : c64[batch, 16], %y : f32[]):
      state %fc.weight : f32[16, 16]
      %h : f32[batch, 16] = aten::linear(%x, %fc.weight, None) # net.py:12:15 fc (Linear)
      %z : f32[32, 16] = aten::cat([%h, %y], 0)
      return (%z)
"""


def test_a_file_begins_with_the_signature_that_netron_looks_for(read: _Read) -> None:
    assert to_netron(read(_NET))[:64].startswith('{"signature": "netron:opscope", ')


def test_values_have_types_weights_are_initializers_and_literals_are_attributes(
    read: _Read,
) -> None:
    (graph,) = json.loads(to_netron(read(_NET)))["graphs"]
    assert graph["values"][:3] == [
        {"name": "x", "type": {"dataType": "complex64", "shape": {"dimensions": ["batch", 16]}}},
        {"name": "y", "type": {"dataType": "float32", "shape": {"dimensions": []}}},
        {
            "name": "fc.weight",
            "initializer": {"type": {"dataType": "float32", "shape": {"dimensions": [16, 16]}}},
        },
    ]
    assert graph["nodes"][0] == {
        "name": "fc",
        "type": {"name": "linear", "category": "Layer"},
        "inputs": [{"name": "input", "value": [0]}, {"name": "weight", "value": [2]}],
        "outputs": [{"name": "output", "value": [3]}],
        "attributes": [
            {"name": "bias", "value": "None"},
            {"name": "operator", "value": "aten::linear"},
            {"name": "module", "value": "Linear"},
            {"name": "source", "value": "net.py:12:15"},
        ],
    }
    assert _lines(to_netron(read(_NET), [""])) == [
        "inputs x=x, y=y",
        "linear(input=x, weight=fc.weight) -> output=h",
        "cat(tensors=h+y) -> output=z",
        "outputs =z",
    ]


def test_functions_are_inlined(read: _Read) -> None:
    graph = read("""
        graph Net(%x : f32[4]):
          %y : f32[4] = prim::call(@twice, %x)
          return (%y)

        function twice(%a : f32[4]) -> (f32[4]):
          %0 : f32[4] = aten::add.Tensor(%a, %a)
          return (%0)
    """)
    before = str(graph)
    assert _lines(to_netron(graph)) == [
        "inputs x=x",
        "add(self=x, other=x) -> output=y",
        "outputs y=y",
    ]
    assert str(graph) == before


def test_blocks_stand_between_a_node_that_begins_and_one_that_ends_them(read: _Read) -> None:
    graph = read("""
        graph Net(%x : f32[4], %p : bool[], %y : f32[4]):
          %r : f32[4] = higher_order::cond(%p, [%x])
            block0(%i : f32[4]):
              %t : f32[4] = aten::add.Tensor(%i, %y)
              -> (%t)
            block1(%j : f32[4]):
              -> (%j)
          return (%r)
    """)
    assert _lines(to_netron(graph)) == [
        "inputs x=x, p=p, y=y",
        "cond(argument 0=p, argument 1=x) -> if true=i, if false=j",
        "end of cond(if true=t, if false=j) -> output=r",
        "add(self=i, other=y) -> output=t",
        "outputs r=r",
    ]


def test_blocks_that_take_nothing_have_a_node_that_ends_them(read: _Read) -> None:
    graph = read("""
        graph Net(%x : f32[4], %p : bool[]):
          %r : f32[4] = prim::If(%p)
            block0():
              %t : f32[4] = aten::exp(%x)
              -> (%t)
          return (%r)
    """)
    assert _lines(to_netron(graph))[1:3] == [
        "If(argument 0=p, block 0=t) -> output=r",
        "exp(argument 0=x) -> output=t",
    ]


def test_numbers_from_sizes_are_text(read: _Read) -> None:
    graph = read("""
        graph Net(%x : f32[4, 4]):
          %n : int = aten::sym_size.int(%x, 0)
          %y : f32[16] = aten::view(%x, [%n, -1])
          return (%y)
    """)
    text = to_netron(graph)
    assert _lines(text)[2] == "view(self=x) -> output=y"
    attributes = json.loads(text)["graphs"][0]["nodes"][1]["attributes"]
    assert {"name": "size", "value": "[%n, -1]"} in attributes


def test_what_many_read_far_away_goes_there_by_its_name_alone(read: _Read) -> None:
    lines = "".join(f"  %h{n + 1} : f32[4] = aten::add.Tensor(%h{n}, %mask)\n" for n in range(20))
    graph = read(f"graph Net(%h0 : f32[4], %mask : f32[4]):\n{lines}  return (%h20)")
    told = _lines(to_netron(graph))
    assert told[13] == "add(self=h12, other=mask) -> output=h13"
    assert told[14] == "add(self=h13, other=mask ▸) -> output=h14"
    assert told[20] == "add(self=h19, other=mask ▸) -> output=h20"


@pytest.mark.parametrize("name", ["</script>", 'a"b', "a\nb", "\ud800", "nul\0l", "", "日本語"])
def test_any_name_can_be_written(name: str) -> None:
    graph = Graph(name)
    x = graph.add_input(TensorType(), name)
    scope = Scope(graph.root_scope, ScopeKind.MODULE, name, name)
    node = graph.append(Operator(f"ns::{name}"), (x, name), (TensorType(),), scope=scope)
    graph.set_outputs([node.output])
    text = to_netron(graph)
    assert text.isascii()
    (written,) = json.loads(text)["graphs"]
    assert written["values"][0]["name"] == (name or "(no name)")
    assert written["nodes"][0]["attributes"][1]["value"] == f"ns::{name}"


@settings(max_examples=60)
@given(graphs())
def test_any_graph_names_only_values_that_there_are(graph: Graph) -> None:
    (written,) = json.loads(to_netron(graph))["graphs"]
    made: list[int] = []
    for node in written["nodes"]:
        for argument in (*node["inputs"], *node["outputs"]):
            assert all(0 <= at < len(written["values"]) for at in argument["value"])
        made += [at for argument in node["outputs"] for at in argument["value"]]
        assert all(isinstance(entry["value"], str) for entry in node["attributes"])
    assert len(made) == len(set(made))
