"""Graphs: how they are built, changed, walked and copied."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opscope.errors import IRError
from opscope.ir import (
    Block,
    DType,
    Effect,
    Graph,
    Node,
    Operator,
    Parameter,
    ScalarType,
    Scope,
    ScopeKind,
    StateKind,
    TensorType,
    Use,
    Value,
    parse,
    unknown_operator,
    verify,
)
from opscope.testing import check_text
from support.ir_text import node_named, value_named
from support.random_graphs import graphs, property_settings

F32 = TensorType(DType.F32, (2,))
NEG = unknown_operator("aten::neg")
ADD = unknown_operator("aten::add")

CHAIN = """
    graph(%x : f32[2]):
      %a : f32[2] = aten::neg(%x)
      %b : f32[2] = aten::exp(%a)
      %c : f32[2] = aten::abs(%b)
      return (%c)
"""


def test_nodes_are_appended_in_order() -> None:
    graph = Graph("Net")
    x = graph.add_input(F32, "x")
    w = graph.add_state("fc.weight", F32)
    y = graph.append(ADD, (x, w, 2), [F32], keywords=("alpha",)).output
    y.name = "y"
    graph.set_outputs([y, x])
    check_text(
        graph,
        """
        graph Net(%x : f32[2]):
          state %fc.weight : f32[2]
          %y : f32[2] = aten::add(%x, %fc.weight, alpha=2)
          return (%y, %x)
        """,
    )


def test_new_nodes_go_where_insertion_was_set() -> None:
    graph = parse(CHAIN)
    b = node_named(graph, "b")
    with graph.inserting(b):
        first = graph.append(NEG, (value_named(graph, "a"),), [F32])
        graph.append(NEG, (first.output,), [F32])
    graph.append(NEG, (value_named(graph, "c"),), [F32])
    check_text(
        graph,
        """
        graph(%x : f32[2]):
          %a : f32[2] = aten::neg(%x)
          %0 : f32[2] = aten::neg(%a)
          %1 : f32[2] = aten::neg(%0)
          %b : f32[2] = aten::exp(%a)
          %c : f32[2] = aten::abs(%b)
          %2 : f32[2] = aten::neg(%c)
          return (%c)
        """,
    )


def test_insertion_is_back_where_it_was_after_an_error() -> None:
    graph = parse("graph(%x : f32[2]):\n %a : f32[2] = aten::neg(%x)\n return ()")
    with pytest.raises(KeyError), graph.inserting(node_named(graph, "a")):
        raise KeyError
    graph.append(NEG, (graph.inputs[0],))
    check_text(
        graph,
        """
        graph(%x : f32[2]):
          %a : f32[2] = aten::neg(%x)
          aten::neg(%x)
          return ()
        """,
    )


def test_insertion_before_a_node_that_is_gone_is_refused() -> None:
    graph = parse(CHAIN)
    graph.set_outputs([])
    c = node_named(graph, "c")
    with graph.inserting(c):
        c.erase()
        with pytest.raises(
            IRError, match="aten::abs, before which nodes are inserted, is no longer"
        ):
            graph.append(NEG, graph.inputs)
    with pytest.raises(IRError, match="cannot insert before aten::abs, which is in no block"):
        graph.inserting(c).__enter__()


def test_a_use_is_an_edge() -> None:
    graph = parse(
        """
        graph(%x : f32[2], %y : f32[2]):
          %a : f32[2] = aten::add(%x, 1, [%y, %x])
          %b : f32[2] = aten::mul(%a, other=%x)
          return (%x, %b, %x)
        """
    )
    a, b = graph.block
    assert graph.inputs[0].uses == (
        Use(a, 0),
        Use(a, 2),
        Use(b, 1),
        Use(graph.block, 0),
        Use(graph.block, 2),
    )
    assert graph.inputs[0].users == (a, b, graph.block)
    assert graph.inputs[1].uses == (Use(a, 1),)


@pytest.mark.parametrize("count", [1, 2, 3, 8, 9, 20])
def test_users_are_listed_once_each_in_the_order_they_came_however_many_come_and_go(
    count: int,
) -> None:
    graph = parse("graph(%x : f32[2]):\n return ()")
    (x,) = graph.inputs
    expected = [graph.append(NEG, (x,) * 2) for _ in range(count)]
    everyone = list(expected)
    random.Random(count).shuffle(everyone)
    for node in everyone:
        assert x.users == tuple(expected)
        assert [x.is_used_by(each) for each in everyone] == [each in expected for each in everyone]
        verify(graph)
        node.erase()
        expected.remove(node)
    assert x.users == ()
    assert not x.is_used


def test_arguments_are_found_by_position_name_and_default() -> None:
    add = Operator(
        "aten::add.Tensor",
        (
            Parameter("self", "Tensor"),
            Parameter("other", "Tensor"),
            Parameter("alpha", "Scalar", is_keyword=True, default=1),
            Parameter("out", "Tensor", is_keyword=True),
        ),
    )
    graph = Graph()
    x, y = graph.add_input(F32), graph.add_input(F32)
    plain = graph.append(add, (x, y), [F32])
    scaled = graph.append(add, (x, y, 3), [F32], keywords=("alpha",))
    assert plain.argument("other") is y
    assert (plain.argument("alpha"), scaled.argument("alpha")) == (1, 3)
    assert (scaled.args, scaled.kwargs) == ((x, y), {"alpha": 3})
    with pytest.raises(IRError, match=r"aten::add\.Tensor was given no argument named 'out'"):
        plain.argument("out")


def test_output_is_the_only_result() -> None:
    graph = parse(
        """
        graph(%x : f32[4]):
          [%a : f32[2], %b : f32[2]] = aten::split(%x, 2)
          aten::print(%a)
          return (%b)
        """
    )
    split, effect = graph.block
    with pytest.raises(IRError, match="aten::split has 2 results, not one"):
        _ = split.output
    with pytest.raises(IRError, match="aten::print has 0 results, not one"):
        _ = effect.output
    assert (split.groups, effect.groups) == ((2,), ())


@pytest.mark.parametrize(
    ("operand", "line"),
    [
        (0, "%c : f32[2] = aten::stack(%z, [%y, [%x]], 0, out=%y)"),
        (1, "%c : f32[2] = aten::stack(%x, [%z, [%x]], 0, out=%y)"),
        (2, "%c : f32[2] = aten::stack(%x, [%y, [%z]], 0, out=%y)"),
        (3, "%c : f32[2] = aten::stack(%x, [%y, [%x]], 0, out=%z)"),
    ],
)
def test_one_operand_is_replaced_in_nested_arguments(operand: int, line: str) -> None:
    text = """
        graph(%x : f32[2], %y : f32[2], %z : f32[2]):
          LINE
          return (%c)
    """
    graph = parse(text.replace("LINE", "%c : f32[2] = aten::stack(%x, [%y, [%x]], 0, out=%y)"))
    node_named(graph, "c").replace_input(operand, graph.inputs[2])
    check_text(graph, text.replace("LINE", line))


def test_values_become_literals_in_nested_arguments() -> None:
    text = """
        graph(%x : f32[2], %n : int, %m : int):
          %c : f32[2] = aten::view(LINE)
          return (%c, %m)
    """
    graph = parse(text.replace("LINE", "%x, [%n, [%m, %n]], out=%n"))
    x, n, m = graph.inputs
    node = node_named(graph, "c")
    node.replace_inputs({n: 3, m: x})
    check_text(graph, text.replace("LINE", "%x, [3, [%x, 3]], out=3"))
    assert not n.is_used
    assert node.inputs == (x, x)
    with pytest.raises(IRError, match="is not visible here"):
        node.replace_inputs({x: parse(CHAIN).inputs[0]})
    check_text(graph, text.replace("LINE", "%x, [3, [%x, 3]], out=3"))


def test_an_output_is_replaced() -> None:
    graph = parse("graph(%x : int, %y : int):\n return (%x, %x)")
    graph.block.replace_input(1, graph.inputs[1])
    check_text(graph, "graph(%x : int, %y : int):\n return (%x, %y)")
    assert graph.inputs[0].uses == (Use(graph.block, 0),)
    with pytest.raises(IRError, match="the block has 2 outputs; there is no number 2"):
        graph.block.replace_input(2, graph.inputs[0])


def test_operands_that_do_not_exist_or_are_not_visible_are_refused() -> None:
    graph = parse(CHAIN)
    node = node_named(graph, "b")
    with pytest.raises(IRError, match="aten::exp has 1 operands; there is no number -1"):
        node.replace_input(-1, graph.inputs[0])
    other = parse(CHAIN)
    with pytest.raises(IRError, match=r"%x : .* is not visible here"):
        node.replace_input(0, other.inputs[0])
    with pytest.raises(IRError, match="is not visible here"):
        graph.set_outputs(other.outputs)
    check_text(graph, CHAIN)


def test_all_uses_are_replaced() -> None:
    graph = parse(
        """
        graph(%x : f32[2]):
          %a : f32[2] = aten::neg(%x)
          %b : f32[2] = aten::add(%a, [%a, %x])
          prim::If(%b)
            block0():
              -> (%a)
          return (%a, %b)
        """
    )
    value_named(graph, "a").replace_all_uses_with(graph.inputs[0])
    check_text(
        graph,
        """
        graph(%x : f32[2]):
          %a : f32[2] = aten::neg(%x)
          %b : f32[2] = aten::add(%x, [%x, %x])
          prim::If(%b)
            block0():
              -> (%x)
          return (%x, %b)
        """,
    )
    assert not value_named(graph, "a").is_used


def test_uses_are_replaced_all_or_none() -> None:
    text = """
        graph(%x : int):
          prim::If(%x)
            block0():
              %i : int = prim::f(%x)
              %j : int = prim::g(%x)
              -> (%j)
          return (%x)
    """
    graph = parse(text)
    with pytest.raises(IRError, match="%i : int> is not visible here"):
        graph.inputs[0].replace_all_uses_with(value_named(graph, "i"))
    check_text(graph, text)


def test_erase_drops_uses() -> None:
    graph = parse(
        """
        graph(%x : f32[2]):
          %a : f32[2] = aten::neg(%x)
          prim::If(%a)
            block0():
              %b : f32[2] = aten::exp(%a)
              -> (%x)
          return ()
        """
    )
    neg, branch = graph.block
    with pytest.raises(IRError, match="aten::neg cannot be erased: prim::If reads its result"):
        neg.erase()
    branch.erase()
    neg.erase()
    check_text(graph, "graph(%x : f32[2]):\n return ()")
    assert graph.inputs[0].uses == ()


def test_erase_names_the_return_that_still_reads() -> None:
    graph = parse(CHAIN)
    with pytest.raises(IRError, match="aten::abs cannot be erased: the return reads its result"):
        node_named(graph, "c").erase()


@pytest.mark.parametrize(
    ("move", "order"),
    [
        (lambda a, b, c: c.move_before(a), "c a b"),
        (lambda a, b, c: c.move_after(a), "a c b"),
        (lambda a, b, c: a.move_after(c), "b c a"),
        (lambda a, b, c: a.move_before(a), "a b c"),
        (lambda a, b, c: a.move_after(b), "b a c"),
        (lambda a, b, c: (b.detach(), b.move_after(c)), "a c b"),
    ],
)
def test_nodes_move(move: Callable[[Node, Node, Node], object], order: str) -> None:
    lines = {name: f"%{name} : f32[2] = aten::{name}(%x)" for name in "abc"}
    graph = parse("\n".join(["graph(%x : f32[2]):", *lines.values(), "return ()"]))
    move(*graph.block)
    moved = [lines[name] for name in order.split()]
    check_text(graph, "\n".join(["graph(%x : f32[2]):", *moved, "return ()"]))


def test_a_node_moves_into_another_graph_with_its_blocks() -> None:
    source = parse(
        """
        graph():
          prim::If()
            block0(%i : int):
              prim::Loop()
                block0():
                  -> (%i)
              -> ()
          return ()
        """
    )
    target = parse("graph():\n aten::end()\n return ()")
    (branch,) = source.block
    (end,) = target.block
    branch.move_before(end)
    check_text(source, "graph():\n return ()")
    check_text(
        target,
        """
        graph():
          prim::If()
            block0(%i : int):
              prim::Loop()
                block0():
                  -> (%i)
              -> ()
          aten::end()
          return ()
        """,
    )


def test_a_node_does_not_move_into_itself_or_beside_a_detached_one() -> None:
    graph = parse(
        """
        graph():
          prim::If()
            block0():
              aten::neg()
              -> ()
          return ()
        """
    )
    (branch,) = graph.block
    (neg,) = branch.blocks[0]
    with pytest.raises(IRError, match="cannot move prim::If into a block of its own"):
        branch.move_after(neg)
    neg.detach()
    with pytest.raises(
        IRError, match="cannot move prim::If beside aten::neg, which is in no block"
    ):
        branch.move_before(neg)
    with pytest.raises(IRError, match="aten::neg is detached; insert it into a graph before"):
        neg.add_block()


def test_erasing_the_current_node_is_safe_in_both_directions() -> None:
    for reverse in (False, True):
        graph = parse("graph():\n f1()\n f2()\n f3()\n f4()\n return ()")
        seen = []
        for node in graph.walk(reverse=reverse):
            seen.append(node.kind)
            node.erase()
        assert seen == (["f4", "f3", "f2", "f1"] if reverse else ["f1", "f2", "f3", "f4"])
        check_text(graph, "graph():\n return ()")


def test_erasing_nodes_around_the_current_one_is_safe_in_both_directions() -> None:
    for reverse in (False, True):
        graph = parse("graph():\n f1()\n f2()\n f3()\n f4()\n f5()\n return ()")
        first, second, third, fourth, _ = graph.block
        seen = []
        for node in graph.walk(reverse=reverse):
            seen.append(node.kind)
            if node is third:
                for gone in (third, second, fourth):
                    gone.erase()
        assert seen == (["f5", "f4", "f3", "f1"] if reverse else ["f1", "f2", "f3", "f5"])
        assert first.block is graph.block


def test_nodes_inserted_ahead_of_the_walk_are_visited_and_others_are_not() -> None:
    for reverse in (False, True):
        graph = parse("graph():\n f1()\n f2()\n f3()\n return ()")
        _, second, third = graph.block
        seen = []
        for node in graph.walk(reverse=reverse):
            seen.append(node.kind)
            if node is second:
                with graph.inserting(second):
                    graph.append(unknown_operator("before"))
                with graph.inserting(third):
                    graph.append(unknown_operator("after"))
        assert seen == (["f3", "f2", "before", "f1"] if reverse else ["f1", "f2", "after", "f3"])


def test_a_node_moved_to_another_block_does_not_take_the_walk_along() -> None:
    graph = parse(
        """
        graph():
          prim::If()
            block0():
              f1()
              f2()
              -> ()
          f3()
          return ()
        """
    )
    branch = next(iter(graph.block))
    for node in branch.blocks[0]:
        node.move_before(branch)
    check_text(
        graph,
        """
        graph():
          f1()
          f2()
          prim::If()
            block0():
              -> ()
          f3()
          return ()
        """,
    )


def test_walks_see_owners_before_their_blocks_and_the_other_way_round() -> None:
    graph = parse(
        """
        graph():
          f1()
          f2()
            block0():
              f3()
                block0():
                  f4()
                  -> ()
              -> ()
            block1():
              f5()
              -> ()
          f6()
          return ()
        """
    )
    assert [node.kind for node in graph.walk()] == ["f1", "f2", "f3", "f4", "f5", "f6"]
    assert [node.kind for node in graph.walk(reverse=True)] == ["f6", "f5", "f4", "f3", "f2", "f1"]
    assert len(graph.block) == 3


def test_a_node_erased_by_its_visitor_is_not_entered() -> None:
    graph = parse("graph():\n f1()\n  block0():\n   f2()\n   -> ()\n return ()")
    seen = []
    for node in graph.walk():
        seen.append(node.kind)
        node.erase()
    assert seen == ["f1"]


def test_effects_include_those_of_inner_blocks() -> None:
    table = {
        "prim::If": Operator("prim::If", effects=Effect.NONE),
        "aten::add_": Operator("aten::add_", effects=Effect.WRITES),
        "aten::rand": Operator("aten::rand", effects=Effect.RANDOM),
    }
    graph = parse(
        """
        graph():
          prim::If()
            block0():
              aten::rand()
              -> ()
            block1():
              prim::If()
                block0():
                  aten::add_()
                  -> ()
              -> ()
          return ()
        """,
        table.__getitem__,
    )
    (branch,) = graph.block
    assert branch.effects is Effect.RANDOM | Effect.WRITES


def test_nodes_are_found_by_scope_and_operator() -> None:
    graph = parse(
        """
        graph(%x : f32[2]):
          %a : f32[2] = aten::add.Tensor(%x, 1)       # ? layer1 (Block)
          %b : f32[2] = aten::add_.Tensor(%a, 1)      # ? layer1.conv (Conv)
          %c : f32[2] = aten::add.Tensor(%b, 1)       # ? layer10 (Block)
          %d : f32[2] = aten::neg(%c)
          return (%d)
        """
    )

    def found(**patterns: str) -> str:
        return " ".join(node.output.name or "" for node in graph.nodes(**patterns))

    assert found() == "a b c d"
    assert found(scope="layer1") == "a b"
    assert found(scope="layer1.*") == "b"
    assert found(scope="layer*") == "a b c"
    assert found(op="aten::add") == "a c"
    assert found(op="aten::add*") == "a b c"
    assert found(scope="layer1*", op="aten::add.Tensor") == "a c"


def test_state_is_listed_by_first_name_and_removed_when_unread() -> None:
    graph = Graph()
    tied = graph.add_state(["a.weight", "b.weight"], F32)
    graph.add_state("mean", F32, StateKind.BUFFER)
    graph.append(NEG, (tied,), [F32])
    assert list(graph.state) == ["a.weight", "mean"]
    assert tied.state is graph.state["a.weight"]
    with pytest.raises(IRError, match="the graph has state named 'mean' already"):
        graph.add_state("mean", F32)
    with pytest.raises(IRError, match=r"state 'a\.weight' is still read"):
        graph.remove_state("a.weight")
    with pytest.raises(IRError, match=r"the graph has no state named 'b\.weight'"):
        graph.remove_state("b.weight")
    graph.remove_state("mean")
    check_text(
        graph,
        """
        graph():
          state %a.weight = %b.weight : f32[2]
          %0 : f32[2] = aten::neg(%a.weight)
          return ()
        """,
    )


def test_a_value_says_what_defines_it() -> None:
    graph = parse("graph(%x : int):\n state %w : int\n %a : int = f(%x, %w)\n return (%a)")
    (node,) = graph.block
    (x,), (a,), w = graph.inputs, graph.outputs, graph.state["w"].value
    assert (x.definer, x.block, x.node, x.state) == (graph.block, graph.block, None, None)
    assert (a.definer, a.block, a.node, a.state) == (node, graph.block, node, None)
    assert (w.definer, w.block, w.node, w.state) == (graph.state["w"], None, None, graph.state["w"])


def test_a_copy_is_independent() -> None:
    text = """
        graph Net(%x : int):
          state %w = %v : int
          %a : int = my::apply(@f, [%x, 1])     # net.py:3 fc (Linear)
            block0(%i : int):
              -> (%i, %w)
          return (%a, %x)

        function f(%x : int):
          return (%x)
    """
    graph = parse(text)
    copy = graph.copy()
    copy.set_outputs([])
    node_named(copy, "a").erase()
    copy.functions["f"].set_outputs([])
    check_text(graph, text)
    check_text(
        copy,
        """
        graph Net(%x : int):
          state %w = %v : int
          return ()

        function f(%x : int):
          return ()
        """,
    )


@property_settings
@given(graphs())
def test_a_copy_reads_the_same_and_verifies(graph: Graph) -> None:
    copy = graph.copy()
    verify(copy)
    assert str(copy) == str(graph)


@property_settings
@given(graphs(), st.data())
def test_mutators_keep_a_graph_valid(graph: Graph, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 4))):
        nodes = list(graph.walk())
        if not nodes:
            return
        node = data.draw(st.sampled_from(nodes))
        data.draw(st.sampled_from([_rewire, _fill_in, _forward, _drop, _reorder]))(
            graph, node, data
        )
        verify(graph)


def _rewire(graph: Graph, node: Node, data: st.DataObject) -> None:
    if node.inputs:
        operand = data.draw(st.integers(0, len(node.inputs) - 1))
        value = data.draw(st.sampled_from(_values_before(graph, node, like=node.inputs[operand])))
        node.replace_input(operand, value)
        assert node.inputs[operand] is value


def _fill_in(graph: Graph, node: Node, data: st.DataObject) -> None:
    if node.inputs:
        value = data.draw(st.sampled_from(node.inputs))
        others = _values_before(graph, node, like=value)
        takes_all = not node.kind.startswith("prim::")  # of which some want a value, or a type
        node.replace_inputs({value: data.draw(st.sampled_from([*others, *[1] * takes_all]))})


def _forward(graph: Graph, node: Node, data: st.DataObject) -> None:
    if node.outputs:
        output = data.draw(st.sampled_from(node.outputs))
        values = _values_before(graph, node, like=output)
        if values:
            output.replace_all_uses_with(data.draw(st.sampled_from(values)))
            assert not output.is_used


def _drop(graph: Graph, node: Node, data: st.DataObject) -> None:
    if not any(output.is_used for output in node.outputs):
        node.erase()
        assert node.block is None
        assert node not in list(graph.walk())


def _reorder(graph: Graph, node: Node, data: st.DataObject) -> None:
    block = node.block
    assert block is not None, "walks meet attached nodes only"
    following = list(block)[list(block).index(node) + 1 :]
    reads = {value for inner in _subtree(following[0]) for value in inner} if following else set()
    if following and reads.isdisjoint(node.outputs):
        node.move_after(following[0])
        assert list(block)[list(block).index(node) - 1] is following[0]


def _subtree(node: Node) -> list[tuple[Value, ...]]:
    reads = [node.inputs]
    for block in node.blocks:
        reads.append(block.outputs)
        for inner in block:
            reads.extend(_subtree(inner))
    return reads


def _values_before(graph: Graph, node: Node, like: Value) -> list[Value]:
    """Return the values that are visible from a node and have the type of another."""
    values = [entry.value for entry in graph.state.values()]
    place: Node | None = node
    while place is not None:
        block = place.block
        assert block is not None, "walks meet attached nodes only"
        values.extend(block.inputs)
        for earlier in block:
            if earlier is place:
                break
            values.extend(earlier.outputs)
        place = block.owner
    return [value for value in values if value.type == like.type]


def test_scopes_are_shared_by_a_copy() -> None:
    graph = Graph()
    scope = Scope(graph.root_scope, ScopeKind.MODULE, "fc")
    graph.append(NEG, (), [ScalarType.INT], scope=scope)
    assert [node.scope for node in graph.copy().walk()] == [scope]


def test_a_node_takes_the_blocks_of_the_one_it_replaces() -> None:
    graph = parse(
        """
        graph(%x : f32[2]):
          prim::holder()
            block0(%i : f32[2]):
              %a : f32[2] = aten::add(%x, %i)
              -> (%a)
          return (%x)
        """
    )
    (holder,) = graph.nodes(op="prim::holder")
    (block,) = holder.blocks
    with graph.inserting(block):
        assert graph.insertion_block is block
    assert graph.insertion_block is graph.block
    node = graph.append(unknown_operator("prim::body"), graph.inputs, [F32])
    node.take_blocks(holder)
    assert holder.blocks == ()
    assert block.owner is node
    holder.erase()
    graph.set_outputs(node.outputs)
    check_text(
        graph,
        """
        graph(%x : f32[2]) -> (f32[2]):
          %0 : f32[2] = prim::body(%x)
            block0(%i : f32[2]):
              %a : f32[2] = aten::add(%x, %i)
              -> (%a)
          return (%0)
        """,
    )
    with pytest.raises(IRError, match="not in its graph"):
        node.take_blocks(holder)


def test_state_gets_other_names_all_at_once() -> None:
    graph = parse(
        """
        graph(%x : f32[2]):
          state %a = %tied : f32[2], %b : f32[2], %c : f32[2]
          %0 : f32[2] = aten::add(%a, %b)
          return (%0)
        """
    )
    graph.rename_state({"a": "b", "b": "a", "c": "net.c"})
    check_text(
        graph,
        """
        graph(%x : f32[2]) -> (f32[2]):
          state %b = %tied : f32[2], %a : f32[2], %net.c : f32[2]
          %0 : f32[2] = aten::add(%b, %a)
          return (%0)
        """,
    )
    with pytest.raises(IRError, match="two pieces of state named 'a'"):
        graph.rename_state({"b": "a"})
    with pytest.raises(IRError, match="no state named 'z'"):
        graph.rename_state({"z": "y"})


def test_a_free_block_is_filled_before_its_node_is_there() -> None:
    graph = parse("graph(%x : int):\n %a : int = aten::neg(%x)\n return (%a)")
    (x,), (a,) = graph.inputs, graph.outputs
    block = Block(graph, None)
    inner = block.add_input(a.type, "i")
    with graph.inserting(block):
        total = graph.append(unknown_operator("aten::add"), (a, inner), (a.type,))
    block.set_outputs([total.output])
    node = graph.append(unknown_operator("prim::If"), (x,))
    assert node.take_block(block) is block
    check_text(
        graph,
        """
        graph(%x : int):
          %a : int = aten::neg(%x)
          prim::If(%x)
            block0(%i : int):
              %0 : int = aten::add(%a, %i)
              -> (%0)
          return (%a)
        """,
    )
    with pytest.raises(IRError, match="has an owner"):
        node.take_block(block)
    with pytest.raises(IRError, match="has an owner"):
        node.take_block(graph.block)


@pytest.mark.parametrize(
    ("place", "expected"), [("a", ["exp", "abs", "neg"]), (None, ["neg", "exp", "abs"])]
)
def test_the_nodes_of_a_free_block_are_taken_over_in_one_piece(
    place: str | None, expected: list[str]
) -> None:
    graph = parse("graph(%x : int):\n %a : int = aten::neg(%x)\n return (%a)")
    (x,) = graph.inputs
    block = Block(graph, None)
    with graph.inserting(block):
        exp = graph.append(unknown_operator("aten::exp"), (x,), (x.type,))
        branch = graph.append(unknown_operator("aten::abs"), (exp.output,), (x.type,))
        inner = branch.add_block()
    with graph.inserting(graph.block if place is None else node_named(graph, place)):
        graph.append_all(block)
    verify(graph)
    assert [node.kind.partition("::")[2] for node in graph.walk()] == expected
    assert [node.kind.partition("::")[2] for node in graph.walk(reverse=True)] == expected[::-1]
    assert len(graph.block) == 3
    assert (len(block), block.first, block.last) == (0, None, None)
    assert {node.block for node in graph.walk()} == {graph.block}
    assert inner.is_in_graph
    assert (exp.next, branch.previous) == (branch, exp)
    graph.append_all(block)
    assert len(graph.block) == 3


def test_neighbours_are_those_in_the_block() -> None:
    graph = parse(CHAIN)
    a, b, c = graph.block
    assert (a.previous, b.previous, c.previous) == (None, a, b)
    b.detach()
    assert (b.previous, c.previous) == (None, a)


def test_a_discarded_block_reads_nothing_any_more() -> None:
    graph = parse("graph(%x : int):\n %a : int = aten::neg(%x)\n return (%x)")
    (neg,) = graph.block
    block = Block(graph, None)
    with graph.inserting(block):
        graph.append(unknown_operator("aten::exp"), (neg.output,), (neg.output.type,))
    block.set_outputs([neg.output])
    block.discard()
    assert not neg.output.is_used
    neg.erase()
    check_text(graph, "graph(%x : int):\n return (%x)")


SWAPPED = """
    graph(%x : int, %y : int) -> (int):
      %a : int = prim::holder(%x, [%y, 1])
        block0(%i : int, %j : int):
          %t : int = aten::neg(%j)
          -> (%t, %x)
      return (%a)
