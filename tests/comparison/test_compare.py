"""What a comparison finds, shown on graphs written as text."""

import subprocess
import sys
from textwrap import dedent

import pytest

import opscope
from opscope.comparison import ChangeKind, GraphDiff
from opscope.comparison.facts import AddressChange, ArgumentChange, OrderChange, ScopeChange
from opscope.ir import Graph, parse

_MLP = """
    graph Net(%x : f32[2, 4]) -> (f32[2, 4]):
      state %up.weight : f32[8, 4], %down.weight : f32[4, 8]
      %a : f32[2, 8] = aten::linear(%x, %up.weight)       # net.py:5 up (Linear)
      %b : f32[2, 8] = aten::gelu(%a, approximate="none") # net.py:6
      %c : f32[2, 4] = aten::linear(%b, %down.weight)     # net.py:7 down (Linear)
      return (%c)
"""


def diff_of(before: str, after: str) -> GraphDiff:
    return opscope.diff(parse(dedent(before)), parse(dedent(after)))


def check(before: str, after: str, expected: str) -> GraphDiff:
    """Check what the comparison of two texts reads, in its first line and in those of nodes."""
    diff = diff_of(before, after)
    assert str(diff) == dedent(expected).lstrip("\n")
    return diff


def test_equal_graphs_of_other_names_and_lines_are_equal() -> None:
    other = _MLP.replace("%a", "%other").replace("net.py:5", "net.py:15")
    diff = check(_MLP, other, "Net: 3 equal, nothing differs\n")
    assert diff.is_equal
    assert not diff
    graphs = [parse(dedent(text)) for text in (_MLP, other)]
    with_sources = opscope.diff(*graphs, sources=True)
    assert [str(change.details) for change in with_sources.nodes] == [
        "(SourceChange(before=SourceRange(file='net.py', line=5, column=0, end_line=0, end_column=0,"
        " function='', path=''), after=SourceRange(file='net.py', line=15, column=0, end_line=0,"
        " end_column=0, function='', path='')),)"
    ]


def test_a_literal_that_changed_is_told_by_its_name() -> None:
    diff = check(
        _MLP,
        _MLP.replace('"none"', '"tanh"'),
        """
        Net: 1 changed, 2 equal

        Net
          ~ %b : f32[2, 8] = aten::gelu(%a, approximate="tanh")                   # net.py:6
              approximate: "none" → "tanh"
        """,
    )
    assert diff.nodes[0].details == (ArgumentChange("approximate", "none", "tanh"),)


def test_another_operator_in_the_place_of_one_is_a_change_of_that() -> None:
    check(
        _MLP,
        _MLP.replace('aten::gelu(%a, approximate="none")', "aten::relu(%a)"),
        """
        Net: 1 changed, 2 equal

        Net
          ~ %b : f32[2, 8] = aten::relu(%a)                                       # net.py:6
              operator: aten::gelu → aten::relu
              approximate: "none" → nothing
        """,
    )


def test_a_node_in_between_is_added_and_its_reader_says_so() -> None:
    check(
        _MLP,
        """
        graph Net(%x : f32[2, 4]) -> (f32[2, 4]):
          state %up.weight : f32[8, 4], %down.weight : f32[4, 8]
          %a : f32[2, 8] = aten::linear(%x, %up.weight)       # net.py:5 up (Linear)
          %b : f32[2, 8] = aten::gelu(%a, approximate="none") # net.py:6
          %d : f32[2, 8] = aten::dropout(%b, 0.1, True)       # net.py:6
          %c : f32[2, 4] = aten::linear(%d, %down.weight)     # net.py:7 down (Linear)
          return (%c)
        """,
        """
        Net: 1 added, 1 changed, 2 equal

        Net
          + %d : f32[2, 8] = aten::dropout(%b, 0.1, True)                         # net.py:6

        down (Linear)
          ~ %c : f32[2, 4] = aten::linear(%d, %down.weight)                       # net.py:7
              argument 0: %b (aten::gelu, in top) → %d (aten::dropout, added, in top)
        """.replace(", in top", ""),
    )


