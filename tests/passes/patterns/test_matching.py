"""What matches a pattern: arguments by parameter, captures, repeated names, commutative operands."""

import pytest

from opscope.ir import Effect, Graph, Operator, parse
from opscope.passes.patterns import Match, RewriteRules, rewrite_rule
from opscope.program.operators import operator_named


def captured(
    pattern: str, nodes: str, *, commutative: tuple[str, ...] = (), inputs: str = "%x : f32[2, 3]"
) -> list[dict[str, str]]:
    """Return what a pattern captures at each match in a graph, in order, and change nothing."""
    found: list[dict[str, str]] = []

    def note(match: Match) -> bool:
        names = {value: f"%{value.name}" for value in match.root.graph.values()}  # type: ignore[union-attr]
        found.append(
            {
                name: names.get(arg, str(arg)) if not isinstance(arg, tuple) else str(len(arg))  # type: ignore[call-overload]
                for name, arg in match.captured.items()
            }
        )
        return False

    head, _, body = pattern.partition(":\n")
    rule = rewrite_rule(
        f"graph p({head}):\n{body}", lambda op: None, where=note, commutative=commutative
    )
    RewriteRules((rule,)).run(graph_of(nodes, inputs))
    return found


def graph_of(nodes: str, inputs: str) -> Graph:
    return parse(f"graph({inputs}):\n{nodes}\n  return (%y)", operator)


def operator(name: str) -> Operator:
    if name.startswith("my::"):  # one that computes, and has no schema
        return Operator(name, effects=Effect.NONE)
    return operator_named(name)


def test_arguments_are_compared_by_parameter_and_defaults_are_filled_in() -> None:
    pattern = "%a : tensor, %b : tensor:\n %y : tensor = aten::add.Tensor(%a, %b)\n return (%y)"
    plain = "  %y : f32[2, 3] = aten::add.Tensor(%x, %x)"
    assert captured(pattern, plain) == [{"a": "%x", "b": "%x"}]
    assert captured(pattern, plain.replace("%x)", "%x, alpha=1)")) == [{"a": "%x", "b": "%x"}]
    assert captured(pattern, plain.replace("(%x, %x)", "(%x, other=%x)")) == [
        {"a": "%x", "b": "%x"}
    ]
    assert captured(pattern, plain.replace("%x)", "%x, alpha=2)")) == []


def test_a_default_that_was_left_out_is_captured() -> None:
    pattern = (
        "%a : tensor, %b : any, %n : int:\n"
        " %y : tensor = aten::add.Tensor(%a, %b, alpha=%n)\n return (%y)"
    )
    assert captured(pattern, "  %y : f32[2, 3] = aten::add.Tensor(%x, 4)") == [
        {"a": "%x", "b": "4", "n": "1"}
    ]


def test_an_overload_may_be_left_open() -> None:
    pattern = '%a : tensor, %b : any:\n %y : tensor = "aten::mul.*"(%a, %b)\n return (%y)'
    assert captured(pattern, "  %y : f32[2, 3] = aten::mul.Tensor(%x, %x)") != []
    assert captured(pattern, "  %y : f32[2, 3] = aten::mul.Scalar(%x, 2)") != []
    assert captured(pattern, "  %y : f32[2, 3] = aten::multiply.Tensor(%x, %x)") == []


@pytest.mark.parametrize(
    ("type_", "args", "count"),
    [
        ("int", "3", 1),
        ("int", "3.0", 0),
        ("int", "True", 0),
        ("float", "3.0", 1),
        ("bool", "True", 1),
        ("any", "3.0", 1),
        ("int", "%n", 1),
        ("tensor", "%n", 0),
        ("tensor", "%x", 1),
        ("f32[*]", "%x", 1),
        ("f64[*]", "%x", 0),
        ("tensor[rows, columns]", "%x", 1),
        ("tensor[rows]", "%x", 0),
        ("none", "None", 1),
        ("none", "3", 0),
    ],
)
def test_types_of_captures(type_: str, args: str, count: int) -> None:
    pattern = f"%a : {type_}:\n %y : tensor = my::op(%a)\n return (%y)"
    nodes = f"  %y : f32[2, 3] = my::op({args})"
    assert len(captured(pattern, nodes, inputs="%x : f32[2, 3], %n : int")) == count


@pytest.mark.parametrize(
    ("args", "count"), [("[2, 3]", 1), ("[2, %n]", 1), ("[]", 1), ("[2, 3.0]", 0), ("2", 0)]
)
def test_lists_of_sizes(args: str, count: int) -> None:
    pattern = "%s : list[int]:\n %y : tensor = my::op(%s)\n return (%y)"
    nodes = f"  %y : f32[2, 3] = my::op({args})"
    assert len(captured(pattern, nodes, inputs="%x : f32[2, 3], %n : int")) == count


