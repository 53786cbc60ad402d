"""The graph: blocks of nodes that read and produce values, and the state they run on.

Graph, Block, Node and Value keep one set of books (definitions, uses, order), so they are friends and
share privates; nothing outside this file touches use lists or links.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from fnmatch import fnmatchcase
from typing import NamedTuple, TypeAlias

from ..errors import IRError
from .literals import Literal
from .modes import DEFAULT_MODES, Modes
from .operator import Effect, Missing, Operator
from .scope import Scope
from .source import Frame, SourceRange
from .types import Type


class Use(NamedTuple):
    """One edge of the graph: ``user`` reads a value as its operand number ``operand``.

    A node that reads a value twice has two uses of it. The user is a block where the value is one of
    the block's outputs.
    """

    user: Node | Block
    operand: int


class Value:
    """A tensor or other datum: defined once, by a node, as a block's input, or as state.

    Identity is the object. ``name`` is what the printer shows if it is free; values without one are
    numbered, and a name taken twice gets a suffix (see ``ir/names.py``).
    """

    __slots__ = ("_definer", "_uses", "name", "type")

    def __init__(self, type_: Type, name: str | None, definer: Node | Block | StateEntry) -> None:
        self.type = type_
        self.name = name
        self._definer = definer
        self._uses: dict[tuple[Node | Block, int], None] = {}

    @property
    def node(self) -> Node | None:
        """The node that produces the value; None for inputs and state."""
        return self._definer if isinstance(self._definer, Node) else None

    @property
    def state(self) -> StateEntry | None:
        """The state entry that the value stands for; None for all others."""
        return self._definer if isinstance(self._definer, StateEntry) else None

    @property
    def block(self) -> Block | None:
        """The block that defines the value; None for state and for results of detached nodes."""
        definer = self._definer
        if isinstance(definer, Node):
            return definer._block
        return definer if isinstance(definer, Block) else None

    @property
    def definer(self) -> Node | Block | StateEntry:
        """What defines the value: a node, a block (as an input), or a state entry."""
        return self._definer

    @property
    def uses(self) -> tuple[Use, ...]:
        """Every edge that reads the value, in the order they were made. O(uses)."""
        return tuple(Use(user, operand) for user, operand in self._uses)

    @property
    def users(self) -> tuple[Node | Block, ...]:
        """Everything that reads the value, each once. O(uses)."""
        return tuple(dict.fromkeys(user for user, _ in self._uses))

    @property
    def is_used(self) -> bool:
        """Whether anything reads the value."""
        return bool(self._uses)

    def replace_all_uses_with(self, other: Value) -> None:
        """Make everything that reads this value read ``other``. O(uses).

        Given:   %3 = aten::neg(%1)
                 %4 = aten::add(%3, %3)
        Do:      v3.replace_all_uses_with(v1)
        Result:  %3 = aten::neg(%1)
                 %4 = aten::add(%1, %1)
        """
        if other is self:
            return
        for user, operand in tuple(self._uses):
            user.replace_input(operand, other)

    def __repr__(self) -> str:
        return f"<Value %{self.name or '?'} : {self.type}>"


Argument: TypeAlias = "Value | Literal | tuple[Argument, ...]"


class StateKind(Enum):
    """What role a piece of state plays."""

    PARAMETER = "state"
    BUFFER = "buffer"
    CONSTANT = "constant"


class StateEntry:
    """A tensor or object that a program keeps: a parameter, a buffer, or a constant.

    Attributes:
        names: its qualified names; several where a weight is tied.
        kind: parameter, buffer or constant.
        value: what nodes read.
    """

    __slots__ = ("kind", "names", "value")

    def __init__(self, names: tuple[str, ...], kind: StateKind, type_: Type) -> None:
        self.names = names
        self.kind = kind
        self.value = Value(type_, names[0], self)

    @property
    def name(self) -> str:
        """The first of its names."""
        return self.names[0]

    def __repr__(self) -> str:
        return f"<StateEntry {self.name} : {self.value.type}>"


class Node:
    """One operation: reads values, produces values, may own blocks.

    Identity is the object; ``operator`` never changes. A detached node has ``block is None``.
    Invariants are listed and checked in ``ir/verify.py``. Nodes are made by ``graph.append``.

    Attributes:
        operator: what it runs.
        scope: the module call, function or region it stands in.
        stack: the Python stack that caused it, innermost frame first; None where it is not known.
        modes: gradient, inference and autocast modes it ran under.
    """

    __slots__ = (
        "_args",
        "_block",
        "_blocks",
        "_groups",
        "_inputs",
        "_keywords",
        "_next",
        "_outputs",
        "_previous",
        "modes",
        "operator",
        "scope",
        "stack",
    )

    def __init__(
        self,
        operator: Operator,
        args: tuple[Argument, ...],
        keywords: tuple[str, ...],
        result_types: Iterable[Type],
        groups: tuple[int | None, ...] | None,
        scope: Scope,
        stack: Frame | None,
        modes: Modes,
    ) -> None:
        self.operator = operator
        self.scope = scope
        self.stack = stack
        self.modes = modes
        self._args = args
        self._keywords = keywords
        self._groups = groups
        self._block: Block | None = None
        self._blocks: tuple[Block, ...] = ()
        self._previous: Node | None = None
        self._next: Node | None = None
        inputs: list[Value] = []
        for arg in args:
            if arg.__class__ is Value:
                inputs.append(arg)  # the class test above is faster than isinstance
            elif arg.__class__ is tuple:
                _collect_values(arg, inputs)
        for operand, value in enumerate(inputs):
            value._uses[self, operand] = None
        self._inputs = tuple(inputs)
        self._outputs = tuple([Value(type_, None, self) for type_ in result_types])

    @property
    def kind(self) -> str:
        """The operator's name with its overload, ``aten::add.Tensor``."""
        return self.operator.name

    @property
    def args(self) -> tuple[Argument, ...]:
        """The positional arguments in schema order: values, literals, and nested lists as tuples."""
        return self._args[: len(self._args) - len(self._keywords)] if self._keywords else self._args

    @property
    def kwargs(self) -> dict[str, Argument]:
        """The arguments passed by name."""
        if not self._keywords:
            return {}
        return dict(zip(self._keywords, self._args[-len(self._keywords) :], strict=True))

    @property
    def keywords(self) -> tuple[str, ...]:
        """The names of the last arguments, those passed by name."""
        return self._keywords

    @property
    def all_args(self) -> tuple[Argument, ...]:
        """Positional arguments, then those passed by name."""
        return self._args

    def argument(self, name: str) -> Argument:
        """Return the argument of a parameter by its schema name, or the parameter's default.

        Raises:
            IRError: the operator has no such parameter, or it was not given and has no default.
        """
        if name in self._keywords:
            return self.kwargs[name]
        for position, parameter in enumerate(self.operator.parameters):
            if parameter.name == name:
                args = self.args
                if position < len(args) and not parameter.is_keyword:
                    return args[position]
                if not isinstance(parameter.default, Missing):
                    return parameter.default
        raise IRError(f"{self.kind} was given no argument named {name!r}")

    @property
    def inputs(self) -> tuple[Value, ...]:
        """The values the node reads, in argument order, one per operand."""
        return self._inputs

    @property
    def outputs(self) -> tuple[Value, ...]:
        """The values the node produces, lists taken apart."""
        return self._outputs

    @property
    def output(self) -> Value:
        """The only value the node produces.

        Raises:
            IRError: it produces none, or several.
        """
        if len(self._outputs) != 1:
            raise IRError(
                f"{self.kind} has {len(self._outputs)} results, not one; ask for node.outputs"
            )
        return self._outputs[0]

    @property
    def groups(self) -> tuple[int | None, ...]:
        """How results map to what the operator returns: None for a value, n for a list of n values."""
        return (None,) * len(self._outputs) if self._groups is None else self._groups

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks the node owns, such as the arms of a condition."""
        return self._blocks

    @property
    def block(self) -> Block | None:
        """The block the node stands in; None while it is detached."""
        return self._block

    @property
    def effects(self) -> Effect:
        """What running the node does besides computing results, its blocks included."""
        effects = self.operator.effects
        for block in self._blocks:
            for node in block:
                effects |= node.effects
        return effects

    @property
    def source(self) -> SourceRange | None:
        """The innermost line of the user's code that caused the node, never a library's."""
        return None if self.stack is None else self.stack.user.range

    @property
    def graph(self) -> Graph | None:
        """The graph the node stands in; None while it is detached."""
        return None if self._block is None else self._block.graph

    def replace_input(self, operand: int, value: Value) -> None:
        """Make one operand read ``value``. O(arguments).

        Given:   %3 = aten::add(%1, %2)
        Do:      node.replace_input(1, v4)
        Result:  %3 = aten::add(%1, %4)

        Raises:
            IRError: there is no such operand, or ``value`` is not visible from this node's block.
        """
        if not 0 <= operand < len(self._inputs):
            raise IRError(
                f"{self.kind} has {len(self._inputs)} operands; there is no number {operand}"
            )
        if self._block is not None:
            self._block._require_visible(value)
        remaining = [operand]
        self._args = tuple(_substitute(arg, remaining, value) for arg in self._args)
        del self._inputs[operand]._uses[self, operand]
        self._inputs = (*self._inputs[:operand], value, *self._inputs[operand + 1 :])
        value._uses[self, operand] = None

    def add_block(self) -> Block:
        """Give the node one more block, empty, and return it."""
        graph = self.graph
        if graph is None:
            raise IRError(f"{self.kind} is detached; insert it into a graph before it gets blocks")
        block = Block(graph, self)
        self._blocks = (*self._blocks, block)
        return block

    def erase(self) -> None:
        """Take the node out of the graph for good. O(operands), and O(size) of its blocks.

        Given:   %3 = aten::neg(%1)
                 return (%1)
        Do:      node.erase()
        Result:  return (%1)

        Raises:
            IRError: something still reads one of its results.
        """
        for value in self._outputs:
            if value._uses:
                user = next(iter(value._uses))[0]
                what = user.kind if isinstance(user, Node) else "the return"
                raise IRError(f"{self.kind} cannot be erased: {what} reads its result {value!r}")
        for block in self._blocks:
            block._release()
        self._drop_uses()
        self.detach()

    def detach(self) -> None:
        """Take the node out of its block and keep it whole, to be inserted elsewhere. O(1)."""
        block = self._block
        if block is None:
            return
        before, after = self._previous, self._next
        if before is None:
            block._first = after
        else:
            before._next = after
        if after is None:
            block._last = before
        else:
            after._previous = before
        block._length -= 1
        self._block = None
        # ``_next`` stays, so that a walk standing on this node finds its way on.

    def move_before(self, other: Node) -> None:
        """Put the node, from wherever it stands, directly before ``other``. O(1)."""
        if other is self:
            return
        block = other._block
        if block is None:
            raise IRError(f"cannot insert {self.kind} before {other.kind}, which is in no block")
        self.detach()
        block._link(self, before=other)

    def move_after(self, other: Node) -> None:
        """Put the node, from wherever it stands, directly after ``other``. O(1)."""
        if other is self:
            return
        block = other._block
        if block is None:
            raise IRError(f"cannot insert {self.kind} after {other.kind}, which is in no block")
        self.detach()
        block._link(self, before=other._next)

    def _drop_uses(self) -> None:
        for operand, value in enumerate(self._inputs):
            value._uses.pop((self, operand), None)

    def __repr__(self) -> str:
        return f"<Node {self.kind}>"


class Block:
    """An ordered list of nodes with inputs and outputs; inner blocks see the values of outer ones.

    Insert and erase are O(1). Walks tolerate change: erasing the current node is safe, and nodes
    inserted after it are visited. There is no indexing, which would be O(n).
    """

    __slots__ = ("_first", "_inputs", "_last", "_length", "_outputs", "graph", "owner")

    def __init__(self, graph: Graph, owner: Node | None) -> None:
        self.graph = graph
        self.owner = owner  # the node that holds the block; None for a graph's own
        self._inputs: list[Value] = []
        self._outputs: list[Value] = []
        self._first: Node | None = None
        self._last: Node | None = None
        self._length = 0

    @property
    def inputs(self) -> tuple[Value, ...]:
        """The values that come in."""
        return tuple(self._inputs)

    @property
    def outputs(self) -> tuple[Value, ...]:
        """The values that go out, in order; one may stand there twice."""
        return tuple(self._outputs)

    def add_input(self, type_: Type, name: str | None = None) -> Value:
        """Add an input at the end and return its value."""
        value = Value(type_, name, self)
        self._inputs.append(value)
        return value

    def set_outputs(self, values: Iterable[Value]) -> None:
        """Make ``values`` the outputs.

        Raises:
            IRError: one of them is not visible here.
        """
        outputs = list(values)
        for value in outputs:
            self._require_visible(value)
        self._drop_output_uses()
        self._outputs = outputs
        for operand, value in enumerate(outputs):
            value._uses[self, operand] = None

    def replace_input(self, operand: int, value: Value) -> None:
        """Make one of the block's outputs, which the block reads, be ``value``."""
        if not 0 <= operand < len(self._outputs):
            raise IRError(
                f"the block has {len(self._outputs)} outputs; there is no number {operand}"
            )
        self._require_visible(value)
        del self._outputs[operand]._uses[self, operand]
        self._outputs[operand] = value
        value._uses[self, operand] = None

    def __len__(self) -> int:
        return self._length

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Node]:
        node = self._first
        while node is not None:
            yield node
            following = node._next
            while following is not None and following._block is not self:
                following = following._next
            node = following

    def __reversed__(self) -> Iterator[Node]:
        node = self._last
        while node is not None:
            before = node._previous
            yield node
            while before is not None and before._block is not self:
                before = before._previous
            node = before

    def is_within(self, other: Block) -> bool:
        """Whether this block is ``other`` or stands, at any depth, inside it."""
        block: Block | None = self
        while block is not None:
            if block is other:
                return True
            block = None if block.owner is None else block.owner._block
        return False

    def _require_visible(self, value: Value) -> None:
        definer = value._definer
        if isinstance(definer, StateEntry):
            if definer.value is value and self.graph._state.get(definer.name) is definer:
                return
        else:
            home = definer._block if isinstance(definer, Node) else definer
            if home is not None and self.is_within(home):
                return
        raise IRError(f"{value!r} is not visible here: it is defined in another graph or block")

    def _link(self, node: Node, before: Node | None) -> None:
        after = before
        previous = self._last if after is None else after._previous
        node._block = self
        node._previous = previous
        node._next = after
        if previous is None:
            self._first = node
        else:
            previous._next = node
        if after is None:
            self._last = node
        else:
            after._previous = node
        self._length += 1

    def _drop_output_uses(self) -> None:
        for operand, value in enumerate(self._outputs):
            value._uses.pop((self, operand), None)

    def _release(self) -> None:
        """Drop every use that the block and its nodes hold, before they go."""
        self._drop_output_uses()
        for node in self:
            node._drop_uses()
            for block in node._blocks:
                block._release()


