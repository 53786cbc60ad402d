"""Deep capture: composite operators are traced through, and what they call stands in their scope.

Note [Traced through]
    A composite operator runs with our key in force, so that the operators which it calls in C++ come to
    us too. They are recorded into a block that stands free. Then they stand in the graph for the operator,
    unless they do not do all that it does: see Note [All that an operator does] in ``inside.py``. Such a one
    is a node, as in a flat trace.

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
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any, NamedTuple

import torch

from ...ir import Block, Node, Operator, Type, Value
from ...ir.arguments import values_in
from ...ir.composites import Composite, Composites
from ...ir.folded import Folded
from ..diagnostics import DiagnosticKind
from ..dispatch.composites import CompositeCalls, composite_calls
from ..dispatch.dispatcher import current_recorder
from ..dispatch.gradients import sequence_number
from ..dispatch.number import with_plain_numbers
from ..dispatch.tensors import PLAIN_CLASSES, type_of_value
from ..program.circumstances import Circumstances
from ..sources.causes import Followed
from ..state import TracingState
from ..values import Entries
from .calls import CallRecorder
from .inside import OF_PARTS, Inside
from .recorder import taken_apart
from .traced_through import Call, Holder


class _CompositeOperator(NamedTuple):
    """An operator that is composite for tensors of most kinds.

    Attributes:
        name: what its scope is called.
        calls: tells which calls of it are composite.
        facts: what the recorder knows of it.
    """

    name: str
    calls: CompositeCalls
    facts: Any


@dataclass(frozen=True, slots=True)
class _PutOff:
    """A composite operator that is one node until a backward pass runs; see Note [Put off].

    Attributes:
        call: what was called.
        folded: its node, and what it called.
        inside: what is known of that.
        followed: what autograd followed: the operator as a whole, and what it called.
        saved: the results that autograd had saved of what it called.
    """

    call: Call
    folded: Folded
    inside: Inside
    followed: tuple[Followed | None, list[Followed]]
    saved: list[Value | None]


class DeepRecorder(CallRecorder):
    """Records what composite operators call in place of them; see Note [Traced through]."""

    def __init__(self, state: TracingState, *rest: Any) -> None:
        super().__init__(state, *rest)
        self._composites: dict[
            int, _CompositeOperator | None
        ] = {}  # by the address of the operator
        self._running: list[Inside] = []  # of composite operators that run, one inside another
        self._holder = Holder(state)
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
        key = id(op)
        composites = self._composites
        composite = composites[key] if key in composites else self._composite(op)
        if (
            composite is None
            or not composite.calls.include(keyset)
            # A trace that runs inside this one would see what is called as well.
            or current_recorder() is not self.state.recorder
        ):
            return super().record(op, keyset, args, kwargs, frame)
        return self._record_through(composite, keyset, args, kwargs, frame)

    @property
    def is_inside(self) -> bool:
        """Whether a composite operator runs that is traced through."""
        return bool(self._running)

    def _composite(self, op: torch._ops.OpOverload) -> _CompositeOperator | None:
        """Return what is known of an operator that may be traced through; None of any other."""
        calls = composite_calls(op)
        facts = None if calls is None else super()._facts_for(op)
        # One that leaves a dimension out or not, as sizes are, is guarded as a whole.
        composite = (
            None
            if calls is None or facts is None or facts.may_change_rank
            else _CompositeOperator(facts.operator.base_name.partition("::")[2], calls, facts)
        )
        self._composites[id(op)] = composite
        return composite

    def _facts_for(self, op: torch._ops.OpOverload) -> Any:
        facts = super()._facts_for(op)
        if _writes_over_self(facts.operator):
            # Autograd may save what was there, see :meth:`SavedResults.written_over`.
            facts = copy.copy(facts)
            facts.may_be_saved = facts.is_known_to_save = True
        return facts

    def _record_through(
        self,
        composite: _CompositeOperator,
        keyset: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        frame: FrameType,
    ) -> Any:
        """Run a composite operator, record what it calls, or itself as a node, and return its result."""
        state, facts = self.state, composite.facts
        scope, stack = state.walker.locate(frame)
        module = state.walker.module
        modes = self._modes_of_apply if state.walker.behind_apply else self._modes.read()
        arguments = [self._argument(arg, scope, stack) for arg in args]
        keywords: tuple[str, ...] = ()
        if kwargs:
            keywords = self._keyword_arguments(facts, kwargs, arguments, scope, stack)
        if self._has_numbers:
            self._has_numbers = False
            args = tuple([with_plain_numbers(arg) for arg in args])
            kwargs = {name: with_plain_numbers(arg) for name, arg in kwargs.items()}
        args = self._with_wrapped_numbers(facts, args)
        given = tuple(arguments)
        call = Call(facts.operator, given, keywords, values_in(given), scope, stack, modes)

        first = sequence_number() if modes.grad else 0
        self._fresh_constant = None
        inside, result = self._run_inside(composite, call, module, keyset, args, kwargs)
        groups: tuple[int | None, ...] | None = None
        if facts.returns_one:
            types: tuple[Type, ...] = (type_of_value(result),)
        else:
            _, groups = taken_apart(facts, result)
            types = tuple(map(type_of_value, inside.results))
        if inside.is_all_of(call.inputs, types) and self._holder.can_hold(call):
            if self._is_put_off(inside, facts):
                self._delay(call, inside, types, groups, first)
            else:
                self._put(call, inside, types, groups)
            return result
        node = self._keep_whole(call, inside, types, groups, first)
        return self._read_data(facts, (), result, node) if facts.reads_data else result

    def _run_inside(
        self,
        composite: _CompositeOperator,
        call: Call,
        module: torch.nn.Module | None,
        keyset: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> tuple[Inside, Any]:
        """Run a composite operator, and record what it calls into a block; return that and the result."""
        state = self.state
        graph, walker, saved = state.graph, state.walker, state.saved
        known = self._known_to_delayed()
        regions, followed = walker.regions, walker.causes.calls
        count = len(regions)
        place = (call.scope, call.stack)
        scope = walker.open_operator(composite.name, place, module, sys._getframe())
        inside = Inside(Block(graph, None, graph.insertion_block), scope)
        inside.followed, inside.saved = (len(followed),) * 2, (saved.count,) * 2
        held, state.held = state.held, inside.reports
        self._running.append(inside)
        try:
            with state.values.layer(known) as inside.entries, graph.inserting(inside.block):
                result = composite.facts.redispatch(keyset & self._below, *args, **kwargs)
                inside.results = _parts(result)
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
            del regions[count:]
        inside.followed = (inside.followed[0], len(followed))
        inside.saved = (inside.saved[0], saved.count)
        return inside, result

    def _known_to_delayed(self) -> Entries | None:
        """Return what tensors are to an operator that is put off; None to one that is not."""
        if self._running or self._put_off is None:
            return None
        graph = self.state.graph
        if graph.insertion_block is graph.block and not self.state.functions.is_running:
            return self._known_inside
        self._end_delay()
        return None

    def _made(self, result: Any) -> Value | None:
        return self.state.values.get(result) if isinstance(result, torch.Tensor) else None

    def _keep(self, inside: Inside) -> None:
        """Keep what an operator called before it raised: the program may go on."""
        if not self._running:
            self._end_delay()
        self._note_calls(inside.composites)
        self._take_over(inside)
        for _, report in inside.reports:
            report()

    def _take_over(self, inside: Inside) -> None:
        """Put what an operator called into the graph, and know tensors by it."""
        state = self.state
        state.graph.append_all(inside.block)
        values = state.values
        for reference, value in [entry for _, entry in inside.entries.items()]:  # not those below
            tensor = reference()
            if tensor is not None:
                known = values.get(tensor)
                while value is not known and value in values.handed_on:  # it is still what it was
                    value = values.handed_on[value]
                if value is not known:
                    values.add(tensor, value)

    def _note_calls(self, composites: Composites) -> None:
        """Note the calls that scopes stand for, in the graph or with the operator that runs around them."""
        notes = self._running[-1] if self._running else self.state.graph
        notes.composites.update(composites)

    def _put(
        self,
        call: Call,
        inside: Inside,
        types: tuple[Type, ...],
        groups: tuple[int | None, ...] | None,
    ) -> None:
        """Put what a composite operator called in its place."""
        state = self.state
        note = _note_of(call, inside, types, groups)
        self._take_over(inside)
        for result, value in zip(inside.results, inside.made, strict=True):
            if value is not None:
                self._hand_over(result, value)
        if not self._running:
            if not call.scope.is_backward:  # its stack is that of the forward
                state.named_as.append((call.stack, inside.made))
            state.inputs_as_traced = True
            state.walker.regions.append(inside.scope)
            held = self._holder.hold_sizes(call)
            if held:  # so it was called with what these are, which its nodes need not read
                note = note.with_values(held)
            state.walker.regions.pop()
            self._holder.hold_facts(call, state.circumstances)
        self._note_calls(inside.composites)
        self._note_calls({inside.scope: note})
        for _, report in inside.reports:
            report()

    def _keep_whole(
        self,
        call: Call,
        inside: Inside,
        types: tuple[Type, ...],
        groups: tuple[int | None, ...] | None,
        first: int,
    ) -> Node:
        """Make a composite operator a node; what it called is forgotten."""
        node = self._node_of(call, types, groups)
        self._remember_all(inside.results, node.outputs)
        followed = self.state.walker.causes.calls
        del followed[slice(*inside.followed)]
        if call.modes.grad and (end := sequence_number()) != first:
            followed.append((first, end, call.scope, call.stack))
        kept = inside.kept_before(call.inputs)
        inside.block.discard()
        for kind, report in inside.reports:
            if kind not in OF_PARTS:
                report()
        if kept:
            self._report_kept(node, kept[0])
        if call.modes.grad:
            self._note_histories(inside.results, node.outputs)
        return node

    def _node_of(
        self, call: Call, types: tuple[Type, ...], groups: tuple[int | None, ...] | None
    ) -> Node:
        return self.state.graph.append(
            call.operator,
            call.args,
            types,
            keywords=call.keywords,
            groups=groups,
            scope=call.scope,
            stack=call.stack,
            modes=call.modes,
        )

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

    def _hand_over(self, result: Any, value: Value) -> None:
        """Know a result as what an operator made inside."""
        state = self.state
        state.values.add(result, value)
        if result.__class__ not in PLAIN_CLASSES:
            state.subclasses.note(result, value)
        if state.lookup_var_name_fn is not None:
            value.name = value.name or state.lookup_var_name_fn(result) or None

    def _is_put_off(self, inside: Inside, facts: Any) -> bool:
        """Whether what an operator called is to be put off, and can be."""
        if self._running or self._put_off is None:
            return False
        made = [value for value in inside.made if value is not None]
        if len(set(made)) == len(made) and not facts.reads_data:
            return True
        self._end_delay()
        return False

    def _delay(
        self,
        call: Call,
        inside: Inside,
        types: tuple[Type, ...],
        groups: tuple[int | None, ...] | None,
        first: int,
    ) -> None:
        """Make a composite operator a node, and keep what it called beside that; see Note [Put off]."""
        state = self.state
        notes = {**inside.composites, inside.scope: _note_of(call, inside, types, groups)}
        node = self._node_of(call, types, groups)
        folded = Folded(node, inside.block, inside.made, notes)
        self._remember_all(inside.results, node.outputs)
        state.values.looked_at_anew()
        followed = state.walker.causes.calls
        inner = followed[slice(*inside.followed)]
        del followed[slice(*inside.followed)]
        whole: Followed | None = None
        saved = state.saved.withhold(*inside.saved)
        if call.modes.grad:
            end = sequence_number()
            if end != first:
                whole = (first, end, call.scope, call.stack)
                followed.append(whole)
            self._note_histories(inside.results, node.outputs)
        self._holder.hold_facts(call, self._circumstances)
        self._known_inside.update(self._unknown(inside))
        for kind, report in inside.reports:
            if kind not in OF_PARTS:
                report()
        assert self._put_off is not None, "it is being put off"
        self._put_off.append(_PutOff(call, folded, inside, (whole, inner), saved))

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
        held = self._holder.hold_sizes(put_off.call._replace(inputs=node.inputs))
        put_off.folded.unfold()
        if held:
            notes = state.graph.composites
            notes[inside.scope] = notes[inside.scope].with_values(held)
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
        for inside in self._running:
            start, end = inside.followed
            inside.followed = (start + more, end + more)


def _note_of(
    call: Call,
    inside: Inside,
    types: tuple[Type, ...],
    groups: tuple[int | None, ...] | None,
) -> Composite:
    """Return the note that the scope of what an operator called stands for it."""
    results = [
        type_ if value is None else value for type_, value in zip(types, inside.made, strict=True)
    ]
    return Composite(
        call.operator,
        call.args,
        call.keywords,
        tuple(results),
        groups,
        call.stack,
        call.modes,
        tuple(inside.block),
    )


def _writes_over_self(operator: Operator) -> bool:
    first = next(iter(operator.parameters), None)
    return first is not None and first.is_written and first.name == "self"


def _parts(result: Any) -> list[Any]:
    """Return what an operator returned, lists taken apart."""
    if not isinstance(result, list | tuple):
        return [result]
    parts: list[Any] = []
    for part in result:
        parts += _parts(part) if isinstance(part, list | tuple) else (part,)
    return parts
