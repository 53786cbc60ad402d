"""Rules: what makes one, and what is wrong with one is said when it is made."""

from collections.abc import Callable
from typing import Any

import pytest

import opscope
from opscope.ir import DType
from opscope.passes.patterns import AnyTensor, Match, RewriteRules, rewrite_rule
from opscope.testing import check_pass

TWICE = """
    graph relu_twice(%x : tensor):
      %a : tensor = aten::relu(%x)
      %b : tensor = aten::relu(%a)
      return (%b)
"""
ONCE = """
    graph(%x : tensor):
      %a : tensor = aten::relu(%x)
      return (%a)
"""
BEFORE = """
    graph(%x : f32[2, 3]):
      %a : f32[2, 3] = aten::relu(%x)                             # net.py:4:8 act (ReLU)
      %y : f32[2, 3] = aten::relu(%a)                             # net.py:5:8 out (ReLU)
      return (%y)
"""
AFTER = """
    graph(%x : f32[2, 3]):
      %y : f32[2, 3] = aten::relu(%x)                             # net.py:5:8 out (ReLU)
      return (%y)
"""


def test_a_rule_from_text() -> None:
    rules = RewriteRules((opscope.rewrite_rule(TWICE, ONCE),))
    assert check_pass(rules, BEFORE, AFTER).stats == {"relu_twice": 1}


def test_a_rule_from_functions() -> None:
    def relu_twice(op: Any, x: Any) -> Any:
        return op("aten::relu", op("aten::relu", x))

    def once(op: Any, x: Any) -> Any:
        return op("aten::relu", x)

    rules = RewriteRules((opscope.rewrite_rule(relu_twice, once),))
    assert check_pass(rules, BEFORE, AFTER).stats == {"relu_twice": 1}


def test_a_rule_needs_no_torch_where_the_graph_has_the_operators() -> None:
    rules = RewriteRules((rewrite_rule(TWICE, ONCE),))
    assert check_pass(rules, BEFORE, AFTER).changed


def test_operators_that_nothing_knows_are_an_error_that_says_what_to_do() -> None:
    other = ONCE.replace("relu", "celu")
    graph = opscope.parse(BEFORE)
    with pytest.raises(
        opscope.PassError, match=r"relu_twice makes a node of aten::celu.*\n.*apply"
    ):
        RewriteRules((rewrite_rule(TWICE, other),)).run(graph)
    assert "celu" not in str(graph)
    opscope.verify(graph)


def test_a_replacement_may_compute_its_arguments_and_may_decline() -> None:
    def pool(op: Any, x: Any, size: Any) -> Any:
        return op("aten::max_pool2d", x, size)

    def smaller(op: Any, x: Any, size: tuple[int, ...]) -> Any:
        return op("aten::max_pool2d", x, [n - 1 for n in size]) if size[0] > 2 else None

    before = """
        graph(%x : f32[1, 1, 4, 4]):
          %y : f32[1, 1, 1, 1] = aten::max_pool2d(%x, [3, 3])
          return (%y)
    """
    graph = opscope.parse(before)
    rule = opscope.rewrite_rule(pool, smaller, asks_types=False)
    assert RewriteRules((rule,)).run(graph).stats == {"pool": 1}
    assert "max_pool2d(%x, [2, 2])" in str(graph)
    assert not RewriteRules((rule,)).run(graph).changed


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("graph(%x : tensor):\n %y = relu", ONCE, r"the pattern cannot be read\n"),
        (TWICE, "graph(%x : tensor):\n return", r"relu_twice: the replacement cannot be read\n"),
        (TWICE, ONCE.replace("%x", "%z"), r"reads %z, which the pattern does not capture\n.*%x"),
        (TWICE, ONCE.replace("(%a)\n", "(%a, %a)\n"), r"gives 1 results, and the replacement 2"),
        (TWICE.replace("(%b)", "(%a)"), ONCE, r"must give all results of its last node"),
        ("graph(%x : tensor):\n return (%x)", ONCE, r"must give all results of its last node"),
        (TWICE.replace("(%x : tensor", "(%x : tensor, %n : int"), ONCE, r"no node .* reads %n"),
        (TWICE.replace("%x", "%0"), ONCE, r"an input of the pattern has no name"),
        (
            TWICE.replace("%x : tensor", "%x : f32[2, n]"),
            ONCE,
            r"asks for a size.*\n.*rank by names",
        ),
        (TWICE.replace("(%a)\n", "(%x)\n"), ONCE, r"nothing in the pattern reads .* aten::relu"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said_at_once(before: str, after: str, message: str) -> None:
    with pytest.raises(opscope.PassError, match=message):
        rewrite_rule(before, after)


def test_state_and_blocks_are_no_parts_of_patterns() -> None:
    text = "graph(%x : tensor):\n state %w : f32[2]\n %y : tensor = aten::mm(%x, %w)\n return (%y)"
    with pytest.raises(opscope.PassError, match="has state, functions or blocks"):
        rewrite_rule(text, "graph(%x : tensor):\n return (%x)")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"captures": {"z": AnyTensor()}}, "captures= names %z"),
        ({"commutative": ("aten::add.Tensor",)}, r"no node of aten::add.Tensor, said to commute"),
    ],
)
def test_options_that_name_what_is_not_there(options: dict[str, Any], message: str) -> None:
    with pytest.raises(opscope.PassError, match=message):
        rewrite_rule(TWICE, ONCE, **options)


@pytest.mark.parametrize("function", [lambda: None, lambda op, *args: None])
def test_a_function_takes_op_and_then_captures(function: Callable[..., Any]) -> None:
    with pytest.raises(opscope.PassError, match="must take op and then a parameter"):
        rewrite_rule(function, ONCE)
    with pytest.raises(opscope.PassError, match="must take op and then a parameter"):
        rewrite_rule(TWICE, function)


def test_a_replacement_that_gives_too_many_results_is_an_error() -> None:
    rules = RewriteRules((rewrite_rule(TWICE, lambda op, x: (x, x)),))
    with pytest.raises(opscope.PassError, match="gives 2 results, and the pattern 1"):
        rules.run(opscope.parse(BEFORE))


def test_an_error_in_a_condition_names_the_rule() -> None:
    def fails(match: Match) -> bool:
        return match.value("x").type.no_such_fact  # type: ignore[union-attr,no-any-return]

    rules = RewriteRules((rewrite_rule(TWICE, ONCE, where=fails),))
    with pytest.raises(AttributeError) as caught:
        rules.run(opscope.parse(BEFORE))
    assert caught.value.__notes__ == ["This came from the condition of rule relu_twice."]


def test_a_literal_that_was_captured_is_no_value() -> None:
    def where(match: Match) -> bool:
        return match.value("n") is not None

    text = "graph(%x : tensor, %n : any):\n %y : tensor = aten::add.Tensor(%x, %n)\n return (%y)"
    rules = RewriteRules((rewrite_rule(text, "graph(%x : tensor):\n return (%x)", where=where),))
    graph = opscope.parse(
        "graph(%x : f32[2]):\n %y : f32[2] = aten::add.Tensor(%x, 2)\n return (%y)"
    )
    with pytest.raises(TypeError, match="%n captured 2, which is no value"):
        rules.run(graph)


def test_types_say_what_is_captured() -> None:
    assert AnyTensor(DType.F32, 2).fits(
        opscope.parse("graph(%x : f32[2, 3]):\n return (%x)").inputs[0]
    )
