"""The verifier: graphs that break each rule, and what is said of them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opscope.errors import VerifyError
from opscope.ir import (
    DType,
    Frame,
    FunctionRef,
    Graph,
    Node,
    ScalarType,
    Scope,
    ScopeKind,
    SourceRange,
    StateKind,
    TensorType,
    TupleType,
    Value,
    parse,
    unknown_operator,
    verify,
)
from opscope.ir.own_operators import PROFILE, SET_NUMBER
from opscope.ir.rules import RULES, first_fault
from support.ir_text import node_named, value_named
from support.random_graphs import graphs, property_settings

INT = ScalarType.INT

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
      %p : tuple[f32[2], int] = prim::TupleConstruct(%r, 1)
      %q : f32[2], %n : int = prim::TupleUnpack(%p)
      %i : f32[2] = prim::TupleIndex(%p, -2)
      %s : tuple[f32[2]] = prim::TupleSlice(%p, None, 1)
      return (%c)

    function f(%x : f32[2]):
      %y : f32[2] = aten::neg(%x)
      return (%y, %y)
"""


def complaint(graph: Graph) -> str:
    """Return what the verifier says of a graph that is wrong."""
    with pytest.raises(VerifyError) as raised:
        verify(graph)
    return str(raised.value)


def rule_and_fault(graph: Graph) -> tuple[str, str]:
    """Return the name of the rule that a graph breaks, and the first line of what is said of it."""
    lines = complaint(graph).splitlines()
    name = next(rule.name for rule in RULES if lines[-1] == f"  rule: {rule.sentence}")
    return name, lines[0]


@property_settings
@given(graphs())
def test_every_graph_made_through_the_methods_verifies(graph: Graph) -> None:
    verify(graph)
    assert first_fault(graph) is None


def test_an_operand_is_shown_with_its_source_and_the_later_definition() -> None:
    graph = parse(TEXT)
    node_named(graph, "a").move_after(node_named(graph, "r"))
    assert complaint(graph) == (
        "%a is used before it is defined\n"
        "  in   %b : f32[2] = aten::add(%a, [%w, 1], out=%x)\n"
        "                               ^^\n"
        "  from net.py:4:9, scope fc (Linear)\n"
        "  %a is defined 2 nodes later, from net.py:3\n"
        "  rule: A value is defined before it is used, in the same block or one around it."
    )


def test_the_operand_is_underlined_among_lists_strings_and_odd_names() -> None:
    graph = parse('graph(%"a b" : int):\n %"%c" : int = f(%"a b", "%x", [1, [%"a b"]])\n return ()')
    other = parse("graph(%x : int):\n return ()")
    (node,) = graph.block
    node._args = ("%x", (1, (other.inputs[0],)))
    node._inputs = other.inputs
    other.inputs[0]._add_user(node)
    graph.inputs[0]._drop_user(node)
    assert complaint(graph).splitlines()[:4] == [
        "%x is a value of another graph",
        '  in   %"%c" : int = f("%x", [1, [%x]])',
        "                                  ^^",
        "  it belongs to graph graph",
    ]


