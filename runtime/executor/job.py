"""Jobs: one compilation in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from .call_mode import CallMode


class Job:
    """Work in a thread of its own, in the modes of the thread that starts it.

    Attributes:
        error: what it ended with; None if all went well.

    Args:
        work: what to do.
        name: what the thread is called.
    """

    def __init__(self, work: Callable[[], Any], name: str) -> None:
        self.error: Exception | None = None
        self._work = work
        self._mode = CallMode.current()
        self._done = threading.Event()
        self._since = time.monotonic()
        self._ended: float | None = None
        # It does not keep the process from ending.
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        try:
            with self._mode.entered():
                self._work()
        except Exception as error:  # noqa: BLE001 - who waits for it raises it
            self.error = error
        finally:
            self._ended = time.monotonic()
            self._done.set()

    @property
    def is_done(self) -> bool:
        """Whether it has ended."""
        return self._done.is_set()

    @property
    def seconds(self) -> float:
        """How long it takes so far, or took."""
        return (self._ended or time.monotonic()) - self._since

    def wait(self, seconds: float | None) -> bool:
        """Wait for its end, so long at most; whether it has ended."""
        return self._done.wait(seconds)
