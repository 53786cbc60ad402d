"""``opscope diff``: in what two files differ; loads no torch."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from ..comparing import diff
from .files import read_program
from .waiting import waiting


def run_diff(before: Path, after: Path, *, whole: bool, sources: bool, as_json: bool) -> bool:
    """Print in what the programs of two files differ; return whether they do.

    Raises:
        CommandError: a file cannot be read.
    """
    with waiting(f"comparing {before.name} with {after.name}"):
        found = diff(read_program(before), read_program(after), sources=sources)
        text = f"{found.to_json(indent=2)}\n" if as_json else found.text(whole=whole)
    typer.echo(text, nl=False)
    sys.stdout.flush()
    return bool(found)
