"""TracingState: the one owner of a running trace."""

from __future__ import annotations

import itertools
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import FrameType
from typing import Any, Protocol, TypeAlias, cast

import torch

from ..errors import CaptureError
from ..ir import (
    Argument,
    Block,
    Effect,
    Frame,
    Graph,
    Modes,
    Node,
    Operator,
    ScalarType,
    Scope,
    ScopeKind,
    TensorType,
    Value,
)
from ..ir.own_operators import GRADIENT, INNER, MAKE_WRAPPER, SET_ATTRIBUTES, WRAP
from .diagnostics import Diagnostic, DiagnosticKind, Diagnostics, Severity
from .dispatch.collectives import Collectives, class_name_of
from .dispatch.dispatcher import (
    is_inside_transform,
    kernels,
    nested_dummy,
    plain_data,
    plain_offset,
    quiet,
    shares_storage,
)
from .dispatch.generators import Generators
from .dispatch.gradients import owner_of_gradient
from .dispatch.literals import to_literal
from .dispatch.memories import memory_of
from .dispatch.modes import ModeReader
from .dispatch.saved_results import SavedResults
from .dispatch.schemas import operator_of
from .dispatch.tensors import PLAIN_CLASSES, requires_grad_of, type_of_tensor, with_geometry
from .dispatch.views import geometry, views_between
from .functions.callees import Callees
from .functions.custom_functions import CustomFunctions
from .functions.function_map import FunctionMap
from .numbers.numbers import Numbers
from .numbers.sizes import Sizes
from .program.circumstances import Circumstances
from .program.followed_numbers import FollowedNumbers
from .program.gradients import Gradients
from .program.modules import ModulePaths
from .program.program_state import ProgramState
from .program.subclasses import Subclasses, attributes_as_arguments, wrapping_of
from .sources.causes import Causes
from .sources.frames import FrameWalker
from .values import Moment, ValueMap

RunBlocks: TypeAlias = Callable[
    [str, Sequence[Block], Modes, Mapping[Value, Any], tuple[Any, ...], Mapping[str, Any]], Any
]


