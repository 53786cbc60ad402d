"""Whole numbers that vary, as polynomials over others: one normal form for expressions that are equal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

Monomial: TypeAlias = tuple[int, ...]
"""A product of unknowns, by their numbers in order, one as often as its power; empty for 1."""

_MOST_TERMS: Final = 32
_HIGHEST_DEGREE: Final = 8
_LARGEST_FACTOR: Final = 1 << 64


@dataclass(frozen=True, slots=True)
class Polynomial:
    """A sum of products of unknowns with whole factors.

    Two are equal, and hash alike, if and only if they are equal for all numbers.

    Attributes:
        terms: each product with its factor, which is not zero, in the order of products.
    """

    terms: tuple[tuple[Monomial, int], ...]

    @classmethod
    def of(cls, factors: Mapping[Monomial, int]) -> Polynomial:
        """Return the sum of products with these factors, which may be zero."""
        return cls(tuple(sorted([term for term in factors.items() if term[1]])))

    @classmethod
    def constant(cls, number: int) -> Polynomial:
        """Return a number that does not vary."""
        return cls((((), number),)) if number else ZERO

    @property
    def number(self) -> int | None:
        """The number it is; None if it varies."""
        terms = self.terms
        if not terms:
            return 0
        return terms[0][1] if len(terms) == 1 and not terms[0][0] else None

    @property
    def offset(self) -> int:
        """What is added to its varying part."""
        terms = self.terms
        return terms[0][1] if terms and not terms[0][0] else 0

    @property
    def varying(self) -> Polynomial:
        """The polynomial without what is added to it."""
        return Polynomial(self.terms[1:]) if self.offset else self

    @property
    def is_handy(self) -> bool:
        """Whether it is small enough for others to be made of it in time that does not grow."""
        return len(self.terms) <= _MOST_TERMS and all(
            [
                len(product) <= _HIGHEST_DEGREE and abs(factor) <= _LARGEST_FACTOR
                for product, factor in self.terms
            ]
        )

    @property
    def divisor(self) -> int:
        """The greatest number that divides all factors; 0 for zero."""
        return math.gcd(*[factor for _, factor in self.terms])

    def __add__(self, other: Polynomial) -> Polynomial:
        if not self.terms or not other.terms:
            return self if self.terms else other
        factors = dict(self.terms)
        for product, factor in other.terms:
            factors[product] = factors.get(product, 0) + factor
        return Polynomial.of(factors)

    def __neg__(self) -> Polynomial:
        return Polynomial(tuple([(product, -factor) for product, factor in self.terms]))

    def __sub__(self, other: Polynomial) -> Polynomial:
        return self + -other

    def times(self, other: Polynomial) -> Polynomial | None:
        """Return the product; None if it has too many terms to be of use."""
        if len(self.terms) * len(other.terms) > _MOST_TERMS:
            return None
        factors: dict[Monomial, int] = {}
        for one, factor in self.terms:
            for two, times in other.terms:
                product = tuple(sorted(one + two))
                factors[product] = factors.get(product, 0) + factor * times
        return Polynomial.of(factors)

    def scaled(self, number: int) -> Polynomial:
        """Return the polynomial times a number."""
        if not number:
            return ZERO
        return Polynomial(tuple([(product, factor * number) for product, factor in self.terms]))

    def split(self, number: int) -> tuple[Polynomial, Polynomial]:
        """Return quotient and rest of a division by a number that is not zero: ``self = q * number + r``.

        Each factor of the rest lies between zero and the number.
        """
        quotient, rest = [], []
        for product, factor in self.terms:
            whole, left = divmod(factor, number)
            if whole:
                quotient.append((product, whole))
            if left:
                rest.append((product, left))
        return Polynomial(tuple(quotient)), Polynomial(tuple(rest))

    def over(self, other: Polynomial) -> Polynomial | None:
        """Return what times ``other``, one product, is this polynomial; None if that is no polynomial."""
        if len(other.terms) != 1:
            return None if self != other else ONE
        ((divisor, number),) = other.terms
        quotient: dict[Monomial, int] = {}
        for product, factor in self.terms:
            left = _without(product, divisor)
            if left is None or factor % number:
                return None
            quotient[left] = factor // number
        return Polynomial.of(quotient)


ZERO: Final = Polynomial(())
ONE: Final = Polynomial((((), 1),))


def _without(product: Monomial, divisor: Monomial) -> Monomial | None:
    left = list(product)
    for unknown in divisor:
        if unknown not in left:
            return None
        left.remove(unknown)
    return tuple(left)