class Graph:
    """A program: inputs, state, a block of nodes, outputs, and the graphs it calls.

    Attributes:
        name: the traced class or function.
        block: the top block; ``inputs`` and ``outputs`` are its own.
        functions: graphs that ``prim::call`` nodes name, in the order they were added.
        modes: the modes in force when the program was entered.
        root_scope: the root of the scope tree.
    """

    __slots__ = ("_insertion", "_state", "block", "functions", "modes", "name", "root_scope")

    def __init__(
        self, name: str = "graph", modes: Modes = DEFAULT_MODES, root_scope: Scope | None = None
    ) -> None:
        self.name = name
        self.modes = modes
        self.root_scope = Scope.root() if root_scope is None else root_scope
        self.functions: dict[str, Graph] = {}
        self.block = Block(self, None)
        self._state: dict[str, StateEntry] = {}
        self._insertion: tuple[Block, Node | None] = (self.block, None)

    @property
    def inputs(self) -> tuple[Value, ...]:
        """The values that come in."""
        return tuple(self.block._inputs)

    @property
    def outputs(self) -> tuple[Value, ...]:
        """The values that go out."""
        return tuple(self.block._outputs)

    @property
    def state(self) -> Mapping[str, StateEntry]:
        """Parameters, buffers and constants by their first name, in order of first use."""
        return self._state

    def add_input(self, type_: Type, name: str | None = None) -> Value:
        """Add an input at the end and return its value."""
        return self.block.add_input(type_, name)

    def set_outputs(self, values: Iterable[Value]) -> None:
        """Make ``values`` the graph's outputs."""
        self.block.set_outputs(values)

    def add_state(
        self, names: str | Sequence[str], type_: Type, kind: StateKind = StateKind.PARAMETER
    ) -> Value:
        """Add a piece of state under one or several names and return its value.

        Raises:
            IRError: the first name is taken.
        """
        entry = StateEntry((names,) if isinstance(names, str) else tuple(names), kind, type_)
        if entry.name in self._state:
            raise IRError(f"the graph has state named {entry.name!r} already")
        self._state[entry.name] = entry
        return entry.value

    def remove_state(self, name: str) -> None:
        """Remove a piece of state that nothing reads.

        Raises:
            IRError: there is none of that name, or something reads it.
        """
        entry = self._state.get(name)
        if entry is None:
            raise IRError(f"the graph has no state named {name!r}")
        if entry.value._uses:
            raise IRError(f"state {name!r} is still read")
        del self._state[name]

    def append(
        self,
        operator: Operator,
        args: tuple[Argument, ...] = (),
        types: Iterable[Type] = (),
        *,
        keywords: tuple[str, ...] = (),
        groups: tuple[int | None, ...] | None = None,
        scope: Scope | None = None,
        stack: Frame | None = None,
        modes: Modes | None = None,
    ) -> Node:
        """Make a node and insert it at the insertion point: the graph's end, if nobody moved it. O(operands).

        Args:
            operator: what it runs.
            args: arguments in schema order; the last ``len(keywords)`` of them are passed by name.
            types: one type per result, lists taken apart.
            keywords: names of the arguments passed by name.
            groups: how results map to what the operator returns, see ``Node.groups``.
            scope: where it stands; the root scope if left out.
            stack: the Python stack that caused it.
            modes: the modes it ran under; the graph's own if left out.
        """
        node = Node(
            operator,
            args,
            keywords,
            types,
            groups,
            self.root_scope if scope is None else scope,
            stack,
            self.modes if modes is None else modes,
        )
        block, before = self._insertion
        block._link(node, before)
        return node

    @contextmanager
    def inserting(self, where: Block | Node) -> Iterator[None]:
        """Insert new nodes at the end of a block, or directly before a node, until the ``with`` ends."""
        saved = self._insertion
        if isinstance(where, Node):
            if where._block is None:
                raise IRError(f"cannot insert before {where.kind}, which is in no block")
            self._insertion = (where._block, where)
        else:
            self._insertion = (where, None)
        try:
            yield
        finally:
            self._insertion = saved

    def walk(self, *, reverse: bool = False) -> Iterator[Node]:
        """Yield every node, those in inner blocks too, each owner before its blocks.

        With ``reverse``, the order is exactly the opposite, so that users come before definitions.
        Erasing the current node is safe; nodes inserted after it are visited.
        """
        return _walk_backward(self.block) if reverse else _walk_forward(self.block)

    def nodes(self, *, scope: str = "*", op: str = "*") -> list[Node]:
        """Return the nodes whose scope and operator match shell patterns, in order.

        Args:
            scope: matches a scope's path or address, or those of any scope around it, so ``layer1``
                gives all that happens inside ``layer1``.
            op: matches the operator with or without its overload: ``aten::conv2d``, ``aten::add*``.
        """
        found = []
        scopes: dict[Scope, bool] = {}
        for node in self.walk():
            if op != "*" and not (
                fnmatchcase(node.operator.base_name, op) or fnmatchcase(node.operator.name, op)
            ):
                continue
            if scope != "*":
                matches = scopes.get(node.scope)
                if matches is None:
                    matches = scopes[node.scope] = any(
                        fnmatchcase(part.address, scope) or fnmatchcase(part.path, scope)
                        for part in node.scope.chain()
                        if part.parent is not None
                    )
                if not matches:
                    continue
            found.append(node)
        return found

    def copy(self) -> Graph:
        """Return an independent copy; scopes, stacks and types, which never change, are shared. O(size)."""
        return _copy(self)

    def __str__(self) -> str:
        from .printer import print_graph  # the printer reads graphs, so it imports this file

        return print_graph(self)

    def __repr__(self) -> str:
        return f"<Graph {self.name}: {self.block._length} nodes>"


