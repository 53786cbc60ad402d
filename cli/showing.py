"""``opscope show`` and ``opscope inspect``: what is in a file, as pictures and as lines; loads no torch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import typer

from ..ir import Graph, Node, provenance, value_names
from ..ir.printer import node_text
from ..loaded import LoadedProgram
from ..recorded import RecordedProgram
from ..visualize import ViewOptions
from .errors import CommandError
from .files import read_program
from .outputs import Output, OutputKind, write_together
from .summary import found_in, plural
from .waiting import waiting

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def run_show(file: Path, outputs: Sequence[Output], view: ViewOptions) -> None:
    """Draw the program of a file.

    Raises:
        CommandError: the file cannot be read, or an output cannot be written.
    """
    if not outputs:
        raise CommandError(
            f"there is nothing to draw {file} into\nname a file, such as -o {file.stem}.svg"
        )
    write_outputs(read_program(file), outputs, view)


def write_outputs(program: RecordedProgram, outputs: Sequence[Output], view: ViewOptions) -> None:
    """Write files of a program that was read from one, all of them or none."""
    with waiting(f"writing {', '.join(output.path.name for output in outputs)}"):
        write_together({output.path: _writer(output, program, view) for output in outputs})


def _writer(
    output: Output, program: RecordedProgram, view: ViewOptions
) -> Callable[[Path], object]:
    match output.kind:
        case OutputKind.TEXT:
            return partial(Path.write_text, data=str(program), encoding="utf-8")
        case OutputKind.PICTURE:
            return partial(program.save, **asdict(view))
        case OutputKind.PAGE | OutputKind.PROGRAM | OutputKind.EXPORT:
            return program.save
    raise CommandError(
        f"{output.path} is to hold what a replay runs, which opscope trace -o NAME.py writes"
    )


def run_inspect(
    file: Path, scope: str | None, op: str | None, line: str | None, *, whole: bool
) -> None:
    """Print what is in a file, or the nodes in it that fit some patterns.

    Raises:
        CommandError: the file cannot be read.
    """
    program = read_program(file)
    patterns = {"scope": scope, "op": op, "caused_by": line}
    given = {name: pattern for name, pattern in patterns.items() if pattern is not None}
    if whole:
        _print(str(program).splitlines())
    elif given:
        _print(_fitting(program.graph, given))
    else:
        _print([*_of_file(file, program), *found_in(program), *_signature(program)])


def _print(lines: Sequence[str]) -> None:
    typer.echo("\n".join(lines))
    sys.stdout.flush()


def _fitting(graph: Graph, patterns: dict[str, str]) -> list[str]:
    """Return the nodes that fit all of some patterns as lines, those of functions too."""
    lines = []
    count = 0
    for name, part in (("", graph), *graph.functions.items()):
        nodes = part.nodes(**patterns)
        if nodes:
            lines += [f"function {name}:"] if name else []
            lines += _lines_of(part, nodes)
            count += len(nodes)
    return [*lines, f"{plural(count, 'node')} of {plural(_size(graph), 'node')}"]


def _lines_of(graph: Graph, nodes: Sequence[Node]) -> Iterator[str]:
    names = value_names(graph)
    for node in nodes:
        place = provenance(node)
        text = node_text(node, names)
        yield f"{text:<70}  # {place}" if place else text


def _size(graph: Graph) -> int:
    return sum(1 for part in (graph, *graph.functions.values()) for _ in part.walk())


def _of_file(file: Path, program: RecordedProgram) -> list[str]:
    nbytes = file.stat().st_size
    if not isinstance(program, LoadedProgram):
        return [f"{file}: a graph as text, {size_text(nbytes)}"]
    if not program.is_program:
        return [f"{file}: a graph, {size_text(nbytes)}"]
    state = "with its state" if program.has_state else "without state"
    what = f"a program traced with torch {program.torch_version}, {state}"
    lines = [f"{file}: {what}, {size_text(nbytes)}"]
    if program.sources:
        lines.append(f"sources: {', '.join(program.sources)}")
    lines += [f"not in the file: {absent.label}, {absent.shown}" for absent in program.absent]
    return lines + [f"no replay: {obstacle}" for obstacle in program.obstacles]


def _signature(program: RecordedProgram) -> list[str]:
    """Return what goes in and comes out, a line each."""
    graph = program.graph
    names = value_names(graph)
    lines = [f"input %{names[value]} : {value.type}" for value in graph.inputs]
    return lines + [f"output %{names[value]} : {value.type}" for value in graph.outputs]


def size_text(nbytes: float) -> str:
    """Return a number of bytes for people: ``1.5 MiB``."""
    unit = 0
    while nbytes >= 1024 and unit < len(_UNITS) - 1:
        nbytes /= 1024
        unit += 1
    return f"{nbytes:.3g} {_UNITS[unit]}"
