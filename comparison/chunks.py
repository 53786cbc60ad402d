"""Chunks: what differs in one scope, as lines, with a key that is equal where the same differs elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ..ir.printer import place_text
from .changes import ChangeKind, NodeChange
from .facts import Fact, OrderChange
from .wording import Naming, Words, shown

SIGNS: Final = {
    ChangeKind.ADDED: "+",
    ChangeKind.REMOVED: "-",
    ChangeKind.CHANGED: "~",
    ChangeKind.MOVED: ">",
}
_COMMENT_COLUMN: Final = 72
_FEWEST_ALIKE: Final = 3  # of one kind in one scope, that are told as one
_FEWEST_MOVED: Final = 3  # that follow each other, that are told as one


@dataclass(frozen=True, slots=True)
class Chunk:
    """What differs in one scope.

    Attributes:
        title: what the scope is called, and its class.
        address: the scope's address; where it is the top, the program's name.
        key: equal for chunks that tell the same of two scopes, names and numbers aside.
        lines: what is told.
    """

    title: str
    address: str
    key: Hashable
    lines: tuple[str, ...]


class ChunkWriter:
    """Writes what became of nodes of one scope.

    Args:
        naming: what nodes and values are called.
        anonymous: the same without names.
        is_told: whether a detail is told of many nodes at once.
        is_whole: whether each change is shown, also if others are like it.
    """

    def __init__(
        self,
        naming: Naming,
        anonymous: Naming,
        is_told: Callable[[Fact], bool],
        *,
        is_whole: bool,
    ) -> None:
        self._naming = naming
        self._is_told = is_told
        self._anonymous = anonymous
        self._is_whole = is_whole

    def key(self, changes: Sequence[NodeChange]) -> Hashable:
        """Return what changes have in common with those that say the same elsewhere."""
        return tuple([self._key(change) for change in changes])

    def _key(self, change: NodeChange) -> Hashable:
        naming = self._anonymous
        nodes = (change.before, change.after)
        statements = tuple([None if node is None else naming.statement(node) for node in nodes])
        facts = [naming.words(fact, change.node.scope) for fact in change.details]
        if change.kind is ChangeKind.MOVED:
            facts = [words for words in facts if words.what != "order"]
        return (change.kind, statements, tuple(facts))

    def lines(self, changes: Sequence[NodeChange]) -> Iterator[str]:
        """Yield a line per change and one per detail, those that are alike told once."""
        alike: dict[Hashable, int] = {}
        if not self._is_whole:
            for change in changes:
                key = self._key(change)
                alike[key] = alike.get(key, 0) + 1
        told: dict[Hashable, None] = {}
        for run in self._runs(changes):
            if len(run) > 1:
                yield self._moved(run)
                continue
            change = run[0]
            key = None if self._is_whole else self._key(change)
            count = alike.get(key, 0)
            if count >= _FEWEST_ALIKE and key in told:
                continue
            told[key] = None
            yield self._line(change)
            yield from self._details(change)
            if count >= _FEWEST_ALIKE:
                yield f"      and {count - 1:,} more like it"

    def _runs(self, changes: Sequence[NodeChange]) -> Iterator[list[NodeChange]]:
        """Yield changes one by one, but nodes that moved together as one."""
        run: list[NodeChange] = []
        for change in changes:
            if run and not self._is_together(run[-1], change):
                yield from self._told(run)
                run = []
            run.append(change)
        yield from self._told(run)

    def _told(self, run: list[NodeChange]) -> Iterator[list[NodeChange]]:
        if len(run) >= _FEWEST_MOVED and not self._is_whole:
            yield run
        else:
            yield from ([change] for change in run)

    def _is_together(self, earlier: NodeChange, later: NodeChange) -> bool:
        return (
            earlier.kind is later.kind is ChangeKind.MOVED
            and earlier.details == later.details
            and all(isinstance(fact, OrderChange) for fact in later.details)
        )

    def _moved(self, run: Sequence[NodeChange]) -> str:
        words = [str(self._naming.words(fact).before) for fact in run[0].details]
        first, last = (self._naming.statement(change.node) for change in (run[0], run[-1]))
        return f"  > {len(run):,} nodes, {', '.join(words)}: {first} … {last}"

    def _line(self, change: NodeChange) -> str:
        node = change.node
        line = f"  {SIGNS[change.kind]} {self._naming.statement(node)}"
        place = place_text(node.stack)
        return f"{line:<{_COMMENT_COLUMN}}  # {shown(place)}" if place else line

    def _details(self, change: NodeChange) -> Iterator[str]:
        for fact in change.details:
            if not self._is_told(fact):
                words: Words = self._naming.words(fact, change.node.scope)
                yield f"      {words}"
