"""Values, the nodes that read and produce them, and the blocks that nodes stand in.

These classes keep one set of books (definitions, uses, order), so they are friends and share
privates, also with ``graph.py`` and ``verify.py``; nothing else touches use lists or links.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ..errors import IRError
from .literals import PYTHON_LITERALS, FunctionRef, Literal
from .modes import Modes
from .operator import Effect, Missing, Operator
from .scope import Scope
from .source import Frame, SourceRange
from .types import Type

if TYPE_CHECKING:
    from .graph import Graph  # a block knows its graph, which is made of blocks


# Note [Few containers per node]
# A graph may have a million nodes, and Python's garbage collector looks through every container
# again and again. So a node keeps its only result without a tuple around it, shares one tuple
# between arguments and operands where all arguments are values, and a value keeps its only user
# without a dictionary around it. ``outputs``, ``inputs`` and ``users`` show none of this.


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

    __slots__ = ("_definer", "_users", "name", "type")

    def __init__(self, type_: Type, name: str | None, definer: Node | Block | StateEntry) -> None:
        self.type = type_
        self.name = name
        self._definer = definer
        # See Note [Few containers per node]. Which operands read the value, its users know.
        self._users: Node | Block | dict[Node | Block, None] | None = None

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
        """Every edge that reads the value: user by user, operand by operand. O(inputs of the users)."""
        return tuple(
            Use(user, operand)
            for user in self.users
            for operand, value in enumerate(user._reads())
            if value is self
        )

    @property
    def users(self) -> tuple[Node | Block, ...]:
        """Everything that reads the value, each once, in the order they came to read it. O(users)."""
        users = self._users
        if isinstance(users, dict):
            return tuple(users)
        return () if users is None else (users,)

    @property
    def is_used(self) -> bool:
        """Whether anything reads the value."""
        return self._users is not None

    def is_used_by(self, user: Node | Block) -> bool:
        """Whether ``user`` reads the value. O(1)."""
        users = self._users
        return users is user or (isinstance(users, dict) and user in users)

    def replace_all_uses_with(self, other: Value) -> None:
        """Make everything that reads this value read ``other``. O(arguments of the users).

        Given:   %3 = aten::neg(%1)
                 %4 = aten::add(%3, %3)
        Do:      v3.replace_all_uses_with(v1)
        Result:  %3 = aten::neg(%1)
                 %4 = aten::add(%1, %1)

        Raises:
            IRError: ``other`` is not visible from something that reads this value; nothing is changed.
        """
        if other is self:
            return
        users = self.users
        for block in dict.fromkeys(user._home() for user in users):
            if block is not None:
                block._require_visible(other)
        for user in users:
            user._replace(self, other)
            other._add_user(user)
        self._users = None

    def _add_user(self, user: Node | Block) -> None:
        users = self._users
        if users is None:
            self._users = user
        elif isinstance(users, dict):
            users[user] = None
        elif users is not user:
            self._users = {users: None, user: None}

    def _drop_user(self, user: Node | Block) -> None:
        users = self._users
        if users is user:
            self._users = None
        elif isinstance(users, dict):
            users.pop(user, None)
            if not users:
                self._users = None

    def __repr__(self) -> str:
        return f"<Value %{self.name or '?'} : {self.type}>"


Argument: TypeAlias = "Value | Literal | tuple[Argument, ...]"


class StateKind(Enum):
    """What role a piece of state plays."""

    PARAMETER = "state"
    BUFFER = "buffer"
    CONSTANT = "constant"
    NUMBER = "number"  # of Python's, read anew at each run


class StateEntry:
    """What a program keeps from run to run: a parameter, a buffer, a constant, or a number.

    Attributes:
        names: its qualified names; several where a weight is tied.
        kind: parameter, buffer, constant or number.
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
        "_previous",
        "_results",
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
        self._inputs = inputs = values_in(args)
        for value in inputs:
            if value._users is None:
                value._users = self
            else:
                value._add_user(self)
        types = tuple(result_types)
        self._results: Value | tuple[Value, ...]
        if len(types) == 1:  # see Note [Few containers per node]
            self._results = Value(types[0], None, self)
        else:
            self._results = tuple([Value(type_, None, self) for type_ in types])

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

    def values_of(self, name: str) -> tuple[Value, ...]:
        """Return the values given for a parameter, those of a list in order; none where none was given."""
        if name in self._keywords:
            return values_in((self.kwargs[name],))
        for given, parameter in zip(self.args, self.operator.parameters, strict=False):
            if parameter.name == name:
                return values_in((given,))
        return ()

    @property
    def inputs(self) -> tuple[Value, ...]:
        """The values the node reads, in argument order, one per operand."""
        return self._inputs

    @property
    def outputs(self) -> tuple[Value, ...]:
        """The values the node produces, lists taken apart."""
        results = self._results
        return results if isinstance(results, tuple) else (results,)

    @property
    def output(self) -> Value:
        """The only value the node produces.

        Raises:
            IRError: it produces none, or several.
        """
        results = self._results
        if isinstance(results, tuple):
            raise IRError(f"{self.kind} has {len(results)} results, not one; ask for node.outputs")
        return results

    @property
    def groups(self) -> tuple[int | None, ...]:
        """How results map to what the operator returns: None for a value, n for a list of n values."""
        return (None,) * len(self.outputs) if self._groups is None else self._groups

    @property
    def gives_lists(self) -> bool:
        """Whether a list is among what the operator returns."""
        groups = self._groups
        return groups is not None and any(group is not None for group in groups)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks the node owns, such as the arms of a condition."""
        return self._blocks

    @property
    def block(self) -> Block | None:
        """The block the node stands in; None while it is detached."""
        return self._block

    @property
    def next(self) -> Node | None:
        """The node that follows in its block; None for the last, and while it is detached."""
        return None if self._block is None else self._next

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
        before = self._inputs[operand]
        remaining = [operand]
        self._args = tuple(_substitute(arg, remaining, value) for arg in self._args)
        self._inputs = values_in(self._args)
        if before not in self._inputs:
            before._drop_user(self)
        value._add_user(self)

    def replace_inputs(self, becomes: Mapping[Value, Argument]) -> None:
        """Read something else in the place of all values that are keys, at once. O(arguments).

        Given:   %3 = aten::add(%1, %2)
        Do:      node.replace_inputs({v1: v4, v2: 5})
        Result:  %3 = aten::add(%4, 5)

        Raises:
            IRError: a value is not visible from this node's block; nothing is changed.
        """
        before = self._inputs
        if becomes.keys().isdisjoint(before):
            return
        args = exchange_all(self._args, becomes)
        inputs = values_in(args)
        if self._block is not None:
            known = set(before)
            for value in inputs:
                if value not in known:
                    self._block._require_visible(value)
        for value in before:
            value._drop_user(self)
        for value in inputs:
            value._add_user(self)
        self._args, self._inputs = args, inputs

    def rename_functions(self, names: Mapping[str, str]) -> None:
        """Refer to functions by other names; those not among ``names`` keep theirs. O(arguments)."""
        if any(arg.__class__ in (FunctionRef, tuple) for arg in self._args):
            self._args = tuple(_renamed(arg, names) for arg in self._args)

    def add_block(self) -> Block:
        """Give the node one more block, empty, and return it."""
        graph = self.graph
        if graph is None:
            raise IRError(f"{self.kind} is detached; insert it into a graph before it gets blocks")
        return self.take_block(Block(graph, None))

    def take_block(self, block: Block) -> Block:
        """Give the node one more block, which stood free until now, and return it.

        Raises:
            IRError: the block is that of another node, or of a graph.
        """
        if block.owner is not None or block.graph.block is block:
            raise IRError(f"a block that has an owner cannot become one of {self.kind}")
        block.owner = self
        block._around = None
        self._blocks = (*self._blocks, block)
        return block

    def take_blocks(self, other: Node) -> None:
        """Own, after its own blocks, those of ``other``, which keeps none. O(size of the blocks).

        Blocks are filled while their results are not known yet, so below a node that is replaced by
        the one with the results.

        Raises:
            IRError: either node is detached, or they stand in different graphs.
        """
        graph = self.graph
        if graph is None or other.graph is not graph:
            raise IRError(f"{self.kind} cannot take the blocks of a node that is not in its graph")
        for block in other._blocks:
            block.owner = self
        self._blocks += other._blocks
        other._blocks = ()

    def erase(self) -> None:
        """Take the node out of the graph for good. O(operands), and O(size) of its blocks.

        Given:   %3 = aten::neg(%1)
                 return (%1)
        Do:      node.erase()
        Result:  return (%1)

        Raises:
            IRError: something still reads one of its results.
        """
        for value in self.outputs:
            if value.users:
                user = value.users[0]
                what = user.kind if isinstance(user, Node) else "the return"
                raise IRError(f"{self.kind} cannot be erased: {what} reads its result {value!r}")
        self._release()
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
        """Put the node, from wherever it stands, directly before ``other``. O(size of its blocks).

        Given:   %3 = aten::neg(%1)
                 %4 = aten::exp(%1)
        Do:      exp.move_before(neg)
        Result:  %4 = aten::exp(%1)
                 %3 = aten::neg(%1)

        Raises:
            IRError: ``other`` is detached, or stands inside this node.
        """
        if other is self:
            return
        block = self._target(other)
        self.detach()
        block._link(self, before=other)

    def move_after(self, other: Node) -> None:
        """Put the node, from wherever it stands, directly after ``other``. O(size of its blocks).

        Raises:
            IRError: ``other`` is detached, or stands inside this node.
        """
        if other is self:
            return
        block = self._target(other)
        self.detach()
        block._link(self, before=other._next)

    def _target(self, other: Node) -> Block:
        """Return the block that the node enters to stand beside ``other``."""
        block = other._block
        if block is None:
            raise IRError(f"cannot move {self.kind} beside {other.kind}, which is in no block")
        if any(block.is_within(own) for own in self._blocks):
            raise IRError(f"cannot move {self.kind} into a block of its own")
        return block

    def _reads(self) -> Sequence[Value]:
        return self._inputs

    def _home(self) -> Block | None:
        return self._block

    def _replace(self, old: Value, new: Value) -> None:
        """Read ``new`` wherever the node reads ``old``, without a word to their books."""
        self._args = tuple(_exchange(arg, old, new) for arg in self._args)
        self._inputs = values_in(self._args)

    def _release(self) -> None:
        """Drop every use that the node and its blocks hold."""
        for value in self._inputs:
            value._drop_user(self)
        for block in self._blocks:
            block._release()

    def _hold(self) -> None:
        """Have again every use that :meth:`_release` dropped."""
        for value in self._inputs:
            value._add_user(self)
        for block in self._blocks:
            block._hold()

    def __repr__(self) -> str:
        return f"<Node {self.kind}>"


class Block:
    """An ordered list of nodes with inputs and outputs; inner blocks see the values of outer ones.

    A block that is made by itself stands free until ``Node.take_block`` gives it an owner; ``around``
    says which block that owner will stand in.

    Insert and erase are O(1). Walks tolerate change, in both directions: erasing any node is safe,
    nodes inserted ahead of the current one are visited, and a node that moves to another block does
    not take the walk along. There is no indexing, which would be O(n).
    """

    __slots__ = ("_around", "_first", "_inputs", "_last", "_length", "_outputs", "graph", "owner")

    def __init__(self, graph: Graph, owner: Node | None, around: Block | None = None) -> None:
        self.graph = graph
        self.owner = owner  # the node that holds the block; None for a graph's own
        self._around = around
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
        for value in outputs:
            value._add_user(self)

    def replace_input(self, operand: int, value: Value) -> None:
        """Make one of the block's outputs, which the block reads, be ``value``."""
        if not 0 <= operand < len(self._outputs):
            raise IRError(
                f"the block has {len(self._outputs)} outputs; there is no number {operand}"
            )
        self._require_visible(value)
        before = self._outputs[operand]
        self._outputs[operand] = value
        if before not in self._outputs:
            before._drop_user(self)
        value._add_user(self)

    def replace_inputs(self, becomes: Mapping[Value, Value]) -> None:
        """Put out other values in the place of those that are keys, all at once. O(outputs)."""
        if not becomes.keys().isdisjoint(self._outputs):
            self.set_outputs([becomes.get(value, value) for value in self._outputs])

    def arrange_inputs(self, values: Iterable[Value]) -> None:
        """Make some of the block's inputs its inputs, in this order; the others go. O(inputs).

        Given:   block0(%a : int, %b : int, %c : int):
        Do:      block.arrange_inputs([c, a])
        Result:  block0(%c : int, %a : int):

        Raises:
            IRError: one is not an input of the block, or stands there twice; or something reads one that
                would go. Nothing is changed.
        """
        kept = list(values)
        chosen = set(kept)
        if len(chosen) < len(kept) or not chosen.issubset(self._inputs):
            raise IRError("the inputs of a block are arranged that it has, each once")
        for value in self._inputs:
            if value not in chosen and value.is_used:
                raise IRError(f"input {value!r} cannot go: it is still read")
        self._inputs = kept

    def walk(self, *, reverse: bool = False) -> Iterator[Node]:
        """Yield the nodes of the block and of those inside, as ``Graph.walk`` does."""
        return _walk_backward(self) if reverse else _walk_forward(self)

    @property
    def first(self) -> Node | None:
        """The first node; None in an empty block."""
        return self._first

    @property
    def last(self) -> Node | None:
        """The last node; None in an empty block."""
        return self._last

    @property
    def is_in_graph(self) -> bool:
        """Whether it is the graph's own, or that of a node, at any depth, in it; else it stands free."""
        return not self._stands_free()

    def __len__(self) -> int:
        return self._length

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Node]:
        node = self._first
        while node is not None:
            ahead = node._next
            yield node
            if node._block is self or node._block is None:
                ahead = node._next  # sees what was inserted; an erased node keeps its links
            while ahead is not None and ahead._block is not self:
                ahead = ahead._next
            node = ahead

    def __reversed__(self) -> Iterator[Node]:
        node = self._last
        while node is not None:
            ahead = node._previous
            yield node
            if node._block is self or node._block is None:
                ahead = node._previous
            while ahead is not None and ahead._block is not self:
                ahead = ahead._previous
            node = ahead

    def is_within(self, other: Block) -> bool:
        """Whether this block is ``other`` or stands, at any depth, inside it."""
        block: Block | None = self
        while block is not None:
            if block is other:
                return True
            block = block._around if block.owner is None else block.owner._block
        return False

    def discard(self) -> None:
        """Give up a free block for good: nothing in it reads a value any more."""
        self._release()

    def sees(self, value: Value) -> bool:
        """Whether a value is defined in this block, around it, or as state of its graph. O(depth)."""
        definer = value._definer
        if isinstance(definer, StateEntry):
            return definer.value is value and self.graph._state.get(definer.name) is definer
        home = definer._block if isinstance(definer, Node) else definer
        return home is not None and (self.is_within(home) or self._stands_free())

    def _require_visible(self, value: Value) -> None:
        if not self.sees(value):
            raise IRError(f"{value!r} is not visible here: it is defined in another graph or block")

    def _stands_free(self) -> bool:
        """Whether no graph holds the block yet, so that nobody knows which values it will see."""
        block = self
        while block.owner is not None and block.owner._block is not None:
            block = block.owner._block
        return block is not self.graph.block

    def _reads(self) -> Sequence[Value]:
        return self._outputs

    def _home(self) -> Block:
        return self

    def _replace(self, old: Value, new: Value) -> None:
        """Put out ``new`` wherever the block puts out ``old``, without a word to their books."""
        self._outputs = [new if value is old else value for value in self._outputs]

    def _link(self, node: Node, before: Node | None) -> None:
        after = before
        previous = self._last if after is None else after._previous
        node._block = self
        for inner in node._blocks:
            inner._join(self.graph)
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

    def _join(self, graph: Graph) -> None:
        """Belong to ``graph`` from now on, with all blocks inside."""
        if self.graph is graph:
            return
        self.graph = graph
        for node in self:
            for inner in node._blocks:
                inner._join(graph)

    def _drop_output_uses(self) -> None:
        for value in self._outputs:
            value._drop_user(self)

    def _release(self) -> None:
        """Drop every use that the block and its nodes hold, before they go."""
        self._drop_output_uses()
        for node in self:
            node._release()

    def _hold(self) -> None:
        """Have again every use that :meth:`_release` dropped."""
        for value in self._outputs:
            value._add_user(self)
        for node in self:
            node._hold()


