"""The chains of an executor: one per set of modes that calls are made in."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from .call_mode import CallMode, ModeKey, mode_key
from .chain import Chain
from .level import Settings


class Chains:
    """Chains of levels, each made when the first call in its modes comes.

    Attributes:
        settings: what they have in common.
        release_after: seconds after which a level that has its plan lets go of what it profiled with; None
            for never.

    Args:
        settings: see above.
        release_after: see above.
    """

    def __init__(self, settings: Settings, release_after: float | None = None) -> None:
        self.settings = settings
        self.release_after = release_after
        self._lock = threading.Lock()
        self._chains: dict[ModeKey, Chain] = {}
        self._last: Chain = self._made(mode_key())

    def all(self) -> list[Chain]:
        """Return those that were needed so far, at least one."""
        with self._lock:
            chains = list(self._chains.values())
        return [chain for chain in chains if chain.is_used] or chains[:1]

    @property
    def last_depth(self) -> int | None:
        """The depth of the level that took the last call; None where none has."""
        return self._last.last_depth

    def run(self, *given: Any) -> tuple[Any, ...]:
        """Run the program on inputs of its graph."""
        self._last = chain = self._current()
        return chain.run(given)

    def run_of(self, given: tuple[Any, ...]) -> Callable[..., tuple[Any, ...]] | None:
        """Return what runs inputs that a guard looks at wholly and admits; None where there is no such plan.

        The inputs are tensors. What is returned takes them.
        """
        if len(given) > 1 and len(set(map(id, given))) < len(given):
            return None
        key = mode_key()
        self._last = chain = self._chains.get(key) or self._made(key)
        return chain.run_of(given)

    def prepare(self, given: tuple[Any, ...]) -> None:
        """Compile the plan for inputs, in the modes of the caller."""
        self._current().prepare(given)

    def release(self, after: float | None) -> None:
        """Let go of what levels profiled with so many seconds after they had their plans; None for never."""
        with self._lock:
            self.release_after = after
            chains = list(self._chains.values())
        for chain in chains:
            chain.release_after = after
            chain.release()

    def wait(self, seconds: float | None) -> bool:
        """Wait for plans that threads compile, so long at most; whether all are done."""
        until = None if seconds is None else time.monotonic() + seconds
        return all([chain.wait(until) for chain in self.all()])

    def _current(self) -> Chain:
        key = mode_key()
        return self._chains.get(key) or self._made(key)

    def _made(self, key: ModeKey) -> Chain:
        with self._lock:
            if key not in self._chains:
                self._chains[key] = Chain(self.settings, CallMode(*key), self.release_after)
            return self._chains[key]
