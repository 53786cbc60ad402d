"""Operators: names and what their schemas say."""

import pytest

from opscope.ir import MISSING, Effect, Modes, Operator, Parameter, Return, unknown_operator


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("aten::add.Tensor", "aten::add"),
        ("aten::neg", "aten::neg"),
        ("f", "f"),
        ("a::b.c.d", "a::b"),
    ],
)
def test_the_overload_is_no_part_of_the_base_name(name: str, base: str) -> None:
    assert unknown_operator(name).base_name == base


def test_an_unknown_operator_may_do_anything() -> None:
    operator = unknown_operator("my::op")
    assert (operator.effects, operator.parameters) == (Effect.UNKNOWN, ())
    assert Parameter("x", "Tensor").default is MISSING


def test_views_share_memory_that_they_do_not_write() -> None:
    view = Operator(
        "aten::view", (Parameter("self", "Tensor", alias="a"),), (Return("Tensor", "a"),)
    )
    written = Parameter("self", "Tensor", alias="a", is_written=True)
    in_place = Operator("aten::add_", (written,), (Return("Tensor", "a"),), Effect.WRITES)
    split = Operator(
        "aten::split", (Parameter("self", "Tensor", alias="a|*"),), (Return("Tensor[]"),)
    )
    pure = Operator("aten::neg", (Parameter("self", "Tensor"),), (Return("Tensor"),))
    assert [op.is_view for op in (view, in_place, split, pure)] == [True, False, True, False]


def test_modes_read_as_they_are_written() -> None:
    assert str(Modes()) == "grad"
    assert str(Modes(grad=False)) == "no_grad"
    assert str(Modes(grad=False, inference=True)) == "inference"
    assert str(Modes(grad=True, inference=True)) == "inference, grad"
    assert str(Modes(fixed=("grad", "cpu"))) == "grad, fixed(grad, cpu)"
