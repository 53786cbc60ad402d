"""Tuples in signatures, blocks, calls and arguments."""

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

import opscope
from opscope.ir import Argument, FunctionRef, Operator, TupleType, Type
from opscope.ir.own_operators import CALL_FUNCTION
from opscope.ir.tuples import TUPLE_CONSTRUCT, TUPLE_INDEX, TUPLE_UNPACK, flattened, nested
from opscope.passes.base import Pass, PassResult
from opscope.passes.lower_all_tuples import LowerAllTuples, LowerAllTuplesResult
from opscope.passes.lower_simple_tuples import LowerSimpleTuples
from opscope.program.operators import operator_named
from opscope.runtime import compile_graph
from opscope.testing import check_pass


def test_the_signature_takes_and_returns_parts() -> None:
    result = check_pass(
        LowerAllTuples(),
        before="""
            graph(%t : tuple[f32[2], tuple[int, f32[3]]], %x : f32[2]) -> (tuple[f32[2], f32[2]], f32[3]):
              %a : f32[2], %u : tuple[int, f32[3]] = prim::TupleUnpack(%t)
              %n : int = prim::TupleIndex(%u, 0)
              %b : f32[3] = prim::TupleIndex(%u, -1)
              %y : f32[2] = aten::mul.Scalar(%a, %n)
              %r : tuple[f32[2], f32[2]] = prim::TupleConstruct(%x, %y)
              return (%r, %b)
        """,
        after="""
            graph(%a : f32[2], %u_0 : int, %u_1 : f32[3], %x : f32[2]) -> (f32[2], f32[2], f32[3]):
              %y : f32[2] = aten::mul.Scalar(%a, %u_0)
              return (%x, %y, %u_1)
        """,
    )
    assert isinstance(result, LowerAllTuplesResult)
    assert [str(type_) for type_ in result.inputs] == [
        "tuple[f32[2], tuple[int, f32[3]]]",
        "f32[2]",
    ]
    assert flattened(result.inputs, [(1, (2, 3)), 4]) == [1, 2, 3, 4]
    assert nested(result.outputs, iter([1, 2, 3])) == [(1, 2), 3]


def test_calls_and_functions_pass_parts() -> None:
    check_pass(
        LowerAllTuples(),
        before="""
            graph(%x : f32[2], %y : f32[3]) -> (f32[2]):
              %t : tuple[f32[2], f32[3]] = prim::TupleConstruct(%x, %y)
              %r : tuple[f32[3], f32[2]], %n : int = prim::call(@swap, %t, 7)
              %s : tuple[f32[3], f32[2]], %m : int = prim::call(@swap, %t, %n)
              %a : f32[3], %b : f32[2] = prim::TupleUnpack(%r)
              return (%b)

            function swap(%p : tuple[f32[2], f32[3]], %n : int) -> (tuple[f32[3], f32[2]], int):
              %a : f32[2], %b : f32[3] = prim::TupleUnpack(%p)
              %q : tuple[f32[3], f32[2]] = prim::TupleConstruct(%b, %a)
              return (%q, %n)
        """,
        after="""
            graph(%x : f32[2], %y : f32[3]) -> (f32[2]):
              %a : f32[3], %b : f32[2], %n : int = prim::call(@swap, %x, %y, 7)
              %s_0 : f32[3], %s_1 : f32[2], %m : int = prim::call(@swap, %x, %y, %n)
              return (%b)

            function swap(%a : f32[2], %b : f32[3], %n : int) -> (f32[3], f32[2], int):
              return (%b, %a, %n)
        """,
    )


