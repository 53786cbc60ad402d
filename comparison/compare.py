"""Comparing two graphs: pair what is around nodes, match the nodes, and tell in what they differ."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from ..ir import Graph, Node, Scope
from ..ir.collector import paused_collector
from .alignment import match_nodes
from .boundaries import pair_inputs, pair_state
from .changes import (
    ChangeKind,
    FunctionChange,
    NodeChange,
    ScopeDiff,
    SignatureChange,
    StateChange,
)
from .differences import Differences
from .direction import is_in_order
from .facts import Fact, OrderChange, ScopeChange
from .graph_diff import GraphDiff
from .labels import Labels, Numbers
from .matching import Matching
from .scope_differences import ScopeDifferences
from .scopes import ScopeTree, pair_scopes
from .side import Side
from .signatures import signature_changes, state_changes


def compare_graphs(before: Graph, after: Graph, *, sources: bool = False) -> GraphDiff:
    """Compare two graphs. Time is nearly linear in their size if they are mostly equal.

    Args:
        before: the first graph.
        after: the second graph.
        sources: whether another source line is a difference.
    """
    with paused_collector():
        return _Comparison(before, after, sources=sources).run()


class _Comparison:
    """Compares two graphs and their functions, one by one, and collects what differs."""

    def __init__(self, before: Graph, after: Graph, *, sources: bool) -> None:
        self._before = before
        self._after = after
        self._sources = sources
        self._numbers = Numbers()
        self._labels = Labels(self._numbers)
        self._functions = _paired_functions(before, after)
        self._nodes: list[NodeChange] = []
        self._scopes: list[ScopeDiff] = []
        self._state: list[StateChange] = []
        self._signature: list[SignatureChange] = []
        self._matches: dict[Node, Node] = {}
        self._scope_matches: dict[Scope, Scope] = {}

    def run(self) -> GraphDiff:
        before, after = self._before.functions, self._after.functions
        self._compare(self._before, self._after, None)
        for name, other_name in self._functions.items():
            self._compare(before[name], after[other_name], other_name)
        changes = list(self._function_changes())
        for change in changes:
            if change.after is None and change.before is not None:
                nodes = before[change.before].walk()
                self._nodes += [NodeChange(ChangeKind.REMOVED, node, None) for node in nodes]
            elif change.before is None and change.after is not None:
                nodes = after[change.after].walk()
                self._nodes += [NodeChange(ChangeKind.ADDED, None, node) for node in nodes]
        matched = sum(1 for change in self._nodes if change.before and change.after)
        return GraphDiff(
            self._before,
            self._after,
            tuple(self._nodes),
            tuple(self._scopes),
            tuple(self._state),
            tuple(self._signature),
            tuple(changes),
            self._matches,
            self._scope_matches,
            len(self._matches) - matched,
        )

    def _function_changes(self) -> Iterator[FunctionChange]:
        known = dict.fromkeys(self._functions.values())
        for name in self._before.functions:
            other = self._functions.get(name)
            if other is None:
                yield FunctionChange(ChangeKind.REMOVED, name, None)
            elif other != name:
                yield FunctionChange(ChangeKind.CHANGED, name, other)
        for name in self._after.functions:
            if name not in known:
                yield FunctionChange(ChangeKind.ADDED, None, name)

    def _compare(self, before: Graph, after: Graph, function: str | None) -> None:
        numbers = {name: number for number, name in enumerate(self._functions)}
        other_numbers = {other: numbers[name] for name, other in self._functions.items()}
        side = Side(before, self._labels, numbers)
        other_side = Side(after, self._labels, other_numbers)
        trees = ScopeTree(side, self._numbers), ScopeTree(other_side, self._numbers)
        if is_in_order(side, other_side):
            matching = self._matched(side, other_side, *trees)
        else:
            matching = self._matched(other_side, side, *trees[::-1]).reversed()
        differences = Differences(matching, self._functions, with_sources=self._sources)
        nodes = list(_node_changes(matching, differences))
        self._nodes += nodes
        self._scopes += ScopeDifferences(matching, *trees, differences).of(nodes)
        self._state += state_changes(matching, function)
        self._signature += signature_changes(matching, function)
        self._scope_matches.update(matching.scopes)
        for node, partner in zip(side.nodes, side.partners, strict=True):
            if partner >= 0:
                self._matches[node] = other_side.nodes[partner]

    def _matched(
        self, before: Side, after: Side, tree: ScopeTree, other_tree: ScopeTree
    ) -> Matching:
        scopes = pair_scopes(tree, other_tree, before.graph.name, after.graph.name)
        state = pair_state(before, after, scopes)
        inputs = pair_inputs(before.graph.inputs, after.graph.inputs, self._labels)
        matching = Matching(before, after, scopes, state, inputs)
        match_nodes(matching, self._numbers)
        _pair_state_by_use(matching)
        return matching


def _paired_functions(before: Graph, after: Graph) -> dict[str, str]:
    """Return which function is which: by name, or by operators where names differ."""
    pairs = {name: name for name in before.functions if name in after.functions}
    known: dict[Hashable, list[str]] = {}
    for name, function in after.functions.items():
        if name not in pairs:
            known.setdefault(_content(function), []).append(name)
    for name, function in before.functions.items():
        if name not in pairs:
            candidates = known.get(_content(function))
            if candidates:
                pairs[name] = candidates.pop(0)
    return pairs


def _content(function: Graph) -> Hashable:
    operators = tuple([node.operator.name for node in function.walk()])
    return operators, len(function.inputs), len(function.outputs)


def _pair_state_by_use(matching: Matching) -> None:
    """Pair state that has another name where matched nodes read it."""
    known = dict.fromkeys(matching.state.values())
    for node, partner in zip(matching.before.nodes, matching.before.partners, strict=True):
        if partner < 0:
            continue
        other = matching.after.nodes[partner]
        for value, twin in zip(node.inputs, other.inputs, strict=False):
            entry, twin_entry = value.state, twin.state
            if entry is None or twin_entry is None:
                continue
            if entry not in matching.state and twin_entry not in known:
                matching.state[entry] = twin_entry
                known[twin_entry] = None
                matching.pair_values(value, twin)


def _merged(matching: Matching) -> Iterator[tuple[int, int]]:
    """Yield the places of all nodes in both graphs, -1 for none: what was removed before what followed it."""
    partners = matching.before.partners
    start = 0
    for other_at, at in enumerate(matching.after.partners):
        end = start
        while at < 0 and end < len(partners) and partners[end] < 0:
            end += 1  # what was there instead of a node that was added comes first
        if at >= 0 and at not in matching.moved:
            end = at
        for gone in range(start, end):
            if partners[gone] < 0:
                yield gone, -1
        start = max(start, end + 1 if end == at else end)
        yield at, other_at
    for gone in range(start, len(partners)):
        if partners[gone] < 0:
            yield gone, -1


def _node_changes(matching: Matching, differences: Differences) -> Iterator[NodeChange]:
    before, after = matching.before.nodes, matching.after.nodes
    for at, other_at in _merged(matching):
        if other_at < 0:
            yield NodeChange(ChangeKind.REMOVED, before[at], None)
        elif at < 0:
            yield NodeChange(ChangeKind.ADDED, None, after[other_at])
        else:
            facts = differences.of(at)
            if facts:
                yield NodeChange(_kind(facts), before[at], after[other_at], facts)


def _kind(facts: tuple[Fact, ...]) -> ChangeKind:
    is_move = all(isinstance(fact, ScopeChange | OrderChange) for fact in facts)
    return ChangeKind.MOVED if is_move else ChangeKind.CHANGED
