"""Fusion strategies: how many plans to make, and how closely each holds to the sizes that it was made for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from ...errors import ReplayError

NO_PLANS: Final = "none"  # what a strategy of no parts is called


class Kind(Enum):
    """What a plan holds on to."""

    STATIC = "static"  # the very sizes and strides that runs had
    DYNAMIC = "dynamic"  # which sizes were equal, and in which order the dimensions lie in memory
    UNSPECIALIZED = "unspecialized"  # nothing

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Strategy:
    """Kinds of plans in the order in which they are made, with how many of each."""

    parts: tuple[tuple[Kind, int], ...]

    @classmethod
    def read(cls, given: Iterable[Any]) -> Strategy:
        """Return the strategy that pairs such as ``("static", 2)`` say.

        Raises:
            ReplayError: one of them is no such pair.
        """
        parts = []
        for part in given:
            try:
                name, count = part
                kind = Kind(str(name).lower())
                is_count = type(count) is int and count >= 0
            except (TypeError, ValueError):
                kind, count, is_count = Kind.UNSPECIALIZED, 0, False
            if kind is Kind.UNSPECIALIZED or not is_count:
                raise ReplayError(
                    f"{part!r} is no part of a fusion strategy\n"
                    '  write pairs of a kind and a count: [("static", 2), ("dynamic", 10)]'
                )
            parts.append((kind, count))
        return cls(tuple(parts))

    @property
    def depth(self) -> int:
        """How many specialized plans there can be, one behind the other."""
        return sum(count for _, count in self.parts)

    def kind_at(self, depth: int) -> Kind:
        """Return the kind of the plan that has so many more behind it, itself counted."""
        remaining = self.depth
        for kind, count in self.parts:
            remaining -= count
            if depth > remaining:
                return kind
        return Kind.UNSPECIALIZED

    def pairs(self) -> list[tuple[str, int]]:
        """Return the pairs that say it."""
        return [(kind.value, count) for kind, count in self.parts]

    def __str__(self) -> str:
        return ", ".join(f"{count} {kind}" for kind, count in self.parts) or NO_PLANS
