"""In which order rules are applied, that they come to an end, and what the new nodes carry."""

import time
from statistics import median

import pytest

import opscope
from opscope.ir import DType, Effect, Graph, Operator, Parameter, Return, TensorType
from opscope.passes.patterns import RewriteRules, Rule, rewrite_rule
from opscope.testing import check_pass


def rename(one: str, other: str) -> Rule:
    """Return the rule that an operator of one tensor becomes another one."""
    text = "graph {0}(%x : tensor):\n %y : tensor = aten::{0}(%x)\n return (%y)"
    return opscope.rewrite_rule(text.format(one), text.format(other), asks_types=False)


def test_the_first_rule_that_fits_is_applied_and_then_those_for_what_it_made() -> None:
    rules = RewriteRules((rename("sin", "cos"), rename("sin", "tan"), rename("cos", "exp")))
    result = check_pass(
        rules,
        "graph(%x : f32[2]):\n %y : f32[2] = aten::sin(%x)\n return (%y)",
        "graph(%x : f32[2]):\n %y : f32[2] = aten::exp(%x)\n return (%y)",
    )
    assert result.stats == {"sin": 1, "cos": 1}


def test_rules_that_go_round_in_circles_are_an_error_that_names_them() -> None:
    rules = RewriteRules((rename("sin", "cos"), rename("cos", "sin"), rename("abs", "neg")))
    graph = opscope.parse("graph(%x : f32[2]):\n %y : f32[2] = aten::sin(%x)\n return (%y)")
    with pytest.raises(opscope.PassError, match=r"rules go on .* 64 times over: cos, sin\n"):
        rules.run(graph)
    opscope.verify(graph)


def test_a_rule_that_grows_without_end_is_an_error_too() -> None:
    text = "graph grows(%x : tensor):\n %y : tensor = aten::sin(%x)\n return (%y)"
    more = "graph(%x : tensor):\n %a : f32[2] = aten::sin(%x)\n %y : tensor = aten::neg(%a)\n return (%y)"
    graph = opscope.parse("graph(%x : f32[2]):\n %y : f32[2] = aten::sin(%x)\n return (%y)")
    with pytest.raises(opscope.PassError, match=r"64 times over: grows\n"):
        RewriteRules((opscope.rewrite_rule(text, more, asks_types=False),)).run(graph)
    opscope.verify(graph)


def test_a_chain_falls_in_one_walk() -> None:
    views = "\n".join(
        f"%{n} : f32[2, 2]{'' if n % 2 else '{strides=[1, 2]}'} = aten::t(%{n - 1 if n else 'x'})"
        for n in range(10)
    )
    rule = rewrite_rule(
        "graph t_twice(%x : tensor):\n %0 : tensor = aten::t(%x)\n %1 : tensor = aten::t(%0)\n return (%1)",
        "graph(%x : tensor):\n return (%x)",
    )
    check_pass(
        RewriteRules((rule,)),
        f"graph(%x : f32[2, 2]):\n{views}\n %y : f32[2, 2] = aten::exp(%9)\n return (%y)",
        "graph(%x : f32[2, 2]):\n %y : f32[2, 2] = aten::exp(%x)\n return (%y)",
    )


def test_what_fits_only_after_a_later_match_is_found_by_the_next_walk() -> None:
    # Two nodes read %a until the second of them gives way to %x.
    rules = RewriteRules(
        (
            opscope.rewrite_rule(
                "graph relu_twice(%x : tensor):\n %0 : tensor = aten::relu(%x)\n"
                " %1 : tensor = aten::relu(%0)\n return (%1)",
                "graph(%x : tensor):\n %0 : tensor = aten::relu(%x)\n return (%0)",
                asks_types=False,
            ),
            opscope.rewrite_rule(
                "graph size_of_relu(%x : tensor, %d : int):\n %0 : tensor = aten::relu(%x)\n"
                " %1 : int = aten::sym_size.int(%0, %d)\n return (%1)",
                "graph(%x : tensor, %d : int):\n %0 : int = aten::sym_size.int(%x, %d)\n return (%0)",
                asks_types=False,
                keeps_inner=True,
            ),
        )
    )
    check_pass(
        rules,
        """
        graph(%x : f32[2]):
          %a : f32[2] = aten::relu(%x)
          %b : f32[2] = aten::relu(%a)
          %n : int = aten::sym_size.int(%a, 0)
          return (%b, %n)
        """,
        """
        graph(%x : f32[2]):
          %b : f32[2] = aten::relu(%x)
          %n : int = aten::sym_size.int(%x, 0)
          return (%b, %n)
        """,
    )


