"""``opscope show``: what is in a file, as pictures or in the browser; loads no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import typer

from ..exploring import show as open_in_browser
from ..program.recorded import RecordedProgram
from ..visualize import ViewOptions
from .errors import CommandError
from .files import read_program
from .outputs import Output, OutputKind, write_together
from .waiting import waiting


def run_show(
    file: Path, outputs: Sequence[Output], view: ViewOptions, options: Mapping[str, str]
) -> None:
    """Draw the program of a file; without outputs, open it in the browser.

    Args:
        file: the program.
        outputs: the files to write.
        view: how pictures look.
        options: the options that were given, by the names of their parameters.

    Raises:
        CommandError: the file cannot be read, an output cannot be written, or an option is for pictures and
            there are none.
    """
    for name in ("depth", "focus", "around", "steps", "direction", "theme"):
        if name in options and not outputs:
            raise CommandError(
                f"{options[name]} is for pictures, and the browser shows a page\n"
                f"name a picture, such as -o {file.stem}.svg"
            )
    program = read_program(file)
    if outputs:
        write_outputs(program, outputs, view)
        return
    with waiting(f"opening {file.name}"):
        page = open_in_browser(program)
    typer.echo(f"the page is {page}", err=True)


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
