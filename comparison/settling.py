"""Matches put right by those who read: of nodes that are alike, each is the one that its readers say."""

from __future__ import annotations

from collections import deque
from typing import Final

from ..ir import Value
from .labels import BARE, STRICT
from .matching import Matching

_END: Final = -1  # stands for the outputs of the graphs among the places of nodes


def settle(matching: Matching) -> dict[int, None]:
    """Match nodes anew where more of what they read, and of what reads them, is each other's then.

    Of two nodes that compute the same, an alignment may have taken the wrong one, or one that stands too
    far away to be found. Where the readers of two nodes are matched, and they are not, they are matched if
    that makes more edges agree and keeps the order. Each time more edges agree than before, so this ends.
    O(edges), and more only where matches change.

    Returns:
        The labels of nodes whose matches were taken back for it. Among all of these labels, those that no
        reader speaks for may have to be matched anew, and are free after this.
    """
    before, after = matching.before, matching.after
    pending = deque(at for at, partner in enumerate(before.partners) if partner >= 0)
    pending.append(_END)
    freed: dict[int, None] = {}
    while pending:
        for value, twin in _disagreeing(matching, pending.popleft()):
            maker = -1 if value.node is None else before.place.get(value.node, -1)
            other_maker = -1 if twin.node is None else after.place.get(twin.node, -1)
            if maker < 0 or other_maker < 0 or matching.is_same(value, twin):
                continue
            is_taken = before.partners[maker] >= 0 or after.partners[other_maker] >= 0
            touched = _rematch(matching, maker, other_maker)
            if touched and is_taken:
                freed[before.labels[maker].strict] = None
            for place in touched:
                pending.append(place)
                pending.extend(reader for reader, _ in before.readers[place] if reader >= 0)
    _free(matching, freed)
    return freed


def _disagreeing(matching: Matching, at: int) -> list[tuple[Value, Value]]:
    """Return what a node and its partner, or the two graphs at their ends, read that is not the same."""
    before, after = matching.before, matching.after
    if at == _END:
        pairs = list(zip(before.graph.outputs, after.graph.outputs, strict=False))
    elif before.partners[at] < 0:
        return []
    else:
        node, other = before.nodes[at], after.nodes[before.partners[at]]
        if not node.blocks and matching.reads_same(node, other):
            return []
        pairs = list(zip(node.inputs, other.inputs, strict=False))
        for block, twin in matching.blocks_of(node, other):
            pairs += zip(block.outputs, twin.outputs, strict=False)
    return [(value, twin) for value, twin in pairs if not matching.is_same(value, twin)]


def _free(matching: Matching, labels: dict[int, None]) -> None:
    """Take back the matches of nodes of some labels that no reader speaks for."""
    for at, partner in enumerate(matching.before.partners) if labels else ():
        node = matching.before.nodes[at]
        is_meant = partner >= 0 and matching.before.labels[at].strict in labels
        if is_meant and not node.blocks and not matching.shared_readers(at, partner):
            matching.unpair(at)


def _rematch(matching: Matching, at: int, other_at: int) -> tuple[int, ...]:
    """Match two nodes if that is better than what they are matched with.

    Returns:
        The places in the first graph that it concerns; none if nothing was done.
    """
    before, after = matching.before, matching.after
    node, other = before.nodes[at], after.nodes[other_at]
    if matching.scopes.get(node.scope) is not other.scope or node.blocks or other.blocks:
        return ()
    current = []
    if before.partners[at] >= 0:
        current.append((at, before.partners[at]))
    if after.partners[other_at] >= 0:
        current.append((after.partners[other_at], other_at))
    strength = STRICT if current else BARE
    if before.labels[at][strength] != after.labels[other_at][strength]:
        return ()
    if current:
        gained = sum(matching.agreement(at, other_at))
        if gained <= sum(sum(matching.agreement(*pair)) for pair in current):
            return ()
        if not _keeps_order(matching, at, other_at, [place for place, _ in current]):
            return ()
    for place, _ in current:
        matching.unpair(place)
    matching.pair(at, other_at)
    return tuple(dict.fromkeys([at, *[place for place, _ in current]]))


def _keeps_order(matching: Matching, at: int, other_at: int, without: list[int]) -> bool:
    """Whether the nearest matched neighbours, some pairs left out, would stand around the new pair."""
    before, after = matching.before, matching.after
    block, other_block = before.nodes[at].block, after.nodes[other_at].block
    for step in (-1, 1):
        place = at + step
        while 0 <= place < len(before.nodes):
            partner = before.partners[place]
            if (
                partner >= 0
                and place not in without
                and before.nodes[place].block is block
                and after.nodes[partner].block is other_block
            ):
                if (partner - other_at) * step < 0:
                    return False
                break
            place += step
    return True
