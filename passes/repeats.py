"""Repeats: which stretches of a graph compute the same, whatever their names.

Note [What makes two stretches equal]
    A stretch is a list of nodes in program order. Its pattern is exact, not a checksum: operators,
    literal arguments, element types and shapes of results and of what is read from outside, and the
    edges inside, with every value numbered by its first appearance. Names, source lines, strides and
    ``requires_grad`` do not count. Two patterns that compare equal are isomorphic stretches, and the
    n-th node of one plays the part of the n-th node of the other.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from ..ir import Argument, Block, Node, TensorType, Type, Value


class _Mark(Enum):
    """What kind of thing a number in a pattern refers to; never equal to a literal."""

    INSIDE = 0
    OUTSIDE = 1
    STATE = 2
    BLOCKS = 3
    FLOAT = 4
    BOOL = 5


@dataclass(frozen=True, slots=True)
class Pattern:
    """What a stretch of nodes computes.

    Attributes:
        key: equal exactly where two stretches compute the same (see the note above).
        inputs: values read from outside, state left out, in order of first use.
        state: state read, in order of first use.
        results: the values made inside, with their numbers.
    """

    key: Hashable = field(repr=False)
    inputs: tuple[Value, ...]
    state: tuple[Value, ...]
    results: dict[Value, int] = field(repr=False)


def pattern_of(nodes: Iterable[Node]) -> Pattern:
    """Return the pattern of a stretch of nodes, each owner of blocks before what is inside. O(size)."""
    writer = _Writer()
    stretch = list(nodes)
    for node in stretch:
        writer.number_results(node)
    items = [writer.node(node) for node in stretch]
    items.extend(writer.block_outputs())
    inputs, state = tuple(writer.outside), tuple(writer.state)
    types = tuple(writer.type(value.type) for value in (*inputs, *state))
    return Pattern((tuple(items), types), inputs, state, writer.inside)


class _Writer:
    """Spells one stretch, numbering values as they come."""

    def __init__(self) -> None:
        self.inside: dict[Value, int] = {}
        self.outside: dict[Value, int] = {}
        self.state: dict[Value, int] = {}
        self._owners: list[Node] = []
        self._types: dict[int, Hashable] = {}  # by id: the values hold the types meanwhile

    def number_results(self, node: Node) -> None:
        inside = self.inside
        for value in node.outputs:
            inside[value] = len(inside)
        for block in node.blocks:
            for value in block.inputs:
                inside[value] = len(inside)

    def node(self, node: Node) -> Hashable:
        args = tuple([self._argument(arg) for arg in node.all_args])
        blocks: Hashable = None
        if node.blocks:
            self._owners.append(node)
            blocks = tuple((len(block), len(block.inputs)) for block in node.blocks)
        types = tuple([self.type(value.type) for value in node.outputs])
        return (node.operator.name, args, node.keywords, types, node.groups, blocks)

    def block_outputs(self) -> Iterator[Hashable]:
        for owner in self._owners:
            for block in owner.blocks:
                yield (_Mark.BLOCKS, tuple([self._argument(value) for value in block.outputs]))

    def type(self, type_: Type) -> Hashable:
        key = self._types.get(id(type_))
        if key is None:
            key = type_
            if isinstance(type_, TensorType):
                key = (type_.dtype and type_.dtype.value, type_.shape)
            self._types[id(type_)] = key
        return key

    def _argument(self, arg: Argument) -> Hashable:
        if isinstance(arg, Value):
            number = self.inside.get(arg)
            if number is not None:
                return (_Mark.INSIDE, number)
            if arg.state is not None:
                return (_Mark.STATE, self.state.setdefault(arg, len(self.state)))
            return (_Mark.OUTSIDE, self.outside.setdefault(arg, len(self.outside)))
        if isinstance(arg, tuple):
            return tuple([self._argument(item) for item in arg])
        if isinstance(arg, bool):  # 1 == True == 1.0 in Python, but not as arguments
            return (_Mark.BOOL, arg)
        if isinstance(arg, float | complex):
            return (_Mark.FLOAT, repr(arg))
        return arg


@dataclass(frozen=True, slots=True)
class Run:
    """Equal stretches that follow each other.

    Attributes:
        start: position of the first.
        count: how many there are.
        is_chain: whether each reads what the one before it made.
    """

    start: int
    count: int
    is_chain: bool


def find_runs(patterns: Sequence[Pattern]) -> list[Run]:
    """Return the runs of two or more equal neighbours that are wired alike. O(edges).

    Wired alike means: each reads the same of the one before it, and makes the same for things outside
    (only the last of a run, whose results go on, is free in that). A block among equals whose result
    is also tapped elsewhere therefore ends its run.
    """
    runs = []
    start = 0
    while start < len(patterns):
        end = start + 1
        key = patterns[start].key
        limit = end
        while limit < len(patterns) and patterns[limit].key == key:
            limit += 1
        if limit - start > 1:
            end = _wired_alike(patterns, start, limit)
            if end - start > 1:
                chain = any(_links(patterns[start], patterns[start + 1]))
                runs.append(Run(start, end - start, chain))
        start = end
    return runs


def _wired_alike(patterns: Sequence[Pattern], start: int, limit: int) -> int:
    """Return where the run that begins at ``start`` ends, at the latest at ``limit``."""
    links = _links(patterns[start], patterns[start + 1])
    escapes = _escapes(patterns[start], patterns[start + 1])
    end = start + 2
    while end < limit:
        last = patterns[end - 1]
        if _escapes(last, patterns[end]) != escapes or _links(last, patterns[end]) != links:
            break
        end += 1
    return end


def _links(earlier: Pattern, later: Pattern) -> list[int | None]:
    """Return, per input of ``later``, the number of the result of ``earlier`` it is, if it is one."""
    return [earlier.results.get(value) for value in later.inputs]


def _escapes(pattern: Pattern, following: Pattern) -> list[int]:
    """Return the numbers of the results that something outside both stretches reads."""
    inner = {value.node for part in (pattern, following) for value in part.results}
    inner.discard(None)  # what makes the inputs of inner blocks
    found = []
    for value, number in pattern.results.items():
        for user in value.users:
            owner = user.owner if isinstance(user, Block) else user
            if owner not in inner:
                found.append(number)
                break
    return found
