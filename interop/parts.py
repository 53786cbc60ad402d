"""The parts of a program that viewers show one at a time: its graph, its functions, and their blocks.

A node is called the same in every export: ``node12`` is the thirteenth that a walk of its graph meets.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..ir import Block, Graph, Node, Value, value_names
from ..visualize.labels import operator_title
from ..visualize.regions import block_name
from .arguments import input_names


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A graph, or a block in one, that is shown by itself.

    Attributes:
        name: unique among the parts of a program.
        block: its nodes.
        graph: the graph that they are in.
        names: what the values of that graph are called.
    """

    name: str
    block: Block
    graph: Graph
    names: dict[Value, str]


@dataclass(frozen=True, slots=True)
class Program:
    """A graph with the functions that it calls, taken apart.

    Attributes:
        parts: the graph, its blocks, then each function with its blocks.
        functions: the functions by name.
        input_names: what the inputs of each function are called.
        part_of: the part of each block.
        ids: what each node is called in its part.
    """

    parts: tuple[Part, ...]
    functions: dict[str, Graph]
    input_names: dict[str, tuple[str, ...]]
    part_of: dict[Block, Part]
    ids: dict[Node, str]

    def function(self, name: str) -> Part | None:
        """Return the part that a function is; None if there is none of that name."""
        function = self.functions.get(name)
        return None if function is None else self.part_of[function.block]


def take_apart(graph: Graph) -> Program:
    """Return a graph with its functions and all blocks in them as parts. O(size)."""
    parts: list[Part] = []
    taken: dict[str, None] = {}
    ids: dict[Node, str] = {}
    inputs: dict[str, tuple[str, ...]] = {}
    for title, each in [(graph.name or "graph", graph)] + [
        (f"@{name}", function) for name, function in graph.functions.items()
    ]:
        names = value_names(each)
        if each is not graph:
            inputs[title[1:]] = input_names(each)
        whole = _unique(title, taken)
        parts.append(Part(whole, each.block, each, names))
        for number, node in enumerate(each.walk()):
            ids[node] = f"node{number}"
            for at, block in enumerate(node.blocks):
                name = f"{whole} · {operator_title(node)} {ids[node]} · {block_name(node, at)}"
                parts.append(Part(_unique(name, taken), block, each, names))
    part_of = {part.block: part for part in parts}
    return Program(tuple(parts), graph.functions, inputs, part_of, ids)


def _unique(wanted: str, taken: dict[str, None]) -> str:
    """Return a name that nothing has, as near to the one wanted as can be."""
    name, count = wanted, 1
    while name in taken:
        count += 1
        name = f"{wanted} ({count})"
    taken[name] = None
    return name


def captured(program: Program) -> dict[Node, dict[Value, None]]:
    """Return what the blocks of each node read from around them and the node itself does not.

    O(operands x nesting).
    """
    found: dict[Node, dict[Value, None]] = {}
    for part in program.parts:
        owner = part.block.owner
        read = [value for node in part.block for value in node.inputs]
        for value in [*read, *part.block.outputs] if owner is not None else []:
            inner: Block | None = part.block
            while (
                inner is not None and inner.owner is not None and value.block not in (None, inner)
            ):
                if value not in inner.owner.inputs:
                    found.setdefault(inner.owner, {})[value] = None
                inner = inner.owner.block
    return found
