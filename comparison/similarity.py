"""Nodes that are not alike but may be the same changed: in one place, and wired alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..ir import CALL
from .labels import BARE
from .matching import Matching
from .sequences import Pairs, align

_MOST_CELLS: Final = (
    40_000  # of nodes on one side times nodes on the other that are compared each with each
)


def similar_pairs(matching: Matching, ours: Sequence[int], theirs: Sequence[int]) -> Pairs:
    """Return positions of nodes in a gap that are similar, rising, most similar over all.

    Args:
        matching: what is matched so far.
        ours: the places of the nodes in the first graph.
        theirs: the places of those in the second.
    """
    if not ours or not theirs:
        return []
    if len(ours) * len(theirs) <= _MOST_CELLS:
        return _best(_scores(matching, ours, theirs))
    labels, other_labels = matching.before.labels, matching.after.labels
    pairs = align([labels[at][BARE] for at in ours], [other_labels[at][BARE] for at in theirs])
    return [(x, y) for x, y in pairs if _score(matching, ours[x], theirs[y], is_alone=False)]


def _scores(matching: Matching, ours: Sequence[int], theirs: Sequence[int]) -> list[list[float]]:
    is_alone = len(ours) == len(theirs) == 1
    return [[_score(matching, at, other, is_alone=is_alone) for other in theirs] for at in ours]


def _score(matching: Matching, at: int, other_at: int, *, is_alone: bool) -> float:
    """Return how similar two nodes are; 0 if they are not.

    Nodes of one operator are where they share an operand or a reader, read nothing, or stand alone in
    their gap. Nodes of different operators are where one does in the middle of the same what the other
    did: half the operands are shared, and a reader.
    """
    node, other = matching.before.nodes[at], matching.after.nodes[other_at]
    if len(node.blocks) != len(other.blocks):
        return 0
    label, other_label = matching.before.labels[at], matching.after.labels[other_at]
    operands, readers = matching.agreement(at, other_at)
    most_operands = max(len(node.inputs), len(other.inputs))
    if label.bare == other_label.bare:
        if not (operands or readers or is_alone or most_operands == 0):
            return 0
        score = 3.0 + (label.loose == other_label.loose) + (node.kind == other.kind)
    else:
        stands_in = readers and operands and 2 * operands >= most_operands
        is_call = CALL in (node.kind, other.kind)
        if is_call or not stands_in or len(node.outputs) != len(other.outputs):
            return 0
        score = 0.5
    most_readers = max(len(matching.before.readers[at]), len(matching.after.readers[other_at]), 1)
    score += 2 * operands / max(most_operands, 1) + 2 * readers / most_readers
    return score + (label.strict == other_label.strict)


def _best(scores: list[list[float]]) -> Pairs:
    """Return the pairs, rising on both sides, whose scores add up to the most."""
    width = len(scores[0])
    sums = [[0.0] * (width + 1)]
    for row in scores:
        above = sums[-1]
        line = [0.0]
        for column, score in enumerate(row):
            line.append(max(above[column + 1], line[column], above[column] + score))
        sums.append(line)
    pairs: Pairs = []
    x, y = len(scores), width
    while x and y:
        score = scores[x - 1][y - 1]
        if score and sums[x][y] == sums[x - 1][y - 1] + score:
            x, y = x - 1, y - 1
            pairs.append((x, y))
        elif sums[x][y] == sums[x - 1][y]:
            x -= 1
        else:
            y -= 1
    return pairs[::-1]
