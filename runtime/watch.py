"""Replaying a graph while somebody looks at what each node gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from ..errors import ReplayError
from ..ir import CALL, Graph, Node
from .blocks import convention_of
from .codegen import CompiledGraph, compile_graph
from .operators import RUNS_BLOCKS_ITSELF, callable_of

Observer = Callable[[Node, list[torch.Tensor]], None]
"""Is told of each node that ran, with the tensors that it made or, where it returns none, wrote."""


def watch_graph(
    graph: Graph,
    state: Mapping[str, Any],
    observe: Observer,
    entering: Callable[[Node], None] = lambda node: None,
) -> CompiledGraph:
    """Compile a graph to a function that also tells ``observe`` what each node gave.

    Args:
        graph: what to compile.
        state: the tensors and objects behind the graph's state, by name.
        observe: is called after each node.
        entering: is called before each node.
    """

    def watch(node: Node) -> Callable[..., Any] | None:
        if node.block is not graph.block:
            return None  # what a transform's function sees are no tensors of the program
        if node.kind == CALL:
            return lambda function: watched(node, function)
        try:
            runs_blocks = bool(node.blocks) and node.kind not in RUNS_BLOCKS_ITSELF
            return watched(
                node, convention_of(node.kind).run if runs_blocks else callable_of(node.kind)
            )
        except (
            ReplayError
        ):  # not an operator; the compiler knows what to write for it, if anybody does
            return None

    def watched(node: Node, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            entering(node)
            result = function(*args, **kwargs)
            observe(node, made_or_written(node, result, args, kwargs))
            return result

        return run

    return compile_graph(graph, state, watch)


def made_or_written(
    node: Node, result: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> list[torch.Tensor]:
    """Return the tensors that a call returned; of one that returns nothing, those that it wrote."""
    if result is not None:
        return list(_tensors_in(result))
    parameters = node.operator.parameters
    named = {**dict(zip((p.name for p in parameters), args, strict=False)), **kwargs}
    written = [named.get(p.name) for p in parameters if p.is_written]
    return list(_tensors_in(written))


def _tensors_in(whole: Any) -> Iterator[torch.Tensor]:
    if isinstance(whole, torch.Tensor):
        yield whole
    elif isinstance(whole, list | tuple):
        for part in whole:
            yield from _tensors_in(part)
