"""Deep capture: composite operators are traced through, and what they call stands in their scope.

Note [Traced through]
    A composite operator runs with our key in force, so that the operators which it calls in C++ come to
    us too. They are recorded into a block that stands free, and the operator itself as ever, as one node.
    Then the block takes the node's place, unless it does not do all that the node does: see Note [All that
    an operator does] in ``inside.py``.

    C++ goes its way by what it reads of tensors unseen. So a replay is held to all that it can go by:
    sizes and strides, whether gradients are required, and the modes around the program. Sizes and numbers
    that data decides are not held, and an operator that is given such stays a node.
"""

from __future__ import annotations

import copy
import functools
import sys
import weakref
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import torch

from ...ir import Block, Node, Operator, ScopeKind, SourceRange, TensorType, Value
from ...ir.own_operators import LITERAL
from ..diagnostics import DiagnosticKind
from ..dispatch.composites import is_composite, is_composite_for
from ..dispatch.dispatcher import (
    autocast_regions,
    current_recorder,
    is_grad_enabled,
    is_inference_mode_enabled,
)
from ..dispatch.schemas import operator_of
from ..dispatch.tensors import PLAIN_CLASSES
from ..numbers.data_sizes import DataSizes
from ..state import TracingState
from .calls import CallRecorder
from .facts import hold_requires_grad
from .inside import OF_PARTS, Inside, is_tensor


