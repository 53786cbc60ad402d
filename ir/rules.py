"""What holds of every graph, rule by rule, and how a breach is found and told.

Rules look at the books of the graph themselves, so this file is a friend of nodes, values, blocks and
graphs; see Note [One set of books] in ``value.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from .arguments import Argument, values_in
from .block import Block
from .diagnosis import Describer, Fault
from .graph import Graph
from .literals import FunctionRef
from .node import Node
from .scope import Scope, ScopeKind
from .tuples import TUPLE_OPERATORS, tuple_fault
from .type_fit import argument_fits, type_fits
from .types import ScalarType
from .value import StateEntry, StateKind, Value

CALL: Final = "prim::call"
"""The operator that runs a function of the graph."""

STORE: Final = "prim::set_number"
"""The operator that puts another number in the place of one that the program keeps."""

WATCH: Final = "prim::profile"
"""The operator that hands on a tensor whose type is watched."""


def first_fault(graph: Graph) -> str | None:
    """Return the message of the first breach of a rule; None if a graph keeps them all. O(size)."""
    for name, part in (("", graph), *graph.functions.items()):
        subject = _Subject(part, graph.functions, Describer(part), is_function=part is not graph)
        for rule in RULES:
            for fault in rule.faults(subject):
                where = f"  in function {name}\n" if part is not graph else ""
                return f"{subject.describer.describe(fault)}\n{where}  rule: {rule.sentence}"
            if rule.name == "blocks":
                subject.describer.name_values()  # from here on the graph can be walked
    return None


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
                what = "its block" if node._previous is previous else "its neighbour"
                yield Fault(f"{node.kind} and {what} are not linked both ways", node)
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
                if not value.is_used_by(user):
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


def _number_faults(subject: _Subject) -> Iterator[Fault]:
    for entry in subject.graph._state.values():
        if not is_number_if_told(entry):
            yield Fault(f"number {entry.name} is of type {entry.value.type}")
    for node in subject.nodes():
        if node.kind == STORE and not stores_number(node):
            yield Fault(f"what {STORE} writes to is not a number that the program keeps", node)


def _keyword_faults(subject: _Subject) -> Iterator[Fault]:
    for node in subject.nodes():
        if not keywords_fit(node):
            yield Fault(
                f"{node.kind} has {len(node.all_args)} arguments"
                f" and these names for the last of them: {', '.join(node.keywords)}",
                node,
            )


def _group_faults(subject: _Subject) -> Iterator[Fault]:
    for node in subject.nodes():
        if not groups_fit(node):
            yield Fault(
                f"{node.kind} has {len(node.outputs)} results, which {node.groups} does not group",
                node,
            )


def _scope_faults(subject: _Subject) -> Iterator[Fault]:
    scopes: dict[str, Scope] = {}
    for node in subject.nodes():
        for scope in node.scope.chain():
            if (scope.parent is None) != (scope.kind is ScopeKind.ROOT):
                yield Fault(f"the scope of {node.kind} does not lead to a root", node)
            if scope.parent is not None and scopes.setdefault(scope.address, scope) is not scope:
                yield Fault(f"two scopes have the address {scope.address}", node)


def _call_faults(subject: _Subject) -> Iterator[Fault]:
    for node in subject.nodes():
        args = node.all_args
        if node.kind == CALL and not (args and isinstance(args[0], FunctionRef)):
            yield Fault(f"the first argument of {CALL} is not the name of a function", node)
        for reference in references_in(args):
            if reference.name not in subject.functions:
                yield Fault(f"{reference} names a function that the graph does not have", node)


def _fit_faults(subject: _Subject) -> Iterator[Fault]:
    for node in subject.nodes():
        if node.kind == CALL:
            yield from _misfits(node, subject.functions)


def _misfits(call: Node, functions: Mapping[str, Graph]) -> Iterator[Fault]:
    """Yield what a call passes or expects that is not what its function takes or returns."""
    function = functions[_function_name(call)]
    if call.keywords:
        yield Fault(f"{CALL} passes {', '.join(call.keywords)} by name", call)
    given, takes, returns = call.all_args[1:], function.block._inputs, function.block._outputs
    if len(given) != len(takes):
        what = f"{CALL} passes {len(given)} values to function {function.name}"
        yield Fault(f"{what}, which takes {len(takes)}", call)
    if len(call.outputs) != len(returns):
        what = f"{CALL} expects {len(call.outputs)} values of function {function.name}"
        yield Fault(f"{what}, which returns {len(returns)}", call)
    for number, (arg, taken) in enumerate(zip(given, takes, strict=False)):
        if not argument_fits(arg, taken.type):
            shown = arg.type if isinstance(arg, Value) else repr(arg)
            what = f"{CALL} passes {shown} as argument {number} of function {function.name}"
            yield Fault(f"{what}, which takes {taken.type}", call)
    for number, (result, returned) in enumerate(zip(call.outputs, returns, strict=False)):
        if not type_fits(returned.type, result.type):
            what = f"{CALL} expects {result.type} as result {number} of function {function.name}"
            yield Fault(f"{what}, which returns {returned.type}", call)


def _tuple_faults(subject: _Subject) -> Iterator[Fault]:
    for node in subject.nodes():
        if node.kind in TUPLE_OPERATORS:
            fault = tuple_fault(node)
            if fault is not None:
                yield Fault(fault, node)


def _profile_faults(subject: _Subject) -> Iterator[Fault]:
    for node in subject.nodes():
        if node.kind == WATCH and not watches(node):
            yield Fault(f"{WATCH} hands on something else than the tensor that it is given", node)


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
    Rule("numbers", "What is stored is a number that the program keeps.", _number_faults),
    Rule("keywords", "Arguments passed by name come last, each name once.", _keyword_faults),
    Rule("groups", "Groups add up to the results.", _group_faults),
    Rule("scopes", "A scope leads to a root, and has its address for itself.", _scope_faults),
    Rule("calls", "What a call names is a function of the graph.", _call_faults),
    Rule(
        "fit",
        "A call passes what its function takes, by position, and expects what that returns.",
        _fit_faults,
    ),
    Rule("tuples", "A tuple has the parts that its type tells of.", _tuple_faults),
    Rule("profiles", "A profile is of one tensor, of which it may tell less.", _profile_faults),
    Rule("functions", "A function has no functions of its own.", _function_faults),
)
"""What holds of every graph, in the order in which a fault is looked for."""


def keywords_fit(node: Node) -> bool:
    """Whether there is an argument for each name, and each name once."""
    keywords = node._keywords
    return len(keywords) <= len(node._args) and len(set(keywords)) == len(keywords)


def groups_fit(node: Node) -> bool:
    """Whether the groups account for all results."""
    groups = node.groups
    return sum(1 if group is None else group for group in groups) == len(node.outputs) and not any(
        group is not None and group < 0 for group in groups
    )


def is_number_if_told(entry: StateEntry) -> bool:
    """Whether a piece of state that is to be a number is one."""
    if entry.kind is not StateKind.NUMBER:
        return True
    return entry.value.type in (ScalarType.INT, ScalarType.FLOAT)


def stores_number(node: Node) -> bool:
    """Whether what a node is to store into is a number that the program keeps."""
    target = node._args[0] if node._args else None
    entry = target.state if isinstance(target, Value) else None
    return entry is not None and entry.kind is StateKind.NUMBER


def watches(node: Node) -> bool:
    """Whether what a node hands on is what it is given, as far as types tell."""
    args, results = node._args, node.outputs
    if len(args) != 1 or node._keywords or len(results) != 1 or node.gives_lists:
        return False
    return isinstance(args[0], Value) and type_fits(args[0].type, results[0].type)


def call_fits(call: Node, functions: Mapping[str, Graph]) -> bool:
    """Whether a call passes and expects what the function it names takes and returns. O(arguments).

    A type fits another that tells as much or less, and sizes may differ: a function that was recorded at one
    size may be called at another.
    """
    block = functions[_function_name(call)].block
    args, takes, returns = call._args, block._inputs, block._outputs
    results = call.outputs
    if call._keywords or len(args) != len(takes) + 1 or len(results) != len(returns):
        return False
    for arg, taken in zip(args[1:], takes, strict=True):
        if not argument_fits(arg, taken.type):
            return False
    return all(
        [type_fits(back.type, result.type) for back, result in zip(returns, results, strict=True)]
    )


def _function_name(call: Node) -> str:
    reference = call._args[0]
    assert isinstance(reference, FunctionRef), "an earlier rule has seen to it"
    return reference.name


def references_in(args: tuple[Argument, ...]) -> Iterator[FunctionRef]:
    """Yield the functions that arguments name, those in lists too."""
    for arg in args:
        if isinstance(arg, FunctionRef):
            yield arg
        elif isinstance(arg, tuple):
            yield from references_in(arg)
