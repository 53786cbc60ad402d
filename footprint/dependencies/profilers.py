"""How the profiler of a thread, whichever it is, is put back after another has taken its place."""

from __future__ import annotations

import sys
from _lsprof import Profiler as NativeProfiler
from collections.abc import Callable
from typing import Any, TypeAlias

from ...errors import FootprintError

WayBack: TypeAlias = tuple[Callable[..., object], tuple[Any, ...]]
"""What is to be called, and with what."""


def way_back(profiler: Any) -> WayBack:
    """Return how a profiler, as ``sys.getprofile`` gives it, is put back in its place.

    Whoever calls that does so from the frame that has replaced the profiler, so that profilers which match
    calls with returns find them matched.

    Raises:
        FootprintError: it cannot be put back.
    """
    if issubclass(type(profiler), NativeProfiler):  # of cProfile: its C function is not to be had
        return NativeProfiler.enable, (profiler,)
    if profiler is None or callable(profiler):
        return sys.setprofile, (profiler,)
    kind = f"{type(profiler).__module__}.{type(profiler).__qualname__}"
    raise FootprintError(
        f"a profiler written in C is on ({kind}), which could not be put back afterwards\n"
        "stop it before the modules that a program uses are traced"
    )