def test_types_are_told_where_they_changed() -> None:
    check(
        "graph(%x : f32[2]) -> (f32[2]):\n  %a : f32[2] = aten::neg(%x)\n  return (%a)\n",
        "graph(%x : f32[2]) -> (bf16[2]):\n  %a : bf16[2] = aten::neg(%x)\n  return (%a)\n",
        """
        graph: 1 changed, 0 equal

        signature
          ~ output 0 %a: f32[2] → bf16[2]

        graph
          ~ %a : bf16[2] = aten::neg(%x)
              result: f32[2] → bf16[2]
        """,
    )


def test_which_of_two_alike_is_gone_is_told_by_who_reads_them() -> None:
    before = """
        graph(%x : f32[2]) -> (f32[2]):
          %unread : f32[2] = aten::neg(%x)
          %a : f32[2] = aten::neg(%x)
          %b : f32[2] = aten::exp(%a)
          return (%b)
    """
    after = before.replace("          %unread : f32[2] = aten::neg(%x)\n", "")
    diff = diff_of(before, after)
    assert [(c.kind, c.node.output.name) for c in diff.nodes] == [(ChangeKind.REMOVED, "unread")]


def test_nodes_in_another_order_moved() -> None:
    before = """
        graph(%x : f32[2]) -> (f32[2], f32[2], f32[2]):
          %a : f32[2] = aten::neg(%x)
          %b : f32[2] = aten::exp(%x)
          %c : f32[2] = aten::sin(%x)
          return (%a, %b, %c)
    """
    after = """
        graph(%x : f32[2]) -> (f32[2], f32[2], f32[2]):
          %c : f32[2] = aten::sin(%x)
          %a : f32[2] = aten::neg(%x)
          %b : f32[2] = aten::exp(%x)
          return (%a, %b, %c)
    """
    diff = check(
        before,
        after,
        """
        graph: 1 moved, 2 equal

        graph
          > %c : f32[2] = aten::sin(%x)
              order: 2 nodes earlier
        """,
    )
    assert diff.nodes[0].details == (OrderChange(-2),)
    assert diff_of(after, before).nodes[0].details == (OrderChange(2),)


def test_nodes_that_a_new_scope_took_in_moved_there() -> None:
    diff = check(
        """
        graph(%x : f32[2]) -> (f32[2]):
          %a : f32[2] = aten::neg(%x)
          %b : f32[2] = aten::exp(%a)
          return (%b)
        """,
        """
        graph(%x : f32[2]) -> (f32[2]):
          %a : f32[2] = aten::neg(%x)   # net.py:1 negate()
          %b : f32[2] = aten::exp(%a)
          return (%b)
        """,
        """
        graph: 1 moved, 1 equal

        + negate(): 1 node
          > %a : f32[2] = aten::neg(%x)                                           # net.py:1
              scope: top → negate()
        """,
    )
    (change,) = diff.nodes
    assert isinstance(change.details[0], ScopeChange)


def test_a_module_with_another_name_is_told_once_and_its_nodes_and_state_are_the_same() -> None:
    diff = check(
        _MLP,
        _MLP.replace("up.weight", "first.weight").replace("up (Linear)", "first (Linear)"),
        """
        Net: 3 equal

        state
          ~ parameter %first.weight : f32[8, 4]
              name: up.weight → first.weight

        scopes
          ~ up → first (Linear)
        """,
    )
    assert diff
    renamed = [scope for scope in diff.scopes if scope.kind is ChangeKind.CHANGED]
    assert [scope.details for scope in renamed] == [(AddressChange("up", "first"),)]


