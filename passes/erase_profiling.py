"""Erasing profiles: what runs found of types is forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..ir import Block, Graph, Node, Value
from ..ir.composites import noted_composites
from ..ir.own_operators import PROFILE
from .base import Pass, PassResult


@dataclass(frozen=True, slots=True)
class EraseProfiling(Pass):
    """Take every ``prim::profile`` out, so that the tensor itself is read.

    Given:   %p : f32[s0, 64] = prim::profile(%h)
             %y : f32[2, 64] = aten::relu(%p)
    Result:  %y : f32[2, 64] = aten::relu(%h)

    The types of values stay: unless they were specialized, they are those of the traced run, of which sizes
    are no facts; see Note [What the type of a value says] in ``ir/profiles.py``. So a graph that was watched
    is again the one that it was.

    Sound for any graph: a profile hands on the very tensor. Cost: O(nodes + operands).
    """

    name: ClassVar[str] = "erase_profiling"

    def run(self, graph: Graph) -> PassResult:
        """Erase the profiles of a graph and of its functions."""
        return PassResult.of(erased=len(erase_profiles(graph)))


def erase_profiles(graph: Graph) -> list[Node]:
    """Take the profiles of a graph and of its functions out, and return them, in order."""
    erased: list[Node] = []
    for part in (graph, *graph.functions.values()):
        noted = noted_composites(part)
        becomes: dict[Value, Value] = {}
        found: list[Node] = []
        _pass_by(part.block, becomes, found)
        for node in reversed(found):
            node.erase()
        erased += found
        if noted:
            part.composites = {s: each.with_values(becomes) for s, each in noted.items()}
    return erased


def _pass_by(block: Block, becomes: dict[Value, Value], found: list[Node]) -> None:
    """Let all in a block read what profiles read; these come before their readers."""
    for node in block:
        node.replace_inputs(becomes)
        if node.kind == PROFILE.name:
            becomes[node.output] = node.inputs[0]
            found.append(node)
        for inner in node.blocks:
            _pass_by(inner, becomes, found)
    block.replace_inputs(becomes)
