"""Which node of one graph is which of the other.

Note [How nodes are matched]
    Nodes of two blocks that are each other's are aligned as they stand where the whole cone that they are
    computed from is the same, then scope by scope, in rounds. Each round aligns what the ones before left
    open between what they matched, by keys that see less and less: the cone, with literals and types, then
    what a node stands between, then both without types, then without literals, at last the node alone. What
    is then open in one gap may be the same node changed, see ``similarity.py``; what is open in different
    places may be the same node moved.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from ..ir import Block, Scope
from .keys import Keys
from .labels import BARE, LOOSE, STRICT, Numbers
from .matching import Matching
from .sequences import align, rising
from .settling import settle
from .side import Side
from .similarity import similar_pairs

_Keys: TypeAlias = "tuple[dict[int, int], dict[int, int]]"


@dataclass(frozen=True, slots=True)
class Gap:
    """Places of nodes in one scope, in order, that face each other and are not matched yet."""

    ours: Sequence[int]
    theirs: Sequence[int]

    def split(self, pairs: Sequence[tuple[int, int]]) -> Iterator[Gap]:
        """Yield the gaps that are left between pairs of positions."""
        start = other_start = 0
        for at, other_at in [*pairs, (len(self.ours), len(self.theirs))]:
            if start < at and other_start < other_at:
                yield Gap(self.ours[start:at], self.theirs[other_start:other_at])
            start, other_start = at + 1, other_at + 1


def match_nodes(matching: Matching, numbers: Numbers) -> None:
    """Match the nodes of two graphs whose scopes, state and inputs are paired already."""
    _Alignment(matching, numbers).run()


class _Alignment:
    """Matches nodes in rounds; see the note above."""

    def __init__(self, matching: Matching, numbers: Numbers) -> None:
        self._matching = matching
        self._keys = Keys(matching, numbers)
        self._gaps: list[Gap] = []
        self._entered: dict[Block, Block] = {}  # blocks whose nodes are in gaps, or were

    def run(self) -> None:
        matching = self._matching
        blocks = [(matching.before.graph.block, matching.after.graph.block)]
        while blocks:
            while blocks:
                self._enter(blocks)
                self._align_all()
                blocks = self._new_blocks()
            self._match_strays()
            blocks = self._new_blocks()
        if settle(matching):
            self._gaps = [
                gap for block, other in self._entered.items() for gap in self._between(block, other)
            ]
            self._align_all()
            self._match_strays()
        self._note_order()

    def _enter(self, blocks: Sequence[tuple[Block, Block]]) -> None:
        """Align blocks as they stand, across scopes, and make gaps of what that leaves open."""
        matching = self._matching
        keys, other_keys = self._keys.cones(STRICT)
        for block, other in blocks:
            self._entered[block] = other
            numbers = Numbers()
            ours = [at for at in _places(block, matching.before) if at in keys]
            theirs = [at for at in _places(other, matching.after) if at in other_keys]
            items = [
                numbers[(keys[at], matching.scopes.get(matching.before.nodes[at].scope))]
                for at in ours
            ]
            others = [numbers[(other_keys[at], matching.after.nodes[at].scope)] for at in theirs]
            for at, other_at in align(items, others):
                matching.pair(ours[at], theirs[other_at])
            self._gaps += self._between(block, other)

    def _between(self, block: Block, other: Block) -> Iterator[Gap]:
        """Yield what is open between the matched nodes of each scope that keep their order."""
        matching = self._matching
        theirs = _by_scope(other, matching.after)
        for scope, places in _by_scope(block, matching.before).items():
            other_scope = matching.scopes.get(scope)
            other_places = [] if other_scope is None else theirs.get(other_scope, [])
            positions = {place: position for position, place in enumerate(other_places)}
            pairs = [
                (position, positions[matching.before.partners[place]])
                for position, place in enumerate(places)
                if matching.before.partners[place] in positions
            ]
            yield from Gap(places, other_places).split(rising(pairs))

    def _new_blocks(self) -> list[tuple[Block, Block]]:
        """Return the blocks of matched nodes that have not been entered."""
        matching = self._matching
        return [
            (block, other)
            for at, partner in enumerate(matching.before.partners)
            if partner >= 0 and matching.before.nodes[at].blocks
            for block, other in matching.blocks_of(
                matching.before.nodes[at], matching.after.nodes[partner]
            )
            if block not in self._entered
        ]

    def _align_all(self) -> None:
        keys = self._keys
        rounds: list[Callable[[], _Keys]] = [
            partial(kind, strength)
            for strength in (STRICT, LOOSE, BARE)
            for kind in (keys.cones, keys.surroundings)
        ]
        rounds += [partial(keys.alone, strength) for strength in (STRICT, LOOSE)]
        for round_ in rounds:
            if not self._gaps:
                return
            self._align_gaps(*round_())

    def _align_gaps(self, keys: dict[int, int], other_keys: dict[int, int]) -> None:
        left: list[Gap] = []
        for each in self._gaps:
            gap = self._without_matched(each)
            pairs = align([keys[at] for at in gap.ours], [other_keys[at] for at in gap.theirs])
            left += self._matched(gap, pairs)
        self._gaps = left

    def _without_matched(self, gap: Gap) -> Gap:
        """Return a gap without nodes that moved, and so have been matched with some outside it."""
        partners, others = self._matching.before.partners, self._matching.after.partners
        ours = [at for at in gap.ours if partners[at] < 0]
        return Gap(ours, [at for at in gap.theirs if others[at] < 0])

    def _matched(self, gap: Gap, pairs: Sequence[tuple[int, int]]) -> Iterator[Gap]:
        for at, other_at in pairs:
            self._matching.pair(gap.ours[at], gap.theirs[other_at])
        return gap.split(pairs)

    def _match_strays(self) -> None:
        """Match what moved, and what changed in its place."""
        self._match_anywhere(self._keys.cones(STRICT), is_unique=False)
        self._match_anywhere(self._keys.surroundings(STRICT), is_unique=True)
        self._match_similar()
        self._match_anywhere(self._keys.surroundings(LOOSE), is_unique=True)

    def _match_anywhere(self, keys: _Keys, *, is_unique: bool) -> None:
        """Match unmatched nodes of one key wherever they stand, in order, if need be where there is one."""
        known: dict[int, deque[int]] = {}
        for other_at, key in keys[1].items():
            known.setdefault(key, deque()).append(other_at)
        ours: dict[int, list[int]] = {}
        for at, key in keys[0].items():
            ours.setdefault(key, []).append(at)
        for key, places in ours.items():
            theirs = known.get(key, deque())
            if is_unique and (len(places) != 1 or len(theirs) != 1):
                continue
            for at, other_at in zip(places, theirs, strict=False):
                self._matching.pair(at, other_at)

    def _match_similar(self) -> None:
        """Match nodes in gaps that read the same, or are read by the same, until no more are found."""
        matching = self._matching
        while True:
            left: list[Gap] = []
            found = False
            for each in self._gaps:
                gap = self._without_matched(each)
                pairs = similar_pairs(matching, gap.ours, gap.theirs)
                found = found or bool(pairs)
                left += self._matched(gap, pairs)
            self._gaps = left
            if not found:
                return

    def _note_order(self) -> None:
        """Note which matched nodes of two blocks do not keep their order."""
        matching = self._matching
        partners = matching.before.partners
        for block, other in self._entered.items():
            pairs = []
            for node in block:
                at = matching.before.place[node]
                partner = partners[at]
                if partner >= 0:
                    if matching.after.nodes[partner].block is other:
                        pairs.append((at, partner))
                    else:
                        matching.moved[at] = None
            kept = dict.fromkeys(rising(pairs))
            if len(kept) < len(pairs):
                matching.moved.update({pair[0]: None for pair in pairs if pair not in kept})


def _places(block: Block, side: Side) -> list[int]:
    return [side.place[node] for node in block]


def _by_scope(block: Block, side: Side) -> dict[Scope, list[int]]:
    """Return the places of the nodes of a block by their scopes."""
    found: dict[Scope, list[int]] = {}
    for node in block:
        found.setdefault(node.scope, []).append(side.place[node])
    return found
