"""What a thread that a traced program starts does to tensors of the trace.

A graph is one sequence of operators, so only the thread that is traced records. In a thread started
from it, operators run as they would, and what they do to tensors of the trace is reported.
"""

from __future__ import annotations

import functools
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils import _pytree as pytree

from ...ir import Effect, Frame
from ..diagnostics import DiagnosticKind
from ..dispatch.dispatcher import Kernels, Passing, current_recorder, recorder_here, recording
from ..dispatch.generators import GENERATOR
from ..dispatch.memories import memory_of
from ..dispatch.replacing import Patch
from ..dispatch.schemas import operator_of
from ..dispatch.tensors import tensors_in
from ..state import TracingState
from .unseen import Unseen


def threads(installed: Kernels) -> Iterator[Patch]:
    """Yield what tells of threads that a program starts."""
    yield threading.Thread, "start", functools.partial(_start, installed)


def _start(installed: Kernels, start: Any) -> Any:
    @functools.wraps(start)
    def wrapped(self: threading.Thread) -> None:
        recorder = recorder_here(installed)
        if recorder is not None:
            stack = recorder.state.walker.stack_of(sys._getframe(1))
            _watch(self, ThreadWatch(installed, recorder.state, recorder.unseen, stack))
        elif isinstance(current_recorder(), ThreadWatch):
            _watch(self, current_recorder())
        start(self)

    return wrapped


def _watch(thread: threading.Thread, watch: ThreadWatch) -> None:
    """Make a thread run under a watch; nothing of that stays on the thread once it runs."""
    run = thread.run
    own = vars(thread).get("run")

    def watched_run() -> None:
        if own is None:
            del thread.run
        else:
            thread.run = own  # type: ignore[method-assign]
        with recording(watch.installed, watch):
            run()

    thread.run = watched_run  # type: ignore[method-assign]


class ThreadWatch(Passing):
    """Receives the operators of a thread that a traced one started, runs them, and reports them.

    Attributes:
        installed: the kernels of this process.
    """

    def __init__(
        self, installed: Kernels, state: TracingState, unseen: Unseen, started: Frame | None
    ) -> None:
        self.installed = installed
        self._started = started  # where the thread was started
        # A thread that outlives the trace must not hold it.
        self._state = weakref.ref(state)
        self._unseen = weakref.ref(unseen)

    def record(self, op: Any, keyset: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run one operator and report it if it reads a tensor of the trace."""
        state, unseen = self._state(), self._unseen()
        if state is None or unseen is None or state.recorder is None:  # the trace has ended
            return self.installed.pass_by(op, keyset, args, kwargs)
        operator = operator_of(op)
        known = list(_known_among(state, (*args, *kwargs.values())))
        if not known and Effect.RANDOM not in operator.effects:
            return self.installed.pass_by(op, keyset, args, kwargs)
        stack = state.walker.stack_of(sys._getframe(2))
        if stack is None or stack.user.is_library:
            stack = self._started
        if not known:
            if not any(arg.__class__ is GENERATOR for arg in (*args, *kwargs.values())):
                _report_draw(state, operator.base_name, stack)
            return self.installed.pass_by(op, keyset, args, kwargs)
        thread = threading.current_thread().name
        with self.installed.excluded():
            if operator.effects & (Effect.WRITES | Effect.UNKNOWN):
                for tensor in known:
                    how = f"by {operator.base_name} in thread {thread}"
                    unseen.exposed.add(tensor, how, state.graph.root_scope, stack)
        result = self.installed.pass_by(op, keyset, args, kwargs)
        _report(state, operator.base_name, known, result, stack)
        return result

    def pass_transform(self, name: str, arguments: Any, call: Callable[[], Any]) -> Any:
        """Call a transform of ``torch.func`` and report it if it is given a tensor of the trace."""
        result = call()
        state = self._state()
        if state is None or state.recorder is None:
            return result
        known = list(_known_among(state, pytree.tree_leaves(arguments)))
        if known:
            stack = state.walker.stack_of(sys._getframe(3))
            _report(state, name, known, pytree.tree_leaves(result), stack)
        return result

    def record_higher_order(self, op: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run one operator that takes Python functions."""
        with self.installed.excluded():
            return op(*args, **kwargs)

    def record_data(self, source: torch.Tensor, data: torch.Tensor) -> None:
        """Take no note of ``source.data``."""

    def record_subclass(
        self,
        cls: type[torch.Tensor],
        source: torch.Tensor,
        make: Callable[[], torch.Tensor],
        *,
        is_followed: bool,
    ) -> torch.Tensor:
        """Make a tensor of another class."""
        return make()


def _report(
    state: TracingState, name: str, known: list[torch.Tensor], result: Any, stack: Frame | None
) -> None:
    """Report that something ran in this thread on tensors of a trace, and remember what it made."""
    thread = threading.current_thread().name
    for tensor in tensors_in((result,)):
        state.origins[id(tensor)] = (weakref.ref(tensor), f"{name} made in thread {thread}")
    values = [state.values.get(tensor) for tensor in known]
    state.diagnostics.report(
        DiagnosticKind.OTHER_THREAD,
        f"{name} runs in thread {thread} on a tensor of this trace and is not recorded; a replay does "
        "not run it",
        stack,
        nodes=[v.node for v in values if v is not None and v.node is not None],
    )


def _report_draw(state: TracingState, name: str, stack: Frame | None) -> None:
    state.diagnostics.report(
        DiagnosticKind.OTHER_THREAD,
        f"{name} draws random numbers in thread {threading.current_thread().name}; a replay does not, so "
        "those that the program draws afterwards may differ",
        stack,
    )


def _known_among(state: TracingState, args: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors of a trace that are among arguments, or whose memory arguments are on."""
    for tensor in tensors_in(args):
        if state.values.get(tensor) is not None or state.kept.named(tensor) is not None:
            yield tensor
        else:
            key = memory_of(tensor)
            yield from () if key is None else state.implied.known_on(key)[:1]
