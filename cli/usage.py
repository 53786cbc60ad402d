"""Mistakes in options and arguments, reported like all other errors: one block, in plain words."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Final

import typer
from typer.core import TyperGroup

from .errors import CommandError
from .failures import FAILED, INTERRUPTED, report

MOST_SEED: Final = 2**64 - 1  # torch takes no larger one


class PlainGroup(TyperGroup):
    """Commands whose usage errors are one block on stderr."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command line and end the process, as typer does, with our words for its errors."""
        extra["standalone_mode"] = False
        try:
            code = super().main(*args, **extra)
        except typer.Abort:
            code = INTERRUPTED
        except Exception as error:
            # Which package has the class of usage errors differs between versions of typer.
            if not hasattr(error, "format_message"):
                raise
            if type(error).__name__ == "NoArgsIsHelpError":
                typer.echo(error.format_message(), err=True)
            else:
                report(_in_plain_words(error))
            code = FAILED
        sys.exit(code or 0)


def given_options(context: typer.Context) -> Iterator[tuple[str, str]]:
    """Yield what a command line gives: each parameter's name, and how the option is spelled."""
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            yield name, parameter.opts[0]


def read_whole(option: str, text: str, most: int | None = None, *, least: int = 0) -> int:
    """Read a whole number from ``least`` to ``most``.

    Raises:
        CommandError: the text is none.
    """
    if re.fullmatch(r"[0-9]{1,20}", text):
        number = int(text)
        if least <= number and (most is None or number <= most):
            return number
    span = f"from {least}" if most is None else f"from {least} to {most}"
    raise CommandError(f"{option} takes a whole number {span}, not {text!r}")


def read_choice(option: str, text: str, choices: Iterable[str]) -> str:
    """Read one of some words, in any case.

    Raises:
        CommandError: the text is none of them.
    """
    known = {choice.lower(): choice for choice in choices}
    if text.lower() not in known:
        raise CommandError(f"{option} takes one of {', '.join(known.values())}, not {text!r}")
    return known[text.lower()]


def _in_plain_words(error: Any) -> str:
    context = getattr(error, "ctx", None)
    message = error.format_message().rstrip(".")
    option = getattr(error, "option_name", None)
    extra = re.search(r"unexpected extra arguments?(?:\(s\))? \((.*)\)\Z", message)
    if option is not None and hasattr(error, "possibilities"):
        problem = f"there is no option {option}{_nearest(option, context)}"
    elif option is not None and "requires an argument" in message:
        problem = f"{option} needs a value"
    elif extra is not None:
        problem = f"{extra[1]} belongs to no option"
    elif "Missing" in message and getattr(error, "param", None) is not None:
        is_option = error.param.param_type_name == "option"
        name = error.param.opts[0] if is_option else error.param.metavar or error.param.name
        problem = f"{name} is missing"
    else:
        problem = message[:1].lower() + message[1:]
    if context is None:
        return problem
    return f"{problem}\n{context.command_path} --help shows what can be written"


def _nearest(option: str, context: Any) -> str:
    parameters = context.command.params if context is not None else []
    known = [name for param in parameters for name in (*param.opts, *param.secondary_opts)]
    near = difflib.get_close_matches(option, [name for name in known if name[:2] == "--"], n=1)
    return f"; did you mean {near[0]}?" if near else ""
