"""Samples that are expected to fail, each with its reason: the file ``exceptions.toml`` beside this one."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).with_name("exceptions.toml")


@dataclass(frozen=True, slots=True)
class Expected:
    """One entry's samples that are expected to fail.

    Attributes:
        suite: the suite's name.
        entry: the entry's name.
        reason: why no trace can be exact there, or what is missing.
        samples: which of its samples; None for all.
        passes: after which list of passes; none for the graph as it was traced.
    """

    suite: str
    entry: str
    reason: str
    samples: frozenset[int] | None = None
    passes: str = ""

    def covers(self, suite: str, entry: str, number: int, passes: str = "") -> bool:
        """Whether a sample is one of these."""
        if (suite, entry, passes) != (self.suite, self.entry, self.passes):
            return False
        return self.samples is None or number in self.samples


def load(path: Path = FILE) -> tuple[Expected, ...]:
    """Read the expected exceptions.

    Raises:
        ValueError: one has no suite, entry or reason, or has something else.
    """
    with path.open("rb") as file:
        tables = tomllib.load(file).get("exception", [])
    return tuple(_expected(path, table) for table in tables)


def _expected(path: Path, table: dict[str, object]) -> Expected:
    names = {name: str(table.get(name, "")).strip() for name in ("suite", "entry", "reason")}
    missing = [name for name, value in names.items() if not value]
    unknown = sorted(set(table) - {*names, "samples", "passes"})
    if missing or unknown:
        wrong = "lacks " + ", ".join(missing) if missing else "has unknown " + ", ".join(unknown)
        raise ValueError(f"{path}: the exception {table} {wrong}")
    samples, passes = table.get("samples"), str(table.get("passes", ""))
    if samples is None:
        return Expected(names["suite"], names["entry"], names["reason"], passes=passes)
    if not isinstance(samples, list) or not all(type(number) is int for number in samples):
        raise ValueError(f"{path}: the samples of the exception {table} are not a list of numbers")
    facts = (names["suite"], names["entry"], names["reason"])
    return Expected(*facts, frozenset(samples), passes)


def find(
    exceptions: Iterable[Expected], suite: str, entry: str, number: int, passes: str = ""
) -> Expected | None:
    """Return the exception that covers a sample, as it was traced or after passes; None if it must pass."""
    return next((each for each in exceptions if each.covers(suite, entry, number, passes)), None)
