"""Operators on plain numbers give what the Python gives that a replay runs."""

import math
from typing import Any

import pytest

from opscope.ir import Graph, ScalarType
from opscope.ir.scalars import scalar_operator
from opscope.passes.scalar_evaluation import is_same_number, scalar_result
from opscope.runtime import compile_graph

TYPES: dict[type, ScalarType] = {
    bool: ScalarType.BOOL,
    int: ScalarType.INT,
    float: ScalarType.FLOAT,
    complex: ScalarType.COMPLEX,
}

CALLS: list[tuple[str, tuple[Any, ...], type]] = [
    ("aten::add", (2, 3), int),
    ("aten::add", (2, 0.5), float),
    ("aten::sub", (-0.0, 0.0), float),
    ("aten::mul", (2**70, 3), int),
    ("aten::mul", (math.inf, 0.0), float),
    ("aten::div", (7, 2), float),
    ("aten::floordiv", (-7, 2), int),
    ("aten::remainder", (-7, 3), int),
    ("aten::remainder", (7.5, -2.0), float),
    ("aten::pow", (2, 10), int),
    ("aten::pow", (0.1, 3), float),
    ("aten::neg", (0,), int),
    ("aten::__and__", (True, False), bool),
    ("aten::__lshift__", (3, 4), int),
    ("aten::__not__", (True,), bool),
    ("aten::eq", (1, 1.0), bool),
    ("aten::lt", (math.nan, 1.0), bool),
    ("prim::min", (3, 3.0), int),
    ("prim::max", (-0.0, 0.0), float),
    ("prim::abs", (-4,), int),
    ("aten::Int", (-2.7,), int),
    ("aten::Float", (3,), float),
    ("aten::Bool", (0.0,), bool),
    ("aten::round", (2.5,), int),
    ("aten::sqrt", (2.0,), float),
    ("aten::floor", (-2.5,), int),
    ("aten::isnan", (math.nan,), bool),
]


def graph_of(base: str, args: tuple[Any, ...], result: ScalarType) -> Graph:
    graph = Graph("numbers")
    operator = scalar_operator(base, tuple(TYPES[type(arg)] for arg in args), result)
    graph.set_outputs([graph.append(operator, args, (result,)).output])
    return graph


@pytest.mark.parametrize(("base", "args", "class_"), CALLS)
def test_results_are_those_of_a_replay(base: str, args: tuple[Any, ...], class_: type) -> None:
    graph = graph_of(base, args, TYPES[class_])
    node = graph.block.first
    assert node is not None
    (expected,) = compile_graph(graph, {}).function()
    assert is_same_number(scalar_result(node), expected)


@pytest.mark.parametrize(
    ("base", "args", "type_"),
    [
        ("aten::floordiv", (1, 0), ScalarType.INT),
        ("aten::sqrt", (-1.0,), ScalarType.FLOAT),
        ("aten::Int", (math.inf,), ScalarType.INT),
        ("aten::__lshift__", (1, -1), ScalarType.INT),
    ],
)
def test_what_fails_is_left_to_fail(base: str, args: tuple[Any, ...], type_: ScalarType) -> None:
    graph = graph_of(base, args, type_)
    assert graph.block.first is not None
    assert scalar_result(graph.block.first) is None
    with pytest.raises((ArithmeticError, ValueError)):
        compile_graph(graph, {}).function()


@pytest.mark.parametrize(
    ("base", "args", "type_"),
    [
        ("aten::pow", (-2.0, 0.5), ScalarType.FLOAT),  # which is complex
        ("aten::pow", (2, -1), ScalarType.INT),
        ("aten::pow", (3, 10**9), ScalarType.INT),
        ("aten::__lshift__", (1, 10**9), ScalarType.INT),
        ("aten::mul", (2**4000, 2**4000), ScalarType.INT),
    ],
)
def test_results_of_another_class_or_size_than_a_graph_has_are_none(
    base: str, args: tuple[Any, ...], type_: ScalarType
) -> None:
    node = graph_of(base, args, type_).block.first
    assert node is not None
    assert scalar_result(node) is None


def test_equal_numbers_are_not_the_same_in_every_class() -> None:
    assert is_same_number(math.nan, math.nan)
    assert not is_same_number(0.0, -0.0)
    assert not is_same_number(1, 1.0)
    assert not is_same_number(1, True)
