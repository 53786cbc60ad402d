"""Matches that are left as they are, and why: the reason is part of what users see."""

from typing import Any

import pytest
import torch

import opscope
from opscope.passes.patterns import AnyTensor, RewriteRules, Rule, rewrite_rule

KEEP = "graph(%x : tensor):\n return (%x)"
TWICE = "graph twice(%x : tensor):\n %0 : tensor = aten::{0}(%x)\n %1 : tensor = aten::{0}(%0)\n return (%1)"
NEG_TWICE = rewrite_rule(TWICE.format("neg"), KEEP)
T_TWICE = rewrite_rule(TWICE.format("t"), KEEP)
RELU_TWICE = opscope.rewrite_rule(
    TWICE.format("relu"),
    "graph(%x : tensor):\n %0 : tensor = aten::relu(%x)\n return (%0)",
    asks_types=False,
)


def reasons(
    rule: Rule, body: str, inputs: str = "%x : f32[2, 2]", returns: str = "%y"
) -> list[str]:
    """Return why a rule leaves its matches in a graph, which it must not change."""
    graph = opscope.parse(f"graph({inputs}):\n{body}\n return ({returns})")
    text = str(graph)
    rules = RewriteRules((rule,))
    assert not rules.run(graph).changed
    assert str(graph) == text
    return [refusal.reason for refusal in rules.explain(graph)]


RELUS = """
    %a : f32[2, 2] = aten::relu(%x)
    {between}
    %y : f32[2, 2] = aten::relu(%a)
"""


def test_an_inner_value_that_others_read() -> None:
    text = "what aten::relu gives is read by others as well"
    between = "%o : f32[2, 2] = aten::exp(%a)"
    assert reasons(RELU_TWICE, RELUS.format(between=between), returns="%y, %o") == [text]
    assert reasons(RELU_TWICE, RELUS.format(between=""), returns="%y, %a") == [text]


@pytest.mark.parametrize(
    "between",
    [
        "%w : f32[2, 2] = aten::mul_.Tensor(%x, 2)",
        "%v : f32[2, 2]{strides=[1, 2]} = aten::t(%x)\n %w : f32[2, 2] = aten::zero_(%v)",
        "prim::manual_seed(3)",
        "my_library::unheard_of(%x)",
    ],
)
def test_something_is_written_in_between(between: str) -> None:
    assert reasons(RELU_TWICE, RELUS.format(between=between)) == [
        "what it reads may be written, or a setting changed, between its nodes"
    ]


def test_a_write_in_a_block_in_between() -> None:
    between = """
    %c : f32[2, 2] = higher_order::cond(%p)
      block0():
        %w : f32[2, 2] = aten::zero_(%x)
        -> (%w)
    """
    inputs = "%x : f32[2, 2], %p : bool"
    assert reasons(RELU_TWICE, RELUS.format(between=between), inputs, "%y, %c") != []


def test_a_write_before_or_behind_is_none_of_its_business() -> None:
    graph = opscope.parse(
        "graph(%x : f32[2, 2]):\n %v : f32[2, 2] = aten::zero_(%x)\n"
        + RELUS.format(between="")
        + "%w : f32[2, 2] = aten::zero_(%x)\n return (%y)"
    )
    assert RewriteRules((RELU_TWICE,)).run(graph).changed


def test_modes_differ() -> None:
    between = "mode no_grad"
    assert reasons(RELU_TWICE, RELUS.format(between=between)) == [
        "its nodes run in different modes"
    ]


def test_blocks_differ() -> None:
    body = """
    %a : f32[2, 2] = aten::relu(%x)
    %y : f32[2, 2] = higher_order::cond(%p)
      block0():
        %b : f32[2, 2] = aten::relu(%a)
        -> (%b)
    """
    inputs = "%x : f32[2, 2], %p : bool"
    assert reasons(RELU_TWICE, body, inputs) == ["its nodes stand in different blocks"]