def test_blocks_take_and_give_parts() -> None:
    check_pass(
        LowerAllTuples(),
        before="""
            graph(%c : bool[], %x : f32[2]) -> (f32[2]):
              %t : tuple[f32[2], f32[2]] = prim::TupleConstruct(%x, %x)
              [%r : tuple[f32[2], f32[2]], %z : f32[2]] = higher_order::cond(%c, [%t, %x])
                block0(%p : tuple[f32[2], f32[2]], %q : f32[2]):
                  %a : f32[2], %b : f32[2] = prim::TupleUnpack(%p)
                  %n : f32[2] = aten::add.Tensor(%b, %q)
                  %u : tuple[f32[2], f32[2]] = prim::TupleConstruct(%n, %a)
                  -> (%u, %n)
                block1(%p : tuple[f32[2], f32[2]], %q : f32[2]):
                  -> (%t, %q)
              %last : f32[2] = prim::TupleIndex(%r, 1)
              return (%last)
        """,
        after="""
            graph(%c : bool[], %x : f32[2]) -> (f32[2]):
              [%r_0 : f32[2], %r_1 : f32[2], %z : f32[2]] = higher_order::cond(%c, [%x, %x, %x])
                block0(%a : f32[2], %b : f32[2], %q : f32[2]):
                  %n : f32[2] = aten::add.Tensor(%b, %q)
                  -> (%n, %a, %n)
                block1(%p_0 : f32[2], %p_1 : f32[2], %q : f32[2]):
                  -> (%x, %x, %q)
              return (%r_1)
        """,
    )


def test_a_tuple_that_is_returned_whole_and_one_inside_another_fall_apart() -> None:
    check_pass(
        LowerAllTuples(),
        before="""
            graph(%t : tuple[f32[2], tuple[]]) -> (tuple[f32[2], tuple[]], tuple[], tuple[int, f32[2]]):
              %a : f32[2], %e : tuple[] = prim::TupleUnpack(%t)
              %r : tuple[int, f32[2]] = prim::TupleConstruct(3, %a)
              return (%t, %e, %r)
        """,
        after="""
            graph(%a : f32[2]) -> (f32[2], int, f32[2]):
              %0 : int = prim::literal(3)
              return (%a, %0, %a)
        """,
    )


def test_an_operator_that_takes_a_list_gets_one() -> None:
    check_pass(
        LowerAllTuples(),
        before="""
            graph(%t : tuple[f32[2], f32[2]], %x : f32[2]) -> (f32[4], f32[4]):
              %y : f32[4] = aten::cat(%t, 0)
              %u : tuple[f32[2], f32[2]] = prim::TupleConstruct(%x, %x)
              %z : f32[4] = aten::cat(%u, 0)
              return (%y, %z)
        """,
        after="""
            graph(%t_0 : f32[2], %t_1 : f32[2], %x : f32[2]) -> (f32[4], f32[4]):
              %y : f32[4] = aten::cat([%t_0, %t_1], 0)
              %z : f32[4] = aten::cat([%x, %x], 0)
              return (%y, %z)
        """,
    )


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("takes a part of a tuple that is known only when it runs",
         "%r : f32[2] = prim::TupleIndex(%t, %n)"),
        ("takes a part of a tuple that is known only when it runs",
         "%r : f32[2] = prim::TupleIndex(%t, 2)"),
        ("my::op itself returns a tuple", "%r : tuple[f32[2], f32[2]] = my::op(%n)"),
        ("my::op is passed a tuple, and does not say that a list would do",
         "%r : f32[2] = my::op(%t)"),
        ("my::op is passed a list of tuples", "%r : f32[2] = my::op([%t, %t])"),
        ("my::op gives list[tuple[f32[2]]], and a tuple inside cannot be lowered",
         "%r : list[tuple[f32[2]]] = my::op(%n)"),
        ("aten::cat is passed a tuple of tuples for a list",
         "%u : tuple[tuple[f32[2], f32[2]]] = prim::TupleConstruct(%t)\n"
         "%r : f32[4] = aten::cat(%u, 0)"),
        ("has a value of type any for what may be a tuple of another kind",
         "%r : tuple[any] = prim::TupleConstruct(%t)"),
        ("functorch::call may tell a tuple from its parts",
         "%r : f32[2] = functorch::call(%t)\n  block0(%i : f32[2]):\n    -> (%i)"),
        ("my::apply is given function f, which takes or returns a tuple",
         "%r : f32[2] = my::apply(@f)"),
        ("prim::call is passed a list of tuples", "%r : f32[2] = prim::call(@g, [%t])"),
    ],
)  # fmt: skip
def test_what_has_no_parts_is_refused_and_the_graph_left(what: str, body: str) -> None:
    lines = "\n".join(f"  {line}" for line in body.splitlines())
    graph = opscope.parse(
        "graph(%t : tuple[f32[2], f32[2]], %n : int):\n"
        "  %a : f32[2], %b : f32[2] = prim::TupleUnpack(%t)    # net.py:4:8 fc\n"
        f"{lines}\n  return (%r)\n"
        "function f(%t : tuple[f32[2]]):\n  return (%t)\n"
        "function g(%all : list[any]) -> (any):\n  %x : any = my::first(%all)\n  return (%x)\n"
    )
    opscope.verify(graph)
    text = str(graph)
    with pytest.raises(opscope.PassError) as raised:
        LowerAllTuples().run(graph)
    assert what in str(raised.value)
    assert "\n  in   %" in str(raised.value)
    assert str(graph) == text


