"""Custom autograd functions: one node for a call, with the forward that ran as the node's block.

Note [What a custom function is at a replay]
    A node ``prim::autograd_function`` names the class and gives what ``apply`` was given. A replay calls
    the real ``apply``, so autograd gets the real backward, and what the forward reads and does in Python
    it reads and does again. The block is there to be read: nothing runs it.

    That is exact as long as everything of the run that the forward reads is among the arguments, and
    everything of the forward that the run reads is among the results. Where a forward closes over a
    tensor that the run computed, or where the run reads a tensor from inside a forward (a backward that
    is part of the trace may, through ``ctx``), the node is dissolved: its block takes its place, operator
    by operator. What it computes is exact then; its custom backward is gone, which is reported if the
    program returns tensors that gradients may flow from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import torch
from torch.nn.modules._functions import BackwardHookFunction

from ...ir import Argument, Block, Frame, Graph, Modes, Node, Scope, Value
from ...ir.own_operators import AUTOGRAD_FUNCTION
from ..diagnostics import DiagnosticKind
from ..dispatch.saved_results import SavedResults, history_of
from ..dispatch.tensors import PLAIN_CLASSES, type_of_tensor
from ..distributed.shards import is_post_backward
from ..numbers.numbers import Numbers
from ..program.program_state import ProgramState
from ..program.subclasses import Subclasses
from ..values import Entries, ValueMap
from .apply_call import ApplyCall
from .function_calls import (
    Given,
    flags,
    other_parts,
    tensors_in,
)


def is_transparent(function: type) -> bool:
    """Whether a function of torch's own gives its arguments back, so that what ``apply`` does is recorded."""
    return function is BackwardHookFunction or is_post_backward(function)


Place: TypeAlias = tuple[Scope, Frame | None, Modes]
_Report: TypeAlias = tuple[DiagnosticKind, str, Scope | None, Frame | None, dict[str, Any]]


class _Trace(Protocol):
    """What custom functions need of the trace that they are part of."""

    graph: Graph
    values: ValueMap
    saved: SavedResults
    kept: ProgramState
    subclasses: Subclasses
    numbers: Numbers
    lookup_var_name_fn: Callable[[torch.Tensor], str] | None

    def adopt(self, tensor: torch.Tensor, scope: Scope, stack: Frame | None) -> Value: ...

    def report(
        self,
        kind: DiagnosticKind,
        message: str,
        scope: Scope | None,
        stack: Frame | None,
        **details: Any,
    ) -> None: ...


class _Running:
    """A custom function whose forward runs.

    Attributes:
        block: takes the operators of the forward.
        marks: what the forward told its context, by the method's name.
        reports: what could not be recorded exactly if the operators were replayed one by one.
        reads_data: whether the forward, or one inside it, took the data of a tensor to Python.
    """

    __slots__ = ("block", "marks", "reads_data", "reports")

    def __init__(self, block: Block) -> None:
        self.block = block
        self.marks: dict[str, tuple[Any, ...]] = {}
        self.reports: list[_Report] = []
        self.reads_data = False


