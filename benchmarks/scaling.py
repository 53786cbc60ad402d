"""How the cost of a node grows with the graph, up to a million nodes, and what memory they need.

Note [A process without torch]
    The graphs are made and measured in a fresh process that never imports torch, so that its peak of
    memory is that of the graph and of what is done with it, and the collector has little else to look at.
"""

from __future__ import annotations

import gc
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from opscope import ir
from opscope.passes.cse import CommonSubexpressionElimination
from opscope.passes.dce import DeadCodeElimination
from opscope.passes.inline import Inline
from opscope.passes.outline import Outline

from .harness import Claim, Comparison, Effort, Report
from .large_graphs import additions, calls

_ROOT = Path(__file__).resolve().parents[1]
_MOST = {"build": None}  # times as long per node; 1.3 where it says nothing else
_CALLS = 10  # of one function
_ROUNDS = {10_000: 5, 100_000: 2, 1_000_000: 1}  # by the number of nodes


def scaling(effort: Effort) -> Report:
    """Measure graphs of ten thousand, of a hundred thousand and of a million nodes."""
    sizes = list(_ROUNDS)[: effort.size(3, 2)]
    command = [sys.executable, "-m", "benchmarks.scaling", *map(str, sizes)]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    rows = [
        Comparison(
            what,
            {f"{size:,} nodes": value for size, value in zip(sizes, values, strict=True)},
            (Claim("largest / smallest", max(values) / min(values), "x", _MOST.get(what, 1.3)),),
        )
        for what, values in found["times"].items()
    ]
    claims = [Claim("bytes per node", found["bytes_per_node"], "B")]
    if found["peak_kib"]:
        claims.append(Claim("peak of the process", found["peak_kib"] / (1 << 20), "GiB", 2.0))
    rows.append(Comparison("memory", {}, tuple(claims)))
    return Report(
        "Time per node",
        "µs",
        tuple(rows),
        (
            "Chains of additions, as above, in a process without torch: its processor time, for the smaller",
            "graphs the best of several runs. Building is the caller's work, with the collector running. The",
            "smallest graph fits into the processor's caches. The peak is with two graphs at a time.",
        ),
    )


def main() -> None:
    """Measure graphs of the sizes on the command line, and print what was found as JSON."""
    sizes = [int(size) for size in sys.argv[1:]]
    before = _memory_kib("VmRSS")
    graph = additions(sizes[-1])
    bytes_per_node = (_memory_kib("VmRSS") - before) * 1024 / sizes[-1]
    del graph
    times: dict[str, list[float]] = {}
    for size in sizes:
        for what, seconds in (*_uses(size), *_merges(size), *_calls(size)):
            times.setdefault(what, []).append(seconds / size * 1e6)
    found = {"times": times, "bytes_per_node": bytes_per_node, "peak_kib": _memory_kib("VmHWM")}
    print(json.dumps(found))


def _uses(size: int) -> Iterator[tuple[str, float]]:
    """Yield what it takes to build a graph and to do what leaves it as it is, in seconds."""
    graph = additions(size)
    text = str(graph)
    yield "build", _seconds(lambda: additions(size), size)
    yield "print", _seconds(lambda: str(graph), size)
    yield "parse", _seconds(lambda: ir.parse(text), size)
    yield "verify", _seconds(lambda: ir.verify(graph), size)
    yield "copy", _seconds(graph.copy, size)


def _merges(size: int) -> Iterator[tuple[str, float]]:
    """Yield what the passes take that erase half of a graph."""
    graph = additions(size, 2)
    yield "dce", _seconds(DeadCodeElimination().run, size, graph.copy)
    yield "cse", _seconds(CommonSubexpressionElimination().run, size, graph.copy)


def _calls(size: int) -> Iterator[tuple[str, float]]:
    """Yield what it takes to put functions in the place of calls, and back."""
    graph = calls(size, _CALLS)
    yield "inline", _seconds(Inline().run, size, graph.copy)
    Inline().run(graph)
    yield "outline", _seconds(Outline("part.*").run, size, graph.copy)


def _seconds(run: Callable[..., Any], size: int, fresh: Callable[[], Any] | None = None) -> float:
    """Return the processor's time for the best of several runs, given what ``fresh`` makes for each."""
    best = math.inf
    for _ in range(_ROUNDS.get(size, 1)):
        given = () if fresh is None else (fresh(),)
        gc.collect()
        start = time.process_time()
        result = run(*given)
        best = min(best, time.process_time() - start)
        del given, result
    return best


def _memory_kib(what: str) -> int:
    """Return a figure of the process in KiB: ``VmRSS``, or its peak ``VmHWM``; 0 where nobody tells."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) for line in lines if line.startswith(what)), 0)


if __name__ == "__main__":
    main()