def test_state_that_is_a_tuple_is_refused() -> None:
    graph = opscope.parse("""
        graph(%x : f32[2]):
          constant %pair : tuple[f32[2], f32[2]]
          %a : f32[2], %b : f32[2] = prim::TupleUnpack(%pair)
          return (%a)
    """)
    with pytest.raises(opscope.PassError, match="state pair is or holds a tuple"):
        LowerAllTuples().run(graph)


def test_named_tuples_are_records_and_stay() -> None:
    text = """
        graph(%r : namedtuple m.Out[loss: f32[]]) -> (namedtuple m.Out[loss: f32[]]):
          return (%r)
    """
    assert not check_pass(LowerAllTuples(), before=text, after=text).changed


TEXT = """
    graph(%c : bool[], %t : tuple[f32[2], tuple[f32[2], f32[2]]], %n : int):
      %a : f32[2], %u : tuple[f32[2], f32[2]] = prim::TupleUnpack(%t)
      %p : f32[2], %q : f32[2] = prim::TupleUnpack(%u)
      %w : f32[2] = aten::add_.Tensor(%p, %a)
      [%r : f32[2], %s : f32[2]] = higher_order::cond(%c, [%a, %q])
        block0(%x : f32[2], %y : f32[2]):
          %k : f32[2] = prim::TupleIndex(%u, 0)
          %v : f32[2] = aten::mul.Tensor(%k, %y)
          -> (%v, %v)
        block1(%x : f32[2], %y : f32[2]):
          %v : f32[2] = aten::sub.Tensor(%x, %y)
          %z : f32[2] = aten::neg(%x)
          -> (%v, %z)
      %f : tuple[f32[4], int] = prim::call(@join, %u, %n)
      %o : tuple[f32[2], tuple[f32[4], int]] = prim::TupleConstruct(%r, %f)
      return (%o, %s)

    function join(%u : tuple[f32[2], f32[2]], %n : int) -> (tuple[f32[4], int]):
      %all : f32[4] = aten::cat(%u, 0)
      %r : tuple[f32[4], int] = prim::TupleConstruct(%all, %n)
      return (%r)
"""


