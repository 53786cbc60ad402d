"""``opscope show`` with ``--nodes`` and the like: what is in a file as lines, for people and programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import Any, Final

import typer

from ..ir import Graph, Node
from ..program.recorded import RecordedProgram
from ..visualize.listing import ScopeTree, node_lines, node_records, scope_lines, scope_records
from ..visualize.search import Match, Query
from .errors import CommandError
from .file_facts import fact_lines, fact_record
from .files import read_program
from .summary import count_nodes, plural

_LINES_AT_ONCE: Final = 1000  # to write lines one by one would take longer than to make them


class Listing(Enum):
    """What is printed of a file; the value is the option that asks for it."""

    NODES = "--nodes"
    SCOPES = "--scopes"
    STATS = "--stats"
    GRAPH = "--graph"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which nodes are wanted: those that fit all that is given.

    Attributes:
        scope: a shell pattern of scopes.
        op: one of operators.
        line: one of lines on the stack.
        query: what else is searched for.
    """

    scope: str | None = None
    op: str | None = None
    line: str | None = None
    query: Query | None = None

    @property
    def options(self) -> list[str]:
        """The options that were given."""
        given = {"--scope": self.scope, "--op": self.op, "--line": self.line, "--find": self.query}
        return [option for option, value in given.items() if value is not None]

    def nodes(self, graph: Graph) -> dict[str, list[Found]]:
        """Return the nodes with what the query found of each, by function; none where none fits."""
        patterns = {"scope": self.scope, "op": self.op, "caused_by": self.line}
        given = {name: pattern for name, pattern in patterns.items() if pattern is not None}
        parts = {"": graph, **graph.functions}
        if self.query is None:
            return {name: [(n, ()) for n in part.nodes(**given)] for name, part in parts.items()}
        chosen = {node for part in parts.values() for node in part.nodes(**given)}
        found: dict[str, list[Found]] = {name: [] for name in parts}
        for hit in self.query.find(graph):
            if hit.node in chosen:
                found[hit.function].append((hit.node, hit.where))
        return found


Found = tuple[Node, tuple[Match, ...]]


def choose_listing(
    wanted: dict[Listing, bool], selection: Selection, *, as_json: bool
) -> Listing | None:
    """Return what is to be printed; None if no option asks for lines.

    Raises:
        CommandError: options do not go together.
    """
    chosen = [listing for listing, is_wanted in wanted.items() if is_wanted]
    if len(chosen) > 1:
        raise CommandError(
            f"{chosen[0].value} and {chosen[1].value} are two things; print one of them"
        )
    listing = chosen[0] if chosen else Listing.NODES if selection.options or as_json else None
    if listing in (Listing.STATS, Listing.GRAPH) and selection.options:
        raise CommandError(
            f"{selection.options[0]} chooses among nodes, and {listing.value} prints all there is\n"
            "give it with --nodes or --scopes"
        )
    if listing is Listing.GRAPH and as_json:
        raise CommandError("--graph prints text; --nodes --json prints the nodes as JSON")
    return listing


def refuse_drawing(options: Mapping[str, str], listing: Listing) -> None:
    """Raise a CommandError if an option was given that only pictures, or other listings, heed.

    Args:
        options: the options that were given, by the names of their parameters.
        listing: what is to be printed.
    """
    for name in ("outputs", "focus", "around", "steps", "direction", "theme"):
        if name in options:
            raise CommandError(
                f"{options[name]} is for pictures, and {listing.value} prints\n"
                "draw and print with two commands; --focus draws what --scope prints"
            )
    if "depth" in options and listing is not Listing.SCOPES:
        raise CommandError(f"--depth is for pictures and --scopes, and {listing.value} prints all")


def run_print(
    file: Path, listing: Listing, selection: Selection, depth: int | None, *, as_json: bool
) -> None:
    """Print what is in a file.

    Args:
        file: the file.
        listing: what of it.
        selection: which nodes are printed, or counted in scopes.
        depth: how many levels of scopes are printed; all if None.
        as_json: whether records are printed for programs, and not lines for people.

    Raises:
        CommandError: the file cannot be read.
    """
    program = read_program(file)
    match listing:
        case Listing.NODES:
            lines = _nodes(program.graph, selection, as_json=as_json)
        case Listing.SCOPES:
            lines = _scopes(program.graph, selection, depth, as_json=as_json)
        case Listing.STATS:
            lines = _facts(file, program, as_json=as_json)
        case Listing.GRAPH:
            lines = iter(str(program).splitlines())
    while chunk := list(islice(lines, _LINES_AT_ONCE)):
        typer.echo("\n".join(chunk))
    sys.stdout.flush()


def _nodes(graph: Graph, selection: Selection, *, as_json: bool) -> Iterator[str]:
    """Yield the nodes that are wanted as lines, those of functions too."""
    count = 0
    for name, found in selection.nodes(graph).items():
        part = graph.functions[name] if name else graph
        if as_json:
            yield from _json(node_records(part, found, name))
        elif found:
            yield from [f"function {name}:"] if name else []
            yield from node_lines(part, [node for node, _ in found])
        count += len(found)
    if not as_json and selection.options:
        yield f"{plural(count, 'node')} of {plural(_size(graph), 'node')}"


def _scopes(
    graph: Graph, selection: Selection, depth: int | None, *, as_json: bool
) -> Iterator[str]:
    nodes = None
    if selection.options:
        nodes = [node for found in selection.nodes(graph).values() for node, _ in found]
    tree = ScopeTree(graph, nodes)
    return _json(scope_records(tree, depth)) if as_json else iter(scope_lines(tree, depth))


def _facts(file: Path, program: RecordedProgram, *, as_json: bool) -> Iterator[str]:
    if as_json:
        return iter([json.dumps(fact_record(file, program), indent=2)])
    return iter(fact_lines(file, program))


def _json(records: Iterable[dict[str, Any]]) -> Iterator[str]:
    return map(json.dumps, records)


def _size(graph: Graph) -> int:
    return sum(count_nodes(part) for part in (graph, *graph.functions.values()))
