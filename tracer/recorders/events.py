"""What a program does besides calling operators that a replay must do too, each as a node of its own."""

from __future__ import annotations

import sys
from typing import Any

import torch

from ...ir import Argument, Operator
from ...ir.own_operators import ENTER_MODE, EXIT_MODE, RESIZE_STORAGE, WAIT
from ..state import TracingState


class EventRecorder:
    """Records dispatch modes, waits for collectives, resized storages and newly made wrappers.

    Attributes:
        state: the trace it records into.
        outer: the recorder of the trace that this one runs inside; it records the same events.
    """

    def __init__(self, state: TracingState, outer: EventRecorder | None) -> None:
        self.state = state
        self.outer = outer
        self._modes = state.modes
        self._entered: list[Any] = []  # dispatch modes that the program entered
        self._set_aside: list[Any] = []  # those around the trace that it has left for a while

    def record_mode(self, mode: Any, entered: bool) -> None:
        """Record that operators go through a dispatch mode of the program's from now on, or no longer."""
        # Modes around the trace may be set aside for a while and put back; a replay has its own.
        modes = self._set_aside if entered else self._entered
        is_paired = any(known is mode for known in modes)
        if is_paired:
            modes[:] = [known for known in modes if known is not mode]
        else:
            (self._entered if entered else self._set_aside).append(mode)
        if is_paired is not entered:
            constant = self.state.kept.constant(mode, type(mode).__name__)
            self._record_effect_of(ENTER_MODE if entered else EXIT_MODE, (constant,))
        if self.outer is not None:
            self.outer.record_mode(mode, entered)

    def record_wait(self, work: Any) -> None:
        """Record that the program waited for a collective operator."""
        value = self.state.collectives.waited(work)
        if value is not None:
            self._record_effect_of(WAIT, (value,))
        if self.outer is not None:
            self.outer.record_wait(work)

    def record_resize(self, storage: torch.UntypedStorage) -> None:
        """Record that the program gave a storage another size."""
        value = self.state.value_on(storage)
        self._record_effect_of(RESIZE_STORAGE, (value, storage.size()))
        if self.outer is not None:
            self.outer.record_resize(storage)

    def _record_effect_of(self, operator: Operator, arguments: tuple[Argument, ...]) -> None:
        scope, stack = self.state.walker.locate(sys._getframe(3))
        modes = self._modes.read()
        self.state.graph.append(operator, arguments, (), scope=scope, stack=stack, modes=modes)

    def record_wrapper(
        self, tensor: torch.Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Note the call that made a tensor which wraps others."""
        self.state.subclasses.note_made(tensor, args, kwargs)
        if self.outer is not None:
            self.outer.record_wrapper(tensor, args, kwargs)
