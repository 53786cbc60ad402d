"""Passes one after another, with what each of them did."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..errors import PassError, VerifyError
from ..ir import Graph, verify
from .base import Pass, PassResult

OnPass: TypeAlias = Callable[[Graph, Pass, Graph, PassResult], None]
"""Is called with a copy of the graph before a pass, the pass, the graph after it, and what it did."""


@dataclass(frozen=True, slots=True)
class PassRun:
    """What one pass of a pipeline did.

    Attributes:
        pass_: the pass.
        result: what it said of itself.
        seconds: how long it took, without verification.
        before: how many nodes the graph had before, those in blocks and functions counted.
        after: how many it has after.
    """

    pass_: Pass
    result: PassResult
    seconds: float
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class PipelineReport:
    """What the passes of a pipeline did, in order; it prints as a table."""

    runs: tuple[PassRun, ...]

    @property
    def changed(self) -> bool:
        """Whether the graph is another now."""
        return any(run.result.changed for run in self.runs)

    def __str__(self) -> str:
        rows = [("pass", "nodes", "ms", "")]
        for run in self.runs:
            nodes = f"{run.before} -> {run.after}" if run.before != run.after else str(run.after)
            told = ", ".join(f"{name} {count}" for name, count in run.result.stats.items())
            told = told or ("changed" if run.result.changed else "nothing to do")
            rows.append((run.pass_.name, nodes, f"{run.seconds * 1e3:.1f}", told))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = [
            f"{name:<{widths[0]}}  {nodes:>{widths[1]}}  {ms:>{widths[2]}}  {told}".rstrip()
            for name, nodes, ms, told in rows
        ]
        return "\n".join(lines)


def run_passes(
    graph: Graph,
    passes: Sequence[Pass],
    *,
    verify_each: bool = False,
    on_pass: OnPass | None = None,
) -> PipelineReport:
    """Run passes on a graph, in place.

    Args:
        graph: the graph, which verifies.
        passes: what to run, in this order.
        verify_each: whether to verify the graph after each pass.
        on_pass: is told of each pass; the graph is copied before each then.

    Raises:
        PassError: the graph does not verify after a pass; the message names the pass and the fault.
    """
    runs = []
    count = _size(graph)
    for pass_ in passes:
        before = graph.copy() if on_pass is not None else None
        start = time.perf_counter()
        result = pass_.run(graph)
        seconds = time.perf_counter() - start
        if verify_each:
            _require_sound(graph, pass_)
        after = _size(graph)
        runs.append(PassRun(pass_, result, seconds, count, after))
        count = after
        if on_pass is not None and before is not None:
            on_pass(before, pass_, graph, result)
    return PipelineReport(tuple(runs))


def _require_sound(graph: Graph, pass_: Pass) -> None:
    try:
        verify(graph)
    except VerifyError as error:
        raise PassError(f"pass {pass_.name} broke the graph\n{error}") from error


def _size(graph: Graph) -> int:
    return sum(1 for part in (graph, *graph.functions.values()) for _ in part.walk())
