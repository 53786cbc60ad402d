"""Trials: which of two functions that give the same is the faster one, found out by the calls that come.

Nothing runs twice for a measurement: calls are served by one and the other in turn.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

Function = Callable[..., tuple[Any, ...]]

_TURNS: Final = (
    7  # of each function; what counts is the fastest, since all that disturbs takes time
)
_GAIN: Final = (
    0.97  # of the time of the plain function, for the other one to be worth its last bits
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a trial found.

    Attributes:
        is_faster: whether the function of the engine is.
        engine_s: what that took at its fastest.
        plain_s: what the plain one took.
    """

    is_faster: bool
    engine_s: float
    plain_s: float

    def __str__(self) -> str:
        return f"{_time(self.engine_s)} a call, and {_time(self.plain_s)} without"


class Trial:
    """Runs two functions in turn until it is clear which one is faster.

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
        self._lock = threading.Lock()

    def __call__(self, *given: Any) -> tuple[Any, ...]:
        """Run one of them."""
        with self._lock:
            turn, self._turn = self._turn % 2, self._turn + 1
        start = time.perf_counter()
        results = self._functions[turn](*given)
        self._note(turn, time.perf_counter() - start)
        return results

    def _note(self, turn: int, seconds: float) -> None:
        with self._lock:
            self._seconds[turn].append(seconds)
            counts = [len(times) for times in self._seconds]
            is_done = counts[turn] == _TURNS and min(counts) >= _TURNS
        if is_done:
            self._decided(_verdict(*self._seconds))


def _verdict(engine: Sequence[float], plain: Sequence[float]) -> Verdict:
    best, other = min(engine), min(plain)
    return Verdict(best < other * _GAIN, best, other)


def _time(seconds: float) -> str:
    micros = seconds * 1e6
    return f"{micros:.0f} µs" if micros < 10_000 else f"{micros / 1e3:.0f} ms"
