"""One of two graphs that are compared, laid out in lists."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from ..ir import Graph, Node
from .labels import Label, Labels


class Side:
    """One of two graphs: its nodes by their places, those of inner blocks behind their owner.

    Attributes:
        graph: the graph.
        nodes: every node, in order.
        place: where each stands among them.
        labels: the label of each.
        partners: the place of the node that each is matched with in the other graph; -1 for none.
    """

    def __init__(self, graph: Graph, labels: Labels, functions: Mapping[str, int]) -> None:
        self.graph = graph
        self.nodes: list[Node] = list(graph.walk())
        self.place: dict[Node, int] = {node: at for at, node in enumerate(self.nodes)}
        self.labels: list[Label] = [
            labels.label(node, functions, graph.modes) for node in self.nodes
        ]
        self.partners: list[int] = [-1] * len(self.nodes)

    @property
    def unmatched(self) -> list[int]:
        """The places of the nodes that have no partner yet. O(nodes)."""
        return [at for at, partner in enumerate(self.partners) if partner < 0]

    @cached_property
    def readers(self) -> list[list[tuple[int, int]]]:
        """Per node, who reads its results: a place, or -1 for the end of a block, and which operand."""
        readers: list[list[tuple[int, int]]] = [[] for _ in self.nodes]
        for at, node in enumerate(self.nodes):
            for operand, value in enumerate(node.inputs):
                self._note(readers, value.node, at, operand)
            for block in node.blocks:
                for operand, value in enumerate(block.outputs):
                    self._note(readers, value.node, -1, operand)
        for operand, value in enumerate(self.graph.outputs):
            self._note(readers, value.node, -1, operand)
        return readers

    def _note(
        self, readers: list[list[tuple[int, int]]], maker: Node | None, reader: int, operand: int
    ) -> None:
        place = None if maker is None else self.place.get(maker)
        if place is not None:
            readers[place].append((reader, operand))
