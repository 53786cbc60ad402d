"""Words for what is wrong with a graph: the node as text, its operand underlined, and its source."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .block import Block
from .cursor import QUOTED
from .graph import Graph
from .names import value_names
from .node import Node
from .printer import block_end_text, node_text, scope_text, value_text
from .value import Value

_TOKEN = re.compile(rf"%(?:{QUOTED}|\w+(?:\.\w+)*)|{QUOTED}")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        what: says it in a sentence.
        place: the node, or the block at its end, where it shows; None for the graph as a whole.
        operand: which of the values that ``place`` reads is at fault.
        hint: what else helps to find the cause.
    """

    what: str
    place: Node | Block | None = None
    operand: int | None = None
    hint: str = ""


class Describer:
    """Puts faults of one graph into words, with the names that its text gives to values."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._names: dict[Value, str] = {}

    def name_values(self) -> None:
        """Give values the names of the text, which takes a graph that can be walked."""
        self._names = value_names(self._graph)

    def name(self, value: Value) -> str:
        """Return how the text refers to a value."""
        return value_text(self._names.get(value) or value.name or "?")

    def describe(self, fault: Fault) -> str:
        """Return the message of a fault: what, where in the graph, where in the user's file, hint."""
        lines = [fault.what]
        if fault.place is not None:
            lines.extend(f"  {line}" for line in self._shown(fault.place, fault.operand))
        if isinstance(fault.place, Node):
            lines.extend(f"  {line}" for line in _origin(fault.place))
        if fault.hint:
            lines.append(f"  {fault.hint}")
        return "\n".join(lines)

    def _shown(self, place: Node | Block, operand: int | None) -> list[str]:
        """Return the text of a node or of a block's end, with a line that underlines an operand."""
        results = 0
        if isinstance(place, Node):
            results = len(place.outputs)
            text = node_text(place, self._names)
        else:
            text = block_end_text(place, self._names)
        lines = [f"in   {text}"]
        if operand is not None:
            values = [match for match in _TOKEN.finditer(text) if match[0].startswith("%")]
            shown = values[results + operand]
            lines.append(f"     {' ' * shown.start()}{'^' * len(shown[0])}")
        return lines

    def hidden(self, value: Value, user: Node | Block, operand: int) -> Fault:
        """Return the fault that a value is read where it cannot be seen, with the reason."""
        name = self.name(value)
        definer = value.definer
        home = value.block
        user_home = user if isinstance(user, Block) else user.block
        assert user_home is not None, "a node that a walk meets stands in a block"
        if value.state is not None:
            return Fault(f"{name} is state that this graph does not have", user, operand)
        if home is None:
            what = f"{name} is read though its node was taken out of the graph"
            hint = f"{name} was a result of {definer.kind}" if isinstance(definer, Node) else ""
            return Fault(what, user, operand, hint)
        if home.graph is not self._graph:
            where = f"it belongs to graph {home.graph.name}"
            return Fault(f"{name} is a value of another graph", user, operand, where)
        if not user_home.is_within(home) or not isinstance(definer, Node):
            owner = "the graph" if home.owner is None else home.owner.kind
            where = f"{name} is defined in a block of {owner}, which does not reach to here"
            return Fault(f"{name} is not visible here", user, operand, where)
        what = f"{name} is used before it is defined"
        return Fault(what, user, operand, f"{name} {_later(definer, user)}")


def _later(definer: Node, user: Node | Block) -> str:
    """Say how far behind its user the node that defines a value stands."""
    node = user if isinstance(user, Node) else user.owner
    while node is not None and node.block is not definer.block:
        node = None if node.block is None else node.block.owner
    if node is definer:
        return f"is defined by the {definer.kind} that this block belongs to"
    positions = {other: number for number, other in enumerate(definer.block or ())}
    distance = 0 if node is None else positions[definer] - positions[node]
    if distance <= 0:
        return f"says that {definer.kind} defines it, which does not list it as a result"
    source = "" if definer.source is None else f", from {definer.source}"
    return f"is defined {distance} node{'s' * (distance != 1)} later{source}"


def _origin(node: Node) -> list[str]:
    """Return the line that says where in the user's program a node comes from, if that is known."""
    parts = []
    source = node.source
    if source is not None:
        parts.append(f"from {source} in {source.function}" if source.function else f"from {source}")
    if node.scope.parent is not None:
        parts.append(
            f"scope {scope_text(node.scope)}" if parts else f"in scope {scope_text(node.scope)}"
        )
    if not parts:
        return []
    code = source.text.strip() if source is not None else ""
    return [", ".join(parts) + (f":  {code}" if code else "")]
