"""``opscope summary`` of a graph, whether traced now or read from a file; loads no torch."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Final

from ..ir import Graph
from ..reports import Summary, SummaryOptions
from .files import read_program

_WIDTH: Final = 100  # columns where stdout is no terminal
_LEAST_WIDTH: Final = 80


def terminal_width() -> int:
    """Return how many columns a table may take."""
    if not sys.stdout.isatty():
        return _WIDTH
    return max(shutil.get_terminal_size().columns, _LEAST_WIDTH)


def is_graph_file(target: str) -> bool:
    """Whether a target names a file that holds a graph rather than a program."""
    return target.endswith((".txt", ".opscope")) or (
        not target.endswith(".py") and Path(target).exists()
    )


def report_of_file(path: Path, options: SummaryOptions, *, as_json: bool) -> str:
    """Return the report of a graph or program that was written to a file.

    Raises:
        CommandError: the file cannot be read, or holds no graph.
    """
    return report_of(read_program(path).graph, options, as_json=as_json)


def report_of(graph: Graph, options: SummaryOptions, *, as_json: bool) -> str:
    """Return the report of a graph as text that ends its last line."""
    report = Summary(graph, options)
    return f"{report.to_json(indent=2)}\n" if as_json else str(report)
