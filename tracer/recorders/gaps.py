"""Pauses: stretches of a run that a trace does not record, and what of them reaches what it does record.

Note [Gaps are watched, not recorded]
    While a trace is paused its kernels stay switched on, with a recorder that only takes note: of
    the tensors that are made, by weak reference, so that one that is used later can be told from any
    other; and of writes to memory that the trace knows. Version counters catch writes that call no
    operator. What leaves a gap as a Python number is not followed, so each line that reads one is listed.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterator
from functools import cache
from types import FrameType
from typing import Any

import torch
from torch.utils import _pytree as pytree

from ..diagnostics import DiagnosticKind, Severity, short_text
from ..dispatch.dispatcher import Kernels, Passing, quiet, set_recorder
from ..dispatch.memories import memory_of
from ..dispatch.schemas import operator_of
from ..dispatch.tensors import tensors_in, type_of_tensor
from ..state import TracingState
from .recorder import Recorder, reads_data

_PACKAGE = __name__.rpartition(".recorders.")[0]


class Gap:
    """One stretch that one trace does not record.

    Attributes:
        scope: the scope it began in.
        stack: the Python stack that began it.
        what: says in words where it is: ``in another thread``.
    """

    def __init__(self, state: TracingState, frame: FrameType, what: str) -> None:
        self.scope, self.stack = state.walker.locate(frame)
        self.what = what
        self._trace = weakref.ref(state)  # which holds its gaps
        state.was_paused = True
        with quiet():
            self._rng_state: torch.Tensor | None = torch.default_generator.get_state()
        self._made: dict[int, weakref.ref[torch.Tensor]] = {}
        self._written: dict[str, None] = {}
        self._written_storages: set[int | None] = set()
        self._versions = [
            (weakref.ref(tensor), tensor._version)
            for tensor in _known_tensors(state)
            if not tensor.is_inference()
        ]

    def note_made(self, tensor: torch.Tensor) -> None:
        """Take note of a tensor that an operator gave, unless the trace knows it."""
        state = self._trace()
        if state is not None and state.values.get(tensor) is None:
            self._made[id(tensor)] = weakref.ref(tensor)

    def note_written(self, tensor: torch.Tensor) -> None:
        """Take note of a tensor that an operator wrote, if the trace knows its memory. O(live tensors)."""
        state = self._trace()
        if state is None:
            return
        key = memory_of(tensor)
        self._written_storages.add(key)
        if state.values.get(tensor) is not None:
            self._written[_name_of(state, tensor)] = None
            return
        for known in () if key is None else _known_tensors(state):
            if memory_of(known) == key:
                self._written[_name_of(state, known)] = None
                return

    def has_made(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor, or one that it shares memory with, was made in the gap."""
        known = self._made.get(id(tensor))
        if known is not None and known() is tensor:
            return True
        key = memory_of(tensor)
        return key is not None and any(
            made is not None and memory_of(made) == key
            for made in [reference() for reference in list(self._made.values())]
        )

    def has_written(self, key: int) -> bool:
        """Whether memory that the trace knows, given by its storage, was written in the gap."""
        return key in self._written_storages

    def note_read(self, what: str, shown: str, frame: FrameType) -> None:
        """List a line that makes numbers of the run Python's own."""
        state = self._trace()
        if state is None:
            return
        state.report(
            DiagnosticKind.DATA_READ,
            f"{what} {self.what}; where the program goes by it afterwards, a replay goes by what it was",
            self.scope,
            state.walker.stack_of(frame),
            severity=Severity.INFO,
            value=shown,
            hint="read it outside the pause if anything but text comes of it",
        )

    def is_read_sized(self, tensor: torch.Tensor) -> bool:
        """Whether the sizes of a tensor may be others at a replay."""
        state = self._trace()
        return state is not None and state.sizes.value_of(tensor) is not None

    def close(self) -> None:
        """Report what was written in the gap, and whether it drew random numbers, once."""
        state = self._trace()
        if state is None:
            return
        self._report_random_numbers(state)
        for reference, version in self._versions:
            tensor = reference()
            if tensor is not None and tensor._version != version:
                self._written.setdefault(_name_of(state, tensor), None)
                self._written_storages.add(memory_of(tensor))
        written, self._written, self._versions = list(self._written), {}, []
        if written:
            shown = ", ".join(written[:3])
            shown += f" and {len(written) - 3} more" if len(written) > 3 else ""
            verb = "was" if len(written) == 1 else "were"
            message = f"{shown} {verb} written {self.what}, which a replay does not do"
            state.report(DiagnosticKind.UNTRACKED_EFFECT, message, self.scope, self.stack)

    def _report_random_numbers(self, state: TracingState) -> None:
        before, self._rng_state = self._rng_state, None
        with quiet():
            is_same = before is None or torch.equal(before, torch.default_generator.get_state())
        if not is_same:
            message = (
                f"random numbers were drawn, or a seed was set, {self.what}, which a replay does not do; "
                "those that the program draws afterwards differ"
            )
            hint = "draw them outside the pause, or from a torch.Generator of your own"
            kind = DiagnosticKind.UNTRACKED_EFFECT
            state.report(kind, message, self.scope, self.stack, hint=hint)
            state.generators.default_seed_told()


