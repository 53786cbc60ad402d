"""Blocks: ordered lists of nodes, with what comes in and what goes out.

A friend of values and nodes; see Note [One set of books] in ``value.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from ..errors import IRError
from .types import Type
from .value import StateEntry, Value

if TYPE_CHECKING:
    from .graph import Graph  # which is made of blocks, as these are of nodes
    from .node import Node


class Block:
    """An ordered list of nodes with inputs and outputs; inner blocks see the values of outer ones.

    A block that is made by itself stands free until ``Node.take_block`` gives it an owner; ``around``
    says which block that owner will stand in.

    Insert and erase are O(1). Walks tolerate change, in both directions: erasing any node is safe,
    nodes inserted ahead of the current one are visited, and a node that moves to another block does
    not take the walk along. There is no indexing, which would be O(n).
    """

    __slots__ = (
        "_around",
        "_first",
        "_inputs",
        "_last",
        "_length",
        "_outputs",
        "_places",
        "graph",
        "owner",
    )

    _is_node: ClassVar[Literal[False]] = False

    def __init__(self, graph: Graph, owner: Node | None, around: Block | None = None) -> None:
        self.graph = graph
        self.owner = owner  # the node that holds the block; None for a graph's own
        self._around = around
        self._inputs: list[Value] = []
        self._outputs: list[Value] = []
        self._places: dict[Value, list[int]] | None = None  # of the outputs, once one is replaced
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
        self._outputs, self._places = outputs, None
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
        self._outputs[operand], self._places = value, None
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
        home = definer._home()
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
        places = self._places
        if places is None:
            places = self._places = {}
            for place, value in enumerate(self._outputs):
                places.setdefault(value, []).append(place)
        found = places.pop(old, [])
        for place in found:
            self._outputs[place] = new
        places.setdefault(new, []).extend(found)

    def _move_all(self, target: Block, before: Node | None) -> None:
        """Put all nodes of the block, as they stand, into another, before a node or at the end."""
        first, last = self._first, self._last
        if first is None or last is None:
            return
        moved: Node | None = first
        while moved is not None:
            moved._block = target
            for inner in moved._blocks:
                inner._join(target.graph)
            moved = moved._next
        previous = target._last if before is None else before._previous
        first._previous, last._next = previous, before
        if previous is None:
            target._first = first
        else:
            previous._next = first
        if before is None:
            target._last = last
        else:
            before._previous = last
        target._length += self._length
        self._first = self._last = None
        self._length = 0

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
