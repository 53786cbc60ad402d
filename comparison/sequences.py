"""Aligning two sequences that are mostly equal, in time that is nearly linear in their length."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Final, TypeAlias

Pairs: TypeAlias = "list[tuple[int, int]]"
"""Positions in the one sequence and in the other."""

_MOST_EDITS: Final = (
    128  # after which the way that led furthest is taken, and the search begins anew
)


def align(before: Sequence[int], after: Sequence[int]) -> Pairs:
    """Return positions of equal items, rising in both sequences, as many as are found.

    Equal starts and ends go first. Items that are there once on either side are anchors between which the
    rest is aligned; where there are none, the shortest way from the one to the other is searched for. It is
    found if it takes few edits; of more, the result is good but may not be the best.
    """
    pairs: Pairs = []
    stretches = [(0, len(before), 0, len(after))]
    while stretches:
        start, end, other_start, other_end = stretches.pop()
        while start < end and other_start < other_end and before[start] == after[other_start]:
            pairs.append((start, other_start))
            start, other_start = start + 1, other_start + 1
        while start < end and other_start < other_end and before[end - 1] == after[other_end - 1]:
            end, other_end = end - 1, other_end - 1
            pairs.append((end, other_end))
        if start == end or other_start == other_end:
            continue
        anchors = _anchors(before, after, range(start, end), range(other_start, other_end))
        if not anchors:
            pairs += _shortest(before, after, range(start, end), range(other_start, other_end))
            continue
        pairs += anchors
        for at, other_at in [*anchors, (end, other_end)]:
            stretches.append((start, at, other_start, other_at))
            start, other_start = at + 1, other_at + 1
    pairs.sort()
    return pairs


def rising(pairs: Pairs) -> Pairs:
    """Return the most of some pairs, sorted by the first position, that rise in the second too."""
    tails: list[int] = []  # the least second position that so many rising pairs end with
    ends: list[int] = []  # which pair that is
    previous: list[int] = []
    for number, (_, position) in enumerate(pairs):
        length = bisect_left(tails, position)
        previous.append(ends[length - 1] if length else -1)
        if length == len(tails):
            tails.append(position)
            ends.append(number)
        else:
            tails[length], ends[length] = position, number
    chosen = []
    number = ends[-1] if ends else -1
    while number >= 0:
        chosen.append(pairs[number])
        number = previous[number]
    return chosen[::-1]


def _anchors(before: Sequence[int], after: Sequence[int], here: range, there: range) -> Pairs:
    """Return the most items that occur once on either side and stand in the same order."""
    counts = Counter(before[here.start : here.stop])
    other_counts = Counter(after[there.start : there.stop])
    places = {after[at]: at for at in there if other_counts[after[at]] == 1}
    found = [
        (at, places[before[at]]) for at in here if before[at] in places and counts[before[at]] == 1
    ]
    return rising(found)


def _shortest(before: Sequence[int], after: Sequence[int], here: range, there: range) -> Pairs:
    """Return the pairs that the way with the fewest edits keeps."""
    common = set(before[here.start : here.stop]).intersection(after[there.start : there.stop])
    ours = [at for at in here if before[at] in common]
    theirs = [at for at in there if after[at] in common]
    items, other_items = [before[at] for at in ours], [after[at] for at in theirs]
    pairs: Pairs = []
    start = other_start = 0
    while start < len(items) and other_start < len(other_items):
        kept, start, other_start = _way(items, other_items, start, other_start)
        pairs += kept
    return [(ours[x], theirs[y]) for x, y in pairs]


def _way(
    before: list[int], after: list[int], start: int, other_start: int
) -> tuple[Pairs, int, int]:
    """Return the pairs on the way with the fewest edits from a point on, and the point it leads to.

    This is the algorithm of Myers. On diagonal k, which is the position in ``before`` less that in
    ``after``, ``reach[k]`` is the furthest position in ``before`` that so many edits lead to; both count
    from the start.
    """
    length, other_length = len(before) - start, len(after) - other_start
    reach = {1: 0}
    trace: list[dict[int, int]] = []
    for edits in range(min(_MOST_EDITS, length + other_length) + 1):
        trace.append(dict(reach))
        for k in range(-edits, edits + 1, 2):
            is_insertion = k == -edits or (k != edits and reach[k - 1] < reach[k + 1])
            x = reach[k + 1] if is_insertion else reach[k - 1] + 1
            y = x - k
            while x < length and y < other_length and before[start + x] == after[other_start + y]:
                x, y = x + 1, y + 1
            reach[k] = x
            if x >= length and y >= other_length:
                return _walked(trace, x, y, start, other_start), len(before), len(after)
    edits = len(trace) - 1
    inside = [
        (2 * x - k, x, x - k)
        for k, x in reach.items()
        if (k - edits) % 2 == 0 and x <= length and 0 <= x - k <= other_length
    ]
    _, x, y = max(inside)
    return _walked(trace, x, y, start, other_start), start + x, other_start + y


def _walked(trace: list[dict[int, int]], x: int, y: int, start: int, other_start: int) -> Pairs:
    """Return the pairs on the way that ends at a point, walking it backward."""
    pairs: Pairs = []
    for count in range(len(trace) - 1, -1, -1):
        reach = trace[count]
        k = x - y
        is_insertion = k == -count or (k != count and reach[k - 1] < reach[k + 1])
        from_x = reach[k + 1] if is_insertion else reach[k - 1]
        from_y = from_x - (k + 1 if is_insertion else k - 1)
        while x > max(from_x, 0) and y > max(from_y, 0):
            x, y = x - 1, y - 1
            pairs.append((start + x, other_start + y))
        x, y = from_x, from_y
    return pairs[::-1]
