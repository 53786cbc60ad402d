"""What a program calls that is one node, though torch's dispatcher sees its operators one by one."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import torch

from ...ir import Argument
from ..dispatch.gradients import sequence_number
from ..dispatch.number import number_of
from ..functions.apply_call import ApplyCall
from ..functions.callees import Callee
from ..functions.custom_functions import is_transparent
from ..functions.function_calls import given, hold_numbers_kept_by
from ..numbers.numbers import SCALAR_TYPES
from ..numbers.traced_numbers import traced
from .recorder import Recorder


class CallRecorder(Recorder):
    """Records operators, and calls of custom autograd functions and of traced programs."""

    outer: CallRecorder | None

    def before_backward(self) -> None:
        """Get ready for a backward pass, which reads what operators are made of."""

    def record_function(self, function: Any, call: ApplyCall, frame: FrameType) -> Any:
        """Run one custom autograd function, record it with its forward, and return its result."""
        modes_around, self._modes_of_apply = self._modes_of_apply, self._modes.read()
        try:
            if self.outer is not None:
                outer = functools.partial(self.outer.record_function, function, call, frame)
                call = ApplyCall(lambda *args: outer(), call.args, {})
            scope, stack = self.state.walker.locate(frame)
            if is_transparent(function):
                first = sequence_number()
                result = call()
                self.state.walker.causes.note(first, scope, stack)
                return result
            self.unseen.before_whole(scope, stack)
            hold_numbers_kept_by(function)
            arguments = given(
                call.args,
                lambda leaf: self._argument(leaf, scope, stack),
                self.state.kept.constant,
                self._is_computed,
            )
            self._has_numbers = False  # they go in as they are
            place = (scope, stack, self._modes_of_apply)
            watched = ApplyCall(functools.partial(self._apply, call), call.args, call.kwargs)
            first = sequence_number()
            result = self.state.functions.record(self.state, function, watched, arguments, place)
            self.state.walker.causes.note(first, scope, stack)
            return result
        finally:
            self._modes_of_apply = modes_around

    def _apply(self, call: ApplyCall, *args: Any, **kwargs: Any) -> Any:
        """Call a custom function; what it wrote to memory without an operator is its own to repeat."""
        with self.state.modes.setting("grad"):  # off for a forward, whatever the caller's are
            result = call()
        self.unseen.exposed.finish()
        return result

    def _is_computed(self, part: Any) -> bool:
        """Whether something is a tensor or number that this run made or was given."""
        if not isinstance(part, torch.Tensor):
            return number_of(part) is not None
        value = self.state.values.get(part)
        return value is not None and value.state is None

    def record_call(
        self, callee: Callee, leaves: list[Any], run: Callable[..., tuple[Any, ...]]
    ) -> tuple[Any, ...]:
        """Run a traced program, record that as a call of a function, and return what it returned."""
        frame = sys._getframe(1)
        scope, stack = self.state.walker.locate(frame)
        place = (scope, stack, self._modes.read())
        exposed = self.unseen.before_whole(scope, stack)

        def make_call() -> tuple[Any, ...]:
            if self.outer is not None:
                return self.outer.record_call(callee, leaves, run)
            with self._excluded():
                return run(*leaves)

        def argument(tensor: torch.Tensor) -> Argument:
            return self._argument(tensor, scope, stack)

        callees = self.state.callees
        first = sequence_number()
        node, results = callees.record(
            self.state, callee, leaves, make_call, argument, place, frame
        )
        self.state.walker.causes.note(first, scope, stack)
        for region in exposed:
            region.settle()
        self._remember_all(results, node.outputs)
        self._note_histories(results, node.outputs)
        return tuple(
            traced(self.state.numbers.of_value(value, result))
            if type(result) in SCALAR_TYPES
            else result
            for result, value in zip(results, node.outputs, strict=True)
        )

    def record_mark(self, name: str, args: tuple[Any, ...]) -> None:
        """Note what the forward of a custom autograd function tells its context."""
        self.state.functions.mark(name, args)
        if self.outer is not None:
            self.outer.record_mark(name, args)
