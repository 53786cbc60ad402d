"""TracingState: the one owner of a running trace."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any, Protocol, TypeAlias, cast

import torch
from torch._subclasses import FakeTensor

from ..errors import CaptureError
from ..ir import (
    Argument,
    Block,
    Effect,
    Frame,
    Graph,
    Modes,
    Node,
    ScalarType,
    Scope,
    ScopeKind,
    StateKind,
    Value,
)
from ..ir.collectives import group_state_name
from .diagnostics import Diagnostic, DiagnosticKind, Diagnostics, Severity
from .dispatch.dispatcher import (
    is_inside_transform,
    kernels,
    plain_data,
    plain_is_leaf,
    plain_requires_grad,
    quiet,
)
from .dispatch.generators import Generators
from .dispatch.gradients import ENGINE_CODE, leaf_of, running_history
from .dispatch.memories import memory_of
from .dispatch.modes import ModeReader
from .dispatch.saved_results import SavedResults
from .dispatch.schemas import operator_of
from .dispatch.tensors import PLAIN_CLASSES, requires_grad_of, type_of_tensor
from .distributed.backward_hooks import BackwardHooks
from .distributed.collectives import Collectives, class_name_of, group_named
from .distributed.reducers import Reducers
from .functions.callees import Callees
from .functions.custom_functions import CustomFunctions
from .functions.function_map import FunctionMap
from .implied import ImpliedValues
from .numbers.numbers import Numbers
from .numbers.sizes import Sizes
from .partial import FailedCalls
from .program.circumstances import Circumstances
from .program.followed_numbers import FollowedNumbers
from .program.gradients import Gradients
from .program.modules import ModulePaths
from .program.program_state import ProgramState
from .program.subclasses import Subclasses
from .sources.causes import Causes
from .sources.frames import FrameWalker
from .values import ValueMap

RunBlocks: TypeAlias = Callable[
    [str, Sequence[Block], Modes, Mapping[Value, Any], tuple[Any, ...], Mapping[str, Any]], Any
]


_GRADIENTS_OUTSIDE = (
    "compute gradients outside the program, of what a replay returns, or inside it with "
    "torch.func.grad"
)
_TRACE_DEEP = "trace with depth='deep', which shows what operators are made of; or "


def _no_run_blocks(kind: str, *rest: Any) -> Any:
    raise CaptureError(
        f"{kind} takes functions, and this trace was given no way to run them\n"
        "  trace with opscope.trace, or set run_blocks of the TracingState to opscope.runtime.run_blocks"
    )


class Gap(Protocol):
    """A stretch of the run that is not recorded; see ``recorders/gaps.py``."""

    scope: Scope
    stack: Frame | None
    what: str

    def has_made(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor, or one that it shares memory with, was made in the gap."""
        ...

    def has_written(self, key: int) -> bool:
        """Whether memory that the trace knows, given by its storage, was written in the gap."""
        ...


