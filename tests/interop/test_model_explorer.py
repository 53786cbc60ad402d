"""Programs as JSON for Model Explorer."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings

from opscope.interop.model_explorer import to_model_explorer
from opscope.ir import Graph, Operator, Scope, ScopeKind, TensorType
from support.random_graphs import graphs

_Read = Callable[[str], Graph]
_Shown = Callable[[str], dict[str, list[str]]]


def test_a_node_has_its_scope_source_arguments_and_shapes(read: _Read) -> None:
    text = to_model_explorer(
        read("""
            graph Net(%x : c64[batch, 16]):
              state %fc.weight : f32[16, 16]{grad}
              scope fc (Linear)
              %h : f32[batch, 16]{grad} = aten::linear(%x, %fc.weight, None) # net.py:12:15 fc (Linear)
              return (%h)
        """)
    )
    (graph,) = json.loads(text)["graphs"]
    _, node, _ = graph["nodes"]
    assert node == {
        "id": "node0",
        "label": "linear",
        "namespace": "fc",
        "attrs": [
            {"key": "operator", "value": "aten::linear"},
            {"key": "in short", "value": "16→16"},
            {"key": "scope", "value": "fc (Linear)"},
            {"key": "source", "value": "net.py:12:15"},
            {"key": "input", "value": "%x"},
            {"key": "weight", "value": "%fc.weight"},
            {"key": "bias", "value": "None"},
        ],
        "incomingEdges": [
            {"sourceNodeId": "input0", "sourceNodeOutputId": "0", "targetNodeInputId": "0"}
        ],
        "style": {"borderColor": "#0969da"},
        "inputsMetadata": [
            {"id": "0", "attrs": [{"key": "__tensor_tag", "value": "input"}]},
            {"id": "1", "attrs": [{"key": "__tensor_tag", "value": "weight"}]},
        ],
        "outputsMetadata": [
            {
                "id": "0",
                "attrs": [
                    {"key": "__tensor_tag", "value": "h"},
                    {"key": "tensor_shape", "value": "float32[batch,16]"},
                    {"key": "type", "value": "f32[batch, 16]{grad}"},
                ],
            }
        ],
    }
    assert graph["nodes"][0]["outputsMetadata"][0]["attrs"][1]["value"] == "complex64[batch,16]"


def test_layers_are_scopes_and_tell_their_class_parameters_and_operations(read: _Read) -> None:
    (graph,) = json.loads(
        to_model_explorer(
            read("""
                graph Net(%x : f32[4]):
                  state %block.fc.weight : f32[4, 4], %head.weight : f32[4, 4]
                  scope block (Block)
                  %a : f32[4] = aten::linear(%x, %block.fc.weight) # n.py:1 block.fc (Linear)
                  %b : f32[4] = aten::relu_(%a) # n.py:2 block (Block)
                  %c : f32[4] = aten::linear(%b, %head.weight) # n.py:3 head (Linear)
                  return (%c)
            """)
        )
    )["graphs"]
    layers = graph["groupNodeAttributes"]
    assert list(layers) == ["", "block", "head", "block/fc"]
    assert layers["block"] == {
        "class": "Block",
        "scope": "block",
        "parameters": "16",
        "operations": "2",
    }
    assert layers[""]["program"] == "Net"
    assert layers[""]["parameters"] == "32"
    assert layers[""]["operations"] == "3"


def test_blocks_are_graphs_that_their_owner_leads_to(read: _Read, shown: _Shown) -> None:
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
    assert shown(to_model_explorer(graph)) == {
        "Net": [
            "input0 x",
            "input1 p",
            "input2 y",
            "node0 cond <- input1, input0, input2"
            " enters Net · cond node0 · if true, Net · cond node0 · if false",
            "output0 r <- node0",
        ],
        "Net · cond node0 · if true": [
            "input0 i",
            "stub0 y ▸",
            "node1 add <- input0, stub0",
            "output0 t <- node1",
        ],
        "Net · cond node0 · if false": ["input0 j", "output0 j <- input0"],
    }


def test_functions_are_graphs_that_calls_lead_to(read: _Read, shown: _Shown) -> None:
    graph = read("""
        graph Net(%x : f32[4]):
          state %w : f32[4, 4]
          %y : f32[4] = prim::call(@twice, %x, %w)
          return (%y)

        function twice(%a : f32[4], %m : f32[4, 4]) -> (f32[4]):
          %0 : f32[4] = aten::linear(%a, %m)
          return (%0)
    """)
    text = to_model_explorer(graph)
    assert shown(text) == {
        "Net": ["input0 x", "node0 twice <- input0 enters @twice", "output0 y <- node0"],
        "@twice": [
            "input0 a",
            "input1 m",
            "node0 linear <- input0, input1",
            "output0 output 0 <- node0",
        ],
    }
    attributes = json.loads(text)["graphs"][0]["nodes"][1]["attrs"]
    assert {"key": "m", "value": "%w"} in attributes


def test_outputs_are_called_what_the_program_calls_them(read: _Read, shown: _Shown) -> None:
    graph = read("graph Net(%x : f32[4]):\n  return (%x, %x)")
    assert shown(to_model_explorer(graph, ["['logits']", ".hidden"]))["Net"][1:] == [
        "output0 logits <- input0",
        "output1 hidden <- input0",
    ]


def _masked(count: int) -> str:
    """Return a graph in which all of many blocks read one mask."""
    lines = "".join(
        f"  %a{n} : f32[4] = aten::add.Tensor(%h{n}, %mask) # n.py:1 block{n} (B)\n"
        f"  %h{n + 1} : f32[4] = aten::exp(%a{n}) # n.py:2 block{n} (B)\n"
        for n in range(count)
    )
    return f"graph Net(%h0 : f32[4], %mask : f32[4]):\n{lines}  return (%h{count})"


def test_a_value_that_many_blocks_read_gives_each_a_stub(read: _Read, shown: _Shown) -> None:
    few = shown(to_model_explorer(read(_masked(8))))["Net"]
    assert "node0 add in block0 <- input0, input1" in few
    text = to_model_explorer(read(_masked(9)))
    many = shown(text)["Net"]
    assert "stub0 mask ▸ in block0" in many
    assert "node0 add in block0 <- input0, stub0" in many
    nodes = {node["id"]: node for node in json.loads(text)["graphs"][0]["nodes"]}
    assert nodes["stub0"]["attrs"] == [
        {"key": "stands for", "value": {"type": "node_ids", "nodeIds": ["input1"]}}
    ]
    readers = {"type": "node_ids", "nodeIds": [f"stub{n}" for n in range(9)]}
    assert {"key": "read through", "value": readers} in nodes["input1"]["attrs"]


def test_numbers_from_sizes_are_links_and_no_edges(read: _Read, shown: _Shown) -> None:
    text = to_model_explorer(
        read("""
            graph Net(%x : f32[4, 4]):
              %n : int = aten::sym_size.int(%x, 0)
              %m : int = aten::mul.int(%n, 4)
              %y : f32[16] = aten::view(%x, [%m])
              return (%y)
        """)
    )
    assert shown(text)["Net"][1:4] == [
        "node0 sym_size <- input0",
        "node1 mul <- node0",
        "node2 view <- input0",
    ]
    attributes = json.loads(text)["graphs"][0]["nodes"][3]["attrs"]
    assert attributes[-2:] == [
        {"key": "size", "value": "[%m]"},
        {"key": "numbers from", "value": {"type": "node_ids", "nodeIds": ["node1"]}},
    ]


def _children(graph: dict[str, Any]) -> dict[str, set[str]]:
    """Return what stands directly in each layer."""
    found: dict[str, set[str]] = {}
    for node in graph["nodes"]:
        around = node["namespace"]
        found.setdefault(around, set()).add(node["id"])
        while around:
            outer = around.rpartition("/")[0]
            found.setdefault(outer, set()).add(around)
            around = outer
    return found


def _chain(count: int) -> Graph:
    graph = Graph("chain")
    value = graph.add_input(TensorType(), "x")
    names = ("aten::neg", "aten::exp")
    for number in range(count):
        value = graph.append(Operator(names[number % 2]), (value,), (TensorType(),)).output
    graph.set_outputs([value])
    return graph


def test_no_layer_has_more_children_than_model_explorer_can_lay_out() -> None:
    (graph,) = json.loads(to_model_explorer(_chain(25_000)))["graphs"]
    children = _children(graph)
    assert max(map(len, children.values())) <= 200
    assert "part 1 of 3/part 1 of 251" in children


def test_a_run_of_equal_operators_has_a_layer_of_its_own(read: _Read, shown: _Shown) -> None:
    run = "".join(f"  %a{n} : f32[4] = aten::relu_(%x)\n" for n in range(16))
    graph = read(f"graph Net(%x : f32[4]):\n  %y : f32[4] = aten::exp(%x)\n{run}  return (%y)")
    lines = shown(to_model_explorer(graph))["Net"]
    assert next(line for line in lines if "relu" in line) == "stub0 x ▸ in relu_ ×16"
    assert sum("relu_ in relu_ ×16" in line for line in lines) == 16


def test_many_inputs_and_outputs_stand_where_they_are_used(read: _Read, shown: _Shown) -> None:
    inputs = ", ".join(f"%x{n} : f32[4]" for n in range(17))
    nodes = "".join(
        f"  %y{n} : f32[4] = aten::exp(%x{n}) # n.py:1 block{n % 2} (B)\n" for n in range(17)
    )
    outputs = ", ".join(f"%y{n}" for n in range(17))
    graph = read(f"graph Net({inputs}):\n{nodes}  return ({outputs})")
    lines = shown(to_model_explorer(graph))["Net"]
    assert "input3 x3 in block1" in lines
    assert "output3 y3 in block1 <- node3" in lines
    names = ["['logits']", *(f"['cache'][{n}]" for n in range(16))]
    named = shown(to_model_explorer(graph, names))["Net"]
    assert "output0 logits <- node0" in named
    assert "output3 cache.2 in block1 <- node3" in named


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("a/b", r"a\/b"),
        ("a;b", "a,b"),
        ("a\\", "a\N{SET MINUS}"),
        (r"\/", r"\\/"),
        ("a\nb", "a b"),
        ("", "(no name)"),
        ("</script>", r"<\/script>"),
        ("日本語", "日本語"),
        ('a"b', 'a"b'),
    ],
)
def test_any_name_is_one_layer(name: str, layer: str) -> None:
    graph = Graph(name)
    x = graph.add_input(TensorType(), name)
    scope = Scope(graph.root_scope, ScopeKind.MODULE, name, name)
    inner = Scope(scope, ScopeKind.MODULE, "inner")
    node = graph.append(Operator(f"ns::{name}"), (x, name), (TensorType(),), scope=inner)
    graph.set_outputs([node.output])
    (written,) = json.loads(to_model_explorer(graph))["graphs"]
    assert [node["namespace"] for node in written["nodes"]] == ["", f"{layer}/inner", ""]
    assert written["groupNodeAttributes"][layer].get("class", "") == name


def test_layers_whose_names_would_be_spelled_alike_stay_apart() -> None:
    graph = Graph("net")
    x = graph.add_input(TensorType(), "x")
    for name in ("a;b", "a,b"):
        scope = Scope(graph.root_scope, ScopeKind.MODULE, name)
        x = graph.append(Operator("aten::neg"), (x,), (TensorType(),), scope=scope).output
    (written,) = json.loads(to_model_explorer(graph))["graphs"]
    assert list(written["groupNodeAttributes"]) == ["", "a,b", "a,b (2)"]


@settings(max_examples=60)
@given(graphs())
def test_any_graph_has_every_node_once_and_only_strings(graph: Graph) -> None:
    written = json.loads(to_model_explorer(graph))["graphs"]
    assert len({each["id"] for each in written}) == len(written)
    operators = 0
    for each in written:
        ids = [node["id"] for node in each["nodes"]]
        assert len(ids) == len(set(ids))
        operators += sum(name.startswith("node") for name in ids)
        for node in each["nodes"]:
            assert node["namespace"] in each["groupNodeAttributes"]
            assert {edge["sourceNodeId"] for edge in node["incomingEdges"]} <= set(ids)
            assert all(isinstance(entry["value"], str | dict) for entry in node["attrs"])
    parts = (graph, *graph.functions.values())
    assert operators == sum(1 for part in parts for _ in part.walk())