def test_one_name_is_one_argument() -> None:
    pattern = "%a : tensor:\n %y : tensor = aten::mul.Tensor(%a, %a)\n return (%y)"
    inputs = "%x : f32[2, 3], %z : f32[2, 3]"
    assert captured(pattern, "  %y : f32[2, 3] = aten::mul.Tensor(%x, %x)", inputs=inputs)
    assert not captured(pattern, "  %y : f32[2, 3] = aten::mul.Tensor(%x, %z)", inputs=inputs)


@pytest.mark.parametrize(
    ("literal", "args", "count"),
    [("0.0", "0.0", 1), ("0.0", "-0.0", 0), ("1", "True", 0), ("1", "1.0", 0), ("nan", "nan", 1)],
)
def test_literals_are_the_same_to_the_last_bit(literal: str, args: str, count: int) -> None:
    pattern = f"%a : tensor:\n %y : tensor = my::op(%a, {literal})\n return (%y)"
    assert len(captured(pattern, f"  %y : f32[2, 3] = my::op(%x, {args})")) == count


def test_operands_commute_where_the_rule_says_so() -> None:
    pattern = (
        "%a : tensor, %b : tensor:\n %0 : tensor = aten::neg(%a)\n"
        " %y : tensor = aten::add.Tensor(%0, %b)\n return (%y)"
    )
    nodes = "  %n : f32[2, 3] = aten::neg(%x)\n  %y : f32[2, 3] = aten::add.Tensor(%z, %n)"
    inputs = "%x : f32[2, 3], %z : f32[2, 3]"
    assert captured(pattern, nodes, inputs=inputs) == []
    add = ("aten::add.Tensor",)
    assert captured(pattern, nodes, inputs=inputs, commutative=add) == [{"a": "%x", "b": "%z"}]


def test_both_orders_are_tried_all_the_way() -> None:
    # The first order of the outer node fits at first, and fails further in.
    pattern = (
        "%a : tensor, %b : tensor:\n %0 : tensor = aten::mul.Tensor(%a, %b)\n"
        " %1 : tensor = aten::neg(%b)\n %y : tensor = aten::add.Tensor(%0, %1)\n return (%y)"
    )
    nodes = """
      %m : f32[2, 3] = aten::mul.Tensor(%x, %z)
      %n : f32[2, 3] = aten::neg(%x)
      %y : f32[2, 3] = aten::add.Tensor(%n, %m)
    """
    both = ("aten::mul.Tensor", "aten::add.Tensor")
    inputs = "%x : f32[2, 3], %z : f32[2, 3]"
    assert captured(pattern, nodes, inputs=inputs, commutative=both) == [{"a": "%z", "b": "%x"}]


def test_a_node_that_is_read_twice_is_one_node() -> None:
    pattern = (
        "%a : tensor:\n %0 : tensor = aten::neg(%a)\n"
        " %y : tensor = aten::mul.Tensor(%0, %0)\n return (%y)"
    )
    one = "  %n : f32[2, 3] = aten::neg(%x)\n  %y : f32[2, 3] = aten::mul.Tensor(%n, %n)"
    two = (
        "  %n : f32[2, 3] = aten::neg(%x)\n  %m : f32[2, 3] = aten::neg(%x)\n"
        "  %y : f32[2, 3] = aten::mul.Tensor(%n, %m)"
    )
    assert captured(pattern, one) == [{"a": "%x"}]
    assert captured(pattern, two) == []


def test_lists_and_their_results() -> None:
    pattern = (
        "%a : tensor:\n [%0 : tensor, %1 : tensor] = aten::chunk(%a, 2, 1)\n"
        " %y : tensor = aten::cat([%0, %1], 1)\n return (%y)"
    )
    chunk = "  [%p : f32[2, 2], %q : f32[2, 2]] = aten::chunk(%x, 2, 1)\n"
    inputs = "%x : f32[2, 4]"
    whole = chunk + "  %y : f32[2, 4] = aten::cat([%p, %q], 1)"
    assert captured(pattern, whole, inputs=inputs) == [{"a": "%x"}]
    turned = chunk + "  %y : f32[2, 4] = aten::cat([%q, %p], 1)"
    assert captured(pattern, turned, inputs=inputs) == []


def test_operators_without_a_schema_match_what_is_written_alike() -> None:
    pattern = "%a : tensor, %n : int:\n %y : tensor = my::op(%a, n=%n)\n return (%y)"
    assert captured(pattern, "  %y : f32[2, 3] = my::op(%x, n=2)") != []
    assert captured(pattern, "  %y : f32[2, 3] = my::op(%x, 2)") == []
    assert captured(pattern, "  %y : f32[2, 3] = my::op(%x)") == []
