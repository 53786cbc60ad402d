"""Specialized types: what runs found becomes the types of values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ..ir import Graph, TensorType, Type, Value
from .base import Pass, PassResult
from .erase_profiling import erase_profiles


@dataclass(frozen=True, slots=True)
class SpecializeTypes(Pass):
    """Give each value the type that runs found it to have, and take every ``prim::profile`` out.

    Given:   graph(%x : f32[2, 64]):
               %p : f32[s0, 64] = prim::profile(%x)
               %h : f32[2, 64] = aten::exp(%p)
               %q : f32[s0, 64] = prim::profile(%h)
               %y : f32[2] = aten::sum.dim_IntList(%q, [1])
               return (%y)
    Result:  graph(%x : f32[s0, 64]):
               %h : f32[s0, 64] = aten::exp(%x)
               %y : f32[*] = aten::sum.dim_IntList(%h, [1])
               return (%y)

    After it sizes and strides in types are facts, as long as guards hold that whoever runs the graph puts
    before it: of values that were watched those of all runs, of state those that a replay checks anyway. Of
    tensors that were not watched, or that no run came by, they are no longer told, since those of the trace
    need not be so; element type, device, layout and class stay. A graph without profiles stays as it is.
    ``requires_grad`` is true where it was in any run.

    Sound for any graph: a profile hands on the very tensor, and nothing that runs goes by types. A pass that
    takes sizes for facts may only be run behind it, and behind guards. Cost: O(nodes + operands).
    """

    name: ClassVar[str] = "specialize_types"

    def run(self, graph: Graph) -> PassResult:
        """Specialize the types of a graph and of its functions."""
        found: dict[Value, Type] = {}
        profiles = erase_profiles(graph)
        if not profiles:
            return PassResult(changed=False)
        for node in profiles:
            value = node.inputs[0]
            found[value] = _agreed(found.get(value), node.output.type)
        changed = 0
        for part in (graph, *graph.functions.values()):
            for value in part.values():
                type_ = _told(value.type, found.get(value))
                changed += type_ != value.type
                value.type = type_
        return PassResult(
            True, {"profiles": len(profiles), **({"types": changed} if changed else {})}
        )


def _agreed(one: Type | None, other: Type) -> Type:
    """Return what two profiles of a value both say."""
    if one is None or one == other:
        return other
    if not isinstance(one, TensorType) or not isinstance(other, TensorType):
        return one if isinstance(one, TensorType) else other
    return replace(
        _without_sizes(one),
        dtype=one.dtype if one.dtype is other.dtype else None,
        requires_grad=one.requires_grad or other.requires_grad,
    )


def _told(type_: Type, found: Type | None) -> Type:
    """Return the type of a value that was traced with one type and found to have another."""
    if not isinstance(type_, TensorType):
        return type_
    return found if isinstance(found, TensorType) else _without_sizes(type_)


def _without_sizes(type_: TensorType) -> TensorType:
    return replace(type_, shape=None, strides=None)
