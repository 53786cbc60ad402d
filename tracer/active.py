"""Which trace records this thread: the functions that TorchScript's tracer offered, and ``tracing``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .dispatcher import (
    current_recorder,
    kernels,
    recorder_here,
    recording,
    set_recorder,
)
from .higher_order import ProgramRecorder
from .patches import process_patches
from .record import Recorder
from .state import TracingState


def get_tracing_state() -> TracingState | None:
    """Return the trace that records this thread; None while nothing does."""
    recorder = current_recorder()
    return recorder.state if isinstance(recorder, Recorder) else None


def set_tracing_state(state: TracingState | None) -> None:
    """Make ``state`` record this thread from now on; None pauses.

    Operators that run while nothing records are not in the graph, and what they computed is
    reported if a recorded operator uses it.
    """
    installed = kernels()
    set_recorder(None if state is None else state.recorder or ProgramRecorder(state, installed))
    installed.set_included(state is not None)


def is_tracing() -> bool:
    """Whether anything records this thread."""
    return current_recorder() is not None


@contextmanager
def tracing(state: TracingState) -> Iterator[TracingState]:
    """Record this thread into ``state`` until the ``with`` ends, then restore what was before.

    Inside another trace, both record.
    """
    installed = kernels()
    installed.cover()
    outer = recorder_here(installed)
    recorder = ProgramRecorder(state, installed, outer if isinstance(outer, Recorder) else None)
    state.recorder = recorder
    with (
        process_patches(installed),
        recording(installed, recorder),
    ):
        try:
            yield state
        finally:
            state.recorder = None
