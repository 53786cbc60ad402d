"""What tensors are that no recorded operator made, and the nodes that say how they came to be.

Autograd gives out what it saved, and stores gradients; wrappers are made of the tensors inside them, and
taken apart again; ``x.data`` and the like share memory with a tensor that is known. A program comes by
such tensors without an operator that tells of it. Where they come from can be found when one is read, and
a node is added for it.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import torch

from ..ir import Argument, Frame, Graph, Modes, Node, Operator, Scope, TensorType, Value
from ..ir.own_operators import GRADIENT, INNER, MAKE_WRAPPER, SET_ATTRIBUTES, WRAP
from .diagnostics import DiagnosticKind
from .dispatch.dispatcher import nested_dummy, plain_offset, shares_storage
from .dispatch.gradients import owner_of_gradient
from .dispatch.literals import to_literal
from .dispatch.memories import memory_of
from .dispatch.saved_results import SavedResults
from .dispatch.schemas import operator_of
from .dispatch.tensors import PLAIN_CLASSES, type_of_tensor, with_geometry
from .dispatch.views import OF_FIXED_SIZE, geometry, views_between
from .functions.custom_functions import CustomFunctions
from .numbers.numbers import Numbers
from .numbers.sizes import Sizes
from .program.program_state import ProgramState
from .program.subclasses import Subclasses, attributes_as_arguments, wrapping_of
from .values import Moment, ValueMap


class Trace(Protocol):
    """A running trace, as far as it is needed here; ``TracingState`` is one."""

    graph: Graph
    values: ValueMap
    kept: ProgramState
    saved: SavedResults
    functions: CustomFunctions
    subclasses: Subclasses
    numbers: Numbers
    sizes: Sizes
    inputs: list[tuple[torch.Tensor, Value]]
    lookup_var_name_fn: Callable[[torch.Tensor], str] | None

    def adopt(self, tensor: torch.Tensor, scope: Scope, stack: Frame | None) -> Value:
        """Return a value for a tensor that no recorded operator has made."""

    def with_grad_flag(
        self, tensor: torch.Tensor, value: Value, scope: Scope, stack: Frame | None
    ) -> Value:
        """Return the value of a known tensor after recording a change of its ``requires_grad``."""

    def get_known(self, tensor: torch.Tensor) -> Value:
        """Return the value of a tensor that is known, or is named state."""

    def report(
        self,
        kind: DiagnosticKind,
        message: str,
        scope: Scope | None,
        stack: Frame | None,
        **details: Any,
    ) -> None:
        """Note that something could not be recorded exactly."""


class ImpliedValues:
    """Finds the values of tensors that no recorded operator made, for one trace.

    Attributes:
        nodes: those that no call of the user's stands behind.
    """

    def __init__(self, trace: Trace) -> None:
        self._trace: Trace = weakref.proxy(trace)  # who owns this
        self.nodes: set[Node] = set()
        self._copies: dict[Node, Value] = {}  # of what operators wrote over

    def find(self, tensor: torch.Tensor, scope: Scope, stack: Frame | None) -> Value | None:
        """Return the value of a tensor of which it is known how it came to be; None for any other."""
        value = (
            self.as_saved(tensor)
            or self._as_written_over(tensor)
            or self._as_gradient(tensor, scope, stack)
            or self._as_inner(tensor, scope, stack)
            or self._trace.functions.recovered(self._trace, tensor)
            or self.as_wrapper(tensor, scope, stack)
            or self._as_view(tensor, scope, stack)
            or self._as_part_of_inner(tensor, scope, stack)
        )
        if value is None and tensor is nested_dummy():
            value = self._trace.kept.constant(tensor, "nested_dummy")
        return value

    def as_saved(self, tensor: torch.Tensor) -> Value | None:
        """Return the value of a tensor that autograd saved when an operator gave it as its result."""
        value = self._trace.saved.find(tensor)
        return None if value is None else self._trace.functions.brought_out(self._trace, value)

    def _as_written_over(self, tensor: torch.Tensor) -> Value | None:
        """Return the value of a copy that autograd made, for a gradient, of what an operator wrote over."""
        result = self._trace.saved.written_over(tensor)
        node = None if result is None else result.node
        if node is None or node.block is None or not node.operator.parameters:
            return None
        graph, type_ = self._trace.graph, type_of_tensor(tensor)
        written, first = node.operator.parameters[0], node.all_args[0]
        is_it = (
            written.name == "self"
            and written.is_written
            and isinstance(first, Value)
            and isinstance(first.type, TensorType)
            and first.type == replace(type_, requires_grad=first.type.requires_grad)
            and graph.insertion_block.is_within(node.block)
        )
        if not is_it:
            return None
        known = self._copies.get(node)
        if known is not None:
            return known
        clone = operator_of(torch.ops.aten.clone.default)
        with graph.inserting(node):
            copy = graph.append(
                clone, (first,), (type_,), scope=node.scope, stack=node.stack, modes=node.modes
            )
        self.nodes.add(copy)
        self._copies[node] = copy.output
        return copy.output

    def _as_inner(self, tensor: torch.Tensor, scope: Scope, stack: Frame | None) -> Value | None:
        """Return the value of a tensor that a known tensor wraps."""
        found = self._trace.subclasses.outside(tensor)
        if found is None:
            return None
        wrapper, path = found
        visible = self._trace.functions.brought_out(self._trace, wrapper)
        if visible is None:
            return None
        return self.add(INNER, (visible, path), tensor, scope, stack)

    def _as_part_of_inner(
        self, tensor: torch.Tensor, scope: Scope, stack: Frame | None
    ) -> Value | None:
        """Return the value of a tensor on memory of one that state of the program wraps."""
        key = memory_of(tensor)
        found = None if key is None else self._trace.kept.wrapping(key, memory_of)
        if found is None:
            return None
        wrapper, inner = found
        self._trace.subclasses.note(wrapper, self._trace.get_known(wrapper))
        value = self._as_inner(inner, scope, stack)
        if value is None or inner is tensor:
            return value
        self._trace.values.add(inner, value)
        return self.add_view(inner, tensor, plain_offset(tensor), scope, stack)

    def as_wrapper(self, tensor: torch.Tensor, scope: Scope, stack: Frame | None) -> Value | None:
        """Return the value of a tensor that the program made to wrap others."""
        if tensor.__class__ in PLAIN_CLASSES:
            return None
        made = self._trace.subclasses.made(tensor)
        wrapping = wrapping_of(tensor)
        if wrapping is None:
            if made is None:
                return None
            call = self._trace.kept.constant(made, "call")
            value = self.add(MAKE_WRAPPER, (call,), tensor, scope, stack)
            held = attributes_as_arguments(
                vars(tensor), lambda part: self._argument(part, scope, stack)
            )
            return self.add(SET_ATTRIBUTES, (value, *held), tensor, scope, stack)
        # Some classes make their tensors in C++; then the tensors inside tell that this run did it.
        if made is None and not any(map(self._is_of_this_run, wrapping.inner)):
            return None
        for inner in wrapping.inner:
            if isinstance(inner, torch.Tensor):
                self._trace.sizes.pin(inner)
        arguments = (
            self._trace.kept.constant(type(tensor), type(tensor).__name__),
            wrapping.names,
            tuple([self._argument(inner, scope, stack) for inner in wrapping.inner]),
            self._whole(wrapping.context),
            wrapping.size,
            wrapping.stride,
        )
        return self.add(WRAP, arguments, tensor, scope, stack)

    def _as_gradient(self, tensor: torch.Tensor, scope: Scope, stack: Frame | None) -> Value | None:
        known = (live for live, _ in self._trace.values.live())
        owner = owner_of_gradient(tensor, itertools.chain(self._trace.kept.candidates(), known))
        if owner is None:
            return None
        last = (
            self._trace.graph.insertion_block.last
        )  # the modes in force do not matter for an attribute
        modes = self._trace.graph.modes if last is None else last.modes
        return self.add(
            GRADIENT, (self._trace.get_known(owner),), tensor, scope, stack, modes=modes
        )

    def _as_view(self, tensor: torch.Tensor, scope: Scope, stack: Frame | None) -> Value | None:
        """Return a value for a tensor on the memory of a known one; None if it is on no such memory.

        Autograd saves tensors and gives them out again as other objects, with the same history; and
        it gives out views that were made inside an operator. Through both, gradients flow.
        """
        base = self._sharing_storage(tensor)
        if base is None:
            return None
        if geometry(tensor) == geometry(base) and _same_history(tensor, base):
            return self._trace.get_known(base)
        is_followed = tensor.requires_grad and tensor._is_view() and tensor._base is base
        return self.add_view(
            base, tensor, plain_offset(tensor), scope, stack, is_followed=is_followed
        )

    def add_view(
        self,
        base: torch.Tensor,
        tensor: torch.Tensor,
        place: int,
        scope: Scope,
        stack: Frame | None,
        *,
        is_followed: bool = False,
    ) -> Value:
        """Record that a tensor is part of the memory of a known one, from element ``place`` on.

        ``is_followed`` tells whether gradients flow from it to the other.
        """
        view = self._trace.get_known(base)
        modes = (
            replace(self._trace.graph.modes, grad=True) if is_followed else self._trace.graph.modes
        )
        type_ = replace(type_of_tensor(tensor), requires_grad=is_followed)
        if not is_followed:
            known: Any = view.type
            detached = replace(known, requires_grad=False)
            detach = operator_of(torch.ops.aten.detach.default)
            view = self.add(detach, (view,), tensor, scope, stack, type_=detached)
        for op, args, shape, strides in views_between(base, tensor, place):
            if op in OF_FIXED_SIZE:
                self._trace.sizes.pin(base)
            view = self.add(
                operator_of(op),
                (view, *args),
                tensor,
                scope,
                stack,
                type_=with_geometry(type_, shape, strides),
                modes=modes,
            )
        self._trace.values.set(tensor, view)
        key = memory_of(tensor)
        if key is not None:
            self._trace.values.index(tensor, key, self._moment())
        return view

    def with_attributes(
        self, tensor: torch.Tensor, value: Value, scope: Scope, stack: Frame | None
    ) -> Value:
        """Return the value of a tensor after recording the attributes that the program set on it."""
        changed = self._trace.subclasses.changed_attributes(tensor)
        if not changed:
            return value
        self._trace.subclasses.note(
            tensor, value
        )  # first, in case an attribute leads back to the tensor
        arguments = attributes_as_arguments(
            changed, lambda held: self._argument(held, scope, stack)
        )
        value = self.add(SET_ATTRIBUTES, (value, *arguments), tensor, scope, stack)
        self._trace.values.set(tensor, value)
        self._trace.subclasses.note(tensor, value)
        return value

    def add(
        self,
        operator: Operator,
        args: tuple[Argument, ...],
        tensor: torch.Tensor,
        scope: Scope,
        stack: Frame | None,
        *,
        type_: TensorType | None = None,
        modes: Modes | None = None,
    ) -> Value:
        """Add a node for what happened to a tensor without an operator being called."""
        types = (type_of_tensor(tensor) if type_ is None else type_,)
        modes = self._trace.graph.modes if modes is None else modes
        node = self._trace.graph.append(
            operator, args, types, scope=scope, stack=stack, modes=modes
        )
        self.nodes.add(node)
        return node.output

    def known_on(self, key: int) -> list[torch.Tensor]:
        """Return the known tensors of one storage, newest first, then parameters and buffers on it."""
        known = self._trace.values.sharing(key, self._moment(), memory_of)
        named = self._trace.kept.sharing(key, memory_of)
        return [*reversed(known), *(t for t in named if self._trace.values.get(t) is None)]

    def shares_memory(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor is of the memory of a known one."""
        return self._sharing_storage(tensor) is not None

    def _sharing_storage(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """Return a known tensor of the same memory and dtype: best the same to autograd, or the base."""
        key = memory_of(tensor)
        if key is None or not shares_storage(tensor):
            return None
        here = geometry(tensor)
        known = self._trace.values.sharing(key, self._moment(), memory_of)
        candidates = [
            candidate
            for candidate in (*reversed(known), *self._trace.kept.sharing(key, memory_of))
            if candidate.dtype == tensor.dtype and candidate is not tensor
        ]
        for candidate in candidates:
            if _same_history(tensor, candidate) and geometry(candidate) == here:
                return candidate
        if any(candidate is tensor._base for candidate in candidates):
            return tensor._base
        begin = plain_offset(tensor)
        for candidate in candidates:
            if plain_offset(candidate) <= begin:
                return candidate
        is_inputs = any(memory_of(leaf) == key for leaf, _ in self._trace.inputs)
        # Where in its memory an input begins is the caller's affair: nothing says what lies before it.
        return candidates[0] if candidates and not is_inputs else None

    def _moment(self) -> Moment:
        block = self._trace.graph.insertion_block
        return block, len(block)

    def _argument(self, held: Any, scope: Scope, stack: Frame | None) -> Argument:
        """Return anything that Python code may hand to a node as an argument of it."""
        if isinstance(held, torch.Tensor):
            value = self._trace.values.get(held)
            if value is None:
                return self._trace.adopt(held, scope, stack)
            return self._trace.with_grad_flag(held, value, scope, stack)
        if isinstance(held, list | tuple):
            return tuple([self._argument(item, scope, stack) for item in held])
        try:
            return to_literal(held)
        except TypeError:
            return self._trace.kept.constant(held, type(held).__name__)

    def _whole(self, held: Any) -> Argument:
        """Return a Python object as an argument, not looked into."""
        try:
            return to_literal(held)
        except TypeError:
            return self._trace.kept.constant(held, type(held).__name__)

    def _is_of_this_run(self, tensor: Any) -> bool:
        return (
            self._trace.values.get(tensor) is not None
            or self._trace.subclasses.outside(tensor) is not None
            or self._trace.subclasses.made(tensor) is not None
        )


def _same_history(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether autograd takes two tensors for the same result of the same operator."""
    history = one.grad_fn
    return history is not None and history is other.grad_fn and one.output_nr == other.output_nr
