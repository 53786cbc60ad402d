"""Deep capture: composite operators are traced through, and what they call stands in their scope.

Note [Traced through]
    A composite operator runs with our key in force, so that the operators which it calls in C++ come to
    us too. They are recorded into a block that stands free, and the operator itself as ever, as one node.
    Then the block takes the node's place, provided that it does all that the node does:

    * it makes every result, as the very tensor that came out; a composite operator may set what a
      tensor is without an operator, and some do nothing else;
    * it makes nothing that no operator tells of, and reads no data, unless for gradients;
    * it gives none that it was given other sizes, as ``out=`` may: functional graphs cannot say that;
    * it reads every tensor that the node reads: from one that it leaves out, C++ may have taken numbers;
    * all that is read was written by operators, and not by C++ itself;
    * sizes that data decides do not go in. Those of the program's inputs do: C++ reads them unseen and
      goes its way by them. So they are fixed, as are all else that it can go by: strides, whether
      gradients are required, and the modes around the program.

    Otherwise the node stays, and the block is given up. That is what flat capture does, so it is right.
"""

from __future__ import annotations

import copy
import functools
import sys
import weakref
from collections.abc import Callable, Collection, Container, Iterable, Iterator
from types import FrameType
from typing import Any

import torch

from ...ir import Block, Effect, Node, Scope, ScopeKind, SourceRange, TensorType, Value
from ...ir.own_operators import LITERAL
from ..diagnostics import DiagnosticKind
from ..dispatch.composites import is_composite, is_composite_for
from ..dispatch.dispatcher import autocast_regions, is_grad_enabled, is_inference_mode_enabled
from ..dispatch.schemas import operator_of
from ..dispatch.tensors import PLAIN_CLASSES
from ..numbers.data_sizes import DataSizes
from ..state import TracingState
from ..values import Entries
from .calls import CallRecorder

_KNOWN_BY_KIND = (type(None), bool, int)
"""Results besides tensors: they follow from what a replay is held to, or are read by nobody."""


_NOT_OF_NODE = frozenset((DiagnosticKind.DATA_READ, DiagnosticKind.UNTRACKED_TENSOR))
"""What is told of operators inside another one, and does not matter where that is one node."""


class _Inside:
    """What a composite operator called.

    Attributes:
        facts: what the recorder knows of the operator.
        block: holds what it called; nothing if it was not looked into.
        entries: what the tensors are, by it, that it made or wrote.
        scope: the operator's.
        results: what it returned, lists taken apart.
        made: what these are by what was called; None where that is not known, or no tensor.
        reports: what could not be recorded exactly of what it called.
    """

    __slots__ = ("block", "entries", "facts", "made", "reports", "results", "scope")

    def __init__(self, facts: Any, block: Block, scope: Scope) -> None:
        self.facts = facts
        self.block = block
        self.entries: Entries = {}
        self.scope = scope
        self.results: list[Any] = []
        self.made: list[Value | None] = []
        self.reports: list[tuple[DiagnosticKind, Callable[[], None]]] = []

    def read(self) -> set[Value]:
        """Return the values that what was called reads, and those that the results are."""
        read = {value for inner in self.block for value in inner.inputs}
        read.update(value for value in self.made if value is not None)
        return read

    def kept_before(self, given: Collection[Value]) -> list[Value]:
        """Return the values that it reads, that a node has made before, and that it was not given."""
        return [
            value
            for inner in self.block
            for value in inner.inputs
            if value.node is not None and value.block is not self.block and value not in given
        ]