class DeepRecorder(CallRecorder):
    """Records what composite operators call in place of them; see Note [Traced through]."""

    def __init__(self, state: TracingState, *rest: Any) -> None:
        super().__init__(state, *rest)
        self._insides: list[Inside] = []  # of operators that have run and are being recorded
        self._depth = 0  # how many composite operators run, one inside another
        self._data_sizes = DataSizes(state.numbers.by_value, state.functions.took_data)
        self._holds_sizes = False  # of inputs, all of which a replay is held to
        self._held: set[object] = set()  # state and modes that it is held to

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

    def _facts_for(self, op: torch._ops.OpOverload) -> Any:
        facts = super()._facts_for(op)
        if is_composite(op):
            own = copy.copy(facts)
            # The facts are the recorder's own, and must not keep it alive.
            own.redispatch = functools.partial(
                type(self)._run_inside, weakref.proxy(self), op, facts
            )
            # Its results are those of what it calls; if not, this is made up for.
            own.may_be_saved = own.reads_data = False
            return own
        if _writes_over_self(facts.operator):
            # Autograd may save what was there, see :meth:`SavedResults.written_over`.
            facts = copy.copy(facts)
            facts.may_be_saved = facts.is_known_to_save = True
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
        # A trace that runs inside this one would see what is called as well.
        if not is_composite_for(op, keyset) or current_recorder() is not state.recorder:
            self._insides.append(Inside(facts, block, walker.root))
            return facts.redispatch(keyset, *args, **kwargs)
        scope = walker.open_region(_name_of(op), sys._getframe(), ScopeKind.OPERATOR)
        inside = Inside(facts, block, scope)
        regions, followed = len(walker.regions) - 1, len(walker.causes.calls)
        held, state.held = state.held, inside.reports
        self._depth += 1
        try:
            with state.values.layer() as inside.entries, graph.inserting(block):
                self._set_excluded(False)
                try:
                    result = facts.redispatch(keyset, *args, **kwargs)
                finally:
                    self._set_excluded(True)
                inside.followed = (followed, len(walker.causes.calls))
                inside.results = list(_parts(result))
                inside.made = [self._made(part) for part in inside.results]
        except BaseException:
            state.held = held
            self._keep(inside)
            raise
        finally:
            state.held = held
            self._depth -= 1
            del walker.regions[regions:]
        self._insides.append(inside)
        return result

    def _made(self, result: Any) -> Value | None:
        return self.state.values.get(result) if isinstance(result, torch.Tensor) else None

    def _keep(self, inside: Inside) -> None:
        """Keep what an operator called before it raised: the program may go on."""
        holder = self.state.graph.append(LITERAL)
        self._put_before(holder, inside)
        holder.erase()
        for _, report in inside.reports:
            report()

    def _put_before(self, node: Node, inside: Inside) -> None:
        for inner in inside.block:
            inner.move_before(node)
        alive = {key: entry for key, entry in inside.entries.items() if entry[0]() is not None}
        self.state.values.entries.update(alive)

    def _settle(self, inside: Inside, result: Any) -> Any:
        """Put what a composite operator called in the place of its node, or keep that; return the result."""
        parts = list(_parts(result))
        node = self._node_of(parts)
        followed = self.state.walker.causes.calls
        before, after = inside.followed
        if inside.is_all_of(node) and self._can_be_held(node):
            del followed[after:]  # gradients are those of what it called
            self._replace(node, inside)
            return result
        del followed[before:after]
        kept = inside.kept_before(node)
        inside.block.discard()
        for kind, report in inside.reports:
            if kind not in OF_PARTS:
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

    def _replace(self, node: Node, inside: Inside) -> None:
        state = self.state
        self._put_before(node, inside)
        becomes: dict[Value, Value] = {}
        for result, output, value in zip(inside.results, node.outputs, inside.made, strict=True):
            if value is not None:
                becomes[output] = value
                output.replace_all_uses_with(value)
                value.name = value.name or output.name
                state.values.add(result, value)
                if result.__class__ not in PLAIN_CLASSES:
                    state.subclasses.note(result, value)
        if state.saved.hooks:
            state.saved.replace(becomes)
        if not self._depth:
            if not node.scope.is_backward:  # its stack is that of the forward
                state.named_as.append((node.stack, inside.made))
            state.walker.regions.append(inside.scope)
            self._hold(node)
            state.walker.regions.pop()
        node.erase()
        for _, report in inside.reports:
            report()

    def _can_be_held(self, node: Node) -> bool:
        """Whether no numbers and sizes that data decides go in, for which a replay would be refused."""
        numbers = self.state.numbers.by_value
        return not any(
            (value in numbers and numbers[value].is_data) or self._data_sizes.decide(value)
            for value in node.inputs
        )

    def _hold(self, node: Node) -> None:
        """Hold a replay to what C++ may have gone by in a composite operator; see Note [Traced through]."""
        state = self.state
        sizes, numbers = state.sizes, state.numbers
        use = f"is fixed by {node.operator.base_name}, which is traced through"
        if sizes.may_be_data and not self._holds_sizes:
            self._holds_sizes = any(map(sizes.may_vary, filter(is_tensor, node.inputs)))
            if self._holds_sizes:
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
            if value.state is not None and value not in self._held:
                self._held.add(value)
                hold_requires_grad(self.state, value.state, _source_of(node))

    def _hold_modes(self, node: Node) -> None:
        """Note which modes the caller of the program decides: those that the program itself has not set."""
        modes, around = node.modes, self.state.graph.modes
        devices = {v.type.device.type for v in node.inputs if isinstance(v.type, TensorType)}
        met = (modes, is_grad_enabled(), is_inference_mode_enabled(), *sorted(devices))
        if met in self._held:
            return
        self._held.add(met)
        source = _source_of(node)
        asks: dict[str, Callable[[], Any]] = {}
        if modes.inference is around.inference and "inference" not in modes.fixed:
            asks["torch.is_inference_mode_enabled()"] = is_inference_mode_enabled
        # What ``autograd.Function.apply`` calls itself runs without gradients, whatever its caller's.
        if modes.grad is around.grad is is_grad_enabled() and "grad" not in modes.fixed:
            asks["torch.is_grad_enabled()"] = is_grad_enabled
        if modes.autocast == around.autocast:
            for device in sorted(devices - set(modes.fixed)):
                name = f"the dtype of autocast on {device}"
                asks[name] = functools.partial(_autocast_dtype, device)
        for name, ask in asks.items():
            self.state.circumstances.read_mode(name, ask, source)


def _writes_over_self(operator: Operator) -> bool:
    first = next(iter(operator.parameters), None)
    return first is not None and first.is_written and first.name == "self"


def _source_of(node: Node) -> Callable[[], SourceRange | None]:
    stack = node.stack
    return lambda: None if stack is None else stack.user.range


def _autocast_dtype(device: str) -> torch.dtype | None:
    return dict(autocast_regions()).get(device)


def _name_of(op: torch._ops.OpOverload) -> str:
    """Return an operator's name without namespace and overload."""
    return operator_of(op).base_name.partition("::")[2]


def _parts(result: Any) -> Iterator[Any]:
    """Yield what an operator returned, lists taken apart."""
    if isinstance(result, list | tuple):
        for part in result:
            yield from _parts(part)
    else:
        yield result
