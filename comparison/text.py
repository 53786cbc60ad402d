"""A comparison as text for people: a line that sums it up, then what differs, scope by scope.

Note [What is told once]
    A change of dtype or mode that many nodes have in common is told in one line, and so is a scope that was
    added or removed with all that is in it. Scopes in which the same differs, such as the layers of a
    model, share one paragraph. ``whole=True`` tells everything.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from ..ir import Graph, Node, Scope, ScopeKind, Value
from ..ir.printer import scope_text, value_text
from ..ir.types import quote_name
from .changes import ChangeKind, NodeChange, ScopeDiff, SignatureChange, StateChange
from .chunks import SIGNS, Chunk, ChunkWriter
from .facts import AddressChange
from .numbering import spans
from .renamed import Renamed
from .widespread import Widespread
from .wording import TO, Naming, entry_text, of_function, without_numbers

if TYPE_CHECKING:
    from .graph_diff import GraphDiff  # which is written with the functions of this file

_Places: TypeAlias = "dict[tuple[ScopeKind, str], dict[Scope, list[Node]]]"

_MOST_LISTED: Final = 12  # nodes of a scope that was added or removed that are shown one by one


def diff_text(diff: GraphDiff, *, whole: bool) -> str:
    """Return a comparison as text that ends its last line."""
    return "\n".join(_TextWriter(diff, whole=whole).lines()) + "\n"


def diff_notes(diff: GraphDiff) -> list[str]:
    """Return what differs besides nodes, a line each: inputs, outputs, functions, state and scopes."""
    return [line.strip() for line in _TextWriter(diff, whole=False).notes()]


class _TextWriter:
    """Writes one comparison."""

    def __init__(self, diff: GraphDiff, *, whole: bool) -> None:
        self._diff = diff
        self._whole = whole
        kinds = {c.node: c.kind for c in diff.nodes if c.before is None or c.after is None}
        self._naming = Naming(kinds)
        self._anonymous = Naming(kinds, is_anonymous=True)
        changes = [("node", change.details) for change in diff.nodes]
        changes += [("piece of state", change.details) for change in diff.state]
        changes += [(change.what, change.details) for change in diff.signature]
        self._widespread = Widespread(changes, is_off=whole)
        self._writer = ChunkWriter(
            self._naming, self._anonymous, self._widespread.covers, is_whole=whole
        )
        functions = (*diff.before.functions.items(), *diff.after.functions.items())
        self._functions = {graph: name for name, graph in functions}
        self._new_scopes = {s.scope: s for s in diff.scopes if not (s.before and s.after)}
        self._inside: dict[Graph, _Places] = {}
        self._scope_before = {other: scope for scope, other in diff.scope_matches.items()}

    def lines(self) -> Iterator[str]:
        yield self._summary()
        yield from self.notes()
        yield from self._paragraphs()

    def notes(self) -> Iterator[str]:
        """Yield what does not differ in one node alone."""
        yield from _section("throughout", list(self._widespread.lines()))
        yield from _section("signature", list(self._signature()))
        yield from _section("functions", list(self._function_lines()))
        yield from _section("state", list(self._state()))
        yield from _section("scopes", list(self._renamed()))

    def _summary(self) -> str:
        diff = self._diff
        name, other = quote_name(diff.before.name), quote_name(diff.after.name)
        title = name if name == other else f"{name} {TO} {other}"
        counts = [f"{count:,} {kind.value}" for kind, count in diff.counts.items() if count]
        line = f"{title}: {', '.join([*counts, f'{diff.equal:,} equal'])}"
        return line if diff else f"{line}, nothing differs"

    def _signature(self) -> Iterator[str]:
        for change in self._diff.signature:
            if self._widespread.covers_all(change.details):
                continue
            where = of_function(change.function)
            what = f"{change.what}{where}"
            value = change.after if change.after is not None else change.before
            if isinstance(value, Value):
                name = value_text(self._naming.name(value))
                what = f"{change.what} {change.position}{where} {name} : {value.type}"
            if not change.details:
                yield f"  {SIGNS[change.kind]} {what}"
            for fact in change.details:
                words = self._naming.words(fact)
                about = _of_signature(change, what)
                yield f"  {SIGNS[change.kind]} {about}: {words.before} {TO} {words.after}"

    def _function_lines(self) -> Iterator[str]:
        for change in self._diff.functions:
            names = [quote_name(n) for n in (change.before, change.after) if n is not None]
            yield f"  {SIGNS[change.kind]} {f' {TO} '.join(names)}"

    def _state(self) -> Iterator[str]:
        changes = [
            change
            for change in self._diff.state
            if not self._widespread.covers_all(change.details)
            and (self._whole or self._new_owner(change) is None)
        ]
        if not self._whole:
            renamed = Renamed(changes)
            yield from renamed.lines()
            changes = [change for change in changes if not renamed.covers(change)]
        alike: dict[Hashable, list[StateChange]] = {}
        for number, change in enumerate(changes):
            alike.setdefault(number if self._whole else self._state_key(change), []).append(change)
        for group in alike.values():
            change = group[0]
            yield f"  {SIGNS[change.kind]} {entry_text(change.entry)}{of_function(change.function)}"
            for fact in change.details:
                if not self._widespread.covers(fact):
                    yield f"      {self._naming.words(fact)}"
            if len(group) > 1:
                names = [value_text(other.entry.name) for other in group[1:]]
                yield f"      the same for {spans(names)}"

    def _state_key(self, change: StateChange) -> Hashable:
        words = [without_numbers(str(self._naming.words(fact))) for fact in change.details]
        return (change.kind, without_numbers(entry_text(change.entry)), *words)

    def _renamed(self) -> Iterator[str]:
        alike: dict[Hashable, list[ScopeDiff]] = {}
        for number, scope in enumerate(self._diff.scopes):
            if scope.kind is ChangeKind.CHANGED:
                words = [str(self._naming.words(fact)) for fact in scope.details]
                key = tuple(map(without_numbers, (scope_text(scope.scope), *words)))
                alike.setdefault(number if self._whole else key, []).append(scope)
        for group in alike.values():
            first = group[0]
            is_renamed = any(isinstance(fact, AddressChange) for fact in first.details)
            start = f"{_address(first.before)} {TO} " if is_renamed else ""
            yield f"  ~ {start}{self._title(first.scope)}"
            for fact in first.details:
                if not isinstance(fact, AddressChange):
                    yield f"      {self._naming.words(fact)}"
            others = [_address(scope.after) for scope in group[1:]]
            if is_renamed and others:
                befores = spans([_address(scope.before) for scope in group[1:]])
                yield f"      the same for {befores} {TO} {spans(others)}"
            elif others:
                yield f"      the same for {spans(others)}"

    def _paragraphs(self) -> Iterator[str]:
        """Yield what differs scope by scope, once for scopes in which the same does."""
        alike: dict[Hashable, list[Chunk]] = {}
        for chunk in self._chunks():
            alike.setdefault(chunk.key, []).append(chunk)
        for chunks in alike.values():
            yield ""
            yield chunks[0].title
            yield from chunks[0].lines
            if len(chunks) > 1:
                yield f"  the same in {spans([chunk.address for chunk in chunks[1:]])}"

    def _chunks(self) -> Iterator[Chunk]:
        groups: dict[tuple[Graph | None, Scope], list[NodeChange]] = {}
        for change in self._diff.nodes:
            if not self._widespread.covers_all(change.details):
                groups.setdefault(self._place_of(change), []).append(change)
        for number, ((graph, scope), changes) in enumerate(groups.items()):
            function = None if graph is None else self._functions.get(graph)
            diff = self._new_scopes.get(scope)
            title, lines = self._title(scope, function), tuple(self._writer.lines(changes))
            key: Hashable = (scope.class_name, function, self._writer.key(changes))
            if diff is not None and not self._whole:
                title, lines = self._of_new_scope(diff, changes)
                key = (diff.kind, key)
            yield Chunk(title, _address(scope, self._diff), number if self._whole else key, lines)

    def _place_of(self, change: NodeChange) -> tuple[Graph | None, Scope]:
        """Return the graph and scope that a change is told under: the outermost that is new, or its own."""
        node = change.node
        scope = node.scope
        if change.after is None:
            scope = self._diff.scope_matches.get(scope, scope)
        graph = node.graph
        if graph is not None and graph in (self._diff.before, self._diff.after):
            graph = None
        if not self._whole:
            new = [part for part in scope.chain() if part in self._new_scopes]
            scope = new[0] if new else scope
        return graph, scope

    def _of_new_scope(
        self, diff: ScopeDiff, changes: Sequence[NodeChange]
    ) -> tuple[str, tuple[str, ...]]:
        """Return the title and lines of a scope that was added or removed with what is in it."""
        kind = diff.kind
        assert kind is not None, "the scope is in one graph only"
        counts = [f"{len(changes):,} node{'' if len(changes) == 1 else 's'}"]
        state = sum(1 for change in self._diff.state if self._new_owner(change) is diff)
        if state:
            counts.append(f"{state:,} piece{'' if state == 1 else 's'} of state")
        title = f"{SIGNS[kind]} {self._title(diff.scope)}: {', '.join(counts)}"
        twin = self._twin(diff.scope, changes)
        if twin is not None:
            return f"{title}, the same as in {_address(twin)}", ()
        if len(changes) > _MOST_LISTED:
            return title, ()
        return title, tuple(self._writer.lines(changes))

    def _twin(self, scope: Scope, changes: Sequence[NodeChange]) -> Scope | None:
        """Return a scope that both graphs have in which the same happens, the nearest before."""
        if any(change.before is not None and change.after is not None for change in changes):
            return None
        known = self._scope_before if changes[0].before is None else self._diff.scope_matches
        wanted = [self._anonymous.statement(change.node) for change in changes]
        places = self._scopes_in(changes[0].node.graph)
        for part in reversed(places.get((scope.kind, scope.class_name), {})):
            nodes = places[scope.kind, scope.class_name][part]
            if part not in known or len(nodes) != len(wanted):
                continue
            if [*map(self._anonymous.statement, nodes)] == wanted:
                return part
        return None

    def _scopes_in(self, graph: Graph | None) -> _Places:
        """Return the scopes of a graph with the nodes at any depth in them, by kind and class."""
        if graph is None:
            return {}
        places = self._inside.get(graph)
        if places is None:
            places = self._inside[graph] = {}
            for node in graph.walk():
                for part in node.scope.chain():
                    group = places.setdefault((part.kind, part.class_name), {})
                    group.setdefault(part, []).append(node)
        return places

    def _new_owner(self, change: StateChange) -> ScopeDiff | None:
        """Return the outermost scope that is new like a piece of state that belongs to it."""
        for diff in self._new_scopes.values():
            path = diff.scope.path
            if diff.kind is change.kind and path and change.entry.name.startswith(f"{path}."):
                return diff
        return None

    def _title(self, scope: Scope, function: str | None = None) -> str:
        """Return what a scope is called, with its class; the top scope is called as the program is."""
        if function is not None:
            return f"function {quote_name(function)}, {scope_text(scope) or 'top'}"
        return scope_text(scope) or quote_name(self._diff.after.name)


def _address(scope: Scope | None, diff: GraphDiff | None = None) -> str:
    if scope is None or not scope.address:
        return "top" if diff is None else quote_name(diff.after.name)
    return scope.address


def _of_signature(change: SignatureChange, what: str) -> str:
    """Return what a detail of the signature is about: the new type is told as such."""
    return what.partition(" : ")[0] if change.kind is ChangeKind.CHANGED else what


def _section(title: str, lines: list[str]) -> list[str]:
    return ["", title, *lines] if lines else []
