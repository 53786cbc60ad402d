"""``opscope summary`` of a graph, whether traced now or read from a file; loads no torch."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Final

from ..errors import ParseError
from ..ir import Graph, Operator, parse, unknown_operator
from ..ir.own_operators import OWN_OPERATORS
from ..ir.scalars import scalar_named
from ..reports import Summary, SummaryOptions
from .errors import CommandError

_WIDTH: Final = 100  # columns where stdout is no terminal
_LEAST_WIDTH: Final = 80


def terminal_width() -> int:
    """Return how many columns a table may take."""
    if not sys.stdout.isatty():
        return _WIDTH
    return max(shutil.get_terminal_size().columns, _LEAST_WIDTH)


def is_graph_file(target: str) -> bool:
    """Whether a target names a file that holds a graph rather than a program."""
    return target.endswith(".txt") or (not target.endswith(".py") and Path(target).exists())


def report_of_file(path: Path, options: SummaryOptions, *, as_json: bool) -> str:
    """Return the report of a graph that was written as text.

    Raises:
        CommandError: the file cannot be read, or holds no graph.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise CommandError(f"cannot read {path}: {reason}") from error
    try:
        graph = parse(text, _operator_named)
    except ParseError as error:
        raise CommandError(f"{path}: {error}") from error
    return report_of(graph, options, as_json=as_json)


def report_of(graph: Graph, options: SummaryOptions, *, as_json: bool) -> str:
    """Return the report of a graph as text that ends its last line."""
    report = Summary(graph, options)
    return f"{report.to_json(indent=2)}\n" if as_json else str(report)


def _operator_named(name: str) -> Operator:
    """Return the operator of a name as far as it is known without torch."""
    return OWN_OPERATORS.get(name) or scalar_named(name) or unknown_operator(name)
