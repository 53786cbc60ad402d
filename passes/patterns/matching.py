"""Finding a pattern at a node: which node of a graph is which of the pattern, and what each name captures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...ir import Argument, Node, Operator, Value
from ..certainty import CertainTypes
from .arguments import by_parameter
from .captures import AnyTensor, Capture, ListOf, is_same
from .pattern import Name, Pattern, PatternNode, Result, Term


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of a match so far.

    Attributes:
        captured: what each name stands for.
        nodes: the nodes of the graph by their numbers in the pattern.
    """

    captured: Mapping[str, Argument]
    nodes: Mapping[int, Node]


@dataclass(frozen=True, slots=True)
class Match:
    """A pattern found in a graph, as a rule's condition sees it.

    ``match["x"]`` is what the name ``x`` captured: a value, a literal, or a list as a tuple.

    Attributes:
        root: the node whose results are replaced.
        nodes: all nodes of the match, the root last.
        certain: what holds at each replay of the types of values, which are those of the trace.
    """

    root: Node
    nodes: tuple[Node, ...]
    certain: CertainTypes
    captured: Mapping[str, Argument]

    def __getitem__(self, name: str) -> Argument:
        """Return what a name captured."""
        return self.captured[name]

    def value(self, name: str) -> Value:
        """Return the value that a name captured, which is known to be one.

        Raises:
            TypeError: it captured a literal or a list.
        """
        captured = self.captured[name]
        if not isinstance(captured, Value):
            raise TypeError(f"%{name} captured {captured!r}, which is no value")
        return captured


class Matcher:
    """Finds one pattern at nodes that run one operator, its root's.

    Args:
        pattern: the pattern.
    """

    def __init__(self, pattern: Pattern) -> None:
        self._pattern = pattern
        self._terms: dict[tuple[int, Operator], tuple[Term, ...] | None] = {}

    def matches(self, root: Node) -> Iterator[Found]:
        """Yield every way in which the pattern ends at a node, operands as they are written first.

        O(size of the pattern), times two for each pair of operands that may be swapped.
        """
        number = len(self._pattern.nodes) - 1
        if self._may_fit(number, root):
            yield from self._node(number, root, Found({}, {}))

    def _may_fit(self, number: int, node: Node) -> bool:
        """Whether what a node reads is not of another kind than a pattern wants, which most of it is."""
        wanted = self._pattern.nodes[number]
        terms = self._terms_for(number, wanted, node.operator)
        args = arguments_of(node)
        if terms is None or len(terms) != len(args):
            return False
        return wanted.is_commutative or all(map(self._is_of_kind, terms, args))

    def _is_of_kind(self, term: Term, arg: Argument) -> bool:
        if isinstance(term, Name):
            return True
        if isinstance(term, Result):
            node = arg.node if isinstance(arg, Value) else None
            return node is not None and self._pattern.nodes[term.node].runs(node.operator.name)
        return isinstance(term, tuple) or arg.__class__ is term.__class__

    def _node(self, number: int, node: Node, found: Found) -> Iterator[Found]:
        known = found.nodes.get(number)
        if known is not None:
            if known is node:
                yield found
            return
        wanted = self._pattern.nodes[number]
        if not _is_like(node, wanted) or node in found.nodes.values():
            return
        terms = self._terms_for(number, wanted, node.operator)
        args = arguments_of(node)
        if terms is None or len(terms) != len(args):
            return
        if not node.operator.parameters and node.keywords != wanted.keywords:
            return
        found = Found(found.captured, {**found.nodes, number: node})
        yield from self._all(terms, args, found)
        if wanted.is_commutative and len(args) > 1:
            yield from self._all(terms, (args[1], args[0], *args[2:]), found)

    def _terms_for(
        self, number: int, wanted: PatternNode, operator: Operator
    ) -> tuple[Term, ...] | None:
        """Return the arguments that a pattern asks of a node, by the parameters of the node's operator."""
        key = (number, operator)
        if key not in self._terms:
            terms: Sequence[Term] | None = wanted.args
            if operator.parameters:
                terms = by_parameter(operator, wanted.args, wanted.keywords)
            self._terms[key] = None if terms is None else tuple(terms)
        return self._terms[key]

    def _all(
        self, terms: Sequence[Term], args: Sequence[Argument], found: Found
    ) -> Iterator[Found]:
        if not terms:
            yield found
            return
        for one in self._one(terms[0], args[0], found):
            yield from self._all(terms[1:], args[1:], one)

    def _one(self, term: Term, arg: Argument, found: Found) -> Iterator[Found]:
        if isinstance(term, Name):
            yield from self._captured(term.name, arg, found)
        elif isinstance(term, Result):
            node = arg.node if isinstance(arg, Value) else None
            if node is not None and term.position < len(node.outputs):
                if node.outputs[term.position] is arg:
                    yield from self._node(term.node, node, found)
        elif isinstance(term, tuple):
            if isinstance(arg, tuple) and len(arg) == len(term):
                yield from self._all(term, arg, found)
        elif not isinstance(arg, tuple | Value) and is_same(term, arg):
            yield found

    def _captured(self, name: str, arg: Argument, found: Found) -> Iterator[Found]:
        if name in found.captured:
            if is_same(found.captured[name], arg):
                yield found
        elif self._pattern.captures[name].fits(arg):
            yield Found({**found.captured, name: arg}, found.nodes)


def _is_like(node: Node, wanted: PatternNode) -> bool:
    """Whether a node runs what a pattern wants, and gives results that are alike."""
    if not wanted.runs(node.operator.name) or node.blocks:
        return False
    if wanted.groups is not None and wanted.groups != node.groups:
        return False
    outputs, results = node.outputs, wanted.results
    return results is None or (
        len(outputs) == len(results)
        and all(c.fits(v) for c, v in zip(results, outputs, strict=True))
    )


def arguments_of(node: Node) -> Sequence[Argument]:
    """Return the arguments of a node by parameter; as they are written if it has no schema."""
    if not node.operator.parameters:
        return node.all_args
    args: Any = by_parameter(node.operator, node.all_args, node.keywords)
    return node.all_args if args is None else args  # which then are not as many as parameters


def are_certain(pattern: Pattern, match: Match) -> bool:
    """Whether the dtypes that a pattern asks for are those of each replay."""
    asked = [
        (capture, match.captured[name])
        for name, capture in pattern.captures.items()
        if name in match.captured
    ]
    for wanted, node in zip(pattern.nodes, match.nodes, strict=True):
        asked += zip(wanted.results or (), node.outputs, strict=False)
    return all(_is_certain(capture, arg, match.certain) for capture, arg in asked)


def _is_certain(capture: Capture, arg: Argument, certain: CertainTypes) -> bool:
    if isinstance(capture, ListOf) and isinstance(arg, tuple):
        return all(_is_certain(capture.item, item, certain) for item in arg)
    if isinstance(capture, AnyTensor) and capture.dtype is not None and isinstance(arg, Value):
        return certain.dtype(arg) == capture.dtype
    return True
