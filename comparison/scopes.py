"""Which scope of one graph is which of the other: by name where that fits, else by what is in it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import TypeAlias

from ..ir import Scope, ScopeKind
from .labels import Numbers
from .sequences import align
from .side import Side

ScopePairs: TypeAlias = "dict[Scope, Scope]"
"""The scopes of the first graph that the second has too, with those there."""


class ScopeTree:
    """The scopes in use of one graph.

    Attributes:
        root: the top scope.
        scopes: every scope in the order of its first node, parents before what is in them.
        children: what stands directly in each.
        strict: per scope a number, equal where what is in two scopes is, names and wiring aside.
        loose: the same, where literals and types do not count.
    """

    def __init__(self, side: Side, numbers: Numbers) -> None:
        self.root = side.graph.root_scope
        self.scopes: list[Scope] = [self.root]
        self.children: dict[Scope, list[Scope]] = {self.root: []}
        self.strict: dict[Scope, int] = {}
        self.loose: dict[Scope, int] = {}
        contents: dict[Scope, list[int | Scope]] = {self.root: []}
        for at, node in enumerate(side.nodes):
            if node.scope not in contents:
                self._enter(node.scope, contents)
            contents[node.scope].append(at)
        for scope in reversed(self.scopes):
            self._number(scope, contents[scope], side, numbers)
        self._is_bare = {
            scope: all(isinstance(part, Scope) for part in parts)
            for scope, parts in contents.items()
        }

    def _enter(self, scope: Scope, contents: dict[Scope, list[int | Scope]]) -> None:
        """Take in a scope and those around it that are new."""
        unknown = []
        part: Scope | None = scope
        while part is not None and part not in contents:
            unknown.append(part)
            part = part.parent
        for new in reversed(unknown):
            parent = self.root if new.parent is None else new.parent
            self.scopes.append(new)
            self.children[new] = []
            self.children[parent].append(new)
            contents[new] = []
            contents[parent].append(new)

    def _number(
        self, scope: Scope, contents: list[int | Scope], side: Side, numbers: Numbers
    ) -> None:
        strict: list[Hashable] = [scope.kind.value, scope.class_name]
        loose: list[Hashable] = [*strict]
        for part in contents:
            if isinstance(part, Scope):
                strict.append((self.strict[part],))  # in a tuple, unlike the number of a node
                loose.append((self.loose[part],))
            else:
                strict.append(side.labels[part].strict)
                loose.append(side.labels[part].bare)
        self.strict[scope] = numbers[tuple(strict)]
        self.loose[scope] = numbers[tuple(loose)]

    def inside(self, class_name: str) -> Scope | None:
        """Return the module of a class that the whole program happens in, as where another wraps it."""
        scope = self.root
        while self._is_bare[scope] and len(self.children[scope]) == 1:
            (scope,) = self.children[scope]
            if scope.kind is ScopeKind.MODULE and scope.class_name == class_name:
                return scope
        return None


def pair_scopes(before: ScopeTree, after: ScopeTree, name: str, other_name: str) -> ScopePairs:
    """Return which scope is which.

    Under parents that are paired, scopes of one name are; members of a list are paired by what is in them
    where their numbers shifted, and scopes of other names by what is in them. What is left over may have
    moved to another parent.

    Args:
        before: the scopes of the first graph.
        after: those of the second.
        name: what the first graph is called, which is the class that its top scope stands for.
        other_name: what the second graph is called.
    """
    return _ScopePairing(before, after).run(name, other_name)


class _ScopePairing:
    """Pairs the scopes of two graphs, from the top down."""

    def __init__(self, before: ScopeTree, after: ScopeTree) -> None:
        self._before = before
        self._after = after
        self._pairs: ScopePairs = {}
        self._taken: dict[Scope, Scope] = {}  # the pairs the other way round
        self._open: deque[tuple[Scope, Scope]] = deque()  # whose children are still to be paired

    def run(self, name: str, other_name: str) -> ScopePairs:
        self._pair_tops(name, other_name)
        self._pair_below()
        self._pair_strays(lambda tree, scope: tree.strict[scope])
        self._pair_strays(lambda tree, scope: tree.loose[scope])
        return self._pairs

    def _pair_tops(self, name: str, other_name: str) -> None:
        top, other_top = self._before.root, self._after.root
        if name != other_name:
            inner, other_inner = self._before.inside(other_name), self._after.inside(name)
            if other_inner is not None:
                other_top = other_inner
            elif inner is not None:
                top = inner
        self._pair(top, other_top)

    def _pair(self, scope: Scope, other: Scope) -> None:
        self._pairs[scope] = other
        self._taken[other] = scope
        self._open.append((scope, other))

    def _pair_below(self) -> None:
        before, after = self._before, self._after
        while self._open:
            scope, other = self._open.popleft()
            ours, theirs = before.children[scope], after.children[other]
            if not ours or not theirs:
                continue
            self._by_key(ours, theirs, lambda tree, s: (_key(s), tree.strict[s]))
            self._by_order(ours, theirs, _key_of_member)
            self._by_key(ours, theirs, lambda _, s: _key(s))
            self._by_key(ours, theirs, lambda _, s: (s.kind, s.name, s.call))
            self._by_order(ours, theirs, lambda tree, s: tree.strict[s])
            self._by_order(ours, theirs, lambda tree, s: tree.loose[s])

    def _by_key(
        self,
        ours: Iterable[Scope],
        theirs: Iterable[Scope],
        key: Callable[[ScopeTree, Scope], Hashable],
    ) -> None:
        """Pair what has one key on either side, the first with the first."""
        known: dict[Hashable, deque[Scope]] = {}
        for other in theirs:
            if other not in self._taken:
                known.setdefault(key(self._after, other), deque()).append(other)
        for scope in ours:
            found = known.get(key(self._before, scope)) if scope not in self._pairs else None
            if found:
                self._pair(scope, found.popleft())

    def _by_order(
        self,
        ours: list[Scope],
        theirs: list[Scope],
        key: Callable[[ScopeTree, Scope], Hashable | None],
    ) -> None:
        """Pair what has one key and stands in one order, also with respect to what is paired already."""
        if all(s in self._pairs for s in ours) or all(s in self._taken for s in theirs):
            return
        numbers = Numbers()
        items = []
        for scope in ours:
            found = (scope,) if scope in self._pairs else key(self._before, scope)
            items.append(numbers[(scope,) if found is None else found])
        other_items = []
        for other in theirs:
            partner = self._taken.get(other)
            found = key(self._after, other) if partner is None else (partner,)
            other_items.append(numbers[(other,) if found is None else found])
        for at, other_at in align(items, other_items):
            if ours[at] not in self._pairs and theirs[other_at] not in self._taken:
                self._pair(ours[at], theirs[other_at])

    def _pair_strays(self, key: Callable[[ScopeTree, Scope], Hashable]) -> None:
        """Pair what is left over anywhere, outer scopes first, if there is something in it."""
        known: dict[Hashable, deque[Scope]] = {}
        for other in self._after.scopes:
            if other not in self._taken:
                known.setdefault(key(self._after, other), deque()).append(other)
        for scope in self._before.scopes:
            if scope in self._pairs:
                continue
            candidates = known.get(key(self._before, scope), deque())
            while candidates and candidates[0] in self._taken:
                candidates.popleft()
            if candidates:
                self._pair(scope, candidates.popleft())
                self._pair_below()


def _key(scope: Scope) -> Hashable:
    return (scope.kind, scope.name, scope.class_name, scope.call)


def _key_of_member(tree: ScopeTree, scope: Scope) -> Hashable | None:
    """Return what members of a list, and calls of a function, have in common where their numbers shift."""
    stem = scope.name.rstrip("0123456789")
    if stem == scope.name and scope.kind is ScopeKind.MODULE and scope.call == 1:
        return None
    return (scope.kind, stem, scope.class_name, tree.strict[scope])