class TracingState:
    """Everything a running trace knows: graph, values of tensors, scopes, state, flags.

    Attributes:
        graph: the graph being built.
        warn: whether diagnostics are issued as warnings.
        strict: whether a diagnostic ends the trace with an error.
        allowed: the kinds of diagnostics that are expected: neither warned about nor errors.
        force_outplace: whether ``opscope.trace`` makes the graph functional when the run has ended.
        lookup_var_name_fn: names the results of operators; if it is None, or returns an empty
            string, they are named after the variables that the user's code assigns them to.
        inputs_as_traced: whether the inputs of a replay must have the strides, and require gradients, as
            those of the trace: C++ code that went by these was traced through.
        is_deep: whether what composite operators call stands in their place.
        held: reports of an operator that runs, until it is known what of it is recorded; None else.
        named_as: results, or None for those that are no tensors, that one call gave and many nodes made.
        implied: the values of tensors that no recorded operator made, as far as it is known how they came
            to be.
        recorder: what records into this trace while ``tracing`` lasts.
        values: which value a live tensor is.
        subclasses: what is known of tensors of other classes than torch's own.
        collectives: process groups, and what is still to be waited for.
        reducers: tells the memory of replicated modules.
        backward_hooks: those of replicated and sharded modules that no backward has run.
        function_values: which value a function is that a recorded call has returned.
        run_blocks: runs an operator on functions made of blocks; see ``runtime.run_blocks``.
        writes_inside: how often recorded calls have written tensors that they hold, by the id of each.
        module_hooks: handles of the hooks that were registered on modules, what to say of each that is
            left, and where that was.
        assigned: where attributes of modules were set, by the module's id and the attribute's name.
        origins: what is known of who made a tensor that no recorded operator made, by its id.
        generators: the random number generators that the program can reach, and their states.
        modes: the modes in force, and which of them the program set.
        circumstances: what the program asked of its surroundings besides tensors.
        saved: which values autograd may have saved.
        gradients: which gradients tensors have, as far as the graph goes.
        was_paused: whether somebody chose that operators ran unrecorded.
        inputs: the tensors that the program was called with, and their values.
        kept: the parameters, buffers and constants of the program.
        numbers: the sizes and items of tensors that the program computes with.
        followed: the numbers that its optimizers hold.
        sizes: which sizes of tensors are numbers of the graph.
        gaps: the stretches of the run that are not recorded, such as pauses.
        walker: finds scopes and stacks.
        diagnostics: what could not be recorded exactly.
        functions: the custom autograd functions that run and ran.
        callees: the traced programs that were called.
        failed: the calls of operators that failed.
    """

    def __init__(
        self,
        graph: Graph,
        function: Callable[..., Any] = lambda: None,
        *,
        strict: bool = False,
        warn: bool = True,
        allowed: frozenset[DiagnosticKind] = frozenset(),
        force_outplace: bool = False,
    ) -> None:
        self.allowed = allowed
        self.graph = graph
        self.warn = warn
        self.strict = strict
        self.force_outplace = force_outplace
        self.lookup_var_name_fn: Callable[[torch.Tensor], str] | None = None
        self.values = ValueMap()
        self.subclasses = Subclasses()
        self.collectives = Collectives()
        self.backward_hooks = BackwardHooks()
        self.failed = FailedCalls()
        self._if_followed: list[Callable[[], None]] = []
        self._backwards = 0  # how many backward passes run, one inside another
        self._storages: dict[int, tuple[torch.UntypedStorage, Value]] = {}  # by address; held
        self.inputs: list[tuple[torch.Tensor, Value]] = []
        self.function_values = FunctionMap()
        self.run_blocks: RunBlocks = _no_run_blocks
        self.writes_inside: dict[int, int] = {}
        self.recorder: object | None = None
        self.gaps: list[Gap] = []
        self.diagnostics = Diagnostics()
        self.assigned: dict[tuple[int, Any], tuple[Scope, Frame | None]] = {}
        self.module_hooks: list[tuple[Any, str, tuple[Scope, Frame | None]]] = []
        self.origins: dict[int, tuple[weakref.ref[torch.Tensor], str]] = {}
        self.was_paused = False
        self.generators = Generators()
        self.modes = ModeReader(graph.modes)
        self.saved = SavedResults()
        self.circumstances = Circumstances()
        self.gradients = Gradients()
        self.kept = ProgramState(graph, function)
        self.reducers = Reducers(self.kept.modules)
        self.numbers = Numbers(self, kernels())
        self.followed = FollowedNumbers(graph, self.kept, self.numbers)
        self.sizes = Sizes(self, self.numbers)
        self.functions = CustomFunctions()
        self.implied = ImpliedValues(self)
        self.inputs_as_traced = False
        self.is_deep = False
        self.held: list[tuple[DiagnosticKind, Callable[[], None]]] | None = None
        self.named_as: list[tuple[Frame | None, Sequence[Value | None]]] = []
        self.callees = Callees()
        self.walker = FrameWalker(
            graph.root_scope,
            ModulePaths(self.kept.outer_names, self.kept.register),
            Causes(self.kept.named),
        )

    def set_graph(self, graph: Graph) -> None:
        """Record into another graph from now on."""
        self.graph = graph

    def get_value_trace(self, tensor: torch.Tensor) -> Value:
        """Return the value that a tensor is in the graph; one that no operator made becomes state."""
        value = self.values.get(tensor)
        if value is None:
            scope, stack = self.walker.locate(sys._getframe(1))
            value = self.adopt(tensor, scope, stack)
        return value

    def set_value_trace(self, tensor: torch.Tensor, value: Value) -> None:
        """Make ``value`` what a tensor is in the graph from now on."""
        self.values.set(tensor, value)

    def push_scope(self, name: str) -> Scope:
        """Open a scope; operators recorded before it is closed stand in it."""
        return self.walker.open_region(name, sys._getframe(1))

    def pop_scope(self) -> None:
        """Close the scope that was opened last.

        Raises:
            CaptureError: none is open.
        """
        if not self.walker.regions:
            raise CaptureError("pop_scope() without a push_scope() before it")
        self.walker.regions.pop()

    def current_scope(self) -> Scope:
        """Return the scope that an operator would stand in if it were called here."""
        return self.walker.locate(sys._getframe(1))[0]

    def adopt(self, tensor: torch.Tensor, scope: Scope, stack: Frame | None) -> Value:
        """Return a value for a tensor that no recorded operator has made.

        It is a parameter, buffer or named constant; or the gradient of one; or it shares the memory of
        a value, as ``x.data`` does, and is recorded as a view of it; or it becomes an unnamed constant,
        and a diagnostic says so.
        """
        value = self.made_without_operator(tensor, scope, stack)
        if value is None and self._adopt_memory(tensor, scope, stack):
            value = self.made_without_operator(tensor, scope, stack)
        if value is not None and self._is_called_by_engine(stack):
            self._name_part(tensor, value)
        if value is None and is_inside_transform(tensor):
            where = "" if stack is None else f"\n  from {stack.user.range}"
            raise CaptureError(
                "a function transform that the trace does not know of gave its function a tensor "
                f"{type_of_tensor(tensor)}{where}\n"
                "  make the transform while the trace runs, with the functions of torch.func"
            )
        if value is None:
            value = self.kept.constant(without_history(tensor), "constant")
            became = f"its present data became the constant %{value.name}"
            if isinstance(tensor, FakeTensor):
                became = (
                    f"it became the constant %{value.name}, without data: no replay on real tensors"
                )
            if not self.report_from_gap(tensor, "is read", stack, became):
                self.report(
                    DiagnosticKind.UNTRACKED_TENSOR,
                    f"a tensor {type_of_tensor(tensor)} that {self._origin(tensor)} is read here; "
                    + became,
                    scope,
                    stack,
                    shaped=value,
                    hint=self._hint_in_backward() if self._backwards else None,
                )
        self.values.set(tensor, value)
        if tensor.__class__ not in PLAIN_CLASSES:
            self.subclasses.note(tensor, value)
        return self.with_grad_flag(tensor, value, scope, stack)

    def _adopt_memory(self, tensor: torch.Tensor, scope: Scope, stack: Frame | None) -> bool:
        """Adopt the whole memory of a tensor that nothing recorded has made; return whether it had a name.

        C++ gives out parts of memory that it keeps, such as the buckets of a reducer.
        """
        if not self._is_called_by_engine(stack):
            return False
        whole = tensor if tensor._base is None else tensor._base
        name = self.reducers.name_for(whole)
        if name is None:
            return False
        self.kept.register_as(name, whole, StateKind.BUFFER)
        return True

    def _name_part(self, tensor: torch.Tensor, value: Value) -> None:
        """Name a part of a reducer's bucket after the parameter whose gradient goes there."""
        whole, leaf = tensor._base, leaf_of(running_history())
        name = None if leaf is None else self.kept.named(leaf)
        if whole is not None and name is not None and value.name is None:
            if self.reducers.is_bucket(self.kept.named(whole)):
                value.name = f"{name}.in_bucket"

    def _is_called_by_engine(self, stack: Frame | None) -> bool:
        """Whether a stack leads to C++ that autograd's engine runs."""
        return bool(self._backwards) and stack is not None and stack.code is ENGINE_CODE

    def _hint_in_backward(self) -> str:
        return _GRADIENTS_OUTSIDE if self.is_deep else _TRACE_DEEP + _GRADIENTS_OUTSIDE

    def _origin(self, tensor: torch.Tensor) -> str:
        """Return who made a tensor that no recorded operator made, as far as that is known."""
        origin = self.origins.get(id(tensor))
        if origin is not None and origin[0]() is tensor:
            return origin[1]
        if self._backwards:
            return "autograd saved inside an operator, which is one node,"
        return "no recorded operator made"

    @contextmanager
    def running_backward(self, frame: FrameType, *, creates_graph: bool) -> Iterator[None]:
        """Hold that autograd runs a backward pass of the program until the ``with`` ends."""
        self._backwards += 1
        regions = self.walker.regions
        count = len(regions)
        self.walker.open_region("backward", frame, ScopeKind.BACKWARD)
        # Without a graph to create, its operators run without gradients, whatever the caller's modes.
        try:
            with self.modes.setting(*(() if creates_graph else ("grad",))):
                yield
        finally:
            del regions[count:]
            self._backwards -= 1

    @contextmanager
    def standing_in(self, module: torch.nn.Module) -> Iterator[None]:
        """Let operators of a backward pass stand where those of a module do, until the ``with`` ends."""
        path = self.kept.outer_names.get(id(module))
        scope = None if path is None else self.walker.scope_in_backward(path)
        regions = self.walker.regions
        count = len(regions)
        if scope is not None:
            regions.append(scope)
        try:
            yield
        finally:
            del regions[count:]

    def handed_on(self, argument: Value, result: Value) -> None:
        """Take note that the result of an operator is the very tensor that was an argument of it."""
        node = result.node
        if node is not None and not node.operator.effects & (Effect.WRITES | Effect.UNKNOWN):
            self.values.handed_on[result] = argument
            self.sizes.hold_identity(argument, result)

    def roots(self) -> dict[int, Value]:
        """Return the values that inputs and state were when the trace began, by the id of the tensor."""
        objects = self.kept.objects
        found = {id(objects[name]): entry.value for name, entry in self.graph.state.items()}
        found.update((id(leaf), value) for leaf, value in self.inputs)
        return found

    def report_from_gap(
        self, tensor: torch.Tensor, use: str, stack: Frame | None, became: str
    ) -> bool:
        """Report the use of a tensor that was made in a gap, at the gap; return whether it was."""
        gap = next((gap for gap in self.gaps if gap.has_made(tensor)), None)
        if gap is None:
            return False
        where = "" if stack is None else f" at {stack.user.range}"
        message = f"a tensor {type_of_tensor(tensor)} made {gap.what} {use}{where}; {became}"
        self.report(DiagnosticKind.UNTRACKED_TENSOR, message, gap.scope, gap.stack)
        return True

    def flush_grad_flags(self) -> None:
        """Record what became of the ``requires_grad`` of state and inputs after they were last read."""
        root = self.graph.root_scope
        for tensor in self.kept.flag_changed():
            self.get_known(tensor)
        for tensor, value in list(self.values.live()):
            known: Any = value.type
            if tensor.__class__ in PLAIN_CLASSES and (
                known.requires_grad is plain_requires_grad(tensor)
            ):
                continue
            node = value.node
            if node is None or node in self.implied.nodes:
                self.with_grad_flag(tensor, value, root, None)

    def with_grad_flag(
        self, tensor: torch.Tensor, value: Value, scope: Scope, stack: Frame | None
    ) -> Value:
        """Return the value of a known tensor after recording a change of its ``requires_grad``.

        ``torch.ones(3, requires_grad=True)`` and ``x.requires_grad_()`` set the flag of a leaf and
        call no operator. Other tensors get theirs from the operators that made or changed them.
        """
        flag = requires_grad_of(tensor)
        if tensor.__class__ not in PLAIN_CLASSES:
            value = self.implied.with_attributes(tensor, value, scope, stack)
        known: Any = value.type
        if known.requires_grad is flag:
            return value
        if not tensor.is_leaf:
            # A write through a view may bring it along; that a tensor became a constant was reported.
            if flag and tensor._version == 0 and value.state is None:
                message = (
                    "a tensor requires grad through something that is not a recorded operator, such as an "
                    "optimized scripted function; no gradient flows there at a replay"
                )
                self.report(DiagnosticKind.CUSTOM_BACKWARD, message, scope, stack)
            return value
        requires_grad_ = operator_of(torch.ops.aten.requires_grad_.default)
        flagged = self.implied.add(requires_grad_, (value, flag), tensor, scope, stack)
        self.values.set(tensor, flagged)
        return flagged

    def made_without_operator(
        self, tensor: torch.Tensor, scope: Scope, stack: Frame | None
    ) -> Value | None:
        """Return the value of a tensor that is named, or of which it is known how it came to be."""
        if self._backwards and self.kept.named(tensor) is None:
            saved = self.implied.as_saved(tensor)  # no global is one, and there are many to look at
            if saved is not None:
                return saved
        named = self.kept.value_of(tensor, sys._getframe(2))
        return named or self.implied.find(tensor, scope, stack)

    def ragged_size(self, size: torch.SymInt, scope: Scope, stack: Frame | None) -> Argument:
        """Return the value of a size in which the rows of a nested tensor differ."""
        source = self.subclasses.ragged.source(size)
        if source is None:
            return self.kept.constant(size, "ragged_size")
        node = self.graph.append(
            operator_of(torch.ops.aten.sym_size.int),
            source,
            (ScalarType.INT,),
            scope=scope,
            stack=stack,
            modes=self.graph.modes,
        )
        return node.output

    def note_object(self, held: torch.ScriptObject, value: Value) -> None:
        """Take note of an object of a class registered in C++ that an operator gave."""
        self.collectives.note(held, value)
        node = value.node
        if node is None or not self._is_called_by_engine(node.stack):
            return
        path = self.reducers.running()  # what it has reduced is of many modules
        node.scope = (path is not None and self.walker.scope_in_backward(path)) or node.scope

    def script_object(self, held: torch.ScriptObject) -> Argument:
        """Return an object of a class registered in C++ as an argument."""
        known = self.collectives.known(held)
        if known is not None:
            return known
        found = self.collectives.group(held)
        if found is None:
            return self.kept.constant(held, class_name_of(held))
        group, name, value = found
        if value is None:
            value = self.kept.constant(held, name)
            self.collectives.note_group(group, value)
        return value

    def note_group_of(self, args: Sequence[Any]) -> None:
        """Keep the group that arguments of a functional collective name as a constant, for readers."""
        name = next((arg for arg in reversed(args) if isinstance(arg, str)), None)
        group = None if name is None else group_named(name)
        if group is not None and not self.collectives.knows(group):
            value = self.kept.constant(group.boxed(), group_state_name(group.group_name))
            self.collectives.note_group(group, value)

    def value_on(self, storage: torch.UntypedStorage) -> Value:
        """Return the value of a known tensor whose elements are in a storage, or else of the storage."""
        for tensor in (*self.kept.candidates(), *(known for known, _ in self.values.live())):
            if memory_of(tensor) == storage._cdata:
                return self.get_known(tensor)
        held, value = self._storages.get(storage._cdata, (None, None))
        if held is None or value is None:
            value = self.kept.constant(storage, "storage")
            self._storages[storage._cdata] = (storage, value)
        return value

    def get_known(self, tensor: torch.Tensor) -> Value:
        """Return the value of a tensor that is known, or is named state."""
        value = self.values.get(tensor)
        if value is None:
            value = self.kept.value_of(tensor)
            assert value is not None, "only known tensors are asked for"
            self.values.set(tensor, value)
        return value

    def report(
        self,
        kind: DiagnosticKind,
        message: str,
        scope: Scope | None,
        stack: Frame | None,
        **details: Any,
    ) -> None:
        """Note that something could not be recorded exactly; ``details`` are those of ``Diagnostics.report``.

        Raises:
            CaptureError: the trace is strict, and this is neither mere information nor of an allowed kind.
        """
        if self.held is not None:
            self.held.append((kind, partial(self.report, kind, message, scope, stack, **details)))
            return
        if self.functions.holds_back(kind, message, scope, stack, details):
            return
        address = "" if scope is None else scope.address
        found = self.diagnostics.report(kind, message, stack, address, **details)
        if found is not None:
            self._refuse_if_strict(found)

    def report_if_followed(
        self,
        kind: DiagnosticKind,
        message: str,
        scope: Scope,
        stack: Frame | None,
        **details: Any,
    ) -> None:
        """Note something that only matters if gradients may flow through what the program leaves behind."""
        if not self.functions.holds_back(kind, message, scope, stack, details):
            self._if_followed.append(partial(self.report, kind, message, scope, stack, **details))

    def report_followed(self) -> None:
        """Report that, when the program has returned, if tensors with a history of this run are left."""
        self._if_followed += self.backward_hooks.refusals()
        if self._if_followed:
            with quiet():
                is_left = any(not plain_is_leaf(tensor) for tensor, _ in self.values.live())
            for report in self._if_followed if is_left else ():
                report()

    def report_again(self, diagnostic: Diagnostic, node: Node) -> None:
        """Note what the trace of a program that ``node`` calls could not record exactly.

        Raises:
            CaptureError: the trace is strict, and this is neither mere information nor of an allowed kind.
        """
        if self.diagnostics.include(diagnostic, node):
            self._refuse_if_strict(diagnostic)

    def _refuse_if_strict(self, found: Diagnostic) -> None:
        is_expected = found.severity is Severity.INFO or found.kind in self.allowed
        if self.strict and not is_expected:
            raise CaptureError(str(found))


def without_history(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor to keep: another on its memory if it would keep the graph of autograd alive."""
    return tensor if tensor.grad_fn is None else cast(torch.Tensor, plain_data.__get__(tensor))
