"""Plans: a program optimized for inputs that a guard admits, compiled when the first of them comes.

Note [How a plan is compiled]
    At first the program is optimized and compiled to Python, which takes milliseconds. If there is an engine,
    it is given that in a thread of its own. The call that came waits for it so long as compilations may take,
    or not at all if they go on in the background: then, and after that time, the plan runs what there is.
    With an engine that is measured, calls are a trial between the two at first.

Note [Cold calls]
    Where a program is large, its run drives out of the processor's caches whatever finds its plan. Each
    function of Python on the way costs 10 to 20 µs then, and a twentieth of that if short programs are called
    in a row. So the usual way is one of few functions.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import torch

from ...ir import Graph, TensorType
from ...ir.conditions import Circumstance
from ..codegen import CompiledGraph
from .complaints import Complaints
from .differentiable import Declined
from .engines import Engine, EngineChoice, Function, traceable
from .guard import PlanGuard
from .job import Job
from .program import Program
from .specialization import Recipe
from .trial import Trial, Verdict

_MOST_REASONS: Final = 100
_OTHER: Final = "other reasons"


@dataclass(frozen=True, slots=True)
class Body:
    """What a plan runs.

    Attributes:
        program: the program that was optimized, as it runs without an engine.
        compiled: its function as opscope compiles it.
        function: the one that runs, of the engine or the same.
        engine: what made it.
        seconds: how long that took.
        failure: why it is not what it was meant to be, in words; None if it is.
        note: what else there is to tell of the engine; None for nothing.
        circumstances: what around it must be as it was, besides what each call of the program looks at.
        for_engine: the same program as an engine is to see it, which writes over nothing that it made; None
            where none is to.
    """

    program: Program
    compiled: CompiledGraph
    function: Function
    engine: str
    seconds: float
    failure: str | None = None
    note: str | None = None
    circumstances: tuple[Circumstance, ...] = ()
    for_engine: Program | None = None

    def plain(self) -> Body:
        """Return the same without an engine."""
        return replace(self, function=self.compiled.function, engine="plain")


class Plan:
    """One plan.

    Attributes:
        guard: what it may run on.
        hits: how often it ran.
        reasons: how often it did not, by the reason in words.
        served: how many calls that it admits were run as traced, since it was being compiled.
        body: what it runs; None as long as there is nothing.
        job: what a thread does for it, until a call has seen that this is done; None for nothing.
        is_complete: whether its guard holds all inputs, read or not, to their very sizes and strides.

    Args:
        guard: what it may run on.
        recipe: how to make what it runs.
        choice: what compiles it further.
        depth: what it is called in complaints.
        complaints: where it tells what failed, or took long.
        refusal: why the engine is not for it, in words; None if it is.
    """

    def __init__(
        self,
        guard: PlanGuard,
        recipe: Recipe,
        choice: EngineChoice,
        *,
        depth: int,
        complaints: Complaints,
        refusal: str | None = None,
    ) -> None:
        self.guard = guard
        self.hits = 0
        self.served = 0
        self.reasons: Counter[str] = Counter()
        self.body: Body | None = None
        self.job: Job | None = None
        self._recipe = recipe
        self._choice = choice
        self._depth = depth
        self._complaints = complaints
        self._refusal = refusal
        self.is_complete = len(recipe.facts) == len(recipe.program.graph.inputs) and all(
            fact.is_exact for fact in recipe.facts
        )
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

    @property
    def is_compiling(self) -> bool:
        """Whether a thread compiles it."""
        job = self.job
        return job is not None and not job.is_done

    def graph(self) -> Graph | None:
        """Return the optimized graph; None before it is compiled."""
        return None if self.body is None else self.body.program.graph

    def admits(self, given: Sequence[Any]) -> bool:
        """Whether it may run; takes note of why not."""
        reason = None
        if self.guard.admits(*given):
            reason = self.changed()
            if reason is None:
                return True
        else:
            reason = self.guard.failing(given) or "inputs that changed meanwhile"
        with self._counting:
            is_known = reason in self.reasons or len(self.reasons) < _MOST_REASONS
            self.reasons[reason if is_known else _OTHER] += 1
        return False

    def changed(self) -> str | None:
        """Return what around the program is not as it was when the plan was compiled; None if all is."""
        if self.body is None:
            return None
        for circumstance in self.body.circumstances:
            failing = circumstance.failing()
            if failing is not None:
                return f"{failing} when the plan was compiled, and not now"
        return None

    def run_directly(self, *given: Any) -> tuple[Any, ...]:
        """Run it on inputs that it admits.

        All is done here that a call needs, if nothing goes wrong; see Note [Cold calls].
        """
        body = self.body
        assert body is not None, "there is something to run"
        with self._counting:
            self.hits += 1
        try:
            return body.function(*given)
        except self._foreseen(body) as error:
            return self._after(error, body, given)
        finally:
            if self._complaints.waiting is not None:
                self._complaints.tell()

    def ready(self, given: Sequence[Any], *, waits: bool) -> Body | None:
        """Return what to run on inputs that it admits; None where a thread has yet to make that."""
        if self.job is not None:
            self._look_at(self.job)
        body = self.body
        if body is None:
            body = self.compile(given, waits=waits)
            if body is None:
                with self._counting:
                    self.served += 1
        return body

    def run(self, body: Body, given: Sequence[Any]) -> tuple[Any, ...]:
        """Run what it had ready."""
        with self._counting:
            self.hits += 1
        try:
            return body.function(*given)
        except self._foreseen(body) as error:
            return self._after(error, body, given)

    def _after(self, error: Exception, body: Body, given: Sequence[Any]) -> tuple[Any, ...]:
        """Do without an engine that says by an error that nothing ran; explain other errors."""
        if isinstance(error, self._failures(body)):
            # So would be what another call of it raised.
            self._give_up(body, error)
            try:
                return body.compiled.function(*given)
            except ValueError as of_plain:
                error = of_plain
        assert isinstance(error, ValueError), "no others come here"
        explained = body.program.explained(body.compiled, error)
        if explained is error:
            raise error
        raise explained from error

    def compile(self, given: Sequence[Any], *, waits: bool) -> Body | None:
        """Compile it, unless another thread has, for inputs that it admits.

        Args:
            given: the inputs.
            waits: whether to wait for the engine, as long as that may take; else nothing is waited for.

        Returns:
            what there is now.
        """
        with self._lock:
            if self.body is None and self.job is None:
                if waits:
                    self.body = self._optimized()
                    if self.body.for_engine is not None:
                        self._start(partial(self._give_to_engine, given))
                else:
                    self._start(partial(self._make_all, given))
        job = self.job
        if waits and job is not None:
            job.wait(self._complaints.slow_after)
            self._look_at(job)
        return self.body

    def wait(self, seconds: float | None) -> bool:
        """Wait for a thread that compiles it, so long at most; whether none does."""
        return self.job is None or self.job.wait(seconds)

    def _start(self, work: Any) -> None:
        self.job = Job(work, f"opscope compiles depth {self._depth}")

    def _look_at(self, job: Job) -> None:
        """Take note of a job that is done, or takes too long."""
        engine = self._choice.engine
        if engine is not None and job.seconds > self._complaints.slow_after:
            self._complaints.slow(self._depth, engine.name)
        if job.is_done:
            self.job = None
            if job.error is not None:
                raise job.error

    def _make_all(self, given: Sequence[Any]) -> None:
        body = self._optimized()
        if body.for_engine is not None:
            self._give_to_engine(given, body)
        else:
            self.body = body

    def _optimized(self) -> Body:
        """Return what runs without an engine."""
        start = time.perf_counter()
        failure, for_engine = None, None
        try:
            for_engine = self._recipe.optimized()
            program = self._recipe.reusing_memory(for_engine)
            compiled = program.compiled()
            self._recipe.tell_types(program)
        except Exception as error:  # noqa: BLE001 - whatever it is, the program itself still runs
            failure = f"runs as it was traced, since optimizing it failed: {_in_words(error)}"
            self._complaints.failed(self._depth, failure)
            program = self._recipe.program.copy()
            compiled = program.compiled()
        note = None if self._choice.engine is None else self._refusal
        if failure is None and self._choice.absence is not None and self._depth > 0:
            note = f"runs without an engine, since {self._choice.absence}"
        seconds = time.perf_counter() - start
        known = {circumstance.text for circumstance in self._recipe.program.circumstances}
        added = tuple([c for c in program.circumstances if c.text not in known])
        body = Body(program, compiled, compiled.function, "plain", seconds, failure, note, added)
        if self._choice.engine is None or failure is not None or self._refusal is not None:
            return body
        return replace(body, for_engine=for_engine)

    def _give_to_engine(self, given: Sequence[Any], body: Body | None = None) -> None:
        """Have the engine compile what was optimized, and run that from now on."""
        body, engine = body or self.body, self._choice.engine
        assert body is not None, "it was optimized before"
        assert engine is not None, "there is one to give it to"
        program = body.for_engine
        assert program is not None, "it is for an engine"
        body = replace(body, for_engine=None)
        note = self._complaints.refusal()
        if note is not None:
            self.body = replace(body, note=note)
            return
        start = time.perf_counter()
        try:
            plain = program.compiled(traceable).function
            function = engine.compile(plain, given, dynamic=not self._is_exact)
        except Declined as error:
            self.body = replace(body, note=f"runs without engine {engine.name}: {error}")
        except Exception as error:  # noqa: BLE001 - whatever it is, the plain plan still runs
            failure = _without(engine.name, error)
            self._complaints.failed(self._depth, failure)
            self.body = replace(body, failure=failure)
        else:
            seconds = body.seconds + time.perf_counter() - start
            body = replace(body, function=function, engine=engine.name, seconds=seconds)
            self.body = self._on_trial(body, engine, given)

    @property
    def _is_exact(self) -> bool:
        """Whether the guard holds all inputs to their very sizes and strides."""
        exact = {fact.number for fact in self._recipe.facts if fact.is_exact}
        inputs = self._recipe.program.graph.inputs
        return all(
            number in exact or not isinstance(value.type, TensorType)
            for number, value in enumerate(inputs)
            if value.is_used
        ) and bool(exact)

    def _on_trial(self, body: Body, engine: Engine, given: Sequence[Any]) -> Body:
        """Return what runs the engine's function, and the plain one in turn where that is to be measured."""
        # Elsewhere a call returns before its work is done.
        on_cpu = all(value.is_cpu for value in given if isinstance(value, torch.Tensor))
        if not self._choice.is_measured or not on_cpu:
            return body

        def decide(verdict: Verdict) -> None:
            if verdict.is_faster:
                self.body = replace(body, note=f"{engine.name} takes {verdict}")
            else:
                note = f"runs without engine {engine.name}, which does not pay: {verdict}"
                self.body = replace(body.plain(), note=note)

        trial = Trial(body.function, body.compiled.function, decide)
        return replace(body, function=trial, note=f"{engine.name} is being measured")

    def _foreseen(self, body: Body) -> tuple[type[Exception], ...]:
        return (ValueError, *self._failures(body))

    def _failures(self, body: Body) -> tuple[type[Exception], ...]:
        engine = self._choice.engine
        return () if engine is None or body.engine == "plain" else engine.failures

    def _give_up(self, body: Body, error: Exception) -> None:
        failure = _without(body.engine, error)
        self._complaints.failed(self._depth, failure)
        self.body = replace(body.plain(), failure=failure, note=None)


def _without(engine: str, error: Exception) -> str:
    return f"runs without engine {engine}, which failed: {_in_words(error)}"


def _in_words(error: Exception) -> str:
    """Return the class of an error and the first line of what it says."""
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first.strip()}" if first else type(error).__name__
