"""``opscope diff``: in what two files differ; loads no torch."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import typer

from ..comparing import diff
from ..exploring import save_html
from .errors import CommandError
from .files import read_program
from .outputs import OutputKind, parse_outputs, write_together
from .waiting import waiting


def run_diff(
    before: Path,
    after: Path,
    *,
    whole: bool,
    sources: bool,
    as_json: bool,
    page: Path | None = None,
) -> bool:
    """Print in what the programs of two files differ; return whether they do.

    Args:
        before: a program, as a file.
        after: what it is compared with.
        whole: whether every change is shown, also those that are like others.
        sources: whether another source line is a difference.
        as_json: whether JSON is printed instead of text.
        page: where to write both side by side, as a page.

    Raises:
        CommandError: a file cannot be read, or the page cannot be written.
    """
    outputs = parse_outputs(() if page is None else (page,))
    for output in outputs:
        if output.kind is not OutputKind.PAGE:
            raise CommandError(
                f"{page} cannot show two programs side by side; a page can, such as -o diff.html"
            )
    with waiting(f"comparing {before.name} with {after.name}"):
        found = diff(read_program(before), read_program(after), sources=sources)
        text = f"{found.to_json(indent=2)}\n" if as_json else found.text(whole=whole)
    write_together({output.path: partial(save_html, found) for output in outputs})
    typer.echo(text, nl=False)
    sys.stdout.flush()
    return bool(found)
