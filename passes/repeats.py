"""Repeats: which stretches of a graph compute the same, whatever their names.

Note [What makes two stretches equal]
    A stretch is a list of nodes in program order. Its pattern is exact, not a checksum: operators,
    literal arguments, element types and shapes of results and of what is read from outside, and the
    edges inside, with every value numbered by its first appearance. Names, source lines, strides and
    ``requires_grad`` do not count. Two patterns that compare equal are isomorphic stretches, and the
    n-th node of one plays the part of the n-th node of the other.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field

from ..ir import Argument, Block, Node, TensorType, Type, Value


class _Mark:
    """Says what a number in a pattern refers to; equal to itself alone, so never to a literal."""

    __slots__ = ()


_STEPPING = frozenset(("aten::select.int", "aten::slice.Tensor", "aten::narrow"))
_VALUE, _BLOCKS, _FLOAT, _BOOL = (_Mark() for _ in range(4))


@dataclass(frozen=True, slots=True)
class Pattern:
    """What a stretch of nodes computes.

    Attributes:
        key: equal exactly where two stretches compute the same (see the note above); comparable
            with keys of the same finder only.
        inputs: values read from outside, state left out, in order of first use.
        state: state read, in order of first use.
        results: the values made inside, with their numbers.
    """

    key: Hashable = field(repr=False)
    inputs: tuple[Value, ...]
    state: tuple[Value, ...]
    results: dict[Value, int] = field(repr=False)


class PatternFinder:
    """Finds the patterns of stretches of one graph, and remembers what it has seen of its types.

    Args:
        ignores_steps: whether it does not count which part ``select``, ``slice`` and ``narrow`` take,
            so that the turns of a loop that goes through a tensor are equal.
        is_at_rest: whether the graph stays as it is, so that what was seen of its nodes is remembered too.
    """

    def __init__(self, *, ignores_steps: bool = False, is_at_rest: bool = False) -> None:
        self._stepping = _STEPPING if ignores_steps else frozenset()
        self._is_at_rest = is_at_rest
        self._numbers: dict[Hashable, int] = {}
        self._spelled: dict[Node, tuple[int, tuple[Value, ...]]] = {}
        self._by_id: dict[
            int, tuple[Type, Hashable]
        ] = {}  # holds the type, so that ids stay its own

    def pattern(self, nodes: Iterable[Node]) -> Pattern:
        """Return the pattern of a stretch, each owner of blocks before what is inside. O(size)."""
        stretch = list(nodes)
        numbering = _Numbering(stretch)
        # Equal nodes get equal numbers, so a pattern is short and the spelled nodes can go at once.
        number = self._numbers.setdefault
        items = []
        for node in stretch:
            text, values = self._spelled.get(node) or self._spell(node)
            items.append(number((text, numbering.references(values)), len(self._numbers)))
        for node in stretch:
            for block in node.blocks:
                outputs = (_BLOCKS, numbering.references(block.outputs))
                items.append(number(outputs, len(self._numbers)))
        inputs, state = tuple(numbering.outside), tuple(numbering.state)
        types = tuple([self.type_key(value.type) for value in (*inputs, *state)])
        return Pattern((tuple(items), types), inputs, state, numbering.inside)

    def key_of(self, node: Node) -> Hashable:
        """Return the key of the pattern of one node, in less time than the pattern. O(its operands)."""
        if node.blocks:
            return self.pattern((node,)).key
        text, values = self._spelled.get(node) or self._spell(node)
        outside: dict[Value, int] = {}
        state: dict[Value, int] = {}
        references = tuple(
            [
                3 * outside.setdefault(value, len(outside)) + 2
                if value.state is None
                else 3 * state.setdefault(value, len(state)) + 1
                for value in values
            ]
        )
        types = tuple([self.type_key(value.type) for value in (*outside, *state)])
        number = self._numbers.setdefault((text, references), len(self._numbers))
        return (number,), types

    def _spell(self, node: Node) -> tuple[int, tuple[Value, ...]]:
        """Return the number of all that a node says but which values it reads, and those."""
        given = node.all_args
        if node.operator.name in self._stepping:
            given = given[:2]  # the tensor and the dimension
        values: list[Value] = []
        args = tuple([_argument(arg, values) for arg in given])
        types = tuple([self.type_key(value.type) for value in node.outputs])
        blocks = tuple([(len(block), len(block.inputs)) for block in node.blocks])
        text = (node.operator.name, args, node.keywords, types, node.groups, blocks)
        spelled = self._numbers.setdefault(text, len(self._numbers)), tuple(values)
        if self._is_at_rest:
            self._spelled[node] = spelled
        return spelled

    def type_key(self, type_: Type) -> Hashable:
        """Return what counts of a type: element type and shape of a tensor, all of any other."""
        known = self._by_id.get(id(type_))
        if known is not None:
            return known[1]
        key: Hashable = type_
        if isinstance(type_, TensorType):
            dtype = None if type_.dtype is None else type_.dtype.value
            key = (dtype, type_.shape)
        self._by_id[id(type_)] = (type_, key)
        return key


class _Numbering:
    """Numbers the values of one stretch: results as they stand, others as they are first read."""

    def __init__(self, stretch: list[Node]) -> None:
        self.inside: dict[Value, int] = {}
        self.outside: dict[Value, int] = {}
        self.state: dict[Value, int] = {}
        inside = self.inside
        for node in stretch:
            for value in node.outputs:
                inside[value] = len(inside)
            for block in node.blocks:
                for value in block.inputs:
                    inside[value] = len(inside)

    def references(self, values: Iterable[Value]) -> tuple[int, ...]:
        """Return a number per value, in which the remainder by 3 says of which kind it is."""
        found = []
        for value in values:
            number = self.inside.get(value)
            if number is not None:
                found.append(3 * number)
            elif value.state is not None:
                found.append(3 * self.state.setdefault(value, len(self.state)) + 1)
            else:
                found.append(3 * self.outside.setdefault(value, len(self.outside)) + 2)
        return tuple(found)


def _argument(arg: Argument, values: list[Value]) -> Hashable:
    """Return what an argument says besides its values, which are added to a list."""
    kind = arg.__class__  # faster than isinstance, and none of these has subclasses
    if kind is Value:
        values.append(arg)  # type: ignore[arg-type]
        return _VALUE
    if kind is int or kind is str:
        return arg
    if isinstance(arg, tuple):
        return tuple([_argument(item, values) for item in arg])
    if isinstance(arg, bool):  # 1 == True == 1.0 in Python, but not as arguments
        return (_BOOL, arg)
    if isinstance(arg, float | complex):
        return (_FLOAT, repr(arg))
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
                links = _links(patterns[start], patterns[start + 1])
                chain = any(link is not None for link in links)
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
