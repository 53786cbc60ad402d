"""Deep capture: composite operators are traced through, and what they call stands in their scope.

Note [Traced through]
    A composite operator runs with our key in force, so that the operators which it calls in C++ come to
    us too. They are recorded into a block that stands free, and the operator itself as ever, as one node.
    Then the block takes the node's place, unless it does not do all that the node does: see Note [All that
    an operator does] in ``inside.py``.

    C++ goes its way by what it reads of tensors unseen. So a replay is held to all that it can go by:
    sizes and strides, whether gradients are required, and the modes around the program. Sizes and numbers
    that data decides are not held, and an operator that is given such stays a node.

Note [Put off]
    A trace that is to be deep only if a backward pass runs is flat until then, and a replay is held to
    nothing. What operators call is recorded all the same, and kept at rest beside their nodes: see Note [At
    rest] in ``ir/folded.py``. The first backward pass puts it in their place.
"""

from __future__ import annotations

import copy
import functools
import sys
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

import torch

from ...ir import Block, Node, Operator, ScopeKind, SourceRange, TensorType, Value
from ...ir.composites import Composite, Composites
from ...ir.folded import Folded
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
from ..program.circumstances import Circumstances
from ..sources.causes import Followed
from ..state import TracingState
from ..values import Entries
from .calls import CallRecorder
from .facts import hold_requires_grad
from .inside import OF_PARTS, Inside, is_tensor


@dataclass(frozen=True, slots=True)
class _PutOff:
    """A composite operator that is one node until a backward pass runs; see Note [Put off].

    Attributes:
        folded: its node, and what it called.
        inside: what is known of that.
        followed: what autograd followed: the operator as a whole, and what it called.
        saved: the results that autograd had saved of what it called.
    """

    folded: Folded
    inside: Inside
    followed: tuple[Followed | None, list[Followed]]
    saved: list[Value | None]


AUTOCAST_ON: Final = "the dtype of autocast on "
"""What the question is called that :func:`autocast_dtype` answers, before the kind of device."""


