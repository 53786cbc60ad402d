"""In what two nodes that are matched differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..ir import MISSING, Argument, FunctionRef, Modes, Node, Operator, Value
from ..ir.operator import Missing
from .facts import (
    ArgumentChange,
    BlocksChange,
    Fact,
    GroupsChange,
    ModesChange,
    OperatorChange,
    OrderChange,
    ScopeChange,
    SourceChange,
    TypeChange,
)
from .labels import STRICT
from .matching import Matching


class Differences:
    """Finds in what matched nodes differ.

    Args:
        matching: which node is which.
        functions: which function of the second graph each one of the first is.
        with_sources: whether another source line is a difference.
    """

    def __init__(
        self, matching: Matching, functions: Mapping[str, str], *, with_sources: bool
    ) -> None:
        self._matching = matching
        self._functions = functions
        self._with_sources = with_sources
        self._passed = _Passed(matching)
        self._ambient = matching.before.graph.modes
        self._other_ambient = matching.after.graph.modes

    def of(self, at: int) -> tuple[Fact, ...]:
        """Return in what the node at a place of the first graph differs from its partner."""
        matching = self._matching
        partner = matching.before.partners[at]
        node, other = matching.before.nodes[at], matching.after.nodes[partner]
        labels = matching.before.labels[at], matching.after.labels[partner]
        facts: list[Fact] = []
        if labels[0][STRICT] != labels[1][STRICT] or not matching.reads_same(node, other):
            facts += self._of_statements(node, other)
        if node.blocks or other.blocks:
            facts += self._of_blocks(node, other)
        if not self.is_same_mode(node.modes, other.modes):
            facts.append(ModesChange(node.modes, other.modes))
        if matching.scopes.get(node.scope) is not other.scope:
            facts.append(ScopeChange(node.scope, other.scope))
        if at in matching.moved:
            facts.append(OrderChange(self._passed.by(at)))
        if self._with_sources and str(node.source) != str(other.source):
            facts.append(SourceChange(node.source, other.source))
        return tuple(facts)

    def is_same_mode(self, modes: Modes, other: Modes) -> bool:
        """Whether modes are the same, or those around either program."""
        return modes == other or (modes == self._ambient and other == self._other_ambient)

    def of_arguments(
        self, name: str, before: Argument | Missing, after: Argument | Missing
    ) -> Iterator[ArgumentChange]:
        """Yield in what two arguments differ, those in lists one by one."""
        if isinstance(before, tuple) and isinstance(after, tuple) and len(before) == len(after):
            for number, (item, other) in enumerate(zip(before, after, strict=True)):
                yield from self.of_arguments(f"{name}[{number}]", item, other)
        elif not self._is_same_argument(before, after):
            yield ArgumentChange(name, before, after)

    def _is_same_argument(self, before: Argument | Missing, after: Argument | Missing) -> bool:
        if isinstance(before, Value) and isinstance(after, Value):
            return self._matching.is_same(before, after)
        if isinstance(before, FunctionRef) and isinstance(after, FunctionRef):
            return self._functions.get(before.name) == after.name
        if type(before) is not type(after):
            return False
        if isinstance(before, float | complex):
            return repr(before) == repr(after)
        return before == after

    def _of_statements(self, node: Node, other: Node) -> Iterator[Fact]:
        if node.operator.name != other.operator.name:
            yield OperatorChange(node.operator.name, other.operator.name)
        given, other_given = named_arguments(node, other)
        for name in dict.fromkeys([*given, *other_given]):
            yield from self.of_arguments(
                name, given.get(name, MISSING), other_given.get(name, MISSING)
            )
        yield from of_types("result", node.outputs, other.outputs)
        if node.groups != other.groups and (node.gives_lists or other.gives_lists):
            yield GroupsChange(node.groups, other.groups)

    def _of_blocks(self, node: Node, other: Node) -> Iterator[Fact]:
        if len(node.blocks) != len(other.blocks):
            yield BlocksChange(len(node.blocks), len(other.blocks))
        for number, (block, twin) in enumerate(self._matching.blocks_of(node, other)):
            yield from of_types(f"block{number} input", block.inputs, twin.inputs)
            outputs: tuple[Argument, ...] = block.outputs
            yield from self.of_arguments(f"block{number} output", outputs, twin.outputs)


def of_types(of: str, before: Sequence[Value], after: Sequence[Value]) -> Iterator[TypeChange]:
    """Yield where values that correspond by their order have different types, or only one is there."""
    count = max(len(before), len(after))
    for number in range(count):
        type_ = before[number].type if number < len(before) else None
        other_type = after[number].type if number < len(after) else None
        if type_ != other_type:
            yield TypeChange(f"{of} {number}" if count > 1 else of, type_, other_type)


def named_arguments(
    node: Node, other: Node
) -> tuple[dict[str, Argument | Missing], dict[str, Argument | Missing]]:
    """Return the arguments of two nodes by the names of their parameters.

    An argument that one node was given and the other was not is its default there. Where a graph was read
    from text and nothing is known of an operator, the other graph may know it.
    """
    operator, other_operator = node.operator, other.operator
    if operator.name == other_operator.name:
        operator = other_operator = max(operator, other_operator, key=lambda o: len(o.parameters))
    given, other_given = _named(node, operator), _named(other, other_operator)
    _take_defaults(given, operator, other_given)
    _take_defaults(other_given, other_operator, given)
    return given, other_given


def _named(node: Node, operator: Operator) -> dict[str, Argument | Missing]:
    names = [parameter.name for parameter in operator.parameters]
    given: dict[str, Argument | Missing] = {}
    for number, arg in enumerate(node.args):
        given[names[number] if number < len(names) else f"argument {number}"] = arg
    given.update(node.kwargs)
    return given


def _take_defaults(
    given: dict[str, Argument | Missing], operator: Operator, others: Mapping[str, object]
) -> None:
    """Take in what the other node was given and this one takes by default, or the other way round.

    Of different operators a default that the other one has no parameter for is no difference.
    """
    for parameter in operator.parameters:
        if isinstance(parameter.default, Missing):
            continue
        if parameter.name in others:
            given.setdefault(parameter.name, parameter.default)
        elif parameter.name in given and given[parameter.name] == parameter.default:
            del given[parameter.name]


class _Passed:
    """How far nodes moved among the matched ones, worked out when that is asked for."""

    def __init__(self, matching: Matching) -> None:
        self._matching = matching
        self._ranks: tuple[dict[int, int], dict[int, int]] | None = None

    def by(self, at: int) -> int:
        if self._ranks is None:
            before, after = self._matching.before, self._matching.after
            self._ranks = _ranks(before.partners), _ranks(after.partners)
        ranks, other_ranks = self._ranks
        return other_ranks[self._matching.before.partners[at]] - ranks[at]


def _ranks(partners: Sequence[int]) -> dict[int, int]:
    matched = [at for at, partner in enumerate(partners) if partner >= 0]
    return {at: rank for rank, at in enumerate(matched)}
