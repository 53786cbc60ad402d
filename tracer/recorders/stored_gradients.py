"""The gradients that a program leaves in ``.grad``: a replay stores them as well.

Autograd's engine, and Python, set ``.grad`` without an operator. So it is looked at when a backward pass
has ended and when the program has. One that is another tensor than before becomes a node,
``prim::set_gradient``; what operators write into a gradient that was there is recorded as any write.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch

from ...ir import Frame, Scope, Value
from ...ir.own_operators import SET_GRADIENT
from ..dispatch.dispatcher import quiet
from ..dispatch.gradients import gradient_of
from ..state import TracingState


class StoredGradients:
    """Records, for one trace, which tensors are given which gradients."""

    def __init__(self, state: TracingState) -> None:
        self._state = state

    def store(self, scope: Scope, stack: Frame | None) -> list[torch.Tensor]:
        """Record the gradients that were set since the last call. O(live tensors).

        Returns the tensors that had none.

        Args:
            scope: where that was.
            stack: likewise; None for what Python may have set anywhere.
        """
        state = self._state
        if state.force_outplace or state.functions.is_running:
            return []  # a functional graph changes nothing; a custom function runs again as it is
        with quiet():
            changed = list(self._changed())
        begun = []
        for tensor, gradient in changed:
            owner = self._value_of(tensor)
            value = None if gradient is None else self._value_of(gradient)
            if value is None and gradient is not None:
                value = self._wrapped(gradient, scope, stack)
            if owner is None or (value is None and gradient is not None):
                continue  # it is reported when the program has ended
            if state.gradients.is_as_noted(tensor, None) is not False:
                begun.append(tensor)
            made = None if value is None else value.node
            # In a backward pass, where the gradient was collected: with the module that has the tensor.
            where = made.scope if made is not None and made.scope.is_backward else scope
            self._append(owner, value, where, stack)
            state.gradients.stored(tensor, gradient)
        return begun

    def clear(self, tensors: Iterable[torch.Tensor], scope: Scope) -> None:
        """Record that the program leaves tensors, whose gradient it would have taken away, without one.

        A run in which they have one then takes it away, though this one found none.
        """
        state = self._state
        if state.force_outplace:
            return
        for tensor in tensors:
            if gradient_of(tensor) is None and not state.gradients.has_stored(tensor):
                owner = self._value_of(tensor)
                if owner is not None:
                    self._append(owner, None, scope, None)

    def _wrapped(self, gradient: torch.Tensor, scope: Scope, stack: Frame | None) -> Value | None:
        """Return the value of a gradient that Python made to wrap what operators gave."""
        value = self._state.implied.as_wrapper(gradient, scope, stack)
        if value is not None:
            self._state.values.set(gradient, value)
            self._state.subclasses.note(gradient, value)
        return value

    def _append(
        self, owner: Value, gradient: Value | None, scope: Scope, stack: Frame | None
    ) -> None:
        modes = self._state.modes.read()
        self._state.graph.append(
            SET_GRADIENT, (owner, gradient), scope=scope, stack=stack, modes=modes
        )

    def _changed(self) -> Iterator[tuple[torch.Tensor, torch.Tensor | None]]:
        """Yield the tensors that have another gradient than is known, with it."""
        state = self._state
        yield from state.gradients.others()
        for tensor, _ in state.values.live():
            if state.gradients.is_noted(tensor):
                continue
            # One that turned up meanwhile has its gradient from before, unless this run made that.
            gradient = gradient_of(tensor)
            if gradient is not None and state.values.get(gradient) is not None:
                yield tensor, gradient

    def _value_of(self, tensor: torch.Tensor) -> Value | None:
        """Return the value of a tensor where the block that is recorded now can read it."""
        state = self._state
        value = state.values.get(tensor)
        if value is None:
            value = state.kept.value_of(tensor)
            if value is None:
                return None
            state.values.set(tensor, value)
        block = value.block
        return value if block is None or state.graph.insertion_block.is_within(block) else None
