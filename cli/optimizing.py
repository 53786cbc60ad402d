"""``opscope opt``: passes on the program of a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from ..ir import Graph
from ..passes.base import Pass, PassResult
from ..passes.registry import read_passes
from ..visualize import ViewOptions
from .errors import user_code
from .files import read_program
from .outputs import Output
from .showing import write_outputs


def run_opt(
    file: Path, passes: str, outputs: Sequence[Output], *, print_each: bool, verify_each: bool
) -> None:
    """Run passes on the program of a file, write or print what comes of it, and report on stderr.

    Args:
        file: what to read.
        passes: their names; those of modules are looked for in the working directory first.
        outputs: what to write.
        print_each: whether to print the graph after each pass.
        verify_each: whether to verify it after each.

    Raises:
        ProgramError: the module of a pass fails.
        CommandError: the file cannot be read, or an output cannot be written.
        PassError: there is no such pass or option, or a pass broke the graph.
    """
    if ":" in passes:
        sys.path.insert(0, os.fspath(Path.cwd()))
    with user_code(f"reading the passes {passes}"):
        listed = read_passes(passes)
    program = read_program(file, with_schemas=True)
    report = program.apply(
        *listed, verify_each=verify_each, on_pass=_print_after if print_each else None
    )
    if outputs:
        write_outputs(program, outputs, ViewOptions())
    elif not print_each:
        typer.echo(str(program), nl=False)
    sys.stdout.flush()
    typer.echo(report, err=True)
    if outputs:
        typer.echo(f"wrote {', '.join(str(output.path) for output in outputs)}", err=True)


def _print_after(before: Graph, pass_: Pass, graph: Graph, result: PassResult) -> None:
    """Print the graph after a pass."""
    what = "" if result.changed else ", which changed nothing"
    typer.echo(f"# after {pass_.name}{what}")
    typer.echo(str(graph))