@pytest.mark.parametrize("which", [True, False])
def test_a_replay_computes_the_same_and_writes_the_same(which: bool) -> None:
    def run(graph: opscope.Graph) -> tuple[list[object], list[torch.Tensor]]:
        torch.manual_seed(0)
        a, p, q = torch.randn(2), torch.randn(2), torch.randn(2)
        given = [torch.tensor(which), (a, (p, q)), 5]
        before = opscope.parse(TEXT)
        types = [value.type for value in before.inputs]
        returned = [value.type for value in before.outputs]
        if graph.inputs[1].name == "t":
            out = list(compile_graph(graph, {}).function(*given))
        else:
            flat = compile_graph(graph, {}).function(*flattened(types, given))
            out = nested(returned, iter(flat))
        return out, [a, p, q]

    graph = opscope.parse(TEXT)
    expected, inputs = run(graph)
    assert LowerAllTuples().run(graph).changed
    assert "tuple" not in str(graph)
    actual, after = run(graph)
    torch.testing.assert_close((actual, after), (expected, inputs), rtol=0, atol=0)


class Bundle(Pass):
    """A user's pass: the first two inputs, and the outputs, become tuples."""

    name = "bundle"

    def run(self, graph: opscope.Graph) -> PassResult:
        first, second, *rest = graph.inputs
        pair = TupleType((first.type, second.type))
        given = graph.block.add_input(pair, "pair")
        with graph.inserting_after(graph.block):
            unpack = graph.append(TUPLE_UNPACK, (given,), pair.elements)
        for value, part in zip((first, second), unpack.outputs, strict=True):
            value.replace_all_uses_with(part)
        graph.block.arrange_inputs([given, *rest])
        outputs = graph.outputs
        whole = TupleType(tuple(value.type for value in outputs))
        made = graph.append(TUPLE_CONSTRUCT, outputs, (whole,))
        graph.set_outputs([made.output])
        return PassResult(changed=True)


def test_a_traced_program_takes_and_returns_the_same_objects_all_along() -> None:
    def program(batch: dict[str, torch.Tensor], shift: torch.Tensor) -> dict[str, object]:
        batch["x"].add_(1)
        return {"sum": batch["x"] + batch["y"] * shift, "pair": (batch["y"], [shift, batch["x"]])}

    def arguments() -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        return {"x": torch.ones(2, 3), "y": torch.full((2, 3), 2.0)}, torch.tensor(3.0)

    traced = opscope.trace(program, arguments(), dynamic={"batch['x']": {0: "rows"}})
    expected = program(*arguments())
    traced.apply(Bundle(), verify_each=True)
    assert "(%pair : tuple[" in str(traced.graph)
    for passes in ("dce,cse", "lower_all_tuples"):
        traced.apply(passes, verify_each=True)
        given = arguments()
        actual = traced(*given)
        torch.testing.assert_close(actual, expected, rtol=0, atol=0)
        assert actual["pair"][0] is given[0]["y"]
        assert actual["pair"][1][1] is given[0]["x"]
        traced.check(arguments())
    assert "tuple[" not in str(traced.graph)


def test_a_bundled_program_comes_back_from_a_file(tmp_path: Path) -> None:
    traced = opscope.trace(sum_and_product, (torch.ones(2), torch.full((2,), 3.0)))
    traced.apply(Bundle())
    loaded = opscope.load(traced.save(tmp_path / "net.opscope"))
    assert isinstance(loaded, opscope.LoadedProgram)
    for program in (traced, loaded):
        program.apply("dce")
        actual = program(torch.ones(2), torch.full((2,), 3.0))
        torch.testing.assert_close(actual, (torch.full((2,), 4.0), torch.full((2,), 3.0)))