class DeepRecorder(CallRecorder):
    """Records what composite operators call in place of them; see Note [Traced through]."""

    def __init__(self, state: TracingState, *rest: Any) -> None:
        super().__init__(state, *rest)
        self._insides: list[_Inside] = []  # of operators that have run and are being recorded
        self._depth = 0  # how many composite operators run, one inside another
        self._data_sizes = DataSizes(state.numbers.by_value)

    def record(
        self,
        op: torch._ops.OpOverload,
        keyset: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        frame: FrameType | None = None,
    ) -> Any:
        """Run one operator, record it or what it calls, and return what it returned."""
        if frame is None:
            frame = sys._getframe(2)
        insides = self._insides
        count = len(insides)
        try:
            result = super().record(op, keyset, args, kwargs, frame)
            if len(insides) > count:
                return self._settle(insides[-1], result)
        finally:
            del insides[count:]
        return result

    @property
    def is_inside(self) -> bool:
        """Whether a composite operator runs that is traced through."""
        return self._depth > 0

    def _learn(self, op: torch._ops.OpOverload) -> Any:
        facts = super()._learn(op)
        if is_composite(op):
            own = copy.copy(facts)
            # The facts are the recorder's own, and must not keep it alive.
            own.redispatch = functools.partial(
                type(self)._run_inside, weakref.proxy(self), op, facts
            )
            # Its results are those of what it calls; if not, this is made up for.
            own.may_be_saved = own.reads_data = False
            return own
        return facts

    def _run_inside(
        self,
        op: torch._ops.OpOverload,
        facts: Any,
        keyset: Any,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Run a composite operator, where it is one, and record what it calls into a block."""
        state = self.state
        graph, walker = state.graph, state.walker
        block = Block(graph, None, graph.insertion_block)
        if not is_composite_for(op, keyset):
            self._insides.append(_Inside(facts, block, walker.root))
            return facts.redispatch(keyset, *args, **kwargs)
        scope = walker.open_region(_name_of(op), sys._getframe(), ScopeKind.OPERATOR)
        inside = _Inside(facts, block, scope)
        held, state.held = state.held, inside.reports
        self._depth += 1
        try:
            with state.values.layer() as inside.entries, graph.inserting(block):
                self._set_excluded(False)
                try:
                    result = facts.redispatch(keyset, *args, **kwargs)
                finally:
                    self._set_excluded(True)
                inside.results = list(_parts(result))
                inside.made = [self._made(part) for part in inside.results]
        except BaseException:
            state.held = held
            self._keep(inside)
            raise
        finally:
            state.held = held
            self._depth -= 1
            walker.regions.pop()
        self._insides.append(inside)
        return result

    def _made(self, result: Any) -> Value | None:
        return self.state.values.get(result) if isinstance(result, torch.Tensor) else None

    def _keep(self, inside: _Inside) -> None:
        """Keep what an operator called before it raised: the program may go on."""
        holder = self.state.graph.append(LITERAL)
        self._put_before(holder, inside)
        holder.erase()
        for _, report in inside.reports:
            report()

    def _put_before(self, node: Node, inside: _Inside) -> None:
        for inner in inside.block:
            inner.move_before(node)
        alive = {key: entry for key, entry in inside.entries.items() if entry[0]() is not None}
        self.state.values.entries.update(alive)

    def _settle(self, inside: _Inside, result: Any) -> Any:
        """Put what a composite operator called in the place of its node, or keep that; return the result."""
        parts = list(_parts(result))
        node = self._node_of(parts)
        if self._is_whole(node, inside):
            self._replace(node, inside)
            return result
        kept = inside.kept_before(node.inputs)
        inside.block.discard()
        for kind, report in inside.reports:
            if kind not in _NOT_OF_NODE:
                report()
        if kept:
            message = (
                f"{node.operator.base_name} went on with a tensor {kept[0].type} that torch had kept, as "
                "autocast keeps weights; a replay computes it again, and gradients may differ in their last "
                "bits"
            )
            self.state.report_if_followed(
                DiagnosticKind.UNTRACKED_EFFECT, message, node.scope, node.stack
            )
        if node.modes.grad:
            self._note_histories(parts, node.outputs)
        if inside.facts.reads_data:
            return self._read_data(inside.facts, (), result, node)
        return result

    def _node_of(self, results: list[Any]) -> Node:
        """Return the node that a composite operator was recorded as, told by its results."""
        values = (self._made(result) for result in results)
        made = next((value.node for value in values if value is not None), None)
        node = self.state.graph.insertion_block.last if made is None else made
        assert node is not None, "an operator that ran has a node"
        return node

    def _replace(self, node: Node, inside: _Inside) -> None:
        state = self.state
        self._put_before(node, inside)
        becomes: dict[Value, Value] = {}
        for result, output, value in zip(inside.results, node.outputs, inside.made, strict=True):
            if value is not None:
                becomes[output] = value
                output.replace_all_uses_with(value)
                value.name = value.name or output.name
                state.values.set(result, value)
                if result.__class__ not in PLAIN_CLASSES:
                    state.subclasses.note(result, value)
        if state.saved.hooks:
            state.saved.replace(becomes)
        if not self._depth:
            state.named_as.append((node.stack, inside.made))
            state.walker.regions.append(inside.scope)
            self._hold(node)
            state.walker.regions.pop()
        node.erase()
        for _, report in inside.reports:
            report()

    def _is_whole(self, node: Node, inside: _Inside) -> bool:
        """Whether what was called inside is all that a node does; see Note [Traced through]."""
        block = inside.block
        if len(inside.results) != len(node.outputs):
            return False  # it was not looked into
        given = list(filter(_is_tensor, node.inputs))
        for result, output, value in zip(inside.results, node.outputs, inside.made, strict=True):
            if value is None:
                if type(result) not in _KNOWN_BY_KIND:
                    return False
            elif value.type != output.type or (value.block is not block and value not in given):
                return False
        told = {kind for kind, _ in inside.reports}
        is_followed = any(_requires_grad(output) for output in node.outputs)
        if DiagnosticKind.UNTRACKED_TENSOR in told or (told & _NOT_OF_NODE and not is_followed):
            return False
        if any(inner.inputs[0] in given for inner in block if _reshapes(inner)):
            return False
        if block.last is None and any(p.is_written for p in node.operator.parameters):
            return False
        read = inside.read()
        for value in inside.kept_before(node.inputs):  # autocast casts a weight once and keeps that
            read.update(() if value.node is None else value.node.inputs)
        if any(value not in read for value in given) or _leaves_integers(block, read):
            return False
        if _reads_unwritten(block, inside.made):
            return False
        return not any(map(self._data_sizes.decide, node.inputs))

    def _hold(self, node: Node) -> None:
        """Hold a replay to what C++ may have gone by in a composite operator; see Note [Traced through]."""
        state = self.state
        sizes, numbers = state.sizes, state.numbers
        use = f"is fixed by {node.operator.base_name}, which is traced through"
        if any(sizes.may_vary(value) for value in node.inputs if _is_tensor(value)):
            sizes.pin_inputs(use)
        for value in node.inputs:
            number = numbers.by_value.get(value)
            if number is not None:
                numbers.pin(number, use)
        state.inputs_as_traced = True
        self._hold_flags(node)
        self._hold_modes(node)

    def _hold_flags(self, node: Node) -> None:
        for value in node.inputs:
            type_, entry = value.type, value.state
            if entry is not None and isinstance(type_, TensorType):
                kept = self.state.kept.objects[entry.name]
                self.state.circumstances.read_flag(
                    kept, entry.name, type_.requires_grad, _source_of(node)
                )

    def _hold_modes(self, node: Node) -> None:
        """Note which modes the caller of the program decides: those that the program itself has not set."""
        modes, around = node.modes, self.state.graph.modes
        source = _source_of(node)
        asks: dict[str, Callable[[], Any]] = {}
        if modes.inference is around.inference and "inference" not in modes.fixed:
            asks["torch.is_inference_mode_enabled()"] = is_inference_mode_enabled
        # What ``autograd.Function.apply`` calls itself runs without gradients, whatever its caller's.
        if modes.grad is around.grad is is_grad_enabled() and "grad" not in modes.fixed:
            asks["torch.is_grad_enabled()"] = is_grad_enabled
        devices = {v.type.device.type for v in node.inputs if isinstance(v.type, TensorType)}
        if modes.autocast == around.autocast:
            for device in sorted(devices - set(modes.fixed)):
                name = f"the dtype of autocast on {device}"
                asks[name] = functools.partial(_autocast_dtype, device)
        for name, ask in asks.items():
            self.state.circumstances.read_mode(name, ask, source)


def _source_of(node: Node) -> Callable[[], SourceRange | None]:
    stack = node.stack
    return lambda: None if stack is None else stack.user.range


def _autocast_dtype(device: str) -> torch.dtype | None:
    return dict(autocast_regions()).get(device)


def _name_of(op: torch._ops.OpOverload) -> str:
    """Return an operator's name without namespace and overload."""
    return operator_of(op).base_name.partition("::")[2]


def _is_tensor(value: Value) -> bool:
    return isinstance(value.type, TensorType)


def _reshapes(node: Node) -> bool:
    return Effect.RESHAPES in node.operator.effects and bool(node.inputs)


def _requires_grad(value: Value) -> bool:
    return isinstance(value.type, TensorType) and value.type.requires_grad


def _is_integer(value: Value) -> bool:
    dtype = value.type.dtype if isinstance(value.type, TensorType) else None
    return dtype is not None and not (dtype.is_floating_point or dtype.is_complex)


def _reads_unwritten(block: Block, results: Iterable[Value | None]) -> bool:
    """Whether memory is read that no operator has written: C++ has filled it, as for ``at::tensor``."""
    unwritten: set[Value] = set()
    for node in block:
        read = unwritten.intersection(node.inputs)
        operator = node.operator
        if "empty" in operator.base_name:
            unwritten.update(filter(_has_elements, node.outputs))
        elif Effect.WRITES in operator.effects:
            unwritten -= read
        elif read and operator.is_view:
            unwritten.update(node.outputs)
        elif read:
            return True
    return not unwritten.isdisjoint(results)


def _has_elements(value: Value) -> bool:
    return isinstance(value.type, TensorType) and 0 not in (value.type.shape or ())


def _leaves_integers(block: Block, read: Container[Value]) -> bool:
    """Whether integers that were computed of integers alone are read by nothing, and so perhaps by C++."""
    for node in block:
        tensors = list(filter(_is_tensor, node.inputs))
        if tensors and all(map(_is_integer, tensors)):
            if any(_is_integer(output) and output not in read for output in node.outputs):
                return True
    return False


def _parts(result: Any) -> Iterator[Any]:
    """Yield what an operator returned, lists taken apart."""
    if isinstance(result, list | tuple):
        for part in result:
            yield from _parts(part)
    else:
        yield result