"""


def test_a_node_and_a_block_read_other_things_all_at_once() -> None:
    graph = parse(SWAPPED)
    x, y = graph.inputs
    (holder,) = graph.nodes(op="prim::holder")
    holder.replace_inputs({x: y, y: 5})
    holder.blocks[0].replace_inputs({x: y})
    check_text(
        graph,
        """
        graph(%x : int, %y : int) -> (int):
          %a : int = prim::holder(%y, [5, 1])
            block0(%i : int, %j : int):
              %t : int = aten::neg(%j)
              -> (%t, %y)
          return (%a)
        """,
    )
    hidden = value_named(graph, "t")
    with pytest.raises(IRError, match="not visible"):
        holder.replace_inputs({y: hidden})
    assert not x.is_used


def test_inputs_are_arranged_and_those_that_nothing_reads_may_go() -> None:
    graph = parse(SWAPPED)
    block = graph.nodes(op="prim::holder")[0].blocks[0]
    i, j = block.inputs
    block.arrange_inputs([j, i])
    assert block.inputs == (j, i)
    for wrong, message in (
        ([i], "still read"),
        ([j, j], "each once"),
        ([graph.inputs[0]], "it has"),
    ):
        with pytest.raises(IRError, match=message):
            block.arrange_inputs(wrong)
    block.arrange_inputs([j])
    check_text(
        graph,
        """
        graph(%x : int, %y : int) -> (int):
          %a : int = prim::holder(%x, [%y, 1])
            block0(%j : int):
              %t : int = aten::neg(%j)
              -> (%t, %x)
          return (%a)
        """,
    )
