"""Checks that a graph keeps the rules of ``rules.py``, as fast as Python can.

``verify`` looks at everything once, which only tells whether something is wrong. If so, the rules are
gone through one by one, and the first that is broken names the fault.

Speed takes the privates of nodes, values, blocks and graphs, whose friend this file is; see Note [One set
of books] in ``value.py``.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import VerifyError
from .arguments import Argument
from .block import Block
from .graph import Graph, collect_definitions
from .literals import PYTHON_LITERALS, FunctionRef
from .node import Node
from .rules import (
    CALL,
    STORE,
    WATCH,
    call_fits,
    first_fault,
    groups_fit,
    is_number_if_told,
    keywords_fit,
    stores_number,
    watches,
)
from .scope import Scope, ScopeKind
from .tuples import TUPLE_OPERATORS, tuple_fault
from .value import StateKind, Value

_SEVERAL = (tuple, dict)
"""What holds the users of a value that has more than one."""

_SPECIAL = frozenset((CALL, STORE, WATCH, *TUPLE_OPERATORS))
"""Operators whose arguments must be of certain kinds."""


def verify(graph: Graph) -> None:
    """Check that a graph and the functions it calls keep every rule of ``rules.RULES``. O(size).

    Args:
        graph: the graph.

    Raises:
        VerifyError: one is broken; the message names the node, its source, and what is wrong.
    """
    functions = graph.functions
    if _is_sound(graph, functions) and all(
        _is_sound(function, functions) and not function.functions for function in functions.values()
    ):
        return
    message = first_fault(graph)
    assert message is not None, "the fast check and the rules agree on whether something is wrong"
    raise VerifyError(message)


def _is_sound(graph: Graph, functions: Mapping[str, Graph]) -> bool:
    """Whether a graph keeps the rules, found out in one look at each node."""
    if graph.block.graph is not graph or graph.block.owner is not None:
        return False
    names: list[str] = []
    for key, entry in graph._state.items():
        own = entry.names
        if not own or own[0] != key or entry.value._definer is not entry:
            return False
        if entry.kind is StateKind.NUMBER and not is_number_if_told(entry):
            return False
        names += own
    if len(set(names)) != len(names):
        return False
    check = _FastCheck(graph, functions)
    return check.block_is_sound(graph.block) and check.reads == check.uses


class _FastCheck:
    """One walk through a graph that stops at the first sign of a fault."""

    def __init__(self, graph: Graph, functions: Mapping[str, Graph]) -> None:
        self.graph = graph
        self.functions = functions
        self.visible = {entry.value for entry in graph._state.values()}
        self.uses = sum(map(_user_count, self.visible))  # pairs of value and user that values list
        self.reads = 0  # pairs that operands make
        self._scopes: dict[str, Scope] = {}

    def block_is_sound(self, block: Block) -> bool:
        """Whether a block and all in it keep the rules.

        ``visible`` holds what the block sees, and then what it defines as well. This is one long
        function because a call for each node would cost as much as the check itself.
        """
        visible = self.visible
        known = len(visible)
        defined = len(block._inputs)
        for value in block._inputs:
            if value._definer is not block:
                return False
            self.uses += _user_count(value)
        visible.update(block._inputs)
        uses = reads = count = 0
        scope = None
        previous = None
        node = block._first
        while node is not None:
            if node._previous is not previous or node._block is not block:
                return False
            inputs = node._inputs
            for value in inputs:
                users = value._users
                if value not in visible or (
                    users is not node and (users.__class__ not in _SEVERAL or node not in users)
                ):
                    return False
            size = len(inputs)
            if size == 2:
                reads += 1 if inputs[0] is inputs[1] else 2
            else:
                reads += size if size < 2 else len(set(inputs))
            if node.scope is not scope:
                scope = node.scope
                if not self._scope_is_sound(scope):
                    return False
            if node._args is not inputs and not self._arguments_are_sound(node):
                return False
            if node._keywords and not keywords_fit(node):
                return False
            if node._groups is not None and not groups_fit(node):
                return False
            if node.operator.name in _SPECIAL and not self._suits_operator(node):
                return False
            if node._blocks and not self._blocks_are_sound(node):
                return False
            result = node._results
            if isinstance(result, Value):
                if result._definer is not node:
                    return False
                visible.add(result)
                defined += 1
                users = result._users
                if users is not None:
                    uses += len(users) if users.__class__ in _SEVERAL else 1
            else:
                for value in result:
                    if value._definer is not node:
                        return False
                    uses += _user_count(value)
                visible.update(result)
                defined += len(result)
            count += 1
            previous, node = node, node._next
        self.uses += uses
        self.reads += reads
        return (
            block._last is previous
            and block._length == count
            and len(visible) == known + defined
            and self._outputs_are_sound(block)
        )

    def _blocks_are_sound(self, node: Node) -> bool:
        for block in node._blocks:
            if block.owner is not node or block.graph is not self.graph:
                return False
            if not self.block_is_sound(block):
                return False
            inner: list[Value] = []
            collect_definitions(block, inner)
            self.visible.difference_update(inner)
        return True

    def _outputs_are_sound(self, block: Block) -> bool:
        outputs = set(block._outputs)
        self.reads += len(outputs)
        return outputs <= self.visible and all(value.is_used_by(block) for value in outputs)

    def _scope_is_sound(self, scope: Scope) -> bool:
        step: Scope | None = scope
        while step is not None and self._scopes.get(step.address) is not step:
            if step.parent is None:
                return step.kind is ScopeKind.ROOT
            if (
                step.kind is ScopeKind.ROOT
                or self._scopes.setdefault(step.address, step) is not step
            ):
                return False
            step = step.parent
        return True

    def _arguments_are_sound(self, node: Node) -> bool:
        """Whether a node's operands are the values among its arguments, and the functions there exist."""
        values: list[Value] = []
        return self._callees_exist(node._args, values) and tuple(values) == node._inputs

    def _suits_operator(self, node: Node) -> bool:
        """Whether a node of one of the special operators has the arguments and results that it must have."""
        name = node.operator.name
        if name == CALL:
            args = node._args
            return (
                bool(args) and isinstance(args[0], FunctionRef) and call_fits(node, self.functions)
            )
        if name == STORE:
            return stores_number(node)
        if name == WATCH:
            return watches(node)
        return tuple_fault(node) is None

    def _callees_exist(self, args: tuple[Argument, ...], values: list[Value]) -> bool:
        """Whether the functions among arguments exist; on the way, the values there go into a list."""
        for arg in args:
            class_ = arg.__class__
            if class_ is Value:
                values.append(arg)  # type: ignore[arg-type]  # it is one
            elif class_ in PYTHON_LITERALS:
                continue
            elif isinstance(arg, tuple):
                if not self._callees_exist(arg, values):
                    return False
            elif isinstance(arg, FunctionRef) and arg.name not in self.functions:
                return False
        return True


def _user_count(value: Value) -> int:
    users = value._users
    if users is None:
        return 0
    return len(users) if isinstance(users, tuple | dict) else 1
