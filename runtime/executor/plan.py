"""Plans: a program optimized for inputs that a guard admits, compiled when the first of them comes."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ...ir import Graph
from ..codegen import CompiledGraph
from .complaints import Complaints
from .engines import Engine, Function, traceable
from .guard import PlanGuard
from .program import Program
from .specialization import Recipe

_MOST_REASONS: Final = 100
_OTHER: Final = "other reasons"


@dataclass(frozen=True, slots=True)
class Body:
    """What a plan runs.

    Attributes:
        program: the program that was optimized.
        compiled: its function as opscope compiles it.
        function: the one that runs, of the engine or the same.
        engine: what made it.
        seconds: how long that took.
        failure: why it is not what it was meant to be, in words; None if it is.
    """

    program: Program
    compiled: CompiledGraph
    function: Function
    engine: str
    seconds: float
    failure: str | None = None


class Plan:
    """One plan.

    Attributes:
        guard: what it may run on.
        hits: how often it ran.
        reasons: how often it did not, by the reason in words.

    Args:
        guard: what it may run on.
        recipe: how to make what it runs.
        engine: what compiles it further.
        depth: what it is called in complaints.
        complaints: where it tells what failed, or took long.
    """

    def __init__(
        self,
        guard: PlanGuard,
        recipe: Recipe,
        engine: Engine | None,
        *,
        depth: int,
        complaints: Complaints,
    ) -> None:
        self.guard = guard
        self.hits = 0
        self.reasons: Counter[str] = Counter()
        self.body: Body | None = None
        self._recipe = recipe
        self._engine = engine
        self._depth = depth
        self._complaints = complaints
        self._lock = threading.RLock()
        self._counting = threading.Lock()

    @property
    def misses(self) -> int:
        """How often its guard failed."""
        return self.reasons.total()

    def counts(self) -> tuple[int, Mapping[str, int]]:
        """Return hits, and misses by their reasons, as they are now."""
        with self._counting:
            return self.hits, dict(self.reasons)

    def graph(self) -> Graph | None:
        """Return the optimized graph; None before it is compiled."""
        return None if self.body is None else self.body.program.graph

    def admits(self, given: Sequence[Any]) -> bool:
        """Whether it may run; takes note of why not."""
        reason = None
        if self.guard.admits(*given):
            reason = self._changed()
            if reason is None:
                return True
        else:
            reason = self.guard.failing(given) or "inputs that changed meanwhile"
        with self._counting:
            is_known = reason in self.reasons or len(self.reasons) < _MOST_REASONS
            self.reasons[reason if is_known else _OTHER] += 1
        return False

    def _changed(self) -> str | None:
        """Return what around the program is not as it was when the plan was compiled; None if all is."""
        if self.body is None:
            return None
        for circumstance in self.body.program.circumstances:
            failing = circumstance.failing()
            if failing is not None:
                return f"{failing} when the plan was compiled, and not now"
        return None

    def run(self, given: Sequence[Any]) -> tuple[Any, ...]:
        """Run it on inputs that it admits."""
        body = self.body or self.compile(given)
        with self._counting:
            self.hits += 1
        try:
            try:
                return body.function(*given)
            except self._failures(body) as error:
                # Raised before anything ran; so is what another call of it would raise.
                self._give_up(body, error)
                return body.compiled.function(*given)
        except ValueError as error:
            explained = body.program.explained(body.compiled, error)
            if explained is error:
                raise
            raise explained from error

    def compile(self, given: Sequence[Any]) -> Body:
        """Compile it, unless another thread has, for inputs that it admits."""
        with self._lock:
            if self.body is None:
                self.body = self._compiled(given)
            return self.body

    def _compiled(self, given: Sequence[Any]) -> Body:
        start = time.perf_counter()
        failure = None
        try:
            program = self._recipe.optimized()
            compiled = program.compiled()
            self._recipe.tell_types(program)
        except Exception as error:  # noqa: BLE001 - whatever it is, the program itself still runs
            failure = f"runs as it was traced, since optimizing it failed: {_in_words(error)}"
            self._complaints.failed(self._depth, failure)
            program = self._recipe.program.copy()
            compiled = program.compiled()
        function, engine = compiled.function, "plain"
        if self._engine is not None and failure is None and not self._complaints.is_engine_slow:
            facts = self._recipe.facts
            is_exact = bool(facts) and all(fact.is_exact for fact in facts)
            try:
                plain = program.compiled(traceable).function
                function = self._engine.compile(plain, given, dynamic=not is_exact)
                engine = self._engine.name
            except Exception as error:  # noqa: BLE001 - whatever it is, the plain plan still runs
                failure = _without(self._engine.name, error)
                self._complaints.failed(self._depth, failure)
        seconds = time.perf_counter() - start
        self._complaints.took(self._depth, engine, seconds)
        return Body(program, compiled, function, engine, seconds, failure)

    def _failures(self, body: Body) -> tuple[type[Exception], ...]:
        return () if self._engine is None or body.engine == "plain" else self._engine.failures

    def _give_up(self, body: Body, error: Exception) -> None:
        failure = _without(body.engine, error)
        self._complaints.failed(self._depth, failure)
        self.body = Body(
            body.program, body.compiled, body.compiled.function, "plain", body.seconds, failure
        )


def _without(engine: str, error: Exception) -> str:
    return f"runs without engine {engine}, which failed: {_in_words(error)}"


def _in_words(error: Exception) -> str:
    """Return the class of an error and the first line of what it says."""
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first.strip()}" if first else type(error).__name__