def sum_and_product(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x + y, x * y


def test_a_bundled_graph_is_not_called_in_a_trace_before_it_is_lowered() -> None:
    inner = opscope.trace(lambda x, y: x + y, (torch.ones(2), torch.ones(2)))
    inner.apply(Bundle())

    def outer(x: torch.Tensor) -> torch.Tensor:
        return inner(x, x * 2) * 3

    with pytest.raises(opscope.CaptureError, match="run the pass lower_all_tuples"):
        opscope.trace(outer, torch.ones(2))
    inner.apply("lower_all_tuples")
    traced = opscope.trace(outer, torch.ones(2))
    assert torch.equal(traced(torch.ones(2)), torch.full((2,), 9.0))


@st.composite
def tuple_graphs(draw: DrawFn) -> opscope.Graph:
    """Draw a graph of tuples in tuples that can be run, with a function and a branch."""
    graph = opscope.parse("""
        graph(%c : bool[], %x : f32[2], %y : f32[2]):
          return (%x)

        function f(%p : tuple[f32[2], tuple[f32[2], f32[2]]]):
          %a : f32[2], %u : tuple[f32[2], f32[2]] = prim::TupleUnpack(%p)
          %s : tuple[f32[2]] = prim::TupleSlice(%u, 1, None)
          %b : f32[2] = prim::TupleIndex(%s, 0)
          %w : f32[2] = aten::add_.Tensor(%a, %b)
          %q : tuple[tuple[f32[2], f32[2]], f32[2]] = prim::TupleConstruct(%u, %w)
          return (%q)
    """)
    values = list(graph.inputs[1:])
    names = ("aten::add_.Tensor", "aten::neg", "higher_order::cond")
    add, neg, cond = map(operator_named, names)
    tensor = values[0].type
    pair = TupleType((tensor, tensor))

    def append(operator: Operator, args: tuple[Argument, ...], *types: Type) -> None:
        values.extend(graph.append(operator, args, types).outputs)

    for _ in range(draw(st.integers(1, 12))):
        tensors = [v for v in values if v.type == tensor]
        pairs = [v for v in values if v.type == pair]
        wholes = [v for v in values if isinstance(v.type, TupleType)]
        match draw(st.sampled_from(["neg", "add", "make", "take", "index", "call", "cond"])):
            case "neg":
                append(neg, (draw(st.sampled_from(tensors)),), tensor)
            case "add":
                append(add, tuple(draw(st.tuples(*[st.sampled_from(tensors)] * 2))), tensor)
            case "make":
                parts = draw(st.lists(st.sampled_from(values), max_size=3))
                append(TUPLE_CONSTRUCT, (*parts,), TupleType(tuple([v.type for v in parts])))
            case "take" if wholes:
                whole = draw(st.sampled_from(wholes))
                append(TUPLE_UNPACK, (whole,), *whole.type.elements)
            case "index" if pairs:
                append(TUPLE_INDEX, (draw(st.sampled_from(pairs)), -1), tensor)
            case "call" if pairs:
                append(TUPLE_CONSTRUCT, (tensors[-1], pairs[-1]), TupleType((tensor, pair)))
                append(CALL_FUNCTION, (FunctionRef("f"), values[-1]), TupleType((pair, tensor)))
            case "cond" if pairs:
                given = (graph.inputs[0], (tensors[-1],))
                node = graph.append(cond, given, [tensor], groups=(1,))
                for first in (0, 1):
                    block = node.add_block()
                    block.add_input(tensor)
                    with graph.inserting(block):
                        part = graph.append(TUPLE_INDEX, (pairs[-1], first), [tensor]).output
                        block.set_outputs([graph.append(neg, (part,), [tensor]).output])
                values.append(node.output)
    graph.set_outputs(draw(st.lists(st.sampled_from(values), min_size=1, max_size=3)))
    return graph


@given(tuple_graphs(), st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_random_tuples_compute_and_write_the_same(graph: opscope.Graph, which: bool) -> None:
    def run() -> list[list[torch.Tensor]]:
        inputs = [torch.tensor(which), torch.tensor([1.0, 2.0]), torch.tensor([3.0, 5.0])]
        types = [value.type for value in graph.outputs]
        return [flattened(types, compile_graph(graph, {}).function(*inputs)), inputs]

    opscope.verify(graph)
    expected = run()
    for pass_ in (LowerSimpleTuples(), LowerAllTuples()):
        pass_.run(graph)
        opscope.verify(graph)
        torch.testing.assert_close(run(), expected, rtol=0, atol=0)
    assert "tuple[" not in str(graph)
