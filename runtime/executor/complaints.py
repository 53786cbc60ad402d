"""What an executor complains of: compilations that fail or take long, with one warning for all of them."""

from __future__ import annotations

import sys
import threading
import warnings

from ...errors import ExecutorWarning


class Complaints:
    """Warns once; what comes later stands in the debug state only.

    Attributes:
        is_engine_slow: whether the engine took so long that further plans do without it.

    Args:
        name: what the program is called.
        slow_after: seconds after which a compilation counts as slow.
    """

    def __init__(self, name: str, slow_after: float) -> None:
        self.is_engine_slow = False
        self._name = name
        self._slow_after = slow_after
        self._has_warned = False
        self._lock = threading.Lock()

    def failed(self, depth: int, cause: str) -> None:
        """Complain that the plan of a level is not what it was meant to be, with the cause in words."""
        self._warn(f"the plan at depth {depth} of {self._name} {cause}")

    def took(self, depth: int, engine: str, seconds: float) -> None:
        """Complain of a slow engine."""
        if engine != "plain" and seconds > self._slow_after:
            self.is_engine_slow = True
            self._warn(
                f"engine {engine} took {seconds:.1f} s for the plan at depth {depth} of {self._name}, which "
                f"is more than {self._slow_after:g} s, so later plans run without it\n"
                "  allow it more time with slow_after="
            )

    def _warn(self, text: str) -> None:
        with self._lock:
            is_first, self._has_warned = not self._has_warned, True
        if is_first:
            warnings.warn(
                f"{text}\n  this is said once; explain() tells of each plan",
                ExecutorWarning,
                stacklevel=_frames_of_ours(),
            )


def _frames_of_ours() -> int:
    """Return how far above the caller the first frame is that is not of this package."""
    package = __name__.partition(".")[0] + "."
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(package):
        frame, level = frame.f_back, level + 1
    return level
