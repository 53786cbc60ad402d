"""How everything here is measured and shown: interleaved rounds, medians, ratios, one table each.

Note [Interleaved rounds]
    A machine's speed drifts by more than many effects measured here. So all contestants run in one
    process and take turns, A B C, B A C, in an order drawn for each round, so that nobody always finds
    the caches as the same other one left them. A ratio is the median of the ratios within each round,
    which drift moves far less than the quotient of two medians. Before each turn garbage is
    collected, outside the clock; inside it the collector runs as it does for users. What a turn
    returns is freed after its clock has stopped.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from rich.console import Console
from rich.markup import escape
from rich.table import Table

Clock: TypeAlias = Callable[[], float]

_MIN_ROUNDS: Final = 3
_MAX_ROUNDS: Final = 60


@dataclass(frozen=True, slots=True)
class Effort:
    """How much to measure.

    Attributes:
        is_quick: whether sizes are reduced too, so that the figures only hint at those of a full run.
        budget_s: seconds to spend on the rounds of one comparison; at least three rounds are run.
        rows: parts of names of comparisons, of which only those are run; empty for all.
    """

    is_quick: bool = False
    budget_s: float = 8.0
    rows: tuple[str, ...] = ()

    def wants(self, what: str) -> bool:
        """Whether a comparison is to be run."""
        return not self.rows or any(part.lower() in what.lower() for part in self.rows)

    def size(self, full: int, quick: int) -> int:
        """Return the size for this effort."""
        return quick if self.is_quick else full


QUICK: Final = Effort(is_quick=True, budget_s=0.7)


class Samples:
    """What each contestant took in each round, in seconds."""

    def __init__(self, seconds: Mapping[str, list[float]]) -> None:
        self._seconds = seconds

    def median(self, name: str) -> float:
        """Return the median time of one contestant, in seconds."""
        return statistics.median(self._seconds[name])

    def ratio(self, one: str, other: str, over: str | None = None) -> float:
        """Return how many times as long ``one`` takes as ``other``.

        With ``over``, what that contestant takes is subtracted from both first.
        """
        base = self._seconds[over] if over else [0.0] * len(self._seconds[one])
        rounds = zip(self._seconds[one], self._seconds[other], base, strict=True)
        return statistics.median((a - c) / (b - c) for a, b, c in rounds)

    def median_over(self, one: str, other: str) -> float:
        """Return by how much ``one`` takes longer than ``other``, in seconds."""
        rounds = zip(self._seconds[one], self._seconds[other], strict=True)
        return statistics.median(a - b for a, b in rounds)


def interleave(
    contestants: Mapping[str, Callable[..., Any]],
    budget_s: float,
    fresh: Mapping[str, Callable[[], Any]] | None = None,
    clock: Clock = time.perf_counter,
    *,
    turn_s: float = 0,
) -> Samples:
    """Time contestants in turn until the budget is spent; see Note [Interleaved rounds].

    Each runs once before, untimed, unless that alone takes the budget: warming up is nothing in seconds.

    Args:
        contestants: what is timed.
        budget_s: seconds to spend.
        fresh: makes, outside the clock, what a contestant is called with, if it is called with something.
        clock: what they are timed by.
        turn_s: how long a turn should be at least: shorter ones are of several calls, as many for each
            contestant, and the time is that of one. What is told is what calls in a row cost, and not
            what the first costs after garbage was collected. Not for contestants with ``fresh``.
    """
    fresh = fresh or {}
    calls = 1

    def turn(name: str) -> float:
        if name in fresh:
            return seconds_of(contestants[name], fresh[name](), clock=clock)
        if calls == 1:
            return seconds_of(contestants[name], clock=clock)
        return seconds_of(_repeated, contestants[name], calls, clock=clock) / calls

    first = {name: turn(name) for name in contestants}
    is_slow = sum(first.values()) > budget_s
    calls = max(1, round(turn_s / max(first.values())))
    seconds = {name: [first[name]] if is_slow else [] for name in contestants}
    end = time.perf_counter() + budget_s
    rounds = int(is_slow)
    order, drawn = list(contestants), random.Random(0)
    with _settled_heap() if turn_s else nullcontext():
        while rounds < _MIN_ROUNDS or (rounds < _MAX_ROUNDS and time.perf_counter() < end):
            drawn.shuffle(order)
            for name in order:
                seconds[name].append(turn(name))
            rounds += 1
    return Samples(seconds)


@contextmanager
def _settled_heap() -> Iterator[None]:
    """Have garbage collected among new objects only: to go through all others empties the caches.

    Where turns make many objects that stay, the collector would run more often than it does for users.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _repeated(run: Callable[[], Any], calls: int) -> Any:
    """Call a function some times, each result freed before the next is there; return the last one."""
    for _ in range(calls - 1):
        run()
    return run()