def test_members_of_a_list_are_known_by_what_is_in_them_where_numbers_shift() -> None:
    before = """
        graph Stack(%x : f32[4]) -> (f32[4]):
          %a : f32[4] = aten::exp(%x)    # net.py:1 layers.0 (Exp)
          %b : f32[4] = aten::sin(%a)    # net.py:1 layers.1 (Sin)
          %c : f32[4] = aten::cos(%b)    # net.py:1 layers.2 (Cos)
          return (%c)
    """
    after = """
        graph Stack(%x : f32[4]) -> (f32[4]):
          %a : f32[4] = aten::exp(%x)    # net.py:1 layers.0 (Exp)
          %n : f32[4] = aten::tanh(%a)   # net.py:1 layers.1 (Tanh)
          %b : f32[4] = aten::sin(%n)    # net.py:1 layers.2 (Sin)
          %c : f32[4] = aten::cos(%b)    # net.py:1 layers.3 (Cos)
          return (%c)
    """
    diff = check(
        before,
        after,
        """
        Stack: 1 added, 1 changed, 2 equal

        scopes
          ~ layers.1 → layers.2 (Sin)
          ~ layers.2 → layers.3 (Cos)

        + layers.1 (Tanh): 1 node
          + %n : f32[4] = aten::tanh(%a)                                          # net.py:1

        layers.2 (Sin)
          ~ %b : f32[4] = aten::sin(%n)                                           # net.py:1
              argument 0: %a (aten::exp, in layers.0) → %n (aten::tanh, added, in layers.1)
        """,
    )
    addresses = {s.address: o.address for s, o in diff.scope_matches.items()}
    assert addresses["layers.1"] == "layers.2"
    assert addresses["layers.2"] == "layers.3"


def test_a_program_that_another_module_wraps_is_the_same_inside() -> None:
    wrapped = _MLP.replace("graph Net", "graph Wrapper").replace("%up", "%module.up")
    wrapped = wrapped.replace("%down", "%module.down").replace("net.py:6", "net.py:6 module (Net)")
    wrapped = wrapped.replace("up (Linear)", "module.up (Linear)")
    wrapped = wrapped.replace("down (Linear)", "module.down (Linear)")
    wrapped = wrapped.replace("      %a", "      scope module (Net)\n      %a")
    check(
        _MLP,
        wrapped,
        """
        Net → Wrapper: 3 equal

        signature
          ~ name: Net → Wrapper

        state
          ~ * → module.*: 2 pieces of state

        scopes
          ~ top → module (Net)
        """,
    )


def test_state_is_compared_by_name_type_and_kind() -> None:
    check(
        """
        graph(%x : f32[2]) -> (f32[2]):
          state %a : f32[2], %gone : f32[3]
          buffer %b : f32[2]
          return (%x)
        """,
        """
        graph(%x : f32[2]) -> (f32[2]):
          state %a : f16[2], %b : f32[2], %c = %d : f32[2]
          return (%x)
        """,
        """
        graph: 0 equal

        state
          ~ parameter %a : f16[2]
              type: f32[2] → f16[2]
          - parameter %gone : f32[3]
          ~ parameter %b : f32[2]
              kind: buffer → parameter
          + parameter %c = %d : f32[2]
        """,
    )


def test_inputs_and_outputs_are_compared() -> None:
    check(
        """
        graph(%x : f32[2], %y : i64[]) -> (f32[2]):
          %a : f32[2] = aten::neg(%x)
          return (%a)
        """,
        """
        graph(%x : f32[2], %mask : bool[2], %y : i64[]) -> (f32[2], f32[2]):
          ambient no_grad
          %a : f32[2] = aten::neg(%x)
          return (%x, %a)
        """,
        """
        graph: 1 equal

        signature
          ~ ambient modes: grad → no_grad
          + input 1 %mask : bool[2]
          + output 0 %x : f32[2]
        """,
    )


def test_modes_that_are_those_around_either_program_are_equal_and_others_are_told() -> None:
    check(
        """
        graph(%x : f32[2]) -> (f32[2]):
          %a : f32[2] = aten::neg(%x)
          %b : f32[2] = aten::exp(%a)
          return (%b)
        """,
        """
        graph(%x : f32[2]) -> (f32[2]):
          %a : f32[2] = aten::neg(%x)
          mode no_grad
          %b : f32[2] = aten::exp(%a)
          return (%b)
        """,
        """
        graph: 1 changed, 1 equal

        graph
          ~ %b : f32[2] = aten::exp(%a)
              modes: grad → no_grad
        """,
    )


