"""One level of the chain: it profiles, makes a plan, and hands what that does not admit to the next one.

    level 3   profiles -> plan (static)  --miss-->  level 2  profiles -> plan (static)  --miss-->  ...
    level 0   a plan for all inputs

Note [When a level goes on]
    A level profiles until it has seen as many runs as it was told to, and has a plan from then on, which
    never changes. The plan is compiled when its guard admits inputs for the first time, so what a level was
    made for and never comes again costs nothing. What the guard does not admit goes to the next level, which
    begins by profiling it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch

from ...ir import Type
from .call_mode import CallMode
from .complaints import Complaints
from .engines import EngineChoice
from .facts import InputFact, facts_of
from .guard import PlanGuard
from .plan import Plan
from .profiling import Profiling
from .program import Program
from .specialization import Recipe
from .strategy import Kind, Strategy

_NO_ENGINE: Final = EngineChoice()
# Of the time: an engine that fuses what is left would save too little.
_MOST_IN_LIBRARIES: Final = 0.95


@dataclass(frozen=True, slots=True)
class Settings:
    """What levels of one chain have in common.

    Attributes:
        program: the program, which stays as it is.
        strategy: the kinds of plans.
        complaints: where plans tell what failed.
        profiled_runs: how many runs a level watches before it makes a plan.
        choice: what compiles plans further, all but the one for all inputs.
        pipeline: what makes the plan for all inputs.
        waits: whether calls wait for plans to be compiled; else they run the program as it was traced.
    """

    program: Program
    strategy: Strategy
    complaints: Complaints
    profiled_runs: int = 1
    choice: EngineChoice = _NO_ENGINE
    pipeline: str = "profiling_insensitive"
    waits: bool = True


class Level:
    """One level of the chain.

    Args:
        settings: what it has in common with others.
        mode: the modes of all calls that come to it.
        depth: see below.

    Attributes:
        depth: how many specialized plans there can be from here on; 0 for the last level.
        plan: what it runs; None as long as it profiles.
        profiling: what it profiles with; None before it begins, and after it was let go of.
        runs: how many runs it has watched.
        served: how many more calls ran as traced, since other threads' calls were being watched.
    """

    def __init__(self, settings: Settings, mode: CallMode, depth: int) -> None:
        self.depth = depth
        self.kind = settings.strategy.kind_at(depth)
        self.plan: Plan | None = None
        self.profiling: Profiling | None = None
        self.runs = 0
        self.served = 0
        self._planned_at = 0.0
        self._settings = settings
        self._mode = mode
        self._next: Level | None = None
        self._lock = threading.RLock()

    def following(self) -> Level | None:
        """Return the level that takes what the plan does not admit; None behind the last one."""
        if self._next is None and self.depth > 0:
            with self._lock:
                if self._next is None:
                    self._next = Level(self._settings, self._mode, self.depth - 1)
        return self._next

    @property
    def next(self) -> Level | None:
        """The following level, if it was needed so far."""
        return self._next

    def ready(self) -> Plan | Profiling:
        """Return the plan, made now if all is there for it; before that, what the level profiles with."""
        return self.plan or self._advance()

    def _advance(self) -> Plan | Profiling:
        settings, program = self._settings, self._settings.program
        with self._lock:
            if self.plan is not None:
                return self.plan
            if self.kind is Kind.UNSPECIALIZED or settings.profiled_runs == 0:
                return self._set_plan(())
            if self.profiling is None:
                self.profiling = Profiling(program)
            if self.runs < settings.profiled_runs:
                return self.profiling
            facts = facts_of(program.input_dimensions(), self.profiling.inputs(), self.kind)
            refusal = self._refusal(self.profiling.library_share())
            return self._set_plan(facts, self.profiling.types(), refusal)

    def prepare(self, given: Sequence[Any]) -> bool:
        """Have a plan for inputs as if they had been profiled; whether that is compiled now.

        A level that has a plan keeps it.
        """
        with self._lock:
            plan = self.plan or self._set_plan(self._facts_for(given))
        if not plan.guard.admits(*given):
            return False
        plan.compile(given, waits=self._settings.waits)
        return True

    def _facts_for(self, given: Sequence[Any]) -> tuple[InputFact, ...]:
        """Return what to hold inputs to where they alone have been seen."""
        program, found = self._settings.program, []
        for number, value in enumerate(program.graph.inputs):
            if value.is_used and isinstance(given[number], torch.Tensor):
                type_ = program.type_of(given[number])
                found.append((number, type_, type_.requires_grad))
        return facts_of(program.input_dimensions(), found, self.kind)

    def _set_plan(
        self,
        facts: tuple[InputFact, ...],
        types: tuple[Type, ...] = (),
        refusal: str | None = None,
    ) -> Plan:
        settings, program = self._settings, self._settings.program
        mode, choice = self._mode, settings.choice
        # Mixed precision makes other types than those of the trace.
        knows_types = bool(types) or not mode.autocast
        recipe = Recipe(
            program,
            facts,
            mode.grad if facts else None,
            reuses_memory=knows_types and not mode.observed,
            types=types,
        )
        if mode.observed:
            refusal = "runs without an engine, so that what looks on sees its operators"
        if self.kind is Kind.UNSPECIALIZED:
            recipe, choice = Recipe(program, pipeline=settings.pipeline), _NO_ENGINE
        self._planned_at = time.monotonic()
        self.plan = Plan(
            PlanGuard(len(program.graph.inputs), recipe.facts, recipe.grad),
            recipe,
            choice,
            depth=self.depth,
            complaints=settings.complaints,
            refusal=refusal,
        )
        return self.plan

    def _refusal(self, library_share: float | None) -> str | None:
        """Return why an engine that shall pay is not for the program; None if it may be."""
        if not self._settings.choice.is_measured or library_share is None:
            return None
        if library_share <= _MOST_IN_LIBRARIES:
            return None
        return (
            f"runs without an engine, since {library_share:.0%} of the time goes to matrix products, "
            "convolutions and the like, which no engine fuses"
        )

    def profile(self, profiling: Profiling, given: Sequence[Any]) -> tuple[Any, ...]:
        """Run the program, watched, on inputs that came while the level profiled."""
        results, found = profiling.run(given)
        with self._lock:
            if self.runs < self._settings.profiled_runs:
                self.runs += 1
                profiling.add(found)
            else:
                self.served += 1
        return results

    def release(self, after: float) -> None:
        """Let go of what it profiled with, if it has had its plan for so many seconds."""
        if self.profiling is not None and self.plan is not None:
            if time.monotonic() - self._planned_at >= after:
                self.profiling = None
