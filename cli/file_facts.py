"""What is in a file, summed up: as lines for people, and as one record for programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..ir import Graph, Value, value_names
from ..ir.printer import value_text
from ..program.loaded import LoadedProgram
from ..program.recorded import RecordedProgram
from ..reports.units import bytes_text
from .summary import count_nodes, count_scopes, found_in, operators_by_kind


def fact_lines(file: Path, program: RecordedProgram) -> list[str]:
    """Return sizes, operators, what a replay requires, diagnostics, and what goes in and comes out."""
    return [*file_lines(file, program), *found_in(program), *signature_lines(program.graph)]


def file_lines(file: Path, program: RecordedProgram) -> list[str]:
    """Return what kind of file it is, and what it holds besides the graph."""
    size = bytes_text(file.stat().st_size)
    if not isinstance(program, LoadedProgram):
        return [f"{file}: a graph as text, {size}"]
    if not program.is_program:
        return [f"{file}: a graph, {size}"]
    state = "with its state" if program.has_state else "without state"
    what = f"a program traced with torch {program.torch_version}, {state}"
    lines = [f"{file}: {what}, {size}"]
    if program.sources:
        lines.append(f"sources: {', '.join(program.sources)}")
    lines += [f"not in the file: {absent.label}, {absent.shown}" for absent in program.absent]
    return lines + [f"no replay: {obstacle}" for obstacle in program.obstacles]


def signature_lines(graph: Graph) -> list[str]:
    """Return what goes in and comes out, a line each."""
    names = value_names(graph)

    def declared(kind: str, value: Value) -> str:
        return f"{kind} {value_text(names[value])} : {value.type}"

    lines = [declared("input", value) for value in graph.inputs]
    return lines + [declared("output", value) for value in graph.outputs]


def fact_record(file: Path, program: RecordedProgram) -> dict[str, Any]:
    """Return the same as one JSON object; ``docs/terminal.md`` lists its fields."""
    graph = program.graph
    names = value_names(graph)
    loaded = program if isinstance(program, LoadedProgram) else None
    return {
        "file": str(file),
        "bytes": file.stat().st_size,
        "graph": graph.name,
        "torch": loaded.torch_version or None if loaded else None,
        "has_state": loaded is not None and loaded.has_state,
        "sources": list(loaded.sources) if loaded else [],
        "nodes": count_nodes(graph),
        "scopes": count_scopes(graph),
        "functions": {name: count_nodes(part) for name, part in graph.functions.items()},
        "parameters": program.parameter_count,
        "operators": dict(operators_by_kind(graph).most_common()),
        "inputs": [{"name": names[value], "type": str(value.type)} for value in graph.inputs],
        "outputs": [{"name": names[value], "type": str(value.type)} for value in graph.outputs],
        "requires": [
            {"text": guard.text, "source": None if guard.source is None else str(guard.source)}
            for guard in program.guards
        ],
        "diagnostics": [
            {
                "kind": found.kind.value,
                "severity": found.severity.name.lower(),
                "message": found.message,
                "source": None if found.source is None else str(found.source),
                "scope": found.scope,
                "hint": found.hint,
                "count": found.count,
            }
            for found in program.diagnostics
        ],
    }
