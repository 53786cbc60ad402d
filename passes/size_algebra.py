"""What is known of whole numbers that vary: equal expressions have one form, and numbers have bounds."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias

from .polynomials import ONE, ZERO, Monomial, Polynomial

_HIGHEST_POWER: Final = 4


@dataclass(frozen=True, slots=True)
class Bounds:
    """The numbers from ``low`` to ``high``, both of them included; None where there is no end."""

    low: int | None = None
    high: int | None = None

    @property
    def number(self) -> int | None:
        """The only number there is; None if there are several."""
        return self.low if self.low == self.high else None

    def within(self, other: Bounds) -> Bounds:
        """Return the numbers that are in both."""
        lows = [low for low in (self.low, other.low) if low is not None]
        highs = [high for high in (self.high, other.high) if high is not None]
        return Bounds(max(lows, default=None), min(highs, default=None))

    def plus(self, other: Bounds) -> Bounds:
        """Return the sums of a number here and one there."""
        return Bounds(
            None if self.low is None or other.low is None else self.low + other.low,
            None if self.high is None or other.high is None else self.high + other.high,
        )

    def times(self, other: Bounds) -> Bounds:
        """Return what the products of a number here and one there lie between."""
        ours = [end for end in (self.low, self.high) if end is not None]
        theirs = [end for end in (other.low, other.high) if end is not None]
        if len(ours) == len(theirs) == 2:
            ends = [one * two for one in ours for two in theirs]
            return Bounds(min(ends), max(ends))
        if self.low is None or other.low is None or min(self.low, other.low) < 0:
            return ANY
        return Bounds(self.low * other.low, 0 if 0 in (self.high, other.high) else None)

    def scaled(self, factor: int) -> Bounds:
        """Return the bounds times a number."""
        low, high = (None if end is None else end * factor for end in (self.low, self.high))
        return Bounds(low, high) if factor >= 0 else Bounds(high, low)

    def over(self, divisor: int) -> Bounds:
        """Return the bounds over a positive number, rounded down."""
        low, high = (None if end is None else end // divisor for end in (self.low, self.high))
        return Bounds(low, high)


ANY: Final = Bounds()
COUNT: Final = Bounds(0)
"""Those of a size."""

_Facts: TypeAlias = Mapping[Polynomial, Bounds]


class SizeAlgebra:
    """The unknowns of one graph, and what is known of them and of sums and products of them.

    What is learned holds at the nodes behind a guard. So it may decide what a number there is, and never
    what an unknown lies between, which is the same wherever it is computed.
    """

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        self._bounds: list[Bounds] = []  # by the number of an unknown
        self._plain: list[int | None] = []
        # By what varies, in the form that _form gives.
        self._always: dict[Polynomial, Bounds] = {}
        self._learned: dict[Polynomial, Bounds] = {}
        self._before: list[tuple[Polynomial, Bounds | None]] = []  # what had been learned

    def unknown(self, key: Hashable, bounds: Bounds = ANY, plain: int | None = None) -> Polynomial:
        """Return the unknown of a key, the same for equal keys.

        Args:
            key: what it is.
            bounds: what it lies between, wherever it is computed.
            plain: what it was in the run that was traced; None if that is not known.
        """
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._bounds)
            self._bounds.append(bounds)
            self._plain.append(plain)
        return Polynomial((((number,), 1),))

    def plain(self, size: Polynomial) -> int | None:
        """Return what a number was in the run that was traced; None if that is not known."""
        total = 0
        for product, factor in size.terms:
            for unknown in product:
                plain = self._plain[unknown]
                if plain is None:
                    return None
                factor *= plain
            total += factor
        return total

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Forget what is learned until the ``with`` ends."""
        outer, self._before = self._before, []
        try:
            yield
        finally:
            for form, bounds in reversed(self._before):
                if bounds is None:
                    del self._learned[form]
                else:
                    self._learned[form] = bounds
            self._before = outer

    def learn(self, size: Polynomial, bounds: Bounds) -> None:
        """Take note of what a number lies between from here on."""
        found = _limited(size, bounds)
        if found is not None:
            form, limits = found
            before = self._learned.get(form)
            self._before.append((form, before))
            self._learned[form] = (before or ANY).within(limits)

    def exclude(self, size: Polynomial) -> None:
        """Take note that a number is not zero from here on."""
        bounds = self.bounds(size)
        if bounds.low == 0:
            self.learn(size, Bounds(1))
        elif bounds.high == 0:
            self.learn(size, Bounds(None, -1))

    def number(self, size: Polynomial) -> int | None:
        """Return what a number is here; None if it varies as far as is known."""
        plain = size.number
        return self.bounds(size).number if plain is None else plain

    def bounds(self, size: Polynomial) -> Bounds:
        """Return what a number lies between here."""
        return self._bounds_by((self._always, self._learned), size)

    def _bounds_anywhere(self, size: Polynomial) -> Bounds:
        return self._bounds_by((self._always,), size)

    def _bounds_by(self, known: Sequence[_Facts], size: Polynomial) -> Bounds:
        offset = Bounds(size.offset, size.offset)
        varying = size.varying
        total = offset
        for product, factor in varying.terms:
            total = total.plus(self._bounds_of(known, product).scaled(factor))
        if len(varying.terms) > 1:
            form, times = _form(varying)
            for facts in known:
                if form in facts:
                    total = total.within(facts[form].scaled(times).plus(offset))
        return total

    def _bounds_of(self, known: Sequence[_Facts], product: Monomial) -> Bounds:
        total = Bounds(1, 1)
        for unknown in product:
            bounds = self._bounds[unknown]
            for facts in known:
                if facts:
                    bounds = bounds.within(facts.get(Polynomial((((unknown,), 1),)), ANY))
            total = total.times(bounds)
        if len(product) > 1:
            for facts in known:
                total = total.within(facts.get(Polynomial(((product, 1),)), ANY))
        return total

    def floordiv(self, one: Polynomial, other: Polynomial) -> Polynomial:
        """Return ``one // other``, which fails where that does."""
        number = other.number
        if number:
            return self._over_number(one, number)
        here = self.bounds(other)
        if (here.low is not None and here.low > 0) or (here.high is not None and here.high < 0):
            exact = one.over(other)
            if exact is not None:
                return exact
        lows = (self._bounds_anywhere(one).low, self._bounds_anywhere(other).low)
        is_count = all(low is not None and low >= 0 for low in lows)
        ends = COUNT if is_count else ANY
        return self.unknown(("//", one, other), ends, self._plain_quotient(one, other))

    def _over_number(self, one: Polynomial, number: int, *, is_here: bool = True) -> Polynomial:
        """Return the quotient by a number that is not zero: as it is here, or wherever it is computed."""
        if number < 0:
            one, number = -one, -number
        quotient, rest = one.split(number)
        # (4 * x + 3) // 6 is (2 * x + 1) // 3, and (2 * x + 1) // 4 is x // 2.
        common = math.gcd(rest.varying.divisor, number)
        number //= common
        varying = rest.varying.over(Polynomial.constant(common)) or ZERO
        rest = varying + Polynomial.constant(rest.offset // common)
        ends = self._bounds_anywhere(rest).over(number)
        plain = self.bounds(rest).over(number).number if is_here else ends.number
        if plain is not None:
            return quotient + Polynomial.constant(plain)
        divisor = Polynomial.constant(number)
        plain = self._plain_quotient(rest, divisor)
        return quotient + self.unknown(("//", rest, divisor), ends, plain)

    def _plain_quotient(self, one: Polynomial, other: Polynomial) -> int | None:
        dividend, divisor = self.plain(one), self.plain(other)
        return None if dividend is None or not divisor else dividend // divisor

    def remainder(self, one: Polynomial, other: Polynomial) -> Polynomial:
        """Return ``one % other``, which fails where that does."""
        number = other.number
        if not number:
            return self.unknown(("%", one, other))
        anywhere = one - self._over_number(one, number, is_here=False).scaled(number)
        ends = Bounds(0, number - 1) if number > 0 else Bounds(number + 1, 0)
        found = _limited(anywhere, ends)
        if found is not None:
            form, limits = found
            self._always[form] = self._always.get(form, ANY).within(limits)
        return one - self._over_number(one, number).scaled(number)

    def smaller(self, one: Polynomial, other: Polynomial) -> Polynomial:
        """Return the smaller of two numbers."""
        apart = self.bounds(one - other)
        if apart.high is not None and apart.high <= 0:
            return one
        if apart.low is not None and apart.low >= 0:
            return other
        both = (self._bounds_anywhere(one), self._bounds_anywhere(other))
        lows = [ends.low for ends in both if ends.low is not None]
        highs = [ends.high for ends in both if ends.high is not None]
        ends = Bounds(min(lows) if len(lows) == 2 else None, min(highs, default=None))
        plain = [number for number in (self.plain(one), self.plain(other)) if number is not None]
        at_trace = min(plain) if len(plain) == 2 else None
        return self.unknown(("min", frozenset((one, other))), ends, at_trace)

    def larger(self, one: Polynomial, other: Polynomial) -> Polynomial:
        """Return the larger of two numbers."""
        return -self.smaller(-one, -other)

    def absolute(self, size: Polynomial) -> Polynomial:
        """Return a number without its sign."""
        return self.larger(size, -size)

    def power(self, base: Polynomial, exponent: int) -> Polynomial | None:
        """Return a power; None if it is too high to be of use."""
        if not 0 <= exponent <= _HIGHEST_POWER:
            return None
        result: Polynomial | None = ONE
        for _ in range(exponent):
            result = None if result is None else result.times(base)
        return result


def _limited(size: Polynomial, bounds: Bounds) -> tuple[Polynomial, Bounds] | None:
    """Return what of a number varies, in its form, and what that lies between if the number does so."""
    varying = size.varying
    if not varying.terms:
        return None
    form, times = _form(varying)
    low = None if bounds.low is None else bounds.low - size.offset
    high = None if bounds.high is None else bounds.high - size.offset
    if times < 0:
        low, high = (None if end is None else -end for end in (high, low))
    low = None if low is None else -(-low // abs(times))
    high = None if high is None else high // abs(times)
    return form, Bounds(low, high)


def _form(varying: Polynomial) -> tuple[Polynomial, int]:
    """Return what varies without a common factor, the first factor positive, and what it is times that."""
    times = varying.divisor
    if varying.terms[0][1] < 0:
        times = -times
    form = Polynomial(tuple([(product, factor // times) for product, factor in varying.terms]))
    return form, times
