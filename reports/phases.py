"""Phases of a program: which nodes are forward, which backward, and which an optimizer's step.

A scope says so; or the Python stack, which passes torch's entry to autograd, or its optimizers. Text keeps
only the user's line of a stack: where no scopes tell, a line on which an operator named ``..._backward``
stands is backward.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final

from ..ir import Frame, Node, Scope, ScopeKind, SourceRange

_ENGINE: Final = ("torch/autograd/graph.py", "_engine_run_backward")
_OPTIMIZERS: Final = "torch/optim/"


class Phase(Enum):
    """What a node is part of."""

    FORWARD = "forward"
    BACKWARD = "backward"
    OPTIMIZER = "optimizer"


class Phases:
    """Tells the phase of each node of a graph."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._by_stack: dict[Frame | None, Phase] = {None: Phase.FORWARD}
        self._by_scope: dict[Scope, Phase] = {}
        self._backward_lines: set[SourceRange] = set()
        for node in nodes:
            if self._of_scope(node.scope) is Phase.BACKWARD:
                self._backward_lines.clear()  # scopes tell, and lines are those of the forward
                break
            stack = node.stack
            if stack is not None and stack.caller is None and _names_backward(node):
                self._backward_lines.add(stack.range)

    def of(self, node: Node) -> Phase:
        """Return what a node is part of."""
        scope = self._of_scope(node.scope)
        if scope is not Phase.FORWARD:
            return scope
        stack = self._by_stack.get(node.stack)
        if stack is None:
            assert node.stack is not None, "nodes without a stack are forward"
            stack = self._by_stack[node.stack] = self._of_stack(node.stack)
        return stack

    def _of_scope(self, scope: Scope) -> Phase:
        known = self._by_scope.get(scope)
        if known is None:
            known = self._by_scope[scope] = _of_scope(scope)
        return known

    def _of_stack(self, stack: Frame) -> Phase:
        if stack.caller is None:
            return Phase.BACKWARD if stack.range in self._backward_lines else Phase.FORWARD
        for frame in stack:
            if not frame.is_library:  # an optimizer's closure, and hooks, are the user's
                return Phase.FORWARD
            place = frame.range
            if (place.file, place.function) == _ENGINE:
                return Phase.BACKWARD
            if place.file.startswith(_OPTIMIZERS):
                return Phase.OPTIMIZER
        return Phase.FORWARD


def _names_backward(node: Node) -> bool:
    return node.operator.base_name.endswith("_backward")


def _of_scope(scope: Scope) -> Phase:
    is_called = False  # whether something is called inside, as an optimizer calls its closure
    for part in (scope, *scope.ancestors()):
        if part.kind is ScopeKind.BACKWARD:
            return Phase.BACKWARD
        if part.kind is ScopeKind.OPTIMIZER:
            return Phase.FORWARD if is_called else Phase.OPTIMIZER
        is_called = is_called or part.kind in (ScopeKind.MODULE, ScopeKind.FUNCTION)
    return Phase.FORWARD