_GRADIENTS_OUTSIDE = (
    "compute gradients outside the program, of what a replay returns, or inside it with "
    "torch.func.grad"
)


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
        implied: nodes that no call of the user's stands behind: what a tensor was found to have become.
        recorder: what records into this trace while ``tracing`` lasts.
        values: which value a live tensor is.
        subclasses: what is known of tensors of other classes than torch's own.
        collectives: process groups, and what is still to be waited for.
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
        self._if_followed: list[Callable[[], None]] = []
        self._backwards = 0  # how many backward passes run, one inside another
        self._storages: dict[int, tuple[torch.UntypedStorage, Value]] = {}  # by address; held
        self.inputs: list[tuple[torch.Tensor, Value]] = []
        self.function_values = FunctionMap()
        self.run_blocks: RunBlocks = _no_run_blocks
        self.writes_inside: dict[int, int] = {}
        self.implied: set[Node] = set()
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
        self.numbers = Numbers(self, kernels())
        self.followed = FollowedNumbers(graph, self.kept, self.numbers)
        self.sizes = Sizes(self, self.numbers)
        self.functions = CustomFunctions()
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
            if not self.report_from_gap(tensor, "is read", stack, became):
                self.report(
                    DiagnosticKind.UNTRACKED_TENSOR,
                    f"a tensor {type_of_tensor(tensor)} that {self._origin(tensor)} is read here; "
                    + became,
                    scope,
                    stack,
                    shaped=value,
                    hint=_GRADIENTS_OUTSIDE if self._backwards else None,
                )
        self.values.set(tensor, value)
        if tensor.__class__ not in PLAIN_CLASSES:
            self.subclasses.note(tensor, value)
        return self.with_grad_flag(tensor, value, scope, stack)

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

    def handed_on(self, argument: Value, result: Value) -> None:
        """Take note that the result of an operator is the very tensor that was an argument of it."""
        node = result.node
        if node is not None and not node.operator.effects & (Effect.WRITES | Effect.UNKNOWN):
            self.values.handed_on.add(result)
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
            node = value.node
            if node is None or node in self.implied:
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
            value = self._with_attributes(tensor, value, scope, stack)
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
        flagged = self._add_implied(requires_grad_, (value, flag), tensor, scope, stack)
        self.values.set(tensor, flagged)
        return flagged

    def made_without_operator(
        self, tensor: torch.Tensor, scope: Scope, stack: Frame | None
    ) -> Value | None:
        """Return the value of a tensor that is named, or of which it is known how it came to be."""
        value = (
            self.kept.value_of(tensor, sys._getframe(2))
            or self._as_saved(tensor)
            or self._as_gradient(tensor, scope, stack)
            or self._as_inner(tensor, scope, stack)
            or self.functions.recovered(self, tensor)
            or self._as_wrapper(tensor, scope, stack)
            or self._as_view(tensor, scope, stack)
        )
        if value is None and tensor is nested_dummy():
            value = self.kept.constant(tensor, "nested_dummy")
        return value

    def argument(self, held: Any, scope: Scope, stack: Frame | None) -> Argument:
        """Return anything that Python code may hand to a node as an argument of it."""
        if isinstance(held, torch.Tensor):
            value = self.values.get(held)
            if value is None:
                return self.adopt(held, scope, stack)
            return self.with_grad_flag(held, value, scope, stack)
        if isinstance(held, list | tuple):
            return tuple([self.argument(item, scope, stack) for item in held])
        try:
            return to_literal(held)
        except TypeError:
            return self.kept.constant(held, type(held).__name__)

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

    def value_on(self, storage: torch.UntypedStorage) -> Value:
        """Return the value of a known tensor whose elements are in a storage, or else of the storage."""
        for tensor in (*(known for known, _ in self.values.live()), *self.kept.candidates()):
            if memory_of(tensor) == storage._cdata:
                return self.get_known(tensor)
        held, value = self._storages.get(storage._cdata, (None, None))
        if held is None or value is None:
            value = self.kept.constant(storage, "storage")
            self._storages[storage._cdata] = (storage, value)
        return value

    def _whole(self, held: Any) -> Argument:
        """Return a Python object as an argument, not looked into."""
        try:
            return to_literal(held)
        except TypeError:
            return self.kept.constant(held, type(held).__name__)

    def _is_of_this_run(self, tensor: Any) -> bool:
        return (
            self.values.get(tensor) is not None
            or self.subclasses.outside(tensor) is not None
            or self.subclasses.made(tensor) is not None
        )

    def _with_attributes(
        self, tensor: torch.Tensor, value: Value, scope: Scope, stack: Frame | None
    ) -> Value:
        """Return the value of a tensor after recording the attributes that the program set on it."""
        changed = self.subclasses.changed_attributes(tensor)
        if not changed:
            return value
        self.subclasses.note(tensor, value)  # first, in case an attribute leads back to the tensor
        arguments = attributes_as_arguments(changed, lambda held: self.argument(held, scope, stack))
        value = self._add_implied(SET_ATTRIBUTES, (value, *arguments), tensor, scope, stack)
        self.values.set(tensor, value)
        self.subclasses.note(tensor, value)
        return value

    def _as_saved(self, tensor: torch.Tensor) -> Value | None:
        """Return the value of a tensor that autograd saved when an operator gave it as its result."""
        value = self.saved.find(tensor)
        return None if value is None else self.functions.brought_out(self, value)

    def _as_inner(self, tensor: torch.Tensor, scope: Scope, stack: Frame | None) -> Value | None:
        """Return the value of a tensor that a known tensor wraps."""
        found = self.subclasses.outside(tensor)
        if found is None:
            return None
        wrapper, path = found
        visible = self.functions.brought_out(self, wrapper)
        if visible is None:
            return None
        return self._add_implied(INNER, (visible, path), tensor, scope, stack)

    def _as_wrapper(self, tensor: torch.Tensor, scope: Scope, stack: Frame | None) -> Value | None:
        """Return the value of a tensor that the program made to wrap others."""
        if tensor.__class__ in PLAIN_CLASSES:
            return None
        made = self.subclasses.made(tensor)
        wrapping = wrapping_of(tensor)
        if wrapping is None:
            if made is None:
                return None
            call = self.kept.constant(made, "call")
            value = self._add_implied(MAKE_WRAPPER, (call,), tensor, scope, stack)
            held = attributes_as_arguments(
                vars(tensor), lambda part: self.argument(part, scope, stack)
            )
            return self._add_implied(SET_ATTRIBUTES, (value, *held), tensor, scope, stack)
        # Some classes make their tensors in C++; then the tensors inside tell that this run did it.
        if made is None and not any(map(self._is_of_this_run, wrapping.inner)):
            return None
        for inner in wrapping.inner:
            if isinstance(inner, torch.Tensor):
                self.sizes.pin(inner)
        arguments = (
            self.kept.constant(type(tensor), type(tensor).__name__),
            wrapping.names,
            tuple([self.argument(inner, scope, stack) for inner in wrapping.inner]),
            self._whole(wrapping.context),
            wrapping.size,
            wrapping.stride,
        )
        return self._add_implied(WRAP, arguments, tensor, scope, stack)

    def _as_gradient(self, tensor: torch.Tensor, scope: Scope, stack: Frame | None) -> Value | None:
        known = (live for live, _ in self.values.live())
        owner = owner_of_gradient(tensor, itertools.chain(self.kept.candidates(), known))
        if owner is None:
            return None
        last = self.graph.insertion_block.last  # the modes in force do not matter for an attribute
        modes = self.graph.modes if last is None else last.modes
        return self._add_implied(
            GRADIENT, (self.get_known(owner),), tensor, scope, stack, modes=modes
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
            return self.get_known(base)
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
        view = self.get_known(base)
        modes = replace(self.graph.modes, grad=True) if is_followed else self.graph.modes
        type_ = replace(type_of_tensor(tensor), requires_grad=is_followed)
        if not is_followed:
            known: Any = view.type
            detached = replace(known, requires_grad=False)
            detach = operator_of(torch.ops.aten.detach.default)
            view = self._add_implied(detach, (view,), tensor, scope, stack, type_=detached)
        for op, args, shape, strides in views_between(base, tensor, place):
            if op is torch.ops.aten.as_strided.default:
                self.sizes.pin(base)
            view = self._add_implied(
                operator_of(op),
                (view, *args),
                tensor,
                scope,
                stack,
                type_=with_geometry(type_, shape, strides),
                modes=modes,
            )
        self.values.set(tensor, view)
        key = memory_of(tensor)
        if key is not None:
            self.values.index(tensor, key, self._moment())
        return view

    def _add_implied(
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
        modes = self.graph.modes if modes is None else modes
        node = self.graph.append(operator, args, types, scope=scope, stack=stack, modes=modes)
        self.implied.add(node)
        return node.output

    def _moment(self) -> Moment:
        block = self.graph.insertion_block
        return block, len(block)

    def known_on(self, key: int) -> list[torch.Tensor]:
        """Return the known tensors of one storage, newest first, then parameters and buffers on it."""
        known = self.values.sharing(key, self._moment(), memory_of)
        named = self.kept.sharing(key, memory_of)
        return [*reversed(known), *(t for t in named if self.values.get(t) is None)]

    def shares_memory(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor is of the memory of a known one."""
        return self._sharing_storage(tensor) is not None

    def _sharing_storage(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """Return a known tensor of the same memory and dtype: best the same to autograd, or the base."""
        key = memory_of(tensor)
        if key is None or not shares_storage(tensor):
            return None
        here = geometry(tensor)
        known = self.values.sharing(key, self._moment(), memory_of)
        candidates = [
            candidate
            for candidate in (*reversed(known), *self.kept.sharing(key, memory_of))
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
        is_inputs = any(memory_of(leaf) == key for leaf, _ in self.inputs)
        # Where in its memory an input begins is the caller's affair: nothing says what lies before it.
        return candidates[0] if candidates and not is_inputs else None

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
        if self._if_followed:
            with quiet():
                is_left = any(tensor.grad_fn is not None for tensor, _ in self.values.live())
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


def _same_history(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether autograd takes two tensors for the same result of the same operator."""
    history = one.grad_fn
    return history is not None and history is other.grad_fn and one.output_nr == other.output_nr
