"""State that has other names because a module has: ``layers.1.* → layers.2.*``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from .changes import ChangeKind, StateChange
from .facts import NameChange, NamesChange
from .wording import TO, of_function, shown

_FEWEST: Final = 2  # pieces of state that are told as one


class _Renaming(NamedTuple):
    """The start of names that is another, without the dot behind it; and the function that has the state."""

    before: str
    after: str
    function: str | None


class Renamed:
    """The pieces of state that differ in nothing but how their names start, and do so alike."""

    def __init__(self, changes: Sequence[StateChange]) -> None:
        self._changes: dict[_Renaming, list[StateChange]] = {}
        for change in changes:
            renaming = _renaming(change)
            if renaming is not None:
                self._changes.setdefault(renaming, []).append(change)

    def covers(self, change: StateChange) -> bool:
        """Whether a change is one of several that are told at once."""
        renaming = _renaming(change)
        return renaming is not None and len(self._changes.get(renaming, ())) >= _FEWEST

    def lines(self) -> Iterator[str]:
        """Yield a line per kind of renaming."""
        for renaming, changes in self._changes.items():
            if len(changes) >= _FEWEST:
                names = f"{_pattern(renaming.before)} {TO} {_pattern(renaming.after)}"
                where = of_function(renaming.function)
                yield f"  ~ {names}: {len(changes):,} pieces of state{where}"


def _pattern(start: str) -> str:
    return shown(f"{start}.*" if start else "*")


def _renaming(change: StateChange) -> _Renaming | None:
    """Return how all names of a piece of state became others; None if more than that differs."""
    if change.kind is not ChangeKind.CHANGED or len(change.details) != 1:
        return None
    (fact,) = change.details
    names: tuple[str, ...]
    others: tuple[str, ...]
    if isinstance(fact, NameChange):
        names, others = (fact.before,), (fact.after,)
    elif isinstance(fact, NamesChange) and len(fact.before) == len(fact.after):
        names, others = fact.before, fact.after
    else:
        return None
    starts = {_starts(name, other) for name, other in zip(names, others, strict=True)}
    if len(starts) != 1:
        return None
    before, after = starts.pop()
    return _Renaming(before, after, change.function)


def _starts(name: str, other: str) -> tuple[str, str]:
    """Return what is left of two names without the steps that they end with alike."""
    steps, other_steps = name.split("."), other.split(".")
    while steps and other_steps and steps[-1] == other_steps[-1]:
        steps.pop()
        other_steps.pop()
    return ".".join(steps), ".".join(other_steps)
