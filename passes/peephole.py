"""Peephole simplifications: what a node or two compute that was there already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..ir import Graph
from .base import Pass, PassResult
from .patterns.rewriting import rewrite
from .peepholes.arithmetic import FLOAT_RULES, RULES
from .peepholes.conversions import SAME_OBJECT_RULES
from .peepholes.views import VIEW_RULES


@dataclass(frozen=True, slots=True)
class Peephole(Pass):
    """Read a value in the place of what is the same.

    Given:   %a : f32[4, 2]{strides=[1, 4]} = aten::t(%x)
             %b : f32[2, 4] = aten::t(%a)
             %c : f32[2, 4] = aten::dropout(%b, 0.5, False)
             %y : f32[2, 4] = aten::relu(%c)
    Result:  %y : f32[2, 4] = aten::relu(%x)

    What goes: conversions to the dtype and device that a tensor has, ``contiguous`` of what is, dropout that
    drops nothing; transposes, permutations and ``unsqueeze`` that are undone, permutations one upon another
    (which become one), and views that change nothing; negations that cancel, integers plus 0 and times 1.
    What else nothing reads any more, ``dce`` erases.

    Keeps every bit, also that of -0.0 and of NaN; sizes, strides and dtypes; who shares memory with whom; and
    which object is which where that can be seen. Sound for any graph that verifies, and for each replay: what
    depends on a type goes by what is certain of it, see Note [Types are those of the trace]. Gradients of
    what the trace followed keep their bits, too: see Note [Sums of gradients]. Cost: O(size).

    Attributes:
        fold_scalars: whether floating-point numbers times or divided by 1, minus 0 and plus -0.0 go too.
            They keep each number, -0.0, infinities and NaN; only a NaN may have other bits than it would have
            had, and a denormal number stays one where torch is set to flush them.
        reorder_gradients: whether gradients may be added up in another order, which changes their last bits.
    """

    name: ClassVar[str] = "peephole"

    fold_scalars: bool = False
    reorder_gradients: bool = False

    def run(self, graph: Graph) -> PassResult:
        """Simplify a graph and its functions."""
        rules = [*SAME_OBJECT_RULES, *VIEW_RULES, *RULES]
        if self.fold_scalars:
            rules += FLOAT_RULES
        applied = rewrite(graph, rules, keeps_sums=not self.reorder_gradients)
        return PassResult.of(simplified=sum(applied.values()))