def _walk_forward(block: Block) -> Iterator[Node]:
    for node in block:
        yield node
        if node._blocks and node._block is not None:
            for inner in node._blocks:
                yield from _walk_forward(inner)


def _walk_backward(block: Block) -> Iterator[Node]:
    for node in reversed(block):
        for inner in reversed(node._blocks):
            yield from _walk_backward(inner)
        yield node


def values_in(args: tuple[Argument, ...]) -> tuple[Value, ...]:
    """Return the values in arguments, lists taken apart: ``args`` itself where there is nothing else."""
    for arg in args:
        if arg.__class__ is not Value:
            values: list[Value] = []
            _collect_values(args, values)
            return tuple(values)
    return args  # type: ignore[return-value]  # the loop has seen that all are values


def _collect_values(args: tuple[Argument, ...], into: list[Value]) -> None:
    for arg in args:
        if arg.__class__ in PYTHON_LITERALS:
            continue
        if isinstance(arg, Value):
            into.append(arg)
        elif isinstance(arg, tuple):
            _collect_values(arg, into)


def _substitute(arg: Argument, remaining: list[int], value: Value) -> Argument:
    """Return ``arg`` with its operand number ``remaining[0]`` replaced, counting down as it goes."""
    if isinstance(arg, Value):
        remaining[0] -= 1
        return value if remaining[0] == -1 else arg
    if isinstance(arg, tuple):
        return tuple(_substitute(item, remaining, value) for item in arg)
    return arg


def exchange_all(
    args: tuple[Argument, ...], becomes: Mapping[Value, Argument]
) -> tuple[Argument, ...]:
    """Return arguments with something else in the place of the values that are keys."""
    return tuple(
        [
            exchange_all(arg, becomes)
            if isinstance(arg, tuple)
            else becomes.get(arg, arg)
            if isinstance(arg, Value)
            else arg
            for arg in args
        ]
    )


def _exchange(arg: Argument, old: Value, new: Value) -> Argument:
    """Return ``arg`` with ``new`` in the place of ``old``."""
    if isinstance(arg, tuple):
        return tuple(_exchange(item, old, new) for item in arg)
    return new if arg is old else arg


def _renamed(arg: Argument, names: Mapping[str, str]) -> Argument:
    """Return ``arg`` with functions called by their new names."""
    if isinstance(arg, tuple):
        return tuple(_renamed(item, names) for item in arg)
    if isinstance(arg, FunctionRef):
        return FunctionRef(names.get(arg.name, arg.name))
    return arg
