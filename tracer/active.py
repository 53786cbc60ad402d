"""Which trace records this thread: the functions that TorchScript's tracer offered, and ``tracing``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ContextDecorator, contextmanager
from enum import Enum
from typing import Any

from ..errors import CaptureError
from ..ir import Node
from .blocks.higher_order import ProgramRecorder
from .dispatch.dispatcher import (
    Passing,
    current_recorder,
    kernels,
    plain_torch,
    recorder_here,
    recording,
    set_recorder,
)
from .observed import ObservedRecorder, Observer
from .patches.process import process_patches
from .recorders.calls import CallRecorder
from .recorders.deep import DeepRecorder
from .recorders.gaps import GapRecorder
from .state import TracingState


class Depth(Enum):
    """What becomes of composite operators, such as ``aten::linear``, which are made of others."""

    FLAT = "flat"  # each is one node
    DEEP = "deep"  # what they call stands in their place, in a scope of theirs
    DEEP_FOR_BACKWARD = (
        "deep for backward"  # so from the first backward pass on, and flat without one
    )


class _DeepProgramRecorder(DeepRecorder, ProgramRecorder):
    """Records all that a program calls, and what composite operators call."""


class _DeepObservedRecorder(DeepRecorder, ObservedRecorder):
    """The same, and tells an observer of it."""

    def _last_node(self) -> Node | None:
        graph = self.state.graph
        return (graph.insertion_block if self.is_inside else graph.block).last


def get_tracing_state() -> TracingState | None:
    """Return the trace that records this thread; None while nothing does."""
    recorder = current_recorder()
    return recorder.state if isinstance(recorder, CallRecorder) else None


def set_tracing_state(state: TracingState | None) -> None:
    """Make a state record this thread from now on.

    Args:
        state: what records; None pauses, as :class:`paused` does.
    """
    installed = kernels()
    current = current_recorder()
    if state is None and isinstance(current, GapRecorder):
        return
    recorder = None if state is None else state.recorder or ProgramRecorder(state, installed)
    if recorder is None and isinstance(current, CallRecorder):
        recorder = GapRecorder(current, installed, sys._getframe(1))
    set_recorder(recorder)
    installed.set_included(recorder is not None)
    if isinstance(current, GapRecorder):
        current.close()


def is_tracing() -> bool:
    """Whether anything records this thread."""
    recorder = current_recorder()
    return recorder is not None and not isinstance(recorder, Passing)


class paused(ContextDecorator):
    """A context, and a decorator, in which this thread's operators are not recorded.

    It leaves a gap in the graph. Where a tensor made inside is used by a recorded operator, or
    returned, it is a constant of the graph; where one that the trace knows is written inside, a
    replay does not write it. Both are reported, with the line of the ``with``, and so is a change of
    torch's random number generator. Numbers that leave the context are not followed. Where nothing
    traces, it does nothing; every trace of this thread is paused, and a trace that begins inside
    records its own program.
    """

    def __init__(self) -> None:
        self._entered: list[tuple[Any, GapRecorder | None]] = []

    def __enter__(self) -> None:
        current = current_recorder()
        watching = None
        if isinstance(current, CallRecorder):
            watching = GapRecorder(current, kernels(), sys._getframe(1))
            set_recorder(watching)
        self._entered.append((current, watching))

    def __exit__(self, class_: object, error: BaseException | None, traceback: object) -> None:
        before, watching = self._entered.pop()
        if watching is None:
            return
        set_recorder(before)
        if error is None or isinstance(error, Exception):
            watching.close()


def unrecorded() -> Any:
    """Return a context in which what opscope itself computes on this thread goes into no graph."""
    return recording(kernels(), None)


@contextmanager
def apart() -> Iterator[None]:
    """What opscope computes on tensors of its own: in no graph, and unseen by hooks and modes around it."""
    with unrecorded(), plain_torch():
        yield


def _recorder(
    state: TracingState, observe: Observer | None, depth: Depth, outer: CallRecorder | None
) -> CallRecorder:
    installed = kernels()
    if depth is Depth.FLAT or outer is not None:
        if observe is None:
            return ProgramRecorder(state, installed, outer)
        return ObservedRecorder(state, installed, outer, observe)
    recorder = (
        _DeepProgramRecorder(state, installed)
        if observe is None
        else _DeepObservedRecorder(state, installed, None, observe)
    )
    if depth is Depth.DEEP_FOR_BACKWARD:
        recorder.put_off()
    return recorder


@contextmanager
def tracing(
    state: TracingState, observe: Observer | None = None, depth: Depth = Depth.FLAT
) -> Iterator[TracingState]:
    """Record this thread into ``state`` until the ``with`` ends, then restore what was before.

    Inside another trace, both record, and the trace is flat.

    Args:
        state: what is recorded into; the ``with`` gives it.
        observe: is told of every operator that was recorded.
        depth: whether composite operators are recorded as they are called, or by what they call.

    Raises:
        CaptureError: the trace is deep, and it runs inside another one.
    """
    installed = kernels()
    installed.cover()
    outer = recorder_here(installed)
    outer = outer if isinstance(outer, CallRecorder) else None
    if outer is not None and depth is Depth.DEEP:
        raise CaptureError(
            "a deep trace cannot run inside another trace, which would see other operators\n"
            "  trace this program before, and call what it gives; or trace it flat"
        )
    recorder = _recorder(state, observe, depth, outer)
    state.recorder = recorder
    with (
        process_patches(installed),
        state.generators.watching(),
        recording(installed, recorder),
    ):
        try:
            yield state
            recorder.facts.finish()
            recorder.unseen.before_draw()
            recorder.unseen.exposed.finish()
            recorder.unseen.gradients.store(state.graph.root_scope, None)
            recorder.unseen.gradients.clear(recorder.facts.cleared(), state.graph.root_scope)
            left_open = current_recorder()
            if isinstance(left_open, GapRecorder):
                left_open.close()
            state.collectives.wait_for_the_rest(state.graph)
        finally:
            state.recorder = None
            recorder.unseen.exposed.close()