def _walk_forward(block: Block) -> Iterator[Node]:
    walks = [iter(block)]
    while walks:
        node = next(walks[-1], None)
        if node is None:
            walks.pop()
            continue
        yield node
        if node._blocks and node._block is not None:
            walks.extend(iter(inner) for inner in reversed(node._blocks))


def _walk_backward(block: Block) -> Iterator[Node]:
    pending: list[tuple[Iterator[Node], Node | None]] = [(reversed(block), None)]
    while pending:
        walk, owner = pending[-1]
        node = next(walk, None)
        if node is None:
            pending.pop()
            if owner is not None:
                yield owner
        elif node._blocks:
            # The owner is due once its blocks, the last of them first, are walked.
            pending.append((iter(()), node))
            pending.extend((reversed(inner), None) for inner in node._blocks)
        else:
            yield node


def _collect_values(arg: tuple[Argument, ...], into: list[Value]) -> None:
    for item in arg:
        if isinstance(item, Value):
            into.append(item)
        elif isinstance(item, tuple):
            _collect_values(item, into)


def _substitute(arg: Argument, remaining: list[int], value: Value) -> Argument:
    """Return ``arg`` with its operand number ``remaining[0]`` replaced, counting down as it goes."""
    if isinstance(arg, Value):
        remaining[0] -= 1
        return value if remaining[0] == -1 else arg
    if isinstance(arg, tuple):
        return tuple(_substitute(item, remaining, value) for item in arg)
    return arg


