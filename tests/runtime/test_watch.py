"""A watched replay shows what each node of the program gave."""

import torch

import opscope
from opscope.ir import Node
from opscope.runtime.watch import watch_graph


def test_calls_and_nodes_with_blocks_are_shown_like_others() -> None:
    inner = opscope.trace(lambda x: x * 2, torch.ones(2))

    def program(x: torch.Tensor) -> torch.Tensor:
        y = inner(x)
        z = torch.cond(y.sum() > 0, torch.sin, torch.cos, (y,))
        return torch.func.vmap(torch.exp)(z)

    x = torch.ones(2)
    traced = opscope.trace(program, x)
    seen: dict[str, list[torch.Tensor]] = {}

    def observe(node: Node, tensors: list[torch.Tensor]) -> None:
        seen[node.kind] = tensors

    (result,) = watch_graph(traced.graph, traced.state, observe).function(x)
    assert torch.equal(result, program(x))
    assert list(seen) == [node.kind for node in traced.graph.block]
    assert torch.equal(seen["prim::call"][0], x * 2)
    assert torch.equal(seen["higher_order::cond"][0], (x * 2).sin())
    assert torch.equal(seen["functorch::vmap"][0], result)
