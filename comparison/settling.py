"""Matches put right by those who read: of nodes that are alike, each is the one that its readers say."""

from __future__ import annotations

from collections import deque

from .labels import BARE, STRICT
from .matching import Matching


def settle(matching: Matching) -> None:
    """Match nodes anew where more of their readers agree then.

    Of two nodes that compute the same, an alignment may have taken the wrong one, or one that stands too
    far away to be found. Where the readers of a node and of another are matched, and one of the two is
    free, they are matched if that makes more readers agree, keeps the order, and nothing else worse.
    O(edges), and more only where matches change.
    """
    pending = deque(at for at, partner in enumerate(matching.before.partners) if partner >= 0)
    while pending:
        at = pending.popleft()
        partner = matching.before.partners[at]
        if partner < 0:
            continue
        node, other = matching.before.nodes[at], matching.after.nodes[partner]
        if matching.reads_same(node, other):
            continue
        for value, twin in zip(node.inputs, other.inputs, strict=False):
            if matching.is_same(value, twin) or value.node is None or twin.node is None:
                continue
            maker = matching.before.place.get(value.node, -1)
            other_maker = matching.after.place.get(twin.node, -1)
            if maker >= 0 and other_maker >= 0:
                for touched in _rematch(matching, maker, other_maker):
                    readers = matching.before.readers[touched]
                    pending.extend(dict.fromkeys(reader for reader, _ in readers if reader >= 0))
                    pending.append(touched)


def _rematch(matching: Matching, at: int, other_at: int) -> tuple[int, ...]:
    """Match two nodes if one is free and that is better; return those of the first graph it concerns."""
    before, after = matching.before, matching.after
    partner, other_partner = before.partners[at], after.partners[other_at]
    if partner >= 0 and other_partner >= 0:
        return ()
    node, other = before.nodes[at], after.nodes[other_at]
    if matching.scopes.get(node.scope) is not other.scope or node.blocks or other.blocks:
        return ()
    is_free = partner < 0 and other_partner < 0
    strength = BARE if is_free else STRICT
    if before.labels[at][strength] != after.labels[other_at][strength]:
        return ()
    if is_free:
        matching.pair(at, other_at)
        return (at,)
    current = (at, partner) if partner >= 0 else (other_partner, other_at)
    gained = matching.shared_readers(at, other_at)
    is_better = gained > matching.shared_readers(*current)
    if not is_better or not _keeps_order(matching, at, other_at, current):
        return ()
    matching.unpair(current[0])
    matching.pair(at, other_at)
    return (at, current[0])


def _keeps_order(matching: Matching, at: int, other_at: int, instead: tuple[int, int]) -> bool:
    """Whether the nearest matched neighbours, one pair left out, would stand around the new pair."""
    before, after = matching.before, matching.after
    block, other_block = before.nodes[at].block, after.nodes[other_at].block
    for step in (-1, 1):
        place = at + step
        while 0 <= place < len(before.nodes):
            partner = before.partners[place]
            if (
                partner >= 0
                and place != instead[0]
                and before.nodes[place].block is block
                and after.nodes[partner].block is other_block
            ):
                if (partner - other_at) * step < 0:
                    return False
                break
            place += step
    return True