class DeepRecorder(CallRecorder):
    """Records what composite operators call in place of them; see Note [Traced through]."""

    def __init__(self, state: TracingState, *rest: Any) -> None:
        super().__init__(state, *rest)
        self._insides: list[Inside] = []  # of operators that have run and are being recorded
        self._running: list[Inside] = []  # of composite operators that run, one inside another
        self._data_sizes = DataSizes(state.numbers.by_value, state.functions.took_data)
        self._holds_sizes = False  # of inputs, all of which a replay is held to
        self._held: set[object] = set()  # state and modes that it is held to
        self._put_off: list[_PutOff] | None = None  # None once that is over
        self._known_inside = state.values.apart()  # what tensors are that live in what is put off
        self._circumstances = Circumstances()  # what holds if that takes its place
        self._if_deep: list[Callable[[], None]] = []  # what is to be reported then
        state.is_deep = True

    def put_off(self) -> None:
        """Be flat until the first backward pass; see Note [Put off]."""
        self._put_off = []
        self.state.is_deep = False

    def before_backward(self) -> None:
        """Put what operators have called in their place, which a backward pass reads."""
        self._end_delay()

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
        return bool(self._running)

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
        known = None
        if not self._running and self._put_off is not None:
            if graph.insertion_block is graph.block and not state.functions.is_running:
                known = self._known_inside
            else:
                self._end_delay()
        scope = walker.open_region(_name_of(op), sys._getframe(), ScopeKind.OPERATOR)
        inside = Inside(facts, block, scope)
        regions, saved = len(walker.regions) - 1, state.saved.count
        inside.followed = (len(walker.causes.calls), 0)
        held, state.held = state.held, inside.reports
        self._running.append(inside)
        try:
            with state.values.layer(known) as inside.entries, graph.inserting(block):
                self._set_excluded(False)
                try:
                    result = facts.redispatch(keyset, *args, **kwargs)
                finally:
                    self._set_excluded(True)
                inside.followed = (inside.followed[0], len(walker.causes.calls))
                inside.saved = (saved, state.saved.count)
                inside.results = list(_parts(result))
                inside.made = [self._made(part) for part in inside.results]
        except BaseException:
            state.held = held
            self._running.pop()
            self._keep(inside)
            raise
        finally:
            state.held = held
            if self._running and self._running[-1] is inside:
                self._running.pop()
            del walker.regions[regions:]
        self._insides.append(inside)
        return result

    def _made(self, result: Any) -> Value | None:
        return self.state.values.get(result) if isinstance(result, torch.Tensor) else None

    def _keep(self, inside: Inside) -> None:
        """Keep what an operator called before it raised: the program may go on."""
        if not self._running:
            self._end_delay()
        self._note_calls(inside.composites)
        holder = self.state.graph.append(LITERAL)
        self._put_before(holder, inside)
        holder.erase()
        for _, report in inside.reports:
            report()

    def _put_before(self, node: Node, inside: Inside) -> None:
        for inner in inside.block:
            inner.move_before(node)
        values = self.state.values
        for reference, value in [entry for _, entry in inside.entries.items()]:  # not those below
            tensor = reference()
            if tensor is not None:
                known = values.get(tensor)
                while value is not known and value in values.handed_on:  # it is still what it was
                    value = values.handed_on[value]
                if value is not known:
                    values.set(tensor, value)

    def _note_calls(self, composites: Composites) -> None:
        """Note the calls that scopes stand for, in the graph or with the operator that runs around them."""
        notes = self._running[-1] if self._running else self.state.graph
        notes.composites.update(composites)

    def _settle(self, inside: Inside, result: Any) -> Any:
        """Put what a composite operator called in the place of its node, or keep that; return the result."""
        parts = list(_parts(result))
        node = self._node_of(parts)
        followed = self.state.walker.causes.calls
        if inside.is_all_of(node) and self._can_be_held(node):
            if self._is_put_off(inside):
                self._delay(node, inside, parts)
            else:
                del followed[inside.followed[1] :]  # gradients are those of what it called
                self._replace(node, inside)
            return result
        del followed[slice(*inside.followed)]
        kept = inside.kept_before(node)
        inside.block.discard()
        for kind, report in inside.reports:
            if kind not in OF_PARTS:
                report()
        if kept:
            self._report_kept(node, kept[0])
        if node.modes.grad:
            self._note_histories(parts, node.outputs)
        if inside.facts.reads_data:
            return self._read_data(inside.facts, (), result, node)
        return result

    def _report_kept(self, node: Node, kept: Value) -> None:
        """Report that an operator that stays a node went on with what another one has made inside."""
        message = (
            f"{node.operator.base_name} went on with a tensor {kept.type} that torch had kept, as autocast "
            "keeps weights; a replay computes it again, and gradients may differ in their last bits"
        )
        kind = DiagnosticKind.UNTRACKED_EFFECT
        report = functools.partial(
            self.state.report_if_followed, kind, message, node.scope, node.stack
        )
        if self._put_off is None:
            report()
        else:
            self._if_deep.append(report)

    def _node_of(self, results: list[Any]) -> Node:
        """Return the node that a composite operator was recorded as, told by its results."""
        values = (self._made(result) for result in results)
        made = next((value.node for value in values if value is not None), None)
        node = self.state.graph.insertion_block.last if made is None else made
        assert node is not None, "an operator that ran has a node"
        return node

    def _replace(self, node: Node, inside: Inside) -> None:
        state = self.state
        note = _call_of(node, inside)
        self._put_before(node, inside)
        self._hand_results(node.outputs, inside)
        if not self._running:
            if not node.scope.is_backward:  # its stack is that of the forward
                state.named_as.append((node.stack, inside.made))
            state.inputs_as_traced = True
            state.walker.regions.append(inside.scope)
            self._hold_sizes(node)
            state.walker.regions.pop()
            self._hold_flags(node, state.circumstances)
            self._hold_modes(node, state.circumstances)
        node.erase()
        self._note_calls({**inside.composites, **note})
        for _, report in inside.reports:
            report()

    def _hand_results(self, outputs: tuple[Value, ...], inside: Inside) -> None:
        """Make the results of a node those of what was called, for all that knows them."""
        state = self.state
        becomes: dict[Value, Value] = {}
        for result, output, value in zip(inside.results, outputs, inside.made, strict=True):
            if value is not None:
                becomes[output] = value
                output.replace_all_uses_with(value)
                value.name = value.name or output.name
                state.values.add(result, value)
                if result.__class__ not in PLAIN_CLASSES:
                    state.subclasses.note(result, value)
        if state.saved.hooks:
            state.saved.replace(becomes)

    def _is_put_off(self, inside: Inside) -> bool:
        """Whether what an operator called is to be put off, and can be."""
        if self._running or self._put_off is None:
            return False
        made = [value for value in inside.made if value is not None]
        if len(set(made)) == len(made) and not inside.facts.reads_data:
            return True
        self._end_delay()
        return False

    def _delay(self, node: Node, inside: Inside, parts: list[Any]) -> None:
        """Keep what an operator called beside its node; see Note [Put off]."""
        state = self.state
        followed = state.walker.causes.calls
        before, after = inside.followed
        inner, whole = followed[before:after], followed[after] if len(followed) > after else None
        del followed[before:after]
        saved = state.saved.withhold(*inside.saved)
        outputs = node.outputs
        notes = {**inside.composites, **_call_of(node, inside)}
        folded = Folded(node, inside.block, inside.made, notes)
        self._hand_results(outputs, inside)
        if node.modes.grad:
            self._note_histories(parts, node.outputs)
        self._hold_flags(node, self._circumstances)
        self._hold_modes(node, self._circumstances)
        self._known_inside.update(self._unknown(inside))
        for kind, report in inside.reports:
            if kind not in OF_PARTS:
                report()
        assert self._put_off is not None, "it is being put off"
        self._put_off.append(_PutOff(folded, inside, (whole, inner), saved))

    def _unknown(self, inside: Inside) -> Entries:
        """Return what the tensors are that live in what was called and nobody knows outside."""
        values = self.state.values
        found: Entries = {}
        for key, (reference, value) in inside.entries.items():
            tensor = reference()
            if tensor is not None and values.get(tensor) is None:
                found[key] = (reference, value)
        return found

    def _end_delay(self) -> None:
        """Put what was put off in the place of its nodes, and put off nothing more."""
        put_off, self._put_off = self._put_off, None
        if put_off is None:
            return
        self.state.is_deep = True
        unfolded = []
        for each in put_off:
            if each.folded.is_unfoldable:
                self._unfold(each)
                unfolded.append(each)
        if unfolded:
            self.state.inputs_as_traced = True
            self.state.circumstances.add(self._circumstances)
            self._note_followed(unfolded)
        self._known_inside.clear()
        for report in self._if_deep:
            report()

    def _unfold(self, put_off: _PutOff) -> None:
        state, inside = self.state, put_off.inside
        node = put_off.folded.node
        state.named_as.append((node.stack, inside.made))
        self._hold_sizes(node)
        put_off.folded.unfold()
        state.values.entries.update(self._unknown(inside))
        state.saved.restore(inside.saved[0], put_off.saved)
        for kind, report in inside.reports:
            if kind in OF_PARTS:
                report()

    def _note_followed(self, unfolded: list[_PutOff]) -> None:
        """Make what operators called be what autograd followed, and no more the operators as a whole."""
        causes = self.state.walker.causes
        before = len(causes.calls)
        parts = (each.followed for each in unfolded)
        causes.take_apart({id(whole): inner for whole, inner in parts if whole is not None})
        more = len(causes.calls) - before
        for inside in (*self._running, *self._insides):
            start, end = inside.followed
            inside.followed = (start + more, end + more)

    def _can_be_held(self, node: Node) -> bool:
        """Whether no numbers and sizes that data decides go in, for which a replay would be refused."""
        numbers = self.state.numbers.by_value
        return not any(
            (value in numbers and numbers[value].is_data) or self._data_sizes.decide(value)
            for value in node.inputs
        )

    def _hold_sizes(self, node: Node) -> None:
        """Hold a replay to the sizes that C++ may have gone by; see Note [Traced through]."""
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

    def _hold_flags(self, node: Node, noted: Circumstances) -> None:
        for value in node.inputs:
            if value.state is not None and value not in self._held:
                self._held.add(value)
                hold_requires_grad(self.state, value.state, _source_of(node), noted)

    def _hold_modes(self, node: Node, noted: Circumstances) -> None:
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
                asks[AUTOCAST_ON + device] = functools.partial(autocast_dtype, device)
        for name, ask in asks.items():
            noted.read_mode(name, ask, source)


def _call_of(node: Node, inside: Inside) -> Composites:
    """Return the note that the scope of what an operator called stands for its node."""
    nodes = tuple(inside.block)
    results = [
        output.type if value is None else value
        for output, value in zip(node.outputs, inside.made, strict=True)
    ]
    groups = node.groups if node.gives_lists else None
    call = Composite(
        node.operator,
        node.all_args,
        node.keywords,
        tuple(results),
        groups,
        node.stack,
        node.modes,
        nodes,
    )
    return {inside.scope: call}


def _writes_over_self(operator: Operator) -> bool:
    first = next(iter(operator.parameters), None)
    return first is not None and first.is_written and first.name == "self"


def _source_of(node: Node) -> Callable[[], SourceRange | None]:
    stack = node.stack
    return lambda: None if stack is None else stack.user.range


def autocast_dtype(device: str) -> torch.dtype | None:
    """Return what autocast casts to on a kind of device; None where it is off."""
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