def test_the_users_line_is_quoted_where_its_file_can_be_read(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text("def forward(x):\n    return x + skip\n")
    place = SourceRange("net.py", 2, 12, function="forward", path=str(file))
    graph = parse("graph(%x : int):\n return ()")
    node = graph.append(unknown_operator("f"), graph.inputs, stack=Frame.resolved(place))
    node._keywords = ("a", "b")
    assert complaint(graph) == (
        "f has 1 arguments and these names for the last of them: a, b\n"
        "  in   f(b=%x)\n"
        "  from net.py:2:12 in forward:  return x + skip\n"
        "  rule: Arguments passed by name come last, each name once."
    )


def test_the_place_may_be_a_return_and_the_graph_a_function() -> None:
    graph = parse(TEXT)
    function = graph.functions["f"]
    (node,) = function.block
    node._release()
    node.detach()
    assert complaint(graph) == (
        "%y is read though its node was taken out of the graph\n"
        "  in   return (%y, %y)\n"
        "               ^^\n"
        "  %y was a result of aten::neg\n"
        "  in function f\n"
        "  rule: A value is defined before it is used, in the same block or one around it."
    )


def _unlink(graph: Graph) -> None:
    node_named(graph, "b")._previous = None


def _forget_the_block(graph: Graph) -> None:
    node_named(graph, "a")._block = graph.functions["f"].block


def _miscount(graph: Graph) -> None:
    graph.block._length += 1


def _lose_the_last(graph: Graph) -> None:
    graph.block._last = node_named(graph, "r")


def _lose_an_owner(graph: Graph) -> None:
    node_named(graph, "r").blocks[0].owner = None


def _take_a_block(graph: Graph) -> None:
    node_named(graph, "a")._blocks = node_named(graph, "r").blocks


def _swap_the_top_block(graph: Graph) -> None:
    graph.block = graph.functions["f"].block


def _lie_about_a_definition(graph: Graph) -> None:
    value_named(graph, "d")._definer = node_named(graph, "a")


def _lie_about_an_input(graph: Graph) -> None:
    graph.inputs[0]._definer = node_named(graph, "a")


def _lie_about_state(graph: Graph) -> None:
    graph.state["w"].value._definer = graph.state["u"]


def _define_twice(graph: Graph) -> None:
    node = node_named(graph, "c")
    node._results = (node.outputs[0], node.outputs[0])
    node._groups = None


def _define_an_unused_value_twice(graph: Graph) -> None:
    graph.set_outputs([])
    node = node_named(graph, "c")
    node._results = (node.outputs[1], node.outputs[1])


def _forget_an_argument(graph: Graph) -> None:
    node_named(graph, "b")._args = (1,)


def _forget_a_use(graph: Graph) -> None:
    graph.inputs[0]._drop_user(node_named(graph, "b"))


def _forget_a_return(graph: Graph) -> None:
    graph.outputs[0]._drop_user(graph.block)


def _remember_too_much(graph: Graph) -> None:
    value_named(graph, "t")._add_user(node_named(graph, "b"))


def _erase_without_a_word(graph: Graph) -> None:
    graph.set_outputs([])
    node_named(graph, "c").detach()


def _use_too_early(graph: Graph) -> None:
    node_named(graph, "a").move_after(node_named(graph, "b"))


def _use_a_hidden_value(graph: Graph) -> None:
    node, value = node_named(graph, "c"), value_named(graph, "t")
    node.inputs[0]._drop_user(node)
    value._add_user(node)
    node._args = (node._args[0], value)
    node._inputs = (value,)


def _use_an_own_result_inside(graph: Graph) -> None:
    block = node_named(graph, "r").blocks[0]
    block.replace_input(0, value_named(graph, "r"))


def _use_unknown_state(graph: Graph) -> None:
    del graph._state["w"]


def _rename_state(graph: Graph) -> None:
    graph.state["w"].names = ("v",)


def _share_a_name(graph: Graph) -> None:
    graph.state["w"].names = ("w", "u")


def _repeat_a_keyword(graph: Graph) -> None:
    node_named(graph, "b")._keywords = ("out", "out")


def _group_too_many(graph: Graph) -> None:
    node_named(graph, "c")._groups = (3,)


def _group_below_zero(graph: Graph) -> None:
    node_named(graph, "c")._groups = (-1, 3)


def _leave_the_tree(graph: Graph) -> None:
    node_named(graph, "a").scope = Scope(None, ScopeKind.MODULE, "fc")


def _double_a_scope(graph: Graph) -> None:
    node_named(graph, "a").scope = Scope(graph.root_scope, ScopeKind.MODULE, "fc", "Linear")


def _call_nobody(graph: Graph) -> None:
    del graph.functions["f"]


def _call_a_value(graph: Graph) -> None:
    node = node_named(graph, "c")
    node._args = node._inputs


def _call_with_too_much(graph: Graph) -> None:
    node = node_named(graph, "c")
    node._args = (*node._args, 1)


def _call_with_a_number(graph: Graph) -> None:
    node = node_named(graph, "c")
    node._inputs[0]._drop_user(node)
    node._args, node._inputs = (node._args[0], 1), ()


def _call_with_another_rank(graph: Graph) -> None:
    value_named(graph, "r").type = TensorType(DType.F32, (2, 2))


def _expect_another_type(graph: Graph) -> None:
    value_named(graph, "d").type = TensorType(DType.F64, (2,))


def _return_too_little(graph: Graph) -> None:
    function = graph.functions["f"]
    function.set_outputs(function.outputs[:1])


def _call_by_name(graph: Graph) -> None:
    node_named(graph, "c")._keywords = ("x",)


def _make_no_tuple(graph: Graph) -> None:
    value_named(graph, "p").type = TensorType()


def _make_a_longer_tuple(graph: Graph) -> None:
    value_named(graph, "p").type = TupleType((TensorType(DType.F32, (2,)),))


def _take_a_tensor_apart(graph: Graph) -> None:
    node_named(graph, "q").replace_input(0, value_named(graph, "x"))


def _take_apart_into_other_types(graph: Graph) -> None:
    value_named(graph, "n").type = ScalarType.STR


def _index_by_text(graph: Graph) -> None:
    node = node_named(graph, "i.1")
    node._args = (node._args[0], "first")


def _slice_by_truth(graph: Graph) -> None:
    node = node_named(graph, "s")
    node._args = (node._args[0], True, 1)


def _give_a_list(graph: Graph) -> None:
    node_named(graph, "q")._groups = (2,)


def _nest_functions(graph: Graph) -> None:
    graph.functions["f"].functions["g"] = Graph("g")


def _watch_another_type(graph: Graph) -> None:
    graph.append(PROFILE, graph.inputs, [ScalarType.INT])


def _watch_a_number(graph: Graph) -> None:
    graph.append(PROFILE, (1,), [ScalarType.INT])


def _store_into_a_tensor(graph: Graph) -> None:
    graph.append(SET_NUMBER, (graph.state["w"].value, 1))


def _number_a_tensor(graph: Graph) -> None:
    graph.state["w"].kind = StateKind.NUMBER


@pytest.mark.parametrize(
    ("corrupt", "rule", "fault"),
    [
        (_unlink, "links", "aten::add and its neighbour are not linked both ways"),
        (_forget_the_block, "links", "aten::neg and its block are not linked both ways"),
        (_miscount, "links", "a block's last node or length is not that of its nodes"),
        (_lose_the_last, "links", "a block's last node or length is not that of its nodes"),
        (_lose_an_owner, "blocks", "a block of prim::If belongs to another node or graph"),
        (_take_a_block, "blocks", "a block of aten::neg belongs to another node or graph"),
        (_swap_the_top_block, "blocks", "the graph's own block belongs to another graph or to a node"),
        (_lie_about_a_definition, "definitions", "%d does not know what defines it"),
        (_lie_about_an_input, "definitions", "%x does not know what defines it"),
        (_lie_about_state, "definitions", "state w is not what its value says it comes from"),
        (_define_twice, "definitions", "%c.1 is defined twice"),
        (_define_an_unused_value_twice, "definitions", "%d.1 is defined twice"),
        (_forget_an_argument, "arguments", "the operands of aten::add are not the values in its arguments"),
        (_forget_a_use, "uses", "%x has no record of this use"),
        (_forget_a_return, "uses", "%c has no record of this use"),
        (_remember_too_much, "users", "%t lists aten::add as a user, which does not read it or is gone"),
        (_erase_without_a_word, "users", "%r lists prim::call as a user, which does not read it or is gone"),
        (_use_too_early, "order", "%a is used before it is defined"),
        (_use_a_hidden_value, "order", "%t is not visible here"),
        (_use_an_own_result_inside, "order", "%r is used before it is defined"),
        (_use_unknown_state, "order", "%w is state that this graph does not have"),
        (_rename_state, "state", "state is filed as w but named v"),
        (_share_a_name, "state", "two pieces of state are named u"),
        (_store_into_a_tensor, "numbers",
         "what prim::set_number writes to is not a number that the program keeps"),
        (_number_a_tensor, "numbers", "number w is of type f32[2]"),
        (_repeat_a_keyword, "keywords",
         "aten::add has 3 arguments and these names for the last of them: out, out"),
        (_group_too_many, "groups", "prim::call has 2 results, which (3,) does not group"),
        (_group_below_zero, "groups", "prim::call has 2 results, which (-1, 3) does not group"),
        (_leave_the_tree, "scopes", "the scope of aten::neg does not lead to a root"),
        (_double_a_scope, "scopes", "two scopes have the address fc"),
        (_call_nobody, "calls", "@f names a function that the graph does not have"),
        (_call_a_value, "calls", "the first argument of prim::call is not the name of a function"),
        (_call_with_too_much, "fit", "prim::call passes 2 values to function f, which takes 1"),
        (_call_with_a_number, "fit",
         "prim::call passes 1 as argument 0 of function f, which takes f32[2]"),
        (_call_with_another_rank, "fit",
         "prim::call passes f32[2, 2] as argument 0 of function f, which takes f32[2]"),
        (_expect_another_type, "fit",
         "prim::call expects f64[2] as result 1 of function f, which returns f32[2]"),
        (_return_too_little, "fit", "prim::call expects 2 values of function f, which returns 1"),
        (_call_by_name, "fit", "prim::call passes x by name"),
        (_make_no_tuple, "tuples", "prim::TupleConstruct gives one tuple"),
        (_make_a_longer_tuple, "tuples",
         "the parts of prim::TupleConstruct are not of the types of its result"),
        (_take_a_tensor_apart, "tuples", "the first argument of prim::TupleUnpack is not a tuple"),
        (_take_apart_into_other_types, "tuples",
         "the results of prim::TupleUnpack are not of the types of the parts"),
        (_index_by_text, "tuples", "prim::TupleIndex has not the arguments that it takes"),
        (_slice_by_truth, "tuples", "prim::TupleSlice has not the arguments that it takes"),
        (_give_a_list, "tuples",
         "prim::TupleUnpack takes neither names nor blocks, and gives no lists"),
        (_watch_another_type, "profiles",
         "prim::profile hands on something else than the tensor that it is given"),
        (_watch_a_number, "profiles",
         "prim::profile hands on something else than the tensor that it is given"),
        (_nest_functions, "functions", "function f has functions of its own; its caller keeps them"),
    ],
)  # fmt: skip
def test_a_breach_is_found_and_told(
    corrupt: Callable[[Graph], None], rule: str, fault: str
) -> None:
    graph = parse(TEXT)
    verify(graph)
    corrupt(graph)
    assert rule_and_fault(graph) == (rule, fault)


def test_every_rule_is_broken_by_a_test() -> None:
    marks = test_a_breach_is_found_and_told.pytestmark  # type: ignore[attr-defined]
    broken = {rule for _, rule, _ in marks[0].args[1]}
    assert broken == {rule.name for rule in RULES}


def test_an_own_result_inside_is_told_as_such() -> None:
    graph = parse(TEXT)
    _use_an_own_result_inside(graph)
    assert "  %r is defined by the prim::If that this block belongs to\n" in complaint(graph)


def test_a_function_named_in_a_list_must_exist() -> None:
    graph = parse("graph():\n f([1, @g])\n return ()\nfunction g():\n return ()")
    verify(graph)
    graph.functions["h"] = graph.functions.pop("g")
    assert rule_and_fault(graph) == ("calls", "@g names a function that the graph does not have")


def test_a_function_may_be_called_at_another_size_and_with_literals() -> None:
    verify(
        parse("""
            graph(%x : f32[4]{strides=[2], grad}):
              %y : f32[4] = prim::call(@f, %x, 3, [%x, %x])
              return (%y)

            function f(%x : f32[2], %n : int, %all : list[f32[2]]):
              return (%x)
        """)
    )


def test_functions_may_call_each_other() -> None:
    graph = parse(
        """
        graph():
          return ()

        function f():
          prim::call(@g)
          return ()

        function g():
          return ()
        """
    )
    verify(graph)
    del graph.functions["g"]
    assert rule_and_fault(graph)[0] == "calls"


@property_settings
@given(graphs(), st.data())
def test_the_fast_check_and_the_rules_agree(graph: Graph, data: st.DataObject) -> None:
    nodes = list(graph.walk())
    values = graph.values()
    if not nodes or not values:
        return
    node, value = data.draw(st.sampled_from(nodes)), data.draw(st.sampled_from(values))
    data.draw(st.sampled_from(_DAMAGES))(graph, node, value)
    # Some damage does no harm; the verifier then finds none, by either way.
    fault = first_fault(graph)
    if fault is None:
        verify(graph)
    else:
        assert complaint(graph) == fault


def _damage_args(graph: Graph, node: Node, value: Value) -> None:
    node._args = (*node._args, value)


def _damage_inputs(graph: Graph, node: Node, value: Value) -> None:
    node._inputs = (*node._inputs, value)


def _damage_users(graph: Graph, node: Node, value: Value) -> None:
    value._add_user(node)


def _damage_uses(graph: Graph, node: Node, value: Value) -> None:
    value._drop_user(node)


def _damage_definer(graph: Graph, node: Node, value: Value) -> None:
    value._definer = node


def _damage_results(graph: Graph, node: Node, value: Value) -> None:
    node._results = value


def _damage_place(graph: Graph, node: Node, value: Value) -> None:
    node.detach()


def _damage_order(graph: Graph, node: Node, value: Value) -> None:
    other = value.node
    if other is not None and other.blocks == ():
        other.move_after(node)


def _damage_groups(graph: Graph, node: Node, value: Value) -> None:
    node._groups = (1,)


def _damage_calls(graph: Graph, node: Node, value: Value) -> None:
    node._args = (*node._args, FunctionRef("nobody"))


def _damage_types(graph: Graph, node: Node, value: Value) -> None:
    value.type = ScalarType.STR


def _damage_scope(graph: Graph, node: Node, value: Value) -> None:
    node.scope = Scope(node.scope.parent, node.scope.kind, node.scope.name, "", node.scope.call)


_DAMAGES = [
    _damage_args, _damage_inputs, _damage_users, _damage_uses, _damage_definer, _damage_results,
    _damage_place, _damage_order, _damage_groups, _damage_calls, _damage_types,
    _damage_scope,
]  # fmt: skip