def _copy(graph: Graph) -> Graph:
    copy = Graph(graph.name, graph.modes, graph.root_scope)
    copy.functions = {name: function.copy() for name, function in graph.functions.items()}
    values: dict[Value, Value] = {}
    for entry in graph._state.values():
        values[entry.value] = copy.add_state(entry.names, entry.value.type, entry.kind)
    _copy_block(graph.block, copy.block, values)
    return copy


def _copy_block(block: Block, into: Block, values: dict[Value, Value]) -> None:
    for value in block._inputs:
        values[value] = into.add_input(value.type, value.name)
    for node in block:
        twin = Node(
            node.operator,
            tuple(
                [
                    values[arg]  # the class test beside it is faster than isinstance
                    if arg.__class__ is Value
                    else _translate(arg, values)
                    if arg.__class__ is tuple
                    else arg
                    for arg in node._args
                ]
            ),
            node._keywords,
            [value.type for value in node._outputs],
            node._groups,
            node.scope,
            node.stack,
            node.modes,
        )
        into._link(twin, None)
        for value, new in zip(node._outputs, twin._outputs, strict=True):
            new.name = value.name
            values[value] = new
        for inner in node._blocks:
            _copy_block(inner, twin.add_block(), values)
    into.set_outputs([values[value] for value in block._outputs])


def _translate(arg: tuple[Argument, ...], values: dict[Value, Value]) -> tuple[Argument, ...]:
    return tuple(
        values[item]
        if isinstance(item, Value)
        else _translate(item, values)
        if isinstance(item, tuple)
        else item
        for item in arg
    )
