"""Operators on numbers are written as Python writes them, and mean the same."""

import itertools

import pytest

from opscope.ir import ScalarType
from opscope.ir.scalars import (
    Expression,
    ScalarForm,
    scalar_form,
    scalar_named,
    scalar_operator,
    write_expression,
    write_number,
)

BINARY = ("add", "sub", "mul", "div", "floordiv", "remainder", "pow")


def form_of(name: str) -> ScalarForm:
    form = scalar_form(f"aten::{name}.int")
    assert form is not None
    return form


@pytest.mark.parametrize(("outer", "inner"), list(itertools.product(BINARY, BINARY)))
def test_parentheses_stand_where_python_needs_them(outer: str, inner: str) -> None:
    numbers = [write_number(number) for number in (7, -3, 2)]
    first, second, third = numbers
    left = write_expression(
        form_of(outer), [write_expression(form_of(inner), [first, second]), third]
    )
    right = write_expression(
        form_of(outer), [first, write_expression(form_of(inner), [second, third])]
    )
    # Every operand in parentheses of its own is what is meant.
    symbol = {name: form_of(name).template for name in BINARY}
    wrapped_left = symbol[outer].format(f"({symbol[inner].format('(7)', '(-3)')})", "(2)")
    wrapped_right = symbol[outer].format("(7)", f"({symbol[inner].format('(-3)', '(2)')})")
    assert outcome(left.text) == outcome(wrapped_left)
    assert outcome(right.text) == outcome(wrapped_right)


def outcome(text: str) -> object:
    try:
        return eval(text)  # texts of this test alone
    except ZeroDivisionError:
        return ZeroDivisionError


@pytest.mark.parametrize(
    ("name", "operands", "text"),
    [
        ("aten::mul.int", ["a + b", "c"], "(a + b) * c"),
        ("aten::neg.int", ["a + b"], "-(a + b)"),
        ("aten::eq.int", ["a + b", "c"], "a + b == c"),
        ("aten::sqrt.int", ["a + b"], "math.sqrt(a + b)"),
        ("prim::min.int", ["a + b", "c"], "min(a + b, c)"),
    ],
)
def test_expressions(name: str, operands: list[str], text: str) -> None:
    form = scalar_form(name)
    assert form is not None
    written = [Expression(o, 11) if "+" in o else Expression(o) for o in operands]
    assert write_expression(form, written).text == text


def test_reads_of_tensors_are_method_calls() -> None:
    form = scalar_form("aten::sym_size.int")
    assert form is not None
    assert write_expression(form, [Expression("x"), write_number(-1)]).text == "x.size(-1)"


@pytest.mark.parametrize(
    "name", ["aten::add.Tensor", "aten::max", "aten::select.int", "prim::Loop", "x"]
)
def test_other_operators_are_none_of_them(name: str) -> None:
    assert scalar_form(name) is None
    assert scalar_named(name) is None


def test_names_tell_the_classes_of_the_operands() -> None:
    mixed = scalar_operator("aten::mul", (ScalarType.FLOAT, ScalarType.INT), ScalarType.FLOAT)
    assert mixed.name == "aten::mul.float_int"
    assert (
        scalar_operator("aten::add", (ScalarType.INT,) * 2, ScalarType.INT).name == "aten::add.int"
    )
    parsed = scalar_named("aten::mul.float_int")
    assert parsed is not None
    assert [parameter.type for parameter in parsed.parameters] == ["float", "int"]