class GapRecorder(Passing):
    """Receives the operators of a thread that is not recorded: see Note [Gaps are watched, not recorded].

    Attributes:
        gaps: a gap for the trace that is not recorded into, and for each trace around it; empty once
            that trace has ended.
    """

    def __init__(
        self,
        recorder: Recorder,
        kernels: Kernels,
        frame: FrameType,
        what: str = "while the trace was paused",
    ) -> None:
        self._kernels = kernels
        self._code = frame.f_code
        self.gaps: list[Gap] = []
        outer: Recorder | None = recorder
        while outer is not None:
            gap = Gap(outer.state, frame, what)
            outer.state.gaps.append(gap)
            self.gaps.append(gap)
            outer = outer.outer

    def close(self) -> None:
        """End the gaps and let go of their traces."""
        gaps, self.gaps = self.gaps, []
        for gap in gaps:
            gap.close()

    def record(
        self,
        op: torch._ops.OpOverload,
        keyset: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        frame: FrameType | None = None,
    ) -> Any:
        """Run one operator and take note of what it made and wrote."""
        if not self.gaps:  # a thread that goes on after the trace that it was started in
            set_recorder(None)
            self._kernels.set_included(False)
        result = self._kernels.pass_by(op, keyset, args, kwargs)
        for position, name in _written_arguments(op):
            written = args[position] if position < len(args) else kwargs.get(name)
            for tensor in tensors_in(written):
                for gap in self.gaps:
                    gap.note_written(tensor)
        self._note_made(result)
        if reads_data(op):
            self.note_read(operator_of(op).base_name, result, sys._getframe(2))
        return result

    def record_higher_order(self, op: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run one operator that takes Python functions and take note of what it made."""
        with self._kernels.excluded():
            result = op(*args, **kwargs)
        self._note_made(result)
        return result

    def pass_transform(self, name: str, arguments: Any, call: Callable[[], Any]) -> Any:
        """Call a transform of ``torch.func`` and take note of what it made."""
        result = call()
        self._note_made(pytree.tree_leaves(result))
        return result

    def note_read(self, how: str, result: Any, frame: FrameType) -> None:
        """List a line that gives Python the data of a tensor."""
        shown = "" if result is None else short_text(result)
        for gap in self.gaps:
            gap.note_read(
                f"{how} gives Python the data of a tensor{shown and f', {shown},'}", shown, frame
            )

    def note_size(self, tensor: torch.Tensor, frame: FrameType) -> None:
        """List a line that reads a size that may vary: of who pauses, and of what that calls itself.

        What is called further down, a whole model say, gives tensors, which are told from others.
        """
        asks: FrameType | None = frame
        while asks is not None and asks.f_globals.get("__name__", "").startswith(_PACKAGE):
            asks = asks.f_back
        if asks is None or self._code not in (asks.f_code, asks.f_back and asks.f_back.f_code):
            return
        for gap in self.gaps:
            if gap.is_read_sized(tensor):
                gap.note_read("a size of a tensor is read", "", asks)

    def _note_made(self, result: Any) -> None:
        for tensor in tensors_in(result):
            for gap in self.gaps:
                gap.note_made(tensor)


@cache
def _written_arguments(op: torch._ops.OpOverload) -> tuple[tuple[int, str], ...]:
    """Return position and name of each argument that an operator writes."""
    parameters = operator_of(op).parameters
    return tuple((n, p.name) for n, p in enumerate(parameters) if p.is_written)


def _known_tensors(state: TracingState) -> Iterator[torch.Tensor]:
    for tensor, _ in state.values.live():
        yield tensor
    yield from state.kept.candidates()


def _name_of(state: TracingState, tensor: torch.Tensor) -> str:
    """Return what a message calls a tensor of the trace: its name where it has one."""
    name = state.kept.named(tensor)
    if name is None:
        value = state.values.get(tensor)
        name = None if value is None or value.node is not None else value.name
    return f"a tensor {type_of_tensor(tensor)}" if name is None else name
