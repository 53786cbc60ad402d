"""The chain of levels that a call goes along until a plan admits its inputs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

from ..codegen import CompiledGraph
from .call_mode import CallMode
from .level import Level, Settings
from .profiling import Profiling


class Chain:
    """All levels of an executor, from the first one on.

    Attributes:
        settings: what its levels have in common.
        mode: the modes of all its calls.
        is_used: whether a call, or a preparation for one, has come.
        last_depth: the depth of the level that took the last call; None where none has.

    Args:
        settings: what its levels have in common.
        mode: the modes of all its calls.
        release_after: seconds after which a level that has its plan lets go of what it profiled with; None
            for never.
    """

    def __init__(
        self, settings: Settings, mode: CallMode, release_after: float | None = None
    ) -> None:
        self.settings = settings
        self.mode = mode
        self.is_used = False
        self.release_after = release_after
        self.last_depth: int | None = None
        self._first = Level(settings, mode, settings.strategy.depth)

    def levels(self) -> Iterator[Level]:
        """Yield the levels that were needed so far."""
        level: Level | None = self._first
        while level is not None:
            yield level
            level = level.next

    def run(self, given: tuple[Any, ...]) -> tuple[Any, ...]:
        """Run the program on inputs of its graph."""
        self.is_used = True
        try:
            return self._run(given)
        finally:
            self.settings.complaints.tell()

    def _run(self, given: tuple[Any, ...]) -> tuple[Any, ...]:
        level: Level | None = self._first
        while level is not None:
            if self.release_after is not None:
                level.release(self.release_after)
            ready = level.ready()
            if isinstance(ready, Profiling):
                self.last_depth = level.depth
                return level.profile(ready, given)
            if ready.admits(given):
                self.last_depth = level.depth
                body = ready.ready(given, waits=self.settings.waits)
                return self._replay(given) if body is None else ready.run(body, given)
            level = level.following()
        self.last_depth = None
        return self._replay(given)

    def run_of(self, given: tuple[Any, ...]) -> Callable[..., tuple[Any, ...]] | None:
        """Return what runs inputs that a compiled plan admits whose guard looks at all of them; else None."""
        if self.release_after is not None:
            return None
        level: Level | None = self._first
        while level is not None:
            plan = level.plan
            body = None if plan is None else plan.body
            if plan is None or body is None:
                return None
            if (
                plan.is_complete
                and plan.guard.admits(*given)
                and plan.job is None
                and (not body.circumstances or plan.changed() is None)
            ):
                self.last_depth = level.depth
                if level is not self._first:
                    self._note_misses(level, given)
                return plan.run_directly
            level = level.next
        return None

    def _note_misses(self, taker: Level, given: tuple[Any, ...]) -> None:
        """Have the plans before the one that takes a call take note of why they did not."""
        for level in self.levels():
            if level is taker:
                break
            if level.plan is not None:
                level.plan.admits(given)

    def prepare(self, given: tuple[Any, ...]) -> None:
        """Compile the plan for inputs; one is made for them if there is none and a level has none yet."""
        self.is_used = True
        level: Level | None = self._first
        while level is not None and not level.prepare(given):
            level = level.following()
        self.settings.complaints.tell()

    def wait(self, until: float | None) -> bool:
        """Wait for plans that threads compile, until a time of the monotonic clock; whether all are done."""
        plans = [level.plan for level in self.levels() if level.plan is not None]
        return all(
            plan.wait(None if until is None else max(until - time.monotonic(), 0)) for plan in plans
        )

    def release(self) -> None:
        """Let go of what levels profiled with, where it is time."""
        if self.release_after is not None:
            for level in self.levels():
                level.release(self.release_after)

    @cached_property
    def _original(self) -> CompiledGraph:
        return self.settings.program.compiled()

    def _replay(self, given: tuple[Any, ...]) -> tuple[Any, ...]:
        """Run the program as it is.

        That is while its plan is compiled, and where what is around the program is not as it was when the
        plan for all inputs was made.
        """
        try:
            return self._original.function(*given)
        except ValueError as error:
            explained = self.settings.program.explained(self._original, error)
            if explained is error:
                raise
            raise explained from error
