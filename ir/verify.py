"""Checks that a graph keeps the rules of the IR.

``verify`` looks at everything once and as fast as it can, which only tells whether something is wrong.
If so, it goes through the rules below one by one, and the first that finds a fault names it.

Checking is the books' own business, so this file reads the privates of ``node.py`` and ``graph.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ..errors import VerifyError
from .diagnosis import Describer, Fault
from .graph import Graph, collect_definitions
from .literals import FunctionRef
from .node import Argument, Block, Node, StateEntry, Value, values_in
from .scope import Scope, ScopeKind

_CALL = "prim::call"


def verify(graph: Graph) -> None:
    """Check that a graph and the functions it calls keep every rule in ``RULES``. O(size).

    Raises:
        VerifyError: one is broken; the message names the node, its source, and what is wrong.
    """
    functions = graph.functions
    if _is_sound(graph, functions) and all(
        _is_sound(function, functions) and not function.functions for function in functions.values()
    ):
        return
    raise VerifyError(_diagnose(graph))


def _diagnose(graph: Graph) -> str:
    """Return the message of the first fault that the rules find."""
    for name, part in (("", graph), *graph.functions.items()):
        subject = _Subject(part, graph.functions, Describer(part), is_function=part is not graph)
        for rule in RULES:
            for fault in rule.faults(subject):
                where = f"  in function {name}\n" if name else ""
                return f"{subject.describer.describe(fault)}\n{where}  rule: {rule.sentence}"
            if rule.name == "blocks":
                subject.describer.name_values()
    raise AssertionError("the fast check and the rules agree on whether something is wrong")


@dataclass(frozen=True, slots=True)
class _Subject:
    """The graph that a rule looks at, and the functions that it may call."""

    graph: Graph
    functions: Mapping[str, Graph]
    describer: Describer
    is_function: bool

    def named(self, value: Value) -> str:
        return self.describer.name(value)

    def blocks(self) -> Iterator[Block]:
        """Yield every block, outer ones first."""
        pending = [self.graph.block]
        while pending:
            block = pending.pop()
            yield block
            pending.extend(inner for node in block for inner in node.blocks)

    def nodes(self) -> Iterator[Node]:
        return self.graph.walk()


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that holds of every graph.

    Attributes:
        name: what the rule is about.
        sentence: what holds.
        faults: yields each place where it does not; later rules rely on earlier ones.
    """

    name: str
    sentence: str
    faults: Callable[[_Subject], Iterable[Fault]]


def _link_faults(subject: _Subject) -> Iterator[Fault]:
    pending = [subject.graph.block]
    while pending:
        block = pending.pop()
        previous = None
        count = 0
        node = block._first
        while node is not None:
            if node._previous is not previous or node._block is not block:
                yield Fault(f"{node.kind} and what stands before it are not linked both ways", node)
                return
            pending.extend(node._blocks)
            count += 1
            previous, node = node, node._next
        if block._last is not previous or block._length != count:
            yield Fault("a block's last node or length is not that of its nodes", block)
            return


def _block_faults(subject: _Subject) -> Iterator[Fault]:
    if subject.graph.block.graph is not subject.graph or subject.graph.block.owner is not None:
        yield Fault("the graph's own block belongs to another graph or to a node")
    for node in subject.nodes():
        for inner in node.blocks:
            if inner.owner is not node or inner.graph is not subject.graph:
                yield Fault(f"a block of {node.kind} belongs to another node or graph", node)


def _definition_faults(subject: _Subject) -> Iterator[Fault]:
    seen: set[Value] = set()
    for entry in subject.graph._state.values():
        seen.add(entry.value)
        if entry.value._definer is not entry:
            yield Fault(f"state {entry.name} is not what its value says it comes from")
    for block in subject.blocks():
        places: list[tuple[Block | Node, tuple[Value, ...]]] = [(block, block.inputs)]
        places.extend((node, node.outputs) for node in block)
        for place, values in places:
            for value in values:
                if value._definer is not place:
                    yield Fault(f"{subject.named(value)} does not know what defines it", place)
                if value in seen:
                    yield Fault(f"{subject.named(value)} is defined twice", place)
                seen.add(value)


def _argument_faults(subject: _Subject) -> Iterator[Fault]:
    for node in subject.nodes():
        if node.inputs != values_in(node.all_args):
            yield Fault(f"the operands of {node.kind} are not the values in its arguments", node)


def _use_faults(subject: _Subject) -> Iterator[Fault]:
    for block in subject.blocks():
        for user in (block, *block):
            for operand, value in enumerate(user._reads()):
                if user not in value.users:
                    yield Fault(f"{subject.named(value)} has no record of this use", user, operand)


def _user_faults(subject: _Subject) -> Iterator[Fault]:
    present: set[Node | Block] = set(subject.blocks())
    present.update(subject.nodes())
    values = [entry.value for entry in subject.graph._state.values()]
    for value in values + subject.graph.values():
        for user in value.users:
            if user not in present or value not in user._reads():
                what = user.kind if isinstance(user, Node) else "a block"
                yield Fault(
                    f"{subject.named(value)} lists {what} as a user, which does not read it or is gone",
                    value.node,
                )


def _order_faults(subject: _Subject) -> Iterator[Fault]:
    state = {entry.value for entry in subject.graph._state.values()}
    yield from _hidden_operands(subject.describer, subject.graph.block, state)


