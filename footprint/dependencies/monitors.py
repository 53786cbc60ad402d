"""How Python 3.12 and later tell that a frame begins, which takes no thread's profile function."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

_FREE: Final = (3, 4)  # Python has names for the others: debuggers, coverage, profilers, optimizers


def use_monitor() -> int | None:
    """Return the number of a monitor that nobody has, and which is now taken; None if there is none."""
    if sys.version_info >= (3, 12):
        for monitor in _FREE:
            if sys.monitoring.get_tool(monitor) is None:
                sys.monitoring.use_tool_id(monitor, "opscope")
                return monitor
    return None


def watch(monitor: int, began: Callable[..., Any]) -> None:
    """Have a function called by each frame that begins or goes on, in all threads."""
    if sys.version_info >= (3, 12):
        for event in _events():
            sys.monitoring.register_callback(monitor, event, began)
        sys.monitoring.set_events(monitor, sum(_events()))


def give_back(monitor: int) -> None:
    """End watching, and let others have the monitor."""
    if sys.version_info >= (3, 12):
        sys.monitoring.set_events(monitor, 0)
        for event in _events():
            sys.monitoring.register_callback(monitor, event, None)
        sys.monitoring.free_tool_id(monitor)


def _events() -> tuple[int, ...]:
    if sys.version_info >= (3, 12):
        events = sys.monitoring.events
        return events.PY_START, events.PY_RESUME, events.PY_THROW
    return ()