def seconds_of(run: Callable[..., Any], *args: Any, clock: Clock = time.perf_counter) -> float:
    """Time one call, garbage collected before it and its result freed after it."""
    gc.collect()
    start = clock()
    result = run(*args)
    elapsed = clock() - start
    del result
    return elapsed


@dataclass(frozen=True, slots=True)
class Claim:
    """A figure and the target it is held to.

    Attributes:
        what: what the figure is, such as ``over eager``.
        value: the figure.
        unit: ``x`` for ratios, else a unit.
        limit: the target; None where there is none.
        is_at_least: whether the figure shall reach the target rather than stay within it.
    """

    what: str
    value: float
    unit: str = "x"
    limit: float | None = None
    is_at_least: bool = False

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.limit is None:
            return None
        return self.value >= self.limit if self.is_at_least else self.value <= self.limit


@dataclass(frozen=True, slots=True)
class Comparison:
    """One row of a table: what each contestant needs, and what that means.

    Attributes:
        what: what was run.
        figures: one per contestant, in the table's unit; None where the contestant fails.
        claims: the ratios and differences, with their targets.
    """

    what: str
    figures: dict[str, float | None]
    claims: tuple[Claim, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What one benchmark found.

    Attributes:
        subject: the table's title.
        unit: the unit of the figures.
        comparisons: the rows.
        notes: what the figures include, and how they were measured.
    """

    subject: str
    unit: str
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...] = field(default=())


def show(report: Report, console: Console) -> None:
    """Print a report as a table with its notes below."""
    contestants = list(dict.fromkeys(name for row in report.comparisons for name in row.figures))
    table = Table(title=f"{report.subject}, in {report.unit}", title_justify="left")
    table.add_column("", no_wrap=True)
    for name in contestants:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("figure", no_wrap=True)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("target", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in report.comparisons:
        cells = [_figure(row.figures, name) for name in contestants]
        claims = [_claim_cells(claim) for claim in row.claims] or [("", "", "", "")]
        for line, claim in enumerate(claims):
            left = [""] * (1 + len(cells)) if line else [row.what, *cells]
            table.add_row(*left, *claim, end_section=line == len(claims) - 1)
    console.print(table)
    for note in report.notes:
        console.print(f"  {escape(note)}", highlight=False)
    console.print()


def _figure(figures: dict[str, float | None], name: str) -> str:
    if name not in figures:
        return ""
    value = figures[name]
    return "fails" if value is None else _number(value)


def _claim_cells(claim: Claim) -> tuple[str, str, str, str]:
    mark = {True: "[green]met[/]", False: "[red]missed[/]", None: ""}[claim.is_met]
    sign = "≥" if claim.is_at_least else "≤"
    unit = claim.unit if claim.unit == "x" else f" {claim.unit}"
    target = "" if claim.limit is None else f"{sign} {claim.limit:g}{unit}"
    return claim.what, f"{_number(claim.value)}{unit}", target, mark


def _number(value: float) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"
