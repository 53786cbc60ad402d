"""Composite operators as what they call: the inverse of ``passes/fold_operators.py``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..ir import Graph
from ..ir.folded import Folded
from .base import Pass, PassResult


@dataclass(frozen=True, slots=True)
class UnfoldOperatorsResult(PassResult):
    """What the pass did.

    Attributes:
        unfolded: how many operators stand as what they call again.
        kept: those that go on to be one node, since the graph has lost something that is read inside.
    """

    unfolded: int = 0
    kept: tuple[Folded, ...] = ()

    def __str__(self) -> str:
        """Return how many operators were unfolded, and how many not."""
        return f"{self.unfolded} operators unfolded, {len(self.kept)} kept as one node"


@dataclass(frozen=True, slots=True)
class UnfoldOperators(Pass):
    """Put what composite operators call in the place of their nodes again.

    A graph that was not changed since it was folded is the very one that it was: the same nodes, values and
    text. What passes made of the arguments of a node meanwhile, what it calls reads now; of a node that is
    gone nothing comes back.

    Sound for any graph in which the operators were folded.

    Cost: O(nodes that come back).

    Attributes:
        folded: the operators, in the order in which they were folded.
    """

    name: ClassVar[str] = "unfold_operators"

    folded: tuple[Folded, ...] = ()

    def run(self, graph: Graph) -> UnfoldOperatorsResult:
        """Unfold the operators, in place."""
        places = {node: place for place, node in enumerate(graph.walk())}
        present = [each for each in self.folded if each.node.block is not None]
        # One may read what was made inside another that stands before it.
        present.sort(key=lambda each: places.get(each.node, -1))
        kept = []
        for each in present:
            if each.is_unfoldable:
                each.unfold()
            else:
                kept.append(each)
        unfolded = len(present) - len(kept)
        counted = {"unfolded": unfolded} if unfolded else {}
        return UnfoldOperatorsResult(unfolded > 0, counted, unfolded, tuple(kept))
