"""Two graphs have one structure whatever their values are called and wherever they come from."""

from __future__ import annotations

import pytest
import torch

import opscope
from opscope.checking.graphs import GraphDifference, compare_graphs


def compared(first: str, second: str) -> GraphDifference | None:
    return compare_graphs(opscope.parse(first), opscope.parse(second), {}, {})


BASE = """
    graph net(%x : f32[2], %y : f32[2]) -> (f32[2]):
      %a : f32[2] = aten::mul.Tensor(%x, 2)     # net.py:3:4
      %b : f32[2] = aten::add.Tensor(%a, %y, alpha=3)
      return (%b)
"""


def test_names_and_places_do_not_count() -> None:
    other = (
        BASE.replace("%a", "%hidden")
        .replace("graph net", "graph other")
        .replace("net.py:3", "z.py:9")
    )
    assert compared(BASE, other) is None


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (
            "aten::mul",
            "aten::div",
            "called aten::div.Tensor where the first called aten::mul.Tensor",
        ),
        ("(%x, 2)", "(%x, 2.0)", "aten::mul.Tensor read 2 first and then 2.0"),
        ("(%x, 2)", "(%y, 2)", "aten::mul.Tensor read input %x first and then input %y"),
        (
            "(%a, %y",
            "(%x, %y",
            "aten::add.Tensor read a result of aten::mul.Tensor first and then input %x",
        ),
        ("alpha=3", "alpha=4", "aten::add.Tensor read 3 first and then 4"),
        (", alpha=3", "", "aten::add.Tensor with other keyword arguments"),
        ("return (%b)", "return (%b)\n", ""),
        ("(f32[2]):", "(f32[2]):\n      mode no_grad", "ran in other modes"),
        ("%a : f32[2]", "%a : f64[2]", "aten::mul.Tensor gave f32[2] first and then f64[2]"),
        ("%a : f32[2]", "%a : f32[3]", "aten::mul.Tensor gave f32[2] first and then f32[3]"),
    ],
)
def test_the_first_difference_is_found(old: str, new: str, what: str) -> None:
    found = compared(BASE, BASE.replace(old, new))
    assert what in ("" if found is None else found.what)
    assert (found is None) is (what == "")


def test_a_run_that_ends_sooner_differs() -> None:
    shorter = BASE.replace("return (%b)", "return (%a)").replace(
        "      %b : f32[2] = aten::add.Tensor(%a, %y, alpha=3)\n", ""
    )
    found = compared(BASE, shorter)
    assert found is not None
    assert found.what == "the second run had ended where the first called aten::add.Tensor"
    assert found.second is None


def test_sizes_count_only_where_the_inputs_have_equal_ones() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return (x * 2).sum(0)

    one, other, third = (opscope.trace(program, torch.ones(n, 2)) for n in (3, 3, 5))
    assert compare_graphs(one.graph, other.graph, one.state, other.state) is None
    assert compare_graphs(one.graph, third.graph, one.state, third.state) is None


def test_constants_are_compared_by_content_and_parameters_by_identity() -> None:
    table = [1.0, 2.0]
    linear, twin = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)

    def traced(model: torch.nn.Module) -> opscope.TracedProgram:
        return opscope.trace(lambda x: model(x) + torch.tensor(table), torch.ones(2))

    first, same, strange = traced(linear), traced(linear), traced(twin)
    assert compare_graphs(first.graph, same.graph, first.state, same.state) is None
    found = compare_graphs(first.graph, strange.graph, first.state, strange.state)
    assert found is not None
    assert found.what.startswith("aten::linear read %model.weight first and then")
    table[0] = 5.0
    later = traced(linear)
    found = compare_graphs(first.graph, later.graph, first.state, later.state)
    assert found is not None
    assert found.is_content
    assert "which had other content the second time" in found.what
