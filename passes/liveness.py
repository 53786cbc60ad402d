"""Liveness: where each value is read for the last time, and what a block reads from around it."""

from __future__ import annotations

from collections.abc import Iterable

from ..ir import Block, Node, Value


def dying_in(block: Block) -> dict[Node, tuple[Value, ...]]:
    """Return, per node of a block, the block's own values that nothing reads after it. O(operands).

    Values that a node makes and nothing reads die at that node. The block's inputs count, so that a
    caller who gives them up frees them early; its outputs never die, and neither does state. A value
    read inside a node's blocks is read at that node.
    """
    own = set(block.inputs)
    for node in block:
        own.update(node.outputs)
    own.difference_update(block.outputs)
    dying: dict[Node, tuple[Value, ...]] = {}
    for node in reversed(block):
        ends: dict[Value, None] = {}
        for value in (*_read_by(node), *node.outputs):
            if value in own:
                ends[value] = None
                own.discard(value)
        if ends:
            dying[node] = tuple(ends)
    return dying


def outer_values(blocks: Iterable[Block]) -> list[Value]:
    """Return the values that blocks read and do not define, each once, in the order they are read."""
    read: dict[Value, None] = {}
    for block in blocks:
        read.update(dict.fromkeys(_read_inside(block)))
    return list(read)


def _read_by(node: Node) -> tuple[Value, ...]:
    if not node.blocks:
        return node.inputs
    read = list(node.inputs)
    for block in node.blocks:
        read.extend(_read_inside(block))
    return tuple(read)


def _read_inside(block: Block) -> list[Value]:
    read: list[Value] = []
    made = set(block.inputs)
    for node in block:
        read.extend(value for value in _read_by(node) if value not in made)
        made.update(node.outputs)
    read.extend(value for value in block.outputs if value not in made)
    return read