class CustomFunctions:
    """The custom functions of one trace: those that run, and what is known of those that ran.

    Methods are given the trace that this is part of, which would otherwise be part of itself and
    outlive its last user.
    """

    def __init__(self) -> None:
        self._running: list[_Running] = []
        self._inner: Entries = {}  # what the tensors are that forwards made and still are alive
        self._reports: dict[Node, list[_Report]] = {}
        self._took_data: set[Node] = set()
        self._dissolved: list[_Report] = []

    @property
    def is_running(self) -> bool:
        """Whether the forward of one runs, which a replay runs again as it is."""
        return bool(self._running)

    def took_data(self, node: Node) -> bool:
        """Whether the forward of a call took the data of a tensor to Python, which may size the results."""
        return node in self._took_data

    def mark(self, name: str, args: tuple[Any, ...]) -> None:
        """Take note of what a running forward tells its context."""
        if self._running:
            self._running[-1].marks[name] = args

    def holds_back(
        self,
        kind: DiagnosticKind,
        message: str,
        scope: Scope | None,
        stack: Frame | None,
        details: dict[str, Any],
    ) -> bool:
        """Keep a report about a running forward, which a replay runs again; False if none runs."""
        if not self._running:
            return False
        running = self._running[-1]
        running.reports.append((kind, message, scope, stack, details))
        running.reads_data = running.reads_data or kind is DiagnosticKind.DATA_READ
        return True

    def record(
        self, trace: _Trace, function: Any, call: ApplyCall, given: Given, place: Place
    ) -> Any:
        """Make a call, add its node with the operators that ran as its block, and return the result."""
        scope, stack, modes = place
        # The results are not known yet, so a node without any holds the block until they are.
        holder = trace.graph.append(AUTOGRAD_FUNCTION, scope=scope, stack=stack, modes=modes)
        running = _Running(holder.add_block())
        with trace.values.layer() as inner:
            try:
                result, results = self._run(trace, running, call, place)
            except BaseException:
                self._abandon(trace, holder, running, inner)
                raise
            found = flags(function, call.args, results, running.marks, trace.values.get)
        node = self._add(trace, function, given, found, results, place)
        node.take_blocks(holder)
        holder.erase()
        for tensor, value in zip(results, node.outputs, strict=True):
            trace.values.set(tensor, value)
            history = history_of(tensor)
            if history is not None:
                trace.saved.note(tensor, history._sequence_nr(), value)
            if trace.lookup_var_name_fn is not None:
                value.name = trace.lookup_var_name_fn(tensor) or None
        self._inner.update(inner)
        _note_wrappers(trace, (*call.args, *results))
        self._reports[node] = running.reports
        if running.reads_data:
            self._took_data.add(node)
        self._check(trace, function, call, node, running, result)
        return result

    def _run(
        self, trace: _Trace, running: _Running, call: ApplyCall, place: Place
    ) -> tuple[Any, list[torch.Tensor]]:
        scope, stack, _ = place
        self._running.append(running)
        try:
            with trace.graph.inserting(running.block):
                result = call()
                results = tensors_in(result)
                values = [trace.values.get(r) or trace.adopt(r, scope, stack) for r in results]
                running.block.set_outputs(values)
        finally:
            self._running.pop()
            if self._running and running.reads_data:
                self._running[-1].reads_data = True
        return result, results

    def _add(
        self,
        trace: _Trace,
        function: Any,
        given: Given,
        found: dict[str, Any],
        results: list[torch.Tensor],
        place: Place,
    ) -> Node:
        kept = trace.kept
        scope, stack, modes = place
        keywords: dict[str, Argument] = {}
        if given.structure is not None:
            keywords["structure"] = kept.constant(given.structure, "structure")
        keywords.update(found)
        class_ = kept.constant(function, function.__name__)
        return trace.graph.append(
            AUTOGRAD_FUNCTION,
            (class_, *given.arguments, *keywords.values()),
            map(type_of_tensor, results),
            keywords=tuple(keywords),
            scope=scope,
            stack=stack,
            modes=modes,
        )

    def _abandon(self, trace: _Trace, holder: Node, running: _Running, inner: Entries) -> None:
        """Keep the operators of a forward that raised, one by one: the program may go on."""
        _unfold(holder)
        holder.erase()
        self._inner.update(inner)
        for report in running.reports:
            _report(trace, report)

    def _check(
        self,
        trace: _Trace,
        function: Any,
        call: ApplyCall,
        node: Node,
        running: _Running,
        result: Any,
    ) -> None:
        """Dissolve a node that a replay could not run, and report what it would not redo."""
        if any(_is_stale(trace, value) for value in _free(node.blocks[0]) - _known(node)):
            self._dissolve(
                trace,
                node,
                f"the forward of {function.__qualname__} reads a tensor of this run that is not among its "
                "arguments, so it was recorded operator by operator, without its backward; no gradient "
                "flows through it at a replay\n  pass the tensor to apply()",
            )
            return
        others = next(other_parts(result, call.args), None)
        if running.reads_data and others is not None:
            message = (
                f"{function.__qualname__} read the data of tensors and returned, besides tensors, an object "
                f"of class {type(others).__qualname__}; what the program computes from it is fixed in the "
                "trace"
            )
            trace.report(DiagnosticKind.DATA_READ, message, node.scope, node.stack)

    def recovered(self, trace: _Trace, tensor: torch.Tensor) -> Value | None:
        """Return what a tensor is that a forward made and that is read outside; dissolves the function."""
        entry = self._inner.get(id(tensor))
        if entry is None or entry[0]() is not tensor:
            return None
        value = self.brought_out(trace, entry[1])
        if value is not None:
            trace.values.add(tensor, value)
        return value

    def brought_out(self, trace: _Trace, value: Value) -> Value | None:
        """Return a value, seen from where nodes go; dissolves functions that it is inside of."""
        here = trace.graph.insertion_block
        while (block := value.block) is not None and not here.is_within(block):
            owner = _outermost_owner(block, here)
            if owner is None or owner not in self._reports:
                return None  # given up, or another kind of node, whose blocks nobody can look into
            self._dissolve(
                trace,
                owner,
                "a tensor from inside the forward of a custom function is read outside, so it was recorded "
                "operator by operator, without its backward; no gradient flows through it at a replay",
            )
        return value

    def dissolve_all(self, trace: _Trace) -> None:
        """Put the operators of all forwards in the place of their nodes, for a functional graph."""
        for node in list(self._reports):
            self._dissolve(
                trace,
                node,
                "a functional graph has the operators of a custom function's forward, without its backward; "
                "no gradient flows through it at a replay",
            )

    def _dissolve(self, trace: _Trace, node: Node, message: str) -> None:
        """Put the operators of a forward in the place of their node."""
        inside = _unfold(node)
        becomes: dict[Value, Value] = {}
        for value, made in zip(node.outputs, node.blocks[0].outputs, strict=True):
            value.replace_all_uses_with(made)
            becomes[value] = made
            if made.node in inside:
                made.type = value.type
        trace.values.replace(becomes)
        trace.subclasses.replace(becomes)
        trace.saved.replace(becomes)
        for key, (reference, value) in self._inner.items():
            if value in becomes:
                self._inner[key] = (reference, becomes[value])
        self._dissolved.append(
            (DiagnosticKind.CUSTOM_BACKWARD, message, node.scope, node.stack, {})
        )
        node.erase()
        for report in self._reports.pop(node):
            _report(trace, report)

    def report_dissolved(self, trace: _Trace) -> None:
        """Report the functions whose backward is not part of the graph."""
        for report in self._dissolved:
            _report(trace, report)