def test_a_copy_that_leaves_or_is_written_is_not_the_original() -> None:
    negs = "%a : f32[2, 2] = aten::neg(%s)\n %b : f32[2, 2] = aten::neg(%a)\n"
    start = "%s : f32[2, 2] = aten::sin(%x)\n"
    leaves = "its result leaves the graph, and would be another tensor or on other memory"
    assert reasons(NEG_TWICE, start + negs, returns="%b") == [leaves]
    view = start + negs + "%y : f32[4] = aten::view(%b, [4])"
    assert reasons(NEG_TWICE, view) == [leaves]
    written = "its result, or what would stand for it, may be written afterwards"
    for target in ("%b", "%s"):
        write = f"%w : f32[2, 2] = aten::add_.Tensor({target}, 1)\n %y : f32[2, 2] = aten::exp(%b)"
        assert reasons(NEG_TWICE, start + negs + write) == [written]


def test_a_view_that_leaves_is_an_object_of_its_own() -> None:
    views = "%a : f32[2, 2]{strides=[1, 2]} = aten::t(%x)\n %b : f32[2, 2] = aten::t(%a)\n"
    leaves = "its result leaves the graph, and would be another tensor or on other memory"
    assert reasons(T_TWICE, views, returns="%b") == [leaves]
    passed_on = views + "%y : f32[2, 2] = aten::contiguous(%b)"
    assert reasons(T_TWICE, passed_on) == [leaves]
    asked = views + "%v : int = prim::version(%b)\n %y : f32[2, 2] = aten::exp(%b)"
    assert reasons(T_TWICE, asked) == [leaves]


def test_a_view_that_is_given_another_shape_in_place() -> None:
    body = """
    %a : f32[2, 2]{strides=[1, 2]} = aten::t(%x)
    %b : f32[2, 2] = aten::t(%a)
    %c : f32[4] = aten::resize_(%b, [4])
    %y : f32[4] = aten::exp(%b)
    """
    assert reasons(T_TWICE, body) == [
        "its result, or what would stand for it, may be written afterwards"
    ]


def test_what_reads_the_result_runs_in_other_modes() -> None:
    body = """
    %a : f32[2, 2]{strides=[1, 2]} = aten::t(%x)
    %b : f32[2, 2] = aten::t(%a)
    mode no_grad
    %y : f32[2, 2] = aten::exp(%b)
    """
    assert reasons(T_TWICE, body) == ["what reads its result runs in other modes"]


def test_types_of_results() -> None:
    body = "%a : f32[2, 2] = aten::relu(%x)\n %y : f32[2, 2] = aten::exp(%a)"
    exp = "graph lies(%x : tensor):\n %0 : tensor = aten::exp(%x)\n return (%0)"
    rule = rewrite_rule(exp, KEEP)
    assert reasons(rule, body.replace("exp(%a)", "exp(%x)"), "%x : f64[2, 2]") == [
        "its result would be f64[2, 2] and is f32[2, 2]"
    ]
    t = "graph(%x : tensor):\n %0 : tensor = aten::t(%x)\n return (%0)"
    assert reasons(opscope.rewrite_rule(exp, t), body) == [
        "its result would be f32[2, 2]{strides=[1, 2]} and is f32[2, 2]"
    ]


def test_a_value_whose_type_nobody_tells() -> None:
    relus = (
        "graph(%x : tensor):\n %0 : tensor = aten::t(%x)\n %1 : tensor = aten::t(%0)\n return (%1)"
    )
    rule = opscope.rewrite_rule(
        "graph p(%x : tensor):\n %0 : tensor = aten::alias(%x)\n return (%0)",
        relus,
        asks_types=False,
    )
    body = "%a : f32[2, 2] = aten::alias(%x)\n %y : f32[2, 2] = aten::exp(%a)"
    assert reasons(rule, body) == ["the type of a value that the replacement makes is not known"]


