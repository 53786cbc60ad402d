"""One entry of a suite: all its samples, or some spread evenly over them."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from .check import USUAL, Outcome, Stage, Verdict, Way, check
from .exportability import ExportabilitySuite
from .samples import Sample, Suite
from .suites import SUITES


@dataclass(frozen=True, slots=True)
class Task:
    """One entry to run.

    Attributes:
        suite: the suite's name.
        entry: the entry's name.
        most: how many of its samples to run, spread evenly; 0 for all.
        way: how they are traced.
    """

    suite: str
    entry: str
    most: int = 0
    way: Way = USUAL


@dataclass(frozen=True, slots=True)
class Report:
    """What running one entry gave.

    Attributes:
        task: what was run.
        outcomes: one per sample that was run, and for each list of passes one more.
        is_exported: whether torch.export takes the entry; None where it was not asked.
        seconds: how long it took.
    """

    task: Task
    outcomes: tuple[Outcome, ...]
    is_exported: bool | None = None
    seconds: float = 0.0


@cache
def suite_named(name: str) -> Suite:
    """Return a suite, made once a process."""
    return SUITES[name]()


def run(task: Task) -> Report:
    """Run one entry in this process."""
    start = time.perf_counter()
    suite = suite_named(task.suite)
    is_exported = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # samples provoke all that torch can warn of
        outcomes = _outcomes(suite, task)
        if isinstance(suite, ExportabilitySuite):
            is_exported = suite.is_exported_exactly(task.entry)
    return Report(task, outcomes, is_exported, time.perf_counter() - start)


def _outcomes(suite: Suite, task: Task) -> tuple[Outcome, ...]:
    try:
        samples = list(suite.samples(task.entry))
    except Exception as error:  # noqa: BLE001  # torch's own function for making them fails
        first_line = str(error).partition("\n")[0]
        problem = f"its samples cannot be made: {type(error).__name__}: {first_line}"
        return (Outcome(0, Verdict.NO_PROGRAM, Stage.EAGER, problem),)
    wanted = spread(samples, task.most)
    return tuple(outcome for sample in wanted for outcome in check(sample, task.way))


def spread(samples: Sequence[Sample], most: int) -> list[Sample]:
    """Return at most so many samples, at even distances; all for 0."""
    if not most or len(samples) <= most:
        return list(samples)
    return [samples[place * len(samples) // most] for place in range(most)]
