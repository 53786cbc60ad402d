"""TracingState: the one owner of a running trace."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch

from ..errors import CaptureError
from ..ir import Argument, Frame, Graph, Node, Operator, Scope, Value
from .callees import Callees
from .custom_functions import CustomFunctions
from .diagnostics import Diagnostic, DiagnosticKind, Diagnostics
from .dispatcher import (
    kernels,
    plain_numel,
    plain_offset,
    plain_shape,
    plain_strides,
    shares_storage,
    storage_key,
)
from .frames import FrameWalker
from .modules import ModulePaths
from .numbers import Numbers
from .program_state import ProgramState
from .schemas import operator_of
from .sizes import Sizes
from .tensors import type_of_tensor
from .values import ValueMap


class TracingState:
    """Everything a running trace knows: graph, values of tensors, scopes, state, flags.

    Attributes:
        graph: the graph being built.
        warn: whether diagnostics are issued as warnings.
        strict: whether a diagnostic ends the trace with an error.
        lookup_var_name_fn: names the results of operators; if it is None, or returns an empty
            string, they are named after the variables that the user's code assigns them to.
        implied: nodes that no call of the user's stands behind: what a tensor was found to have become.
        recorder: what records into this trace while ``tracing`` lasts.
        values: which value a live tensor is.
        kept: the parameters, buffers and constants of the program.
        numbers: the sizes and items of tensors that the program computes with.
        sizes: which sizes of tensors are numbers of the graph.
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
    ) -> None:
        self.graph = graph
        self.warn = warn
        self.strict = strict
        self.lookup_var_name_fn: Callable[[torch.Tensor], str] | None = None
        self.values = ValueMap()
        self.implied: set[Node] = set()
        self.recorder: object | None = None
        self.diagnostics = Diagnostics()
        self.kept = ProgramState(graph, function)
        self.numbers = Numbers(self, kernels())
        self.sizes = Sizes(self, self.numbers)
        self.functions = CustomFunctions()
        self.callees = Callees()
        self.walker = FrameWalker(
            graph.root_scope, ModulePaths(self.kept.outer_names, self.kept.register)
        )

    @property
    def force_outplace(self) -> bool:
        """Whether in-place operators are recorded as functional ones; they never are."""
        return False

    @force_outplace.setter
    def force_outplace(self, wanted: bool) -> None:
        if wanted:
            raise CaptureError(
                "in-place operators are recorded as the program calls them; force_outplace is not available"
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

        It is a parameter, buffer or named constant; or it shares the memory of a value, as
        ``x.data`` does, and is recorded as a view of it; or it becomes an unnamed constant, and a
        diagnostic says so.
        """
        value = self.kept.value_of(tensor, sys._getframe(1))
        if value is None:
            value = self.functions.recovered(self, tensor)
        if value is None:
            value = self._as_view(tensor, scope, stack)
        if value is None:
            value = self.kept.constant(tensor, "constant")
            self.report(
                DiagnosticKind.UNTRACKED_TENSOR,
                f"a tensor {type_of_tensor(tensor)} that no recorded operator made is read here; "
                f"its present data became the constant %{value.name}",
                scope,
                stack,
            )
        self.values.set(tensor, value)
        return self.with_grad_flag(tensor, value, scope, stack)

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
        flag = tensor.requires_grad
        known: Any = value.type
        if known.requires_grad is flag:
            return value
        if not tensor.is_leaf:
            if flag and tensor._version == 0:  # else it may come from a write through a view
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

    def _as_view(self, tensor: torch.Tensor, scope: Scope, stack: Frame | None) -> Value | None:
        base = self._sharing_storage(tensor)
        if base is None:
            return None
        detach = operator_of(torch.ops.aten.detach.default)
        view = self._add_implied(detach, (self.get_known(base),), tensor, scope, stack)
        geometry = _geometry(tensor)
        if geometry == _geometry(base):
            return view
        as_strided = operator_of(torch.ops.aten.as_strided.default)
        return self._add_implied(as_strided, (view, *geometry), tensor, scope, stack)

    def _add_implied(
        self,
        operator: Operator,
        args: tuple[Argument, ...],
        tensor: torch.Tensor,
        scope: Scope,
        stack: Frame | None,
    ) -> Value:
        """Add a node for what happened to a tensor without an operator being called."""
        types = (type_of_tensor(tensor),)
        modes = self.graph.modes
        node = self.graph.append(operator, args, types, scope=scope, stack=stack, modes=modes)
        self.implied.add(node)
        return node.output

    def _sharing_storage(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """Return the newest known tensor of the same memory and dtype."""
        key = _storage_or_none(tensor)
        if key is None or not shares_storage(tensor):
            return None
        found = None
        for known, _ in self.values.live():
            if known.dtype == tensor.dtype and _storage_or_none(known) == key:
                found = known
        if found is not None:
            return found
        for candidate in self.kept.candidates():
            if candidate.dtype == tensor.dtype and _storage_or_none(candidate) == key:
                return candidate
        return None

    def get_known(self, tensor: torch.Tensor) -> Value:
        """Return the value of a tensor that is known, or is named state."""
        value = self.values.get(tensor)
        if value is None:
            value = self.kept.value_of(tensor)
            assert value is not None, "only known tensors are asked for"
            self.values.set(tensor, value)
        return value

    def report(
        self, kind: DiagnosticKind, message: str, scope: Scope | None, stack: Frame | None
    ) -> None:
        """Note that something could not be recorded exactly.

        Raises:
            CaptureError: the trace is strict.
        """
        if self.functions.holds_back(kind, message, scope, stack):
            return
        found = self.diagnostics.report(
            kind, message, stack, "" if scope is None else scope.address
        )
        if found is not None and self.strict:
            raise CaptureError(str(found))

    def report_again(self, diagnostic: Diagnostic) -> None:
        """Note what the trace of a program that is called here could not record exactly.

        Raises:
            CaptureError: the trace is strict.
        """
        if self.diagnostics.include(diagnostic) and self.strict:
            raise CaptureError(str(diagnostic))


def _geometry(tensor: torch.Tensor) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Return sizes, strides and offset of a tensor, as ``as_strided`` takes them."""
    return tuple(plain_shape(tensor)), tuple(plain_strides(tensor)), plain_offset(tensor)


def _storage_or_none(tensor: torch.Tensor) -> int | None:
    """Return what two tensors of one storage have in common; None for tensors without elements in one."""
    if tensor.layout is not torch.strided or plain_numel(tensor) == 0:
        return None
    try:
        return storage_key(tensor)
    except (
        RuntimeError,
        NotImplementedError,
    ):  # wrapper subclasses and functorch tensors have none
        return None