def test_blocks_and_functions_are_rewritten_each_for_itself() -> None:
    check_pass(
        RewriteRules((rename("sin", "cos"),)),
        """
        graph(%x : f32[2], %p : bool):
          %c : f32[2] = higher_order::cond(%p)
            block0():
              %a : f32[2] = aten::sin(%x)
              -> (%a)
          %d : f32[2] = prim::call(@inner, %c)
          return (%d)
        function inner(%x : f32[2]):
          %a : f32[2] = aten::sin(%x)
          return (%a)
        """,
        """
        graph(%x : f32[2], %p : bool):
          %c : f32[2] = higher_order::cond(%p)
            block0():
              %a : f32[2] = aten::cos(%x)
              -> (%a)
          %d : f32[2] = prim::call(@inner, %c)
          return (%d)
        function inner(%x : f32[2]):
          %a : f32[2] = aten::cos(%x)
          return (%a)
        """,
    )


def test_new_nodes_stand_where_the_root_stood() -> None:
    rule = opscope.rewrite_rule(
        "graph p(%x : tensor):\n %0 : tensor = aten::relu(%x)\n %1 : tensor = aten::exp(%0)\n return (%1)",
        "graph(%x : tensor):\n %0 : tensor = aten::exp(%x)\n %1 : tensor = aten::clamp_min(%0, 1)\n"
        " return (%1)",
    )
    check_pass(
        RewriteRules((rule,)),
        """
        graph(%x : f32[2]):
          mode no_grad
          %a : f32[2] = aten::relu(%x)                            # net.py:4:8 act (ReLU)
          %y : f32[2] = aten::exp(%a)                             # net.py:5:8 out (Exp)
          mode grad
          %z : f32[2] = aten::neg(%y)                             # net.py:6:8
          return (%z)
        """,
        """
        graph(%x : f32[2]):
          mode no_grad
          %0 : f32[2] = aten::exp(%x)                             # net.py:5:8 out (Exp)
          %y : f32[2] = aten::clamp_min(%0, 1)                    # net.py:5:8 out (Exp)
          mode grad
          %z : f32[2] = aten::neg(%y)                             # net.py:6:8
          return (%z)
        """,
    )


def test_what_is_dead_is_left_to_dce() -> None:
    graph = opscope.parse("graph(%x : f32[2]):\n %y : f32[2] = aten::sin(%x)\n return (%x)")
    assert not RewriteRules((rename("sin", "cos"),)).run(graph).changed


def test_several_results() -> None:
    rule = opscope.rewrite_rule(
        "graph p(%x : tensor, %d : int):\n [%0 : tensor, %1 : tensor] = aten::chunk(%x, 2, %d)\n"
        " return (%0, %1)",
        "graph(%x : tensor, %d : int):\n"
        " [%0 : tensor, %1 : tensor] = aten::tensor_split.sections(%x, 2, %d)\n return (%0, %1)",
        asks_types=False,
    )
    check_pass(
        RewriteRules((rule,)),
        "graph(%x : f32[4]):\n [%a : f32[2], %b : f32[2]] = aten::chunk(%x, 2, 0)\n return (%b, %a)",
        "graph(%x : f32[4]):\n [%a : f32[2], %b : f32[2]] = aten::tensor_split.sections(%x, 2, 0)\n"
        " return (%b, %a)",
    )


def chain(pairs: int) -> Graph:
    """Return a graph of pairs of nodes, each of which a rule makes one."""
    neg = Operator("aten::neg", (Parameter("self", "Tensor"),), (Return("Tensor"),), Effect.NONE)
    exp = Operator("aten::exp", (Parameter("self", "Tensor"),), (Return("Tensor"),), Effect.NONE)
    graph = Graph()
    type_ = TensorType(DType.F32, (2,))
    value = hub = graph.add_input(type_, "x")
    ends = []
    for number in range(pairs):
        source = hub if number % 3 == 0 else value
        value = graph.append(neg, (source,), (type_,)).output
        value = graph.append(exp, (value,), (type_,)).output
        ends.append(value)
    graph.set_outputs(ends)
    return graph


def test_the_cost_per_node_does_not_grow_with_the_graph() -> None:
    text = "graph p(%x : tensor):\n %0 : tensor = aten::neg(%x)\n %1 : tensor = aten::exp(%0)\n return (%1)"
    once = "graph(%x : tensor):\n %0 : tensor = aten::exp(%x)\n return (%0)"
    rules = RewriteRules((rewrite_rule(text, once),))

    def per_node(pairs: int) -> float:
        graph = chain(pairs)
        start = time.process_time()
        assert rules.run(graph).stats == {"p": pairs}
        return (time.process_time() - start) / pairs

    ratios = [per_node(16000) / per_node(2000) for _ in range(3)]
    assert median(ratios) < 3, f"eight times the nodes cost {ratios} times as much a node"