def _hidden_operands(describer: Describer, block: Block, outer: set[Value]) -> Iterator[Fault]:
    visible = outer.union(block._inputs)
    for user in (*block, block):
        for operand, value in enumerate(user._reads()):
            if value not in visible:
                yield describer.hidden(value, user, operand)
        if isinstance(user, Node):
            for inner in user.blocks:
                yield from _hidden_operands(describer, inner, visible)
            visible.update(user.outputs)


def _state_faults(subject: _Subject) -> Iterator[Fault]:
    taken: dict[str, StateEntry] = {}
    for key, entry in subject.graph._state.items():
        if not entry.names or entry.name != key:
            yield Fault(f"state is filed as {key} but named {', '.join(entry.names) or 'nothing'}")
        for name in entry.names:
            if name in taken:
                yield Fault(f"two pieces of state are named {name}")
            taken[name] = entry


def _keyword_faults(subject: _Subject) -> Iterator[Fault]:
    for node in subject.nodes():
        if not _keywords_fit(node):
            yield Fault(
                f"{node.kind} has {len(node.all_args)} arguments"
                f" and these names for the last of them: {', '.join(node.keywords)}",
                node,
            )


def _group_faults(subject: _Subject) -> Iterator[Fault]:
    for node in subject.nodes():
        if not _groups_fit(node):
            yield Fault(
                f"{node.kind} has {len(node.outputs)} results, which {node.groups} does not group",
                node,
            )


def _scope_faults(subject: _Subject) -> Iterator[Fault]:
    scopes: dict[str, Scope] = {}
    for node in subject.nodes():
        for scope in node.scope.chain():
            if (scope.parent is None) != (scope.kind is ScopeKind.ROOT):
                yield Fault(f"scope {scope} of {node.kind} does not lead to a root", node)
            if scope.parent is not None and scopes.setdefault(scope.address, scope) is not scope:
                yield Fault(f"two scopes have the address {scope.address}", node)


def _call_faults(subject: _Subject) -> Iterator[Fault]:
    for node in subject.nodes():
        args = node.all_args
        if node.kind == _CALL and not (args and isinstance(args[0], FunctionRef)):
            yield Fault(f"the first argument of {_CALL} is not the name of a function", node)
        for reference in _references(args):
            if reference.name not in subject.functions:
                yield Fault(f"{reference} names a function that the graph does not have", node)


def _function_faults(subject: _Subject) -> Iterator[Fault]:
    if subject.is_function and subject.graph.functions:
        yield Fault(
            f"function {subject.graph.name} has functions of its own; its caller keeps them"
        )


RULES: Final = (
    Rule("links", "A block links its nodes in both directions, and each knows it.", _link_faults),
    Rule("blocks", "A block belongs to the graph and to the node that owns it.", _block_faults),
    Rule("definitions", "A value is defined once, and knows by what.", _definition_faults),
    Rule("arguments", "The operands are the values in the arguments.", _argument_faults),
    Rule("uses", "A value knows everything that reads it.", _use_faults),
    Rule("users", "Everything that a value lists as a user reads it.", _user_faults),
    Rule(
        "order",
        "A value is defined before it is used, in the same block or one around it.",
        _order_faults,
    ),
    Rule("state", "A piece of state has names, and shares none of them.", _state_faults),
    Rule("keywords", "Arguments passed by name come last, each name once.", _keyword_faults),
    Rule("groups", "Groups add up to the results.", _group_faults),
    Rule("scopes", "A scope leads to a root, and has its address for itself.", _scope_faults),
    Rule("calls", "What a call names is a function of the graph.", _call_faults),
    Rule("functions", "A function has no functions of its own.", _function_faults),
)
"""What holds of every graph, in the order in which a fault is looked for."""


def _keywords_fit(node: Node) -> bool:
    keywords = node._keywords
    return len(keywords) <= len(node._args) and len(set(keywords)) == len(keywords)


def _groups_fit(node: Node) -> bool:
    groups = node.groups
    return sum(1 if group is None else group for group in groups) == len(node.outputs) and not any(
        group is not None and group < 0 for group in groups
    )


def _references(args: tuple[Argument, ...]) -> Iterator[FunctionRef]:
    for arg in args:
        if isinstance(arg, FunctionRef):
            yield arg
        elif isinstance(arg, tuple):
            yield from _references(arg)


def _is_sound(graph: Graph, functions: Mapping[str, Graph]) -> bool:
    """Whether a graph keeps the rules, found out in one look at each node."""
    if graph.block.graph is not graph or graph.block.owner is not None:
        return False
    names: list[str] = []
    for key, entry in graph._state.items():
        if not entry.names or entry.name != key or entry.value._definer is not entry:
            return False
        names.extend(entry.names)
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
                    users is not node and (users.__class__ is not dict or node not in users)
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
            if (
                node._args is not inputs
                or node._keywords
                or node._groups is not None
                or node.operator.name == _CALL
            ) and not self._details_are_sound(node):
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
                    uses += len(users) if users.__class__ is dict else 1
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
        return outputs <= self.visible and all(block in value.users for value in outputs)

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

    def _details_are_sound(self, node: Node) -> bool:
        """Whether arguments, their names, groups and callees keep the rules."""
        args = node._args
        inputs = node._inputs
        if args is not inputs and values_in(args) != inputs:
            return False
        if args is not inputs and any(
            reference.name not in self.functions for reference in _references(args)
        ):
            return False
        if node.operator.name == _CALL and not (args and isinstance(args[0], FunctionRef)):
            return False
        return _keywords_fit(node) and (node._groups is None or _groups_fit(node))


def _user_count(value: Value) -> int:
    users = value._users
    if users is None:
        return 0
    return len(users) if isinstance(users, dict) else 1
