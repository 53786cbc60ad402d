"""Trials: which of two functions that give the same is the faster one, found out by the calls that come.

Nothing runs twice for a measurement: calls are served by one and the other in turn, some in a row each.

Note [What a trial goes by]
    Whatever disturbs a call makes it longer, so a function is as fast as its fastest call. The first of each
    row, which finds in the caches what the other function left there, does not count. With one thread the
    clock is the one that only runs while this thread does, so other programs do not count at all. Still the
    fastest calls may be luck: they decide only if the medians say the same. If they do not after many turns,
    it is too close to give up exact results for.
"""

from __future__ import annotations

import math
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch

Function = Callable[..., tuple[Any, ...]]

_IN_ROW: Final = (
    4  # calls of one function before it is the other one's turn; the first does not count
)
_COUNTED: Final = 9  # calls of each function until the first look at them
_MOST_COUNTED: Final = 33  # of each function, where it is not clear
_GAIN: Final = (
    0.97  # of the time of the plain function, for the other one to be worth its last bits
)
_FINEST_S: Final = 1e-6  # the resolution of a clock that calls of microseconds are measured by


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a trial found.

    Attributes:
        is_faster: whether the function of the engine is, clearly.
        engine_s: what that took at its fastest.
        plain_s: what the plain one took.
        calls: how many of each were measured.
    """

    is_faster: bool
    engine_s: float
    plain_s: float
    calls: int

    def __str__(self) -> str:
        unit, scale, digits = ("µs", 1e6, 0) if self.plain_s < 1e-3 else ("ms", 1e3, 2)
        engine, plain = self.engine_s * scale, self.plain_s * scale
        return (
            f"{engine:.{digits}f} {unit} a call, and {plain:.{digits}f} {unit} without "
            f"(the fastest of {self.calls} each)"
        )


class Trial:
    """Runs two functions in turn until it is clear which one is faster; see Note [What a trial goes by].

    Args:
        engine: one that an engine made.
        plain: the same without it.
        decided: is told of the verdict, once.
    """

    def __init__(
        self, engine: Function, plain: Function, decided: Callable[[Verdict], None]
    ) -> None:
        self._functions = (engine, plain)
        self._decided = decided
        self._seconds: tuple[list[float], list[float]] = ([], [])
        self._turn = 0
        self._look_at: float = _COUNTED  # of each function, which come evenly unless some fail
        self._clock = _clock()
        self._lock = threading.Lock()

    def __call__(self, *given: Any) -> tuple[Any, ...]:
        """Run one of them."""
        with self._lock:
            row, place = divmod(self._turn, _IN_ROW)
            self._turn += 1
        start = self._clock()
        results = self._functions[row % 2](*given)
        if place > 0:
            self._note(row % 2, self._clock() - start)
        return results

    def _note(self, which: int, seconds: float) -> None:
        with self._lock:
            self._seconds[which].append(seconds)
            verdict = None
            if min(map(len, self._seconds)) >= self._look_at:
                verdict = _verdict(*self._seconds)
                self._look_at = self._look_at + 2 * (_IN_ROW - 1) if verdict is None else math.inf
        if verdict is not None:
            self._decided(verdict)


def _verdict(engine: Sequence[float], plain: Sequence[float]) -> Verdict | None:
    """Return what was found; None where it is not clear yet."""
    best, other = min(engine), min(plain)
    is_faster = best < other * _GAIN
    is_usual = statistics.median(engine) < statistics.median(plain) * _GAIN
    if is_faster is not is_usual and min(len(engine), len(plain)) < _MOST_COUNTED:
        return None
    return Verdict(is_faster and is_usual, best, other, min(len(engine), len(plain)))


def _clock() -> Callable[[], float]:
    """Return the clock of this thread where that does all, and is fine enough; else the usual one."""
    is_fine = time.get_clock_info("thread_time").resolution <= _FINEST_S
    return time.thread_time if is_fine and torch.get_num_threads() == 1 else time.perf_counter
