"""What an executor complains of: compilations that fail or take long, with one warning for all of them."""

from __future__ import annotations

import sys
import threading
import warnings

from ...errors import ExecutorWarning


class Complaints:
    """Warns once; what comes later stands in the debug state only.

    Compilations may end in threads of their own, so a warning waits for the next call, at which it points.

    Attributes:
        is_engine_slow: whether the engine took so long that further plans do without it.
        slow_after: seconds after which a compilation counts as slow.
        waiting: what the next call is to warn of; None for nothing.

    Args:
        name: what the program is called.
        slow_after: see above.
        most_compilations: how many plans the engine may compile.
    """

    def __init__(self, name: str, slow_after: float, most_compilations: int = 0) -> None:
        self.is_engine_slow = False
        self.slow_after = slow_after
        self._name = name
        self._left = self._most = most_compilations
        self.waiting: str | None = None
        self._has_warned = False
        self._lock = threading.Lock()

    def refusal(self) -> str | None:
        """Return why the engine may not compile another plan; None where it may, which counts as one."""
        with self._lock:
            if self.is_engine_slow:
                return "runs without the engine, which took too long for another plan"
            if self._left == 0:
                return f"runs without the engine, which compiled {self._most} plans and may no more"
            self._left -= 1
            return None

    def failed(self, depth: int, cause: str) -> None:
        """Complain that the plan of a level is not what it was meant to be, with the cause in words."""
        self._note(f"the plan at depth {depth} of {self._name} {cause}")

    def slow(self, depth: int, engine: str) -> None:
        """Complain of a slow engine."""
        self.is_engine_slow = True
        self._note(
            f"engine {engine} takes more than {self.slow_after:g} s for the plan at depth {depth} of "
            f"{self._name}, which runs without it until it is done; later plans do not wait for it\n"
            "  allow it more time with slow_after="
        )

    def _note(self, text: str) -> None:
        with self._lock:
            if self.waiting is None and not self._has_warned:
                self.waiting = text

    def tell(self) -> None:
        """Warn of what has come up, if nothing was warned of before."""
        if self.waiting is None:
            return
        with self._lock:
            text, self.waiting = self.waiting, None
            is_first, self._has_warned = not self._has_warned, True
        if text is not None and is_first:
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
