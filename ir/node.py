"""Nodes: the operations of a graph.

A friend of values and blocks; see Note [One set of books] in ``value.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from ..errors import IRError
from .arguments import Argument, exchange, exchange_all, renamed, substitute, values_in
from .block import Block
from .literals import FunctionRef
from .modes import Modes
from .operator import Effect, Missing, Operator
from .scope import Scope
from .source import Frame, SourceRange
from .types import Type
from .value import Value

if TYPE_CHECKING:
    from .graph import Graph  # which is made of nodes


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

    _is_node: ClassVar[Literal[True]] = True

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
    def is_read(self) -> bool:
        """Whether anything reads one of the values that the node produces."""
        results = self._results
        if results.__class__ is Value:
            return results._users is not None
        return any([value._users is not None for value in self.outputs])

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
    def previous(self) -> Node | None:
        """The node before it in its block; None for the first, and while it is detached."""
        return None if self._block is None else self._previous

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
        self._args = tuple(substitute(arg, remaining, value) for arg in self._args)
        self._inputs = values_in(self._args)
        if before not in self._inputs:
            before._drop_user(self)
        value._add_user(self)

    def replace_inputs(self, becomes: Mapping[Value, Argument]) -> None:
        """Make the node read other values, or literals, in the place of some values. O(arguments).

        Given:   %3 = aten::view(%1, [%2, 4])
        Do:      node.replace_inputs({v2: 8})
        Result:  %3 = aten::view(%1, [8, 4])

        Raises:
            IRError: a value that it would read is not visible from its block; nothing is changed.
        """
        before = self._inputs
        if becomes.keys().isdisjoint(before):
            return
        args = exchange_all(self._args, becomes)
        inputs = values_in(args)
        gone, new = dict.fromkeys(before), dict.fromkeys(inputs)
        if self._block is not None:
            for value in new:
                if value not in gone:
                    self._block._require_visible(value)
        self._args, self._inputs = args, inputs
        for value in gone:
            if value not in new:
                value._drop_user(self)
        for value in new:
            value._add_user(self)

    def rename_functions(self, names: Mapping[str, str]) -> None:
        """Refer to functions by other names; those not among ``names`` keep theirs. O(arguments)."""
        if any(arg.__class__ in (FunctionRef, tuple) for arg in self._args):
            self._args = tuple(renamed(arg, names) for arg in self._args)

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
        if self.is_read:
            value = next(value for value in self.outputs if value.is_used)
            user = value.users[0]
            what = user.kind if user._is_node else "the return"
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
        if self._args is self._inputs:
            self._args = self._inputs = tuple([new if v is old else v for v in self._inputs])
        else:
            self._args = tuple([exchange(arg, old, new) for arg in self._args])
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
