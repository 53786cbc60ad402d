"""``opscope show``: what is in a file, as pictures; loads no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from ..recorded import RecordedProgram
from ..visualize import ViewOptions
from .errors import CommandError
from .files import read_program
from .outputs import Output, OutputKind, write_together
from .waiting import waiting


def run_show(file: Path, outputs: Sequence[Output], view: ViewOptions) -> None:
    """Draw the program of a file.

    Raises:
        CommandError: the file cannot be read, or an output cannot be written.
    """
    if not outputs:
        raise CommandError(
            f"there is nothing to draw {file} into\n"
            f"name a file, such as -o {file.stem}.svg,"
            " or print it with --nodes, --scopes, --stats or --graph"
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
        case OutputKind.PROGRAM:
            return program.save
    raise CommandError(
        f"{output.path} is to hold what a replay runs, which opscope trace -o NAME.py writes"
    )