def _note_wrappers(trace: _Trace, parts: tuple[Any, ...]) -> None:
    """Make what tensors wrap known by what these are outside a forward, which knew them otherwise."""
    for part in parts:
        if isinstance(part, torch.Tensor) and part.__class__ not in PLAIN_CLASSES:
            value = trace.values.get(part)
            if value is not None:
                trace.subclasses.note(part, value)


def _report(trace: _Trace, report: _Report) -> None:
    kind, message, scope, stack, details = report
    trace.report(kind, message, scope, stack, **details)


def _unfold(node: Node) -> set[Node]:
    """Move the nodes of a node's only block before it, and return them."""
    inside = set(node.blocks[0])
    for inner in node.blocks[0]:
        inner.move_before(node)
    return inside


def _known(node: Node) -> set[Value]:
    """Return what a forward is given: its arguments, and the tangents that dual tensors bring along."""
    known = set(node.inputs)
    for value in node.inputs:
        if value.node is not None and value.node.kind == "aten::_make_dual":
            known.update(value.node.inputs)
    return known


def _is_stale(trace: _Trace, value: Value) -> bool:
    """Whether what a forward read from outside is, at a replay, still that of the trace.

    State is live. Numbers that come from sizes the forward reads from its arguments again.
    """
    if value.state is not None:
        return False
    number = trace.numbers.by_value.get(value)
    return number is None or number.is_data


def _free(block: Block) -> set[Value]:
    """Return what a block, and those in it, read from outside."""
    made: set[Value] = set()
    pending = [block]
    blocks = []
    while pending:
        part = pending.pop()
        blocks.append(part)
        made.update(part.inputs)
        for node in part:
            made.update(node.outputs)
            pending.extend(node.blocks)
    read: set[Value] = set()
    for part in blocks:
        read.update(part.outputs)
        for node in part:
            read.update(node.inputs)
    return read - made


def _outermost_owner(block: Block, here: Block) -> Node | None:
    """Return the node that stands in or around ``here`` and owns, at some depth, ``block``, if one does."""
    owner = block.owner
    while owner is not None and (outer := owner.block) is not None and not here.is_within(outer):
        owner = outer.owner
    return owner