def test_effects_of_the_replacement() -> None:
    exp = "graph p(%x : tensor):\n %0 : tensor = aten::exp(%x)\n return (%0)"
    body = "%y : f32[2, 2] = aten::exp(%x)"
    for operator, reason in {
        "aten::exp_": "the replacement writes other tensors",
        "aten::rand_like": "the replacement draws random numbers",
        "my_library::unheard_of": None,
    }.items():
        rule = opscope.rewrite_rule(exp, exp.replace("aten::exp", operator), asks_types=False)
        if reason is None:
            with pytest.raises(opscope.PassError, match="makes a node of my_library::unheard_of"):
                reasons(rule, body)
        else:
            assert reasons(rule, body) == [reason]
    draws = exp.replace("exp", "rand_like")
    rule = opscope.rewrite_rule(draws, exp, asks_types=False)
    assert reasons(rule, body.replace("exp", "rand_like")) == [
        "aten::rand_like draws random numbers, and the replacement does not"
    ]


def test_random_nodes_stay_where_they_are() -> None:
    pattern = TWICE.format("relu").replace("aten::relu(%x)", "aten::rand_like(%x)")
    body = RELUS.format(between="").replace("aten::relu(%x)", "aten::rand_like(%x)")
    assert reasons(rewrite_rule(pattern, KEEP), body) == [
        "aten::rand_like does more than compute its result"
    ]


def test_a_result_is_no_literal() -> None:
    rule = rewrite_rule(
        "graph p(%x : tensor, %n : int):\n %0 : tensor = aten::add.Tensor(%x, %n)\n return (%0)",
        "graph(%n : int):\n return (%n)",
    )
    assert reasons(rule, "%y : f32[2, 2] = aten::add.Tensor(%x, 1)") == [
        "a result would be a literal"
    ]


def test_programs_whose_operators_a_mode_of_torchs_sees() -> None:
    body = RELUS.format(between="")
    graph = opscope.parse(f"graph(%x : f32[2, 2]):\n prim::enter_mode(1)\n{body}\n return (%y)")
    rules = RewriteRules((RELU_TWICE,))
    assert not rules.run(graph).changed
    assert "has a mode of torch's see each operator" in rules.explain(graph)[0].reason


def test_a_dtype_that_a_caller_may_change() -> None:
    rule = opscope.rewrite_rule(
        "graph relu_of_f32(%x : f32[*]):\n %0 : tensor = aten::relu(%x)\n return (%0)",
        "graph(%x : tensor):\n %0 : tensor = aten::clamp_min(%x, 0)\n return (%0)",
        asks_types=False,
    )

    def program(x: torch.Tensor, w: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return torch.relu(x), torch.relu(x @ w)

    traced = opscope.trace(program, (torch.ones(2, 2), torch.ones(2, 2)))
    rules = RewriteRules((rule,))
    assert traced.apply(rules).runs[0].result.stats == {"relu_of_f32": 1}
    (refusal,) = rules.explain(traced.graph)
    assert str(refusal).startswith("relu_of_f32: a dtype that it asks for may be another one")
    assert "aten::relu(" in refusal.node


def test_in_place_operators_give_way_to_what_writes_the_same() -> None:
    rule = opscope.rewrite_rule(
        "graph p(%x : tensor, %n : any):\n %0 : tensor = aten::multiply_.Tensor(%x, %n)\n return (%0)",
        "graph(%x : tensor, %n : any):\n %0 : tensor = aten::mul_.Tensor(%x, %n)\n return (%0)",
        captures={"x": AnyTensor()},
        asks_types=False,
    )

    def program(x: torch.Tensor) -> Any:
        y = x * 1
        y.t().multiply_(2)
        return y, y + 1

    traced = opscope.trace(program, torch.arange(4.0).view(2, 2))
    before = traced(torch.ones(2, 2))
    assert traced.apply(RewriteRules((rule,)), verify_each=True).changed
    for one, other in zip(before, traced(torch.ones(2, 2)), strict=True):
        assert torch.equal(one, other)
