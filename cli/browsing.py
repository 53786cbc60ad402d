"""``opscope inspect``: a program in the terminal; loads no torch."""

from __future__ import annotations

import sys
from pathlib import Path

from ..visualize.search import parse_query
from .errors import CommandError
from .file_facts import fact_lines
from .files import read_program


def run_inspect(file: Path, find: str | None) -> None:
    """Let people browse the program of a file, until they leave.

    Args:
        file: the file.
        find: what to search for at the start.

    Raises:
        CommandError: there is no terminal, Textual is not installed, or the file cannot be read.
        QueryError: what to search for cannot be read.
    """
    if not file.exists():
        raise CommandError(f"cannot read {file}: No such file or directory")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CommandError(
            "inspect needs a terminal to browse in\n"
            f"opscope show {file} --nodes prints; so do --scopes, --stats and --graph"
        )
    query = None if find is None else parse_query(find)
    try:
        from ..visualize.terminal import Subject, browse  # loads Textual, which is an extra
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "textual":
            raise
        raise CommandError(
            "inspect needs Textual, which is not installed\n"
            "pip install 'opscope[terminal]' brings it;"
            f" opscope show {file} --nodes prints without it, and so do --scopes and --stats"
        ) from error
    program = read_program(file)
    browse(
        Subject(
            program.graph,
            title=file.name,
            facts=tuple(fact_lines(file, program)),
            diagnostics=program.diagnostics,
            guards=program.guards,
        ),
        query,
    )
