"""Failures on the terminal: one readable block, and the exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final

import typer

from ..errors import OpscopeError
from ..ir import Frame
from .errors import ProgramError

DIFFERENT: Final = 1  # nothing failed, but what was compared is not equal
FAILED: Final = 2
INTERRUPTED: Final = 130  # 128 and the number of SIGINT, as shells have it
_BROKEN_PIPE: Final = 141  # 128 and the number of SIGPIPE


@contextmanager
def reported(*, debug: bool) -> Iterator[None]:
    """End the process with an exit code and one block on stderr if what runs here fails.

    Args:
        debug: whether the traceback is printed above the block.
    """
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:  # the reader of our output, ``head`` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(_BROKEN_PIPE) from None
    except typer.Exit:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the user gets one block
        if debug:
            traceback.print_exception(error)
        report(explain(error) + ("" if debug else _invitation(error)))
        raise typer.Exit(FAILED) from None


def report(message: str) -> None:
    """Print an error on stderr: its first line, and the others indented."""
    typer.secho("error: ", err=True, fg="red", bold=True, nl=False)
    typer.echo("\n  ".join(message.splitlines()), err=True)


def explain(error: Exception) -> str:
    """Return what went wrong: one line, then details."""
    if isinstance(error, ProgramError) and error.__cause__ is not None:
        lines = _of_program(error, error.__cause__)
    elif isinstance(error, OpscopeError):
        lines = str(error).splitlines()
    else:
        lines = [f"opscope itself failed: {type(error).__qualname__}", *str(error).splitlines()]
    return "\n".join(lines)


def _invitation(error: Exception) -> str:
    is_expected = isinstance(error, OpscopeError) and not isinstance(error, ProgramError)
    return "" if is_expected else "\n--debug shows the traceback"


def _of_program(error: ProgramError, cause: BaseException) -> list[str]:
    message = cause.msg if isinstance(cause, SyntaxError) else str(cause)
    lines = [f"{type(cause).__qualname__} while {error.doing}", *message.splitlines()]
    if isinstance(cause, SyntaxError) and cause.filename:
        lines.append(f"from {_readable(cause.filename)}:{cause.lineno}")
        lines.append(f"  {(cause.text or '').strip()}")
    else:
        lines.extend(_place(cause.__traceback__))
    if error.hint:
        lines.append(error.hint)
    return lines


def _place(trace: TracebackType | None) -> list[str]:
    """Return the innermost place in the user's own code, with its line underlined."""
    from ..tracer.sources.frames import (
        is_library_file,  # loads torch, which a mistyped option need not
    )

    found: Frame | None = None
    while trace is not None:
        code = trace.tb_frame.f_code
        if not is_library_file(code.co_filename):
            found = Frame(code, trace.tb_lasti, None)
        trace = trace.tb_next
    if found is None:
        return []
    place = found.range
    lines = [f"from {_readable(place.path)}:{place.line} in {place.function}"]
    lines.extend(f"  {line}" for line in place.underlined().splitlines())
    return lines


def _readable(path: str) -> str:
    """Return a path from the current folder on, if it lies there."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path
