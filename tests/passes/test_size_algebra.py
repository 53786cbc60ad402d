"""Whole numbers that vary: one form for equal expressions, and bounds that hold."""

import itertools

import pytest

from opscope.passes.polynomials import Polynomial
from opscope.passes.size_algebra import ANY, COUNT, Bounds, SizeAlgebra


@pytest.fixture
def algebra() -> SizeAlgebra:
    return SizeAlgebra()


def constant(number: int) -> Polynomial:
    return Polynomial.constant(number)


def test_equal_expressions_have_one_form(algebra: SizeAlgebra) -> None:
    x, y = algebra.unknown("x"), algebra.unknown("y")
    both = (x + y).times(x - y)
    assert both is not None
    assert both == (x.times(x) or x) - (y.times(y) or y)
    assert (x + constant(1)) - (x - constant(1)) == constant(2)
    assert x - x == constant(0)
    assert (x + y).number is None
    assert constant(7).number == 7
    assert hash(x + y) == hash(y + x)


def test_products_of_many_terms_are_not_multiplied_out(algebra: SizeAlgebra) -> None:
    total = constant(1)
    for name in "abcdef":
        total += algebra.unknown(name)
    assert total.times(total) is None


def test_what_divides_is_divided(algebra: SizeAlgebra) -> None:
    x = algebra.unknown("x", COUNT)
    assert algebra.floordiv(x.scaled(4), constant(4)) == x
    assert algebra.floordiv(x.scaled(4) + constant(10), constant(4)) == x + constant(2)
    assert algebra.floordiv(x.scaled(-6), constant(-3)) == x.scaled(2)
    assert algebra.remainder(x.scaled(4) + constant(7), constant(4)) == constant(3)
    half = algebra.floordiv(x, constant(2))
    assert algebra.floordiv(x.scaled(2) + constant(1), constant(4)) == half
    assert algebra.floordiv(x.scaled(3), constant(6)) == half
    assert algebra.remainder(x, constant(2)) == x - half.scaled(2)


def test_only_what_is_not_zero_is_cancelled(algebra: SizeAlgebra) -> None:
    x = algebra.unknown("x", COUNT)
    y = algebra.unknown("y", Bounds(1))
    times_x = x.scaled(8).times(y)
    assert times_x is not None
    assert algebra.floordiv(times_x, y) == x.scaled(8)
    assert algebra.floordiv(times_x, x) != y.scaled(8)
    algebra.learn(x, Bounds(1))
    assert algebra.floordiv(times_x, x) == y.scaled(8)
    assert algebra.floordiv(x, constant(0)).number is None


@pytest.mark.parametrize("divisor", [-5, -2, -1, 1, 2, 3, 6])
@pytest.mark.parametrize("factor", [-4, -3, 1, 2, 6])
def test_bounds_and_values_at_the_trace_hold_for_all_numbers(divisor: int, factor: int) -> None:
    for low, high, offset in itertools.product((-3, 0), (0, 5), (-7, 0, 4)):
        for number in range(low, high + 1):
            algebra = SizeAlgebra()
            x = algebra.unknown("x", Bounds(low, high), number)
            size = x.scaled(factor) + constant(offset)
            plain = factor * number + offset
            by = constant(divisor)
            found = {
                algebra.floordiv(size, by): plain // divisor,
                algebra.remainder(size, by): plain % divisor,
                algebra.smaller(size, x): min(plain, number),
                algebra.larger(size, by): max(plain, divisor),
                algebra.absolute(size): abs(plain),
            }
            for expression, expected in found.items():
                assert algebra.plain(expression) == expected
                bounds = algebra.bounds(expression)
                assert bounds.low is None or bounds.low <= expected
                assert bounds.high is None or bounds.high >= expected


def test_what_is_learned_is_forgotten_behind_a_block(algebra: SizeAlgebra) -> None:
    x, y = algebra.unknown("x", COUNT), algebra.unknown("y", COUNT)
    algebra.learn(x.scaled(2), Bounds(None, 9))
    assert algebra.bounds(x) == Bounds(0, 4)
    with algebra.inside():
        algebra.learn(x - y, Bounds(0, 0))
        algebra.learn(-x, Bounds(None, -4))
        assert algebra.number(x) == 4
        assert algebra.number(y.scaled(3) - x.scaled(3)) == 0
        rest = algebra.remainder(x, constant(8))
        quotient = algebra.floordiv(x + y, constant(100))
        assert rest.number is None
        assert algebra.number(rest) == 4
    assert algebra.bounds(x) == Bounds(0, 4)
    assert algebra.number(x - y) is None
    assert algebra.bounds(quotient) == COUNT
    wide = algebra.unknown("wide")
    with algebra.inside():
        algebra.learn(wide, Bounds(0, 2))
        assert algebra.remainder(wide, constant(8)) == wide
        smaller = algebra.smaller(wide, y)
    assert algebra.bounds(wide) == ANY
    assert algebra.bounds(smaller).low is None


def test_a_size_that_is_not_zero_is_one_at_least(algebra: SizeAlgebra) -> None:
    x = algebra.unknown("x", COUNT)
    algebra.exclude(x)
    assert algebra.bounds(x) == Bounds(1)
    algebra.exclude(x - constant(5))
    assert algebra.bounds(x) == Bounds(1)


def test_powers_are_products(algebra: SizeAlgebra) -> None:
    x = algebra.unknown("x")
    assert algebra.power(x, 2) == x.times(x)
    assert algebra.power(x, 0) == constant(1)
    assert algebra.power(x, 50) is None
    assert algebra.power(x, -1) is None
