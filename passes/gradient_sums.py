"""In which order gradients are added up.

Note [Sums of gradients]
    Autograd adds what flows back into a value user by user, the one that ran last first. A sum of two numbers
    does not depend on their order, and one of three does, in its last bits. So where a value that autograd
    follows comes to stand for another one, and gets the users of that one as well, a gradient may come out
    otherwise, unless no more than two are added, or it had no other users. Which values autograd follows is
    taken to be as it was in the trace.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from ..ir import Argument, Block, Node, TensorType, Value


def was_followed(value: Value) -> bool:
    """Whether autograd followed a value in the trace."""
    return isinstance(value.type, TensorType) and value.type.requires_grad


def are_reordered(
    match: Sequence[Node],
    captured: Iterable[Argument],
    made: Collection[Node],
    results: Collection[object],
) -> bool:
    """Whether gradients are added up otherwise once nodes that only move elements have given way to others.

    Args:
        match: the nodes, the last of which gives what is replaced; the others may stay.
        captured: what they read.
        made: the nodes in their place.
        results: what stands for the results of the last one: values that are captured, or that these give.
    """
    if not any(map(was_followed, match[-1].outputs)):
        return False
    own = {*match, *made}
    staying = _count_uses([value for node in match[:-1] for value in node.outputs], own)
    moved = _count_uses(match[-1].outputs, own)
    for value in captured:
        if not isinstance(value, Value) or not was_followed(value):
            continue
        others = _count_uses([value], own)
        if others + staying + moved <= 2:
            continue
        if others or staying if value in results else staying > 1 or (staying and others):
            return True
    return False


def _count_uses(values: Iterable[Value], own: Collection[Node | Block]) -> int:
    return sum(use.user not in own for value in values for use in value.uses)
