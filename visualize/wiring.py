"""Wiring: the uses of a graph as edges between the boxes that are drawn.

Note [Edges of folded repetitions]
    Of N equal blocks one is drawn. Its edges count once. An edge from one block to the next is what
    ``×N`` says already, and is left out; an edge that leaves or enters any other of the blocks is
    drawn at the one that stands for it. So a chain of blocks reads: in, block ×N, out.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from ..ir import Effect, Graph, Node, TensorType, Value
from .placing import Placement


@dataclass(slots=True)
class Wire:
    """Some uses of one value, all by one box.

    Attributes:
        source: name of the box that makes the value.
        target: name of the box that reads it.
        value: what flows, as the drawn node makes it.
        count: how many operands read it.
        writes: whether the target changes it in place.
        role: for what goes into a chain of rounds: ``first`` where each later round reads what the one
            before it made instead, ``each`` where all read the same.
    """

    source: str
    target: str
    value: Value
    count: int = 1
    writes: bool = False
    role: str = ""


class Wiring:
    """Collects the wires of a placement. Hidden nodes have no box and so no wires.

    Args:
        graph: what is drawn.
        placement: the boxes.
        drawn: the nodes that have boxes, or stand in one.
        has_outside: whether only a part of the graph is drawn.
    """

    def __init__(
        self, graph: Graph, placement: Placement, drawn: list[Node], *, has_outside: bool
    ) -> None:
        self.has_outside = has_outside
        self.wires: dict[tuple[str, str, Value], Wire] = {}
        self.input_boxes: dict[Value, str] = {}
        self._placement = placement
        self._inner_inputs = {
            value: node for node in drawn for block in node.blocks for value in block.inputs
        }
        self._drawn = drawn
        self._last_writers = last_writers(graph, set(drawn))

    def connect(self) -> None:
        """Add the wires between nodes and from graph inputs that have a box. O(operands)."""
        twins = self._placement.twin_of
        self._connect([node for node in self._drawn if node not in twins])
        # What only twins read; a pair of boxes that is wired already needs no second wire for them.
        wired = {(wire.source, wire.target) for wire in self.wires.values()}
        self._connect([node for node in self._drawn if node in twins], wired)

    def add(
        self, source: str, target: str, value: Value, *, writes: bool = False, role: str = ""
    ) -> None:
        """Add one use to the wire between two boxes."""
        wire = self.wires.get((source, target, value))
        if wire is None:
            self.wires[source, target, value] = Wire(source, target, value, 1, writes, role)
        else:
            wire.count += 1
            wire.writes |= writes
            wire.role = role if wire.role == role else ""

    def box_of(self, value: Value) -> tuple[str, Value] | None:
        """Return the box that makes a value and the value as it is drawn; None where it has none."""
        if value in self.input_boxes:
            return self.input_boxes[value], value
        node = value.node or self._inner_inputs.get(value)
        if node is None:
            return None
        shown = self._placement.shown(node)
        box = self._placement.box_of.get(shown)
        if box is None:
            return None
        if shown is not node and value.node is not None:
            value = shown.outputs[node.outputs.index(value)]
        return box, value

    def _connect(self, nodes: list[Node], wired: set[tuple[str, str]] | None = None) -> None:
        placement = self._placement
        turns = placement.turns
        for node in nodes:
            target = placement.box_of[placement.shown(node)]
            for operand, read in enumerate(node.inputs):
                if read.state is not None:
                    continue
                maker = read.node
                if wired is not None and maker is not None and turns.get(maker) == turns[node]:
                    continue  # inside one turn of a repetition, of which another is drawn
                has_blocks = maker is not None and maker.blocks
                for value in drawn_sources(read) if has_blocks else (read,):
                    found, source = self._source(value, node)
                    if found is None or found[0] == target:
                        continue
                    if self._is_carried(source, node):
                        continue
                    if wired is not None:
                        if (found[0], target) in wired:
                            continue
                        wired.add((found[0], target))
                    role = self._role(node, operand)
                    shown = as_read(found[1], read)
                    self.add(found[0], target, shown, writes=is_written(node, operand), role=role)

    def _source(self, value: Value, reader: Node) -> tuple[tuple[str, Value] | None, Node | None]:
        """Return the box, and the value that it shows, from which a node has a value, and the node there.

        That is what makes the value, or has written it since and gives no result that would show it.
        """
        writer = self._last_writers.get((reader, value))
        box = None if writer is None else self._placement.box_of.get(self._placement.shown(writer))
        if box is None:
            return self.box_of(value), value.node
        return (box, value), writer

    def _role(self, node: Node, operand: int) -> str:
        """Return what an operand from outside is to the rounds of the chain that the node is in."""
        last = self._placement.last_turn.get(node)
        if last is None:
            return ""
        read, other = node.inputs[operand], last.inputs[operand]
        turns = self._placement.turns
        inside = turns.get(read.node, {}) if read.node is not None else {}
        chains = [part for part in turns[node] if part.is_chain and part not in inside]
        if not chains:
            return ""
        if other is read:
            return "each"
        made = turns.get(other.node, {}) if other.node is not None else {}
        return "first" if any(part in made for part in chains) else ""

    def _is_carried(self, maker: Node | None, reader: Node) -> bool:
        """Return whether a use goes from one turn of a repetition to another."""
        if maker is None or not self._placement.turns:
            return False
        made = self._placement.turn(maker)
        if not made:
            return False
        read = self._placement.turn(reader)
        return any(read.get(part, turn) != turn for part, turn in made.items())


def drawn_sources(value: Value) -> Iterator[Value]:
    """Yield the values a value really is: inputs of the graph, or results of nodes that can be drawn.

    The result of a node that owns blocks is what its blocks yield, and an input of such a block
    comes from the node. Where its blocks do nothing that can be drawn, the node stands for itself.
    """
    pending, seen = [value], {value}
    while pending:
        value = pending.pop()
        node = value.node
        if node is None or not any(len(block) for block in node.blocks):
            yield value
            continue
        position = node.outputs.index(value)
        inner = [
            block.outputs[position]
            for block in node.blocks
            if len(block.outputs) == len(node.outputs)
        ]
        inner = [found for found in inner if found not in seen]
        if not inner:
            yield value
        seen.update(inner)
        pending.extend(reversed(inner))


def last_writers(graph: Graph, drawn: AbstractSet[Node]) -> dict[tuple[Node, Value], Node]:
    """Return which node has written a value last before another reads it, if that gives no results."""
    last: dict[Value, Node] = {}
    found: dict[tuple[Node, Value], Node] = {}
    for node in graph.walk():
        if node not in drawn:
            continue
        if last:
            found.update(((node, value), last[value]) for value in node.inputs if value in last)
        if not node.outputs and Effect.WRITES in node.operator.effects:
            for operand, value in enumerate(node.inputs):
                if is_written(node, operand):
                    last[value] = node
    return found


def as_read(made: Value, read: Value) -> Value:
    """Return what an edge shows: the value that is made in a block, or what its operator makes of it.

    A condition yields what its branch does. A ``vmap`` stacks that, and a ``grad`` differentiates it.
    """
    owner = read.node
    if made is read or owner is None or not owner.blocks:
        return made
    one, other = made.type, read.type
    if isinstance(one, TensorType) and isinstance(other, TensorType):
        return made if one.shape == other.shape else read
    return made if one == other else read


def is_written(node: Node, operand: int) -> bool:
    """Return whether a node changes the value of one of its operands in place."""
    if Effect.WRITES not in node.operator.effects:
        return False
    parameters = node.operator.parameters
    if not parameters:
        return operand == 0
    value = node.inputs[operand]
    written = {parameter.name for parameter in parameters if parameter.is_written}
    named = dict(zip((p.name for p in parameters), node.args, strict=False)) | node.kwargs
    return any(
        arg is value or (isinstance(arg, tuple) and value in arg)
        for name, arg in named.items()
        if name in written
    )
