"""Trials: which of two functions that give the same is the faster one, found out by the calls that come.

Nothing runs twice for a measurement: calls are served by one and the other in turn.

Note [What a trial goes by]
    Whatever disturbs a call makes it longer, so a function is as fast as its fastest call, and the first of
    each, for which nothing is in the caches, does not count. With one thread the clock is the one that only
    runs while this thread does, so other programs do not count at all. Still the fastest calls may be luck:
    they decide only if the medians say the same. If they do not after many turns, it is too close to give
    up exact results for.
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

_TURNS: Final = 8  # of each function, until the first look at them; the first one does not count
_MOST_TURNS: Final = 32  # of each function, where it is not clear
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
        self._look_at: float = _TURNS  # of each function, which come evenly unless some fail
        self._clock = _clock()
        self._lock = threading.Lock()

    def __call__(self, *given: Any) -> tuple[Any, ...]:
        """Run one of them."""
        with self._lock:
            turn, self._turn = self._turn % 2, self._turn + 1
        start = self._clock()
        results = self._functions[turn](*given)
        self._note(turn, self._clock() - start)
        return results

    def _note(self, turn: int, seconds: float) -> None:
        with self._lock:
            self._seconds[turn].append(seconds)
            verdict = None
            if min(map(len, self._seconds)) >= self._look_at:
                verdict = _verdict(*(times[1:] for times in self._seconds))
                self._look_at = self._look_at + _TURNS if verdict is None else math.inf
        if verdict is not None:
            self._decided(verdict)


def _verdict(engine: Sequence[float], plain: Sequence[float]) -> Verdict | None:
    """Return what was found; None where it is not clear yet."""
    best, other = min(engine), min(plain)
    is_faster = best < other * _GAIN
    is_usual = statistics.median(engine) < statistics.median(plain) * _GAIN
    if is_faster is not is_usual and len(engine) < _MOST_TURNS - 1:
        return None
    return Verdict(is_faster and is_usual, best, other, min(len(engine), len(plain)))


def _clock() -> Callable[[], float]:
    """Return the clock of this thread where that does all, and is fine enough; else the usual one."""
    is_fine = time.get_clock_info("thread_time").resolution <= _FINEST_S
    return time.thread_time if is_fine and torch.get_num_threads() == 1 else time.perf_counter
