"""In what the scopes of two graphs differ, and how many nodes differ in each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ..ir import Argument, Scope, Type, Value
from ..ir.composites import Composite, noted_composites
from .changes import ChangeKind, NodeChange, ScopeDiff
from .differences import Differences
from .facts import (
    AddressChange,
    ClassChange,
    CompositeChange,
    Fact,
    ModesChange,
    OperatorChange,
    TypeChange,
)
from .matching import Matching
from .scopes import ScopeTree


class ScopeDifferences:
    """Finds the scopes that are others, or in which something is.

    Args:
        matching: which scope and which node is which.
        before: the scopes of the first graph.
        after: those of the second.
        differences: compares arguments.
    """

    def __init__(
        self, matching: Matching, before: ScopeTree, after: ScopeTree, differences: Differences
    ) -> None:
        self._matching = matching
        self._before = before
        self._after = after
        self._differences = differences
        self._calls = noted_composites(matching.before.graph)
        self._other_calls = noted_composites(matching.after.graph)
        self._partners = {other: scope for scope, other in matching.scopes.items()}

    def of(self, changes: Sequence[NodeChange]) -> Iterator[ScopeDiff]:
        """Yield the scopes that differ, those that were removed last, given what became of nodes."""
        removed: dict[Scope, int] = {}
        counts: dict[Scope, Counter[ChangeKind | None]] = {}
        partners = self._matching.after.partners
        for node, partner in zip(self._matching.after.nodes, partners, strict=True):
            kind = None if partner >= 0 else ChangeKind.ADDED
            counts.setdefault(node.scope, Counter())[kind] += 1
        for change in changes:
            if change.after is None:
                removed[change.node.scope] = removed.get(change.node.scope, 0) + 1
            elif change.before is not None:
                counts[change.after.scope][None] -= 1
                counts[change.after.scope][change.kind] += 1
        for scope in reversed(self._after.scopes):
            if scope.parent is not None and scope in counts:
                counts.setdefault(scope.parent, Counter()).update(counts[scope])
        for scope in reversed(self._before.scopes):
            if scope.parent is not None and scope in removed:
                removed[scope.parent] = removed.get(scope.parent, 0) + removed[scope]
        for other in self._after.scopes:
            before = self._partners.get(other)
            gone = 0 if before is None else removed.get(before, 0)
            yield from self._diff(before, other, gone, counts.get(other, Counter()))
        for lost in self._before.scopes:
            if lost not in self._matching.scopes:
                yield from self._diff(lost, None, removed.get(lost, 0), Counter())

    def _diff(
        self,
        scope: Scope | None,
        other: Scope | None,
        gone: int,
        counts: Counter[ChangeKind | None],
    ) -> Iterator[ScopeDiff]:
        details = tuple(self._facts(scope, other)) if scope and other else ()
        is_top = (scope or other) in (self._before.root, self._after.root)
        differing = gone or any(count for kind, count in counts.items() if kind is not None)
        if not (differing or details or (not is_top and (scope is None or other is None))):
            return
        if is_top and (scope is None or other is None):
            return  # the top of a program that wraps what the other program is
        yield ScopeDiff(
            scope,
            other,
            counts[ChangeKind.ADDED],
            gone,
            counts[ChangeKind.CHANGED],
            counts[ChangeKind.MOVED],
            counts[None],
            details,
        )

    def _facts(self, scope: Scope, other: Scope) -> Iterator[Fact]:
        is_step = (scope.name, scope.kind, scope.call) == (other.name, other.kind, other.call)
        parents = scope.parent, other.parent
        is_below = parents == (None, None) or (
            parents[0] is not None and self._matching.scopes.get(parents[0]) is parents[1]
        )
        if not is_step or not is_below:
            yield AddressChange(scope.address, other.address)
        if scope.class_name != other.class_name and None not in parents:
            yield ClassChange(scope.class_name, other.class_name)
        yield from self._of_calls(self._calls.get(scope), self._other_calls.get(other))

    def _of_calls(self, call: Composite | None, other: Composite | None) -> Iterator[Fact]:
        """Yield in what the calls differ that two scopes of composite operators stand for."""
        if call is None or other is None:
            if call is not other:
                names = [each.operator.name if each else "" for each in (call, other)]
                yield CompositeChange(*names)
            return
        if call.operator.name != other.operator.name:
            yield OperatorChange(call.operator.name, other.operator.name)
        yield from self._differences.of_arguments("argument", call.args, other.args)
        yield from self._differences.of_arguments("keyword", call.keywords, other.keywords)
        yield from self._differences.of_arguments("lists", call.groups, other.groups)
        for number, (one, another) in enumerate(zip(call.results, other.results, strict=False)):
            yield from self._of_results(f"result {number}", one, another)
        if not self._differences.is_same_mode(call.modes, other.modes):
            yield ModesChange(call.modes, other.modes)

    def _of_results(self, name: str, one: Value | Type, another: Value | Type) -> Iterator[Fact]:
        if isinstance(one, Value) and isinstance(another, Value):
            argument: Argument = one
            yield from self._differences.of_arguments(name, argument, another)
            return
        type_ = one.type if isinstance(one, Value) else one
        other_type = another.type if isinstance(another, Value) else another
        if type_ != other_type or isinstance(one, Value) != isinstance(another, Value):
            yield TypeChange(name, type_, other_type)