def test_what_differs_inside_blocks_is_told_of_the_nodes_there() -> None:
    before = """
        graph(%x : f32[2], %p : bool[]) -> (f32[2]):
          %y : f32[2] = higher::cond(%p)
            block0():
              %a : f32[2] = aten::mul.Scalar(%x, 2)
              %b : f32[2] = aten::exp(%a)
              -> (%b)
            block1():
              %c : f32[2] = aten::neg(%x)
              -> (%c)
          return (%y)
    """
    after = before.replace("%x, 2", "%x, 3").replace("-> (%b)", "-> (%a)")
    check(
        before,
        after,
        """
        graph: 2 changed, 2 equal

        graph
          ~ %y : f32[2] = higher::cond(%p)
              block0 output[0]: %b (aten::exp) → %a (aten::mul.Scalar)
          ~ %a : f32[2] = aten::mul.Scalar(%x, 3)
              argument 1: 2 → 3
        """,
    )


_CALLS = """
    graph(%x : f32[2]) -> (f32[2]):
      %y : f32[2] = prim::call(@double, %x)
      return (%y)

    function double(%x : f32[2]) -> (f32[2]):
      %y : f32[2] = aten::mul.Scalar(%x, 2)
      return (%y)
"""


def test_functions_are_compared_and_may_have_other_names() -> None:
    renamed = check(
        _CALLS,
        _CALLS.replace("double", "triple").replace("%x, 2", "%x, 3"),
        """
        graph: 1 changed, 1 equal

        functions
          ~ double → triple

        function triple, top
          ~ %y : f32[2] = aten::mul.Scalar(%x, 3)
              argument 1: 2 → 3
        """,
    )
    assert len(renamed.matches) == 2
    without = """
        graph(%x : f32[2]) -> (f32[2]):
          %y : f32[2] = aten::mul.Scalar(%x, 2)
          return (%y)
    """
    check(
        without,
        _CALLS,
        """
        graph: 2 added, 1 removed, 0 equal

        signature
          ~ output 0 %y: %y (aten::mul.Scalar, removed) → %y (prim::call, added)

        functions
          + double

        graph
          - %y : f32[2] = aten::mul.Scalar(%x, 2)
          + %y : f32[2] = prim::call(@double, %x)

        function double, top
          + %y : f32[2] = aten::mul.Scalar(%x, 2)
        """,
    )


def test_arguments_are_compared_by_what_the_operator_calls_them() -> None:
    graph = opscope.parse(
        "graph(%x : f32[2]) -> (f32[2]):\n  %a : f32[2] = aten::add.Tensor(%x, %x)\n  return (%a)\n"
    )
    given = parse(
        "graph(%x : f32[2]) -> (f32[2]):\n"
        "  %a : f32[2] = aten::add.Tensor(%x, other=%x, alpha=1)\n  return (%a)\n"
    )
    assert opscope.diff(graph, given).is_equal
    assert opscope.diff(given, graph).is_equal


def test_literals_of_other_classes_differ() -> None:
    def graph(literal: str) -> Graph:
        text = f"graph(%x : f32[2]):\n  %a : f32[2] = aten::f(%x, {literal})\n  return (%a)\n"
        return parse(text.replace("):\n", ") -> (f32[2]):\n", 1))

    literals = ["1", "True", "1.0", "complex(1.0, 0.0)", '"1"', "None", "[1]", "nan", "-0.0", "0.0"]
    for one in literals:
        for other in literals:
            assert opscope.diff(graph(one), graph(other)).is_equal == (one == other), (one, other)


def test_what_is_no_program_is_refused() -> None:
    with pytest.raises(TypeError, match=r"(?s)this is str.*trace it first"):
        opscope.diff("net.opscope", Graph())  # type: ignore[arg-type]


def test_a_comparison_reads_the_same_in_every_process() -> None:
    code = dedent("""
        import random
        from opscope import diff
        from opscope.ir import DType, Graph, Operator, TensorType
        def graph(seed):
            chance, graph, type_ = random.Random(seed), Graph(), TensorType(DType.F32, (2,))
            values = [graph.add_input(type_)]
            for _ in range(60):
                read = (chance.choice(values), chance.choice(values))
                operator = Operator(f"aten::op{chance.randrange(4)}")
                values.append(graph.append(operator, read, (type_,)).output)
            graph.set_outputs(values[-3:])
            return graph
        print(diff(graph(1), graph(2)).text(whole=True))
    """)
    texts = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            check=True,
            env={"PYTHONHASHSEED": str(seed), "PATH": ""},
        ).stdout
        for seed in (0, 1, 2)
    }
    assert len(texts) == 1
