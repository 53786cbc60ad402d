"""What a program asks of its tensors besides their data and sizes: whether autograd follows them, say.

Note [Facts of tensors]
    No operator tells of such a question, and the program may go by the answer, so a replay must find the
    same one. For parameters and other state that is a circumstance, looked at before the replay begins. For
    inputs, and for what the run computed, it is a guard in the graph: what is computed has its facts from
    state, inputs and the caller's modes, and the guard takes all of these together. Facts that are numbers
    are numbers of the graph, as sizes are.

    Only those who may go by the answer count: the user's code and torch's modules. The rest of torch asks
    to keep its own books.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Any

import torch

from ...ir import Operator, ScalarType, SourceRange, StateEntry, TensorType, Value
from ...ir.own_operators import GRADIENT
from ...ir.scalars import read_operator, scalar_form
from ..dispatch.dispatcher import plain_is_leaf, plain_requires_grad, without_hooks
from ..dispatch.gradients import gradient_of
from ..dispatch.number import Number
from ..dispatch.tensors import requires_grad_of
from ..numbers.traced_numbers import traced
from ..program.circumstances import Circumstances
from ..state import TracingState

_SETS_FLAG = ("aten::requires_grad_", "aten::detach", "prim::data", "prim::make_subclass")
"""Operators that alone decide whether autograd follows their results."""
_MOST_NODES = 256  # that are looked at to find out what a flag follows from


@dataclass(frozen=True, slots=True, eq=False)
class Fact:
    """Something that can be asked of a tensor.

    Attributes:
        operator: what asks for it in a graph.
        ask: asks for it, whatever stands in torch's classes.
        is_of_autograd: whether tensors that no gradient can have, of integers say, answer always the same.
        is_lasting: whether the answer, for a tensor that no operator has written, is the one of the start.
    """

    operator: Operator
    ask: Callable[[torch.Tensor], Any]
    is_of_autograd: bool = False
    is_lasting: bool = True

    def text(self, name: str, plain: bool) -> str:
        """Return as a condition what was found for the tensor of a name."""
        form = scalar_form(self.operator.name)
        assert form is not None, "facts have a form"
        asked = form.template.format(name)
        if asked.endswith(" is None"):
            return asked if plain else f"{asked.removesuffix('None')}not None"
        return f"{asked} is {plain}"


def fact(
    name: str,
    ask: Callable[[Any], Any],
    type_: ScalarType = ScalarType.BOOL,
    *,
    is_of_autograd: bool = False,
    is_lasting: bool = True,
) -> Fact:
    """Return the fact that the operator ``prim::name`` asks for."""
    operator = read_operator(f"prim::{name}", ("Tensor",), type_)
    return Fact(operator, ask, is_of_autograd, is_lasting)


REQUIRES_GRAD = fact("requires_grad", plain_requires_grad, is_of_autograd=True)
HAS_NO_GRADIENT = fact(
    "has_no_gradient", lambda tensor: gradient_of(tensor) is None, is_of_autograd=True
)
_NO_GRADIENT = (HAS_NO_GRADIENT.operator.name, True)


class Facts:
    """What the program of one trace has asked of tensors."""

    def __init__(self, state: TracingState) -> None:
        self._state = state
        # Tensors of state that a replay finds followed by autograd.
        self._followed: set[int] = set()
        self._followed_values: set[Value] = set()  # values that it finds so then
        # Found by torch in search of one that is followed: where, and what to hold if there is none.
        self._in_search: tuple[object, list[Callable[[], None]]] = (None, [])
        self._gradients: list[tuple[weakref.ref[torch.Tensor], Callable[[], None]]] = []
        self._has_stored = False  # whether a backward of the program has stored gradients
        # Inputs and state whose gradient the program has set since then.
        self._given: set[int] = set()
        self._cleared: dict[int, weakref.ref[torch.Tensor]] = {}

    def read(self, tensor: torch.Tensor, fact: Fact, plain: Any, frame: FrameType) -> Any:
        """Return what the program is to find, and hold a replay to it if that is plain.

        Args:
            tensor: who was asked.
            fact: what for.
            plain: the answer.
            frame: where.
        """
        if fact.is_of_autograd and not _may_have_gradient(tensor):
            return plain
        if type(plain) is int:
            return self._number(tensor, fact, plain, frame)
        require = self._requirement(tensor, fact, plain, frame)
        search = self._search(fact, frame)
        if self._in_search[0] != search:
            self.end_search()
        if search is None:
            if require is not None:
                require()
            return plain
        if plain:  # and whether others are followed does not matter any more
            self._in_search = (search, [])
            if require is not None:
                require()
        elif require is not None:
            self._in_search = (search, [*self._in_search[1], require])
        return plain

    def read_gradient(self, tensor: torch.Tensor, gradient: Any, frame: FrameType) -> None:
        """Note that the program asked for the gradient of a tensor."""
        is_there = self._has_stored and gradient is not None
        if is_there and id(tensor) in self._followed and self._in_search[0] is None:
            return  # it has asked before
        is_own = not plain_is_leaf(tensor) or not self._is_from_outside(tensor)
        if is_own or id(tensor) in self._given or not _may_have_gradient(tensor):
            return
        if self._has_stored:  # whether it is there is the work of the program, if it may be there
            self.read(tensor, REQUIRES_GRAD, plain_requires_grad(tensor), frame)
            if gradient is not None or self._is_decided(tensor):
                return  # else no backward came to it, and what was there before the run is there
        require = self._requirement(tensor, HAS_NO_GRADIENT, gradient is None, frame)
        if require is None:
            return
        if gradient is None:
            require()
        else:  # a replay that reads it says by itself if it is not there
            self._gradients.append((weakref.ref(tensor), require))

    def gradient_given(self, tensor: torch.Tensor) -> None:
        """Note that the program has set the gradient of a tensor."""
        if self._is_from_outside(tensor):
            self._given.add(id(tensor))
            self._decide(tensor)
            self._state.gradients.set_by_program(tensor)

    def gradient_cleared(self, tensor: torch.Tensor) -> None:
        """Note that the program would have taken away the gradient of a tensor, if there had been one."""
        self._decide(tensor)
        if plain_requires_grad(tensor) and self._is_from_outside(tensor):  # else none comes to be
            self._cleared[id(tensor)] = weakref.ref(tensor)

    def cleared(self) -> Iterator[torch.Tensor]:
        """Yield the tensors whose gradient the program would have taken away, if there had been one."""
        for reference in self._cleared.values():
            tensor = reference()
            if tensor is not None:
                yield tensor

    def gradient_begun(self, tensor: torch.Tensor, frame: FrameType) -> None:
        """Note that a backward stored the first gradient of a tensor: to one that is there, it would add."""
        if self._is_decided(tensor) or not self._is_from_outside(tensor):
            return
        self._decide(tensor)
        require = self._requirement(tensor, HAS_NO_GRADIENT, True, frame)
        if require is not None:
            require()

    def gradients_stored(self) -> None:
        """Note that a backward of the program has stored gradients."""
        self._has_stored = True
        self._given.clear()

    def end_search(self) -> None:
        """Hold a replay to what torch found where none that it looked at was followed."""
        found, self._in_search = self._in_search[1], (None, [])
        for require in found:
            require()

    def finish(self) -> None:
        """Hold a replay to what is known to matter only when the program has run."""
        self.end_search()
        for reference, require in self._gradients:
            tensor = reference()
            value = None if tensor is None else self._state.values.get(tensor)
            users = () if value is None else value.users
            if not any(getattr(user, "operator", None) is GRADIENT for user in users):
                require()
        self._gradients.clear()

    def _decide(self, tensor: torch.Tensor) -> None:
        """Note that the gradient of a tensor from before the run does not matter any more."""
        self._state.circumstances.own_facts.add((id(tensor), _NO_GRADIENT))

    def _is_decided(self, tensor: torch.Tensor) -> bool:
        return (id(tensor), _NO_GRADIENT) in self._state.circumstances.own_facts

    def _is_from_outside(self, tensor: torch.Tensor) -> bool:
        state = self._state
        if state.kept.named(tensor) is not None:
            return True
        return any(leaf is tensor for leaf, _ in state.inputs)

    def _number(self, tensor: torch.Tensor, fact: Fact, plain: int, frame: FrameType) -> Any:
        state = self._state
        value = self._value_of(tensor, frame)
        if value is None or state.force_outplace:  # what is written there becomes values
            return plain
        number = state.numbers.number(fact.operator, (value,), plain, is_entry=False, is_fresh=True)
        return traced(number) if state.sizes.may_be_data else state.numbers.pin(number, "is read")

    def _requirement(
        self, tensor: torch.Tensor, fact: Fact, plain: bool, frame: FrameType
    ) -> Callable[[], None] | None:
        """Return what makes a replay find this as well; None where it does so by itself."""
        state = self._state
        is_followed = fact is REQUIRES_GRAD and plain
        name = state.kept.named(tensor)
        known = state.values.get(tensor)
        is_state = name is not None and (known is None or known.state is not None)
        is_same = known is None or requires_grad_of(tensor) is _flag_of(known)
        if name is not None and is_state and is_same and fact.is_lasting:
            source = partial(state.walker.user_range, frame)
            text = fact.text(name, plain)
            if is_followed:
                self._followed.add(id(tensor))
            key = (fact.operator.name, plain)
            return partial(state.circumstances.read_fact, tensor, key, text, fact.ask, source)
        value = self._value_of(tensor, frame)
        if value is None or self._is_settled(value, fact):
            return None
        if is_followed:
            if self._is_followed_anyway(value):
                return None
            self._followed_values.add(value)
        is_entry = value.definer is state.graph.block and is_same and fact.is_lasting
        if state.force_outplace and not is_entry and fact is not REQUIRES_GRAD:
            return None  # writes, and with them views, are values there
        number = state.numbers.number(fact.operator, (value,), plain, is_entry=is_entry)
        if number.plain is not plain:
            return None  # the program has changed it since it was held
        return partial(self._guard, number)

    def _guard(self, number: Number) -> None:
        self._state.numbers.guard(number, "", place=number.place)

    def _value_of(self, tensor: torch.Tensor, frame: FrameType) -> Value | None:
        """Return the value of a tensor with the flags that it has by now; None for one that nobody knows."""
        state = self._state
        value = state.values.get(tensor)
        if value is None:
            return state.kept.value_of(tensor, frame)
        with without_hooks():
            return state.with_grad_flag(tensor, value, *state.walker.locate(frame))

    def _is_settled(self, value: Value, fact: Fact) -> bool:
        """Whether a fact is the same at every run."""
        node, state = value.node, self._state
        if node is None:
            return value.state is not None and value.state.name in state.kept.copies
        if fact.is_of_autograd:
            if node.operator.base_name in _SETS_FLAG:
                return True
            is_own_mode = (
                "grad" in node.modes.fixed or node.modes.grad is not state.graph.modes.grad
            )
            if is_own_mode and not node.modes.grad:
                return True
        return state.numbers.is_fixed_value(value)

    def _is_followed_anyway(self, value: Value) -> bool:
        """Whether it follows from what a replay is held to already that autograd follows a value."""
        state = self._state
        if not state.circumstances.holds("torch.is_grad_enabled() is True"):
            return False
        pending, seen = [value], {value: None}
        while pending and len(seen) < _MOST_NODES:
            current = pending.pop()
            held = None if current.state is None else state.kept.objects.get(current.state.name)
            if current in self._followed_values or (
                held is not None and id(held) in self._followed
            ):
                self._followed_values.add(value)
                return True
            for read in () if current.node is None else current.node.inputs:
                if read not in seen and _flag_of(read):
                    seen[read] = None
                    pending.append(read)
        return False

    def _search(self, fact: Fact, frame: FrameType) -> object:
        """Return what a question is part of, if torch asks for any tensor that is followed; else None.

        It does so with ``any`` and a generator, and no operator runs meanwhile.
        """
        if fact is not REQUIRES_GRAD or not frame.f_globals.get("__name__", "").startswith(
            "torch."
        ):
            return None
        for asks in (frame, frame.f_back):
            if asks is not None and asks.f_code.co_name == "<genexpr>":
                return id(asks), asks.f_code, self._state.graph.insertion_block.last
        return None


def _flag_of(value: Value) -> bool:
    return isinstance(value.type, TensorType) and value.type.requires_grad


def _may_have_gradient(tensor: torch.Tensor) -> bool:
    return tensor.dtype.is_floating_point or tensor.dtype.is_complex


def hold_requires_grad(
    state: TracingState,
    entry: StateEntry,
    source: Callable[[], SourceRange | None],
    circumstances: Circumstances | None = None,
) -> None:
    """Hold a replay to whether a tensor of the program's state requires gradients, as at the start.

    That is noted among ``circumstances``; those of the trace if left out.
    """
    type_ = entry.value.type
    if isinstance(type_, TensorType):
        flag = type_.requires_grad
        fact = REQUIRES_GRAD
        text = fact.text(entry.name, flag)
        key = (fact.operator.name, flag)
        kept = state.kept.objects[entry.name]
        noted = state.circumstances if circumstances is None else circumstances
        noted.read_fact(kept, key, text, fact.ask, source)
