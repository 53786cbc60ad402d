"""Which trace records this thread: the functions that TorchScript's tracer offered, and ``tracing``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .dispatcher import (
    current_recorder,
    kernels,
    plain_script_execution,
    recorder_here,
    recording,
    set_recorder,
)
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
    paused = get_tracing_state()
    if state is None and paused is not None:
        paused.was_paused = True
    set_recorder(None if state is None else state.recorder or Recorder(state, installed))
    installed.set_included(state is not None)


def is_tracing() -> bool:
    """Whether anything records this thread."""
    return isinstance(current_recorder(), Recorder)


@contextmanager
def tracing(state: TracingState) -> Iterator[TracingState]:
    """Record this thread into ``state`` until the ``with`` ends, then restore what was before.

    Inside another trace, both record.
    """
    installed = kernels()
    installed.cover()
    outer = recorder_here(installed)
    recorder = Recorder(state, installed, outer if isinstance(outer, Recorder) else None)
    state.recorder = recorder
    with (
        process_patches(installed),
        plain_script_execution(),
        recording(installed, recorder),
    ):
        try:
            yield state
            recorder.unseen.exposed.finish()
        finally:
            state.recorder = None
            recorder.unseen.exposed.close()
