"""Graphs in files: all that they are comes back, in the same words and fact by fact."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

import opscope
from opscope.errors import FormatError
from opscope.ir import (
    Autocast,
    DType,
    Effect,
    Frame,
    Graph,
    Modes,
    Node,
    Operator,
    Parameter,
    Return,
    Scope,
    ScopeKind,
    SourceRange,
    StateKind,
    TensorType,
    parse,
    verify,
)
from opscope.ir.composites import Composite
from opscope.ir.files.fields import dump_json, load_json
from opscope.ir.files.graph_reader import GraphReader
from opscope.ir.files.graph_writer import GraphWriter
from opscope.ir.findings import Diagnostic
from opscope.ir.mutation import Mutation
from opscope.ir.own_operators import OUTPLACE, RANDOM_OUTPLACE, SET_NUMBER
from opscope.ir.structure import Structure
from support.random_graphs import composite_graphs, graphs, property_settings
from support.same_graphs import Same

F32 = TensorType(DType.F32, (2, 3))


def written_and_read(graph: Graph) -> Graph:
    content = dump_json(GraphWriter().write(graph), "the graph")
    return GraphReader(load_json(content, "graph.json"), []).graph


@property_settings
@given(graphs())
def test_every_fact_of_a_graph_comes_back(graph: Graph) -> None:
    again = written_and_read(graph)
    verify(again)
    Same().graphs(graph, again)


@property_settings
@given(composite_graphs())
def test_notes_of_composite_operators_come_back(graph: Graph) -> None:
    Same().graphs(graph, written_and_read(graph))


@property_settings
@given(graphs())
def test_writing_what_was_read_gives_the_same_file(graph: Graph) -> None:
    content = dump_json(GraphWriter().write(graph), "the graph")
    again = GraphReader(load_json(content, "graph.json"), []).graph
    assert dump_json(GraphWriter().write(again), "the graph") == content


def test_schemas_whole_stacks_and_names_that_text_cannot_tell_come_back(tmp_path: Path) -> None:
    operator = Operator(
        "mine::add_",
        (
            Parameter("self", "Tensor", alias="a!", is_written=True),
            Parameter("other", "Tensor?", default=None),
            Parameter("alpha", "Scalar", is_keyword=True, default=1.0),
            Parameter("dims", "int[]", is_keyword=True, default=(0, 1)),
        ),
        (Return("Tensor", "a"),),
        Effect.WRITES | Effect.RANDOM,
        is_pointwise=True,
        casts=False,
        canonical=Operator("mine::sum_", effects=Effect.WRITES),
    )
    graph = Graph("net")
    x = graph.add_input(F32, "x")
    outer = Frame.resolved(SourceRange("main.py", 3, 1, 3, 9, "<module>", "/home/a/main.py"))
    library = Frame.resolved(
        SourceRange("torch/nn.py", 7, 2, 9, 1, "call", "/t/nn.py"), outer, True
    )
    inner = Frame.resolved(
        SourceRange("net.py", 12, 5, 12, 20, "Net.forward", "/home/a/net.py"), library
    )
    scope = Scope(graph.root_scope, ScopeKind.MODULE, "fc", "Linear", 2)
    for name in ("h", "h", "7", None):
        node = graph.append(
            operator, (x, x, 2.0), [F32], keywords=("alpha",), scope=scope, stack=inner
        )
        node.output.name = name
    graph.set_outputs([node.output])
    path = opscope.save(graph, tmp_path / "net.opscope")
    loaded = opscope.load(path).graph
    Same().graphs(graph, loaded)
    last = loaded.block.last
    assert last is not None
    assert last.operator.parameters == operator.parameters
    assert last.operator.canonical is not None
    assert last.operator.canonical.name == "mine::sum_"
    assert last.stack is not None
    assert [frame.range.function for frame in last.stack] == ["Net.forward", "call", "<module>"]
    assert last.source is not None
    assert last.source.path == "/home/a/net.py"
    assert [node.output.name for node in loaded.block] == ["h", "h", "7", None]


def test_state_keeps_its_order_its_kinds_and_all_names(tmp_path: Path) -> None:
    graph = Graph()
    graph.add_state("b", F32, StateKind.BUFFER)
    graph.add_state(["w", "tied.w"], F32)
    graph.add_state("c", F32, StateKind.CONSTANT)
    loaded = opscope.load(opscope.save(graph, tmp_path / "net.opscope")).graph
    assert [(e.kind, e.names) for e in loaded.state.values()] == [
        (StateKind.BUFFER, ("b",)),
        (StateKind.PARAMETER, ("w", "tied.w")),
        (StateKind.CONSTANT, ("c",)),
    ]


@pytest.mark.parametrize("operator", [OUTPLACE, RANDOM_OUTPLACE, SET_NUMBER])
def test_operators_of_our_own_are_the_very_ones(operator: Operator) -> None:
    graph = Graph()
    args = ("aten::add_", ()) if operator is not SET_NUMBER else ()
    if operator is SET_NUMBER:
        lr = graph.add_state(
            "lr", parse("graph(%x : float):\n return ()").inputs[0].type, StateKind.NUMBER
        )
        args = (lr, 0.1)  # type: ignore[assignment]
    graph.append(operator, args)
    assert one_node(written_and_read(graph)).operator is operator


def test_an_operator_that_only_bears_such_a_name_is_its_own() -> None:
    graph = Graph()
    graph.append(Operator("prim::data", effects=Effect.WRITES), ())
    assert one_node(written_and_read(graph)).operator.effects is Effect.WRITES


def one_node(graph: Graph) -> Node:
    (node,) = graph.block
    return node


def test_a_graph_that_does_not_verify_is_not_saved(tmp_path: Path) -> None:
    graph = parse("graph(%x : f32[2]):\n %y : f32[2] = aten::neg(%x)\n return (%y)")
    one_node(graph)._inputs = ()
    path = tmp_path / "net.opscope"
    with pytest.raises(FormatError, match="graph graph is broken, and is not saved"):
        opscope.save(graph, path)
    assert not path.exists()


@pytest.mark.parametrize(
    ("class_", "known"),
    [
        (Operator, "name parameters returns effects is_pointwise casts canonical"),
        (Parameter, "name type is_keyword default alias is_written"),
        (Return, "type alias"),
        (TensorType, "dtype shape strides device layout requires_grad class_name"),
        (Modes, "grad inference autocast fixed"),
        (Autocast, "device dtype caches"),
        (SourceRange, "file line column end_line end_column function path source"),
        (Composite, "operator args keywords results groups stack modes nodes"),
        (Diagnostic, "kind message source scope severity value nodes hint count"),
        (Mutation, "output name input state is_tracked"),
        (Structure, "kind children keys class_ constant items mirrored name"),
    ],
)
def test_files_hold_every_fact_that_there_is(class_: Any, known: str) -> None:
    told = [fact.name for fact in fields(class_) if fact.init]  # the rest follows from these
    assert told == known.split(), (
        "a new fact goes into files, with a new version of the format if old readers need it"
    )


def test_equal_graphs_give_equal_files(tmp_path: Path) -> None:
    text = "graph(%x : f32[2]):\n %y : f32[2] = aten::neg(%x)\n return (%y)"
    one, other = (
        opscope.save(parse(text), tmp_path / f"{name}.opscope").read_bytes() for name in "ab"
    )
    assert one == other
