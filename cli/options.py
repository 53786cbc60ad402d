"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

Target: TypeAlias = Annotated[
    str,
    typer.Argument(metavar="MODULE:CALLABLE", show_default=False, help="What to trace; see above."),
]
Program: TypeAlias = Annotated[
    str, typer.Argument(metavar="MODULE:CALLABLE", show_default=False, help="What to run.")
]
Inputs: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--input", "-i", metavar="SPEC", help="A positional input. Repeatable."),
]
Kwargs: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--kwarg", "-k", metavar="NAME=SPEC", help="A keyword input. Repeatable."),
]
Arguments: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--arg",
        "-a",
        metavar="NAME=VALUE",
        help="What a class or factory is called with: a Python literal or a word. Repeatable.",
    ),
]
Seed: TypeAlias = Annotated[str, typer.Option(metavar="N", help="Seed of weights and inputs.")]
Grad: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--grad/--no-grad",
        help="Run with or without gradients. Default: without for a module in evaluation mode,"
        " with for all else.",
    ),
]
Train: TypeAlias = Annotated[
    bool | None,
    typer.Option("--train/--eval", help="Mode to run a module in. Default: --eval."),
]
Factory: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--factory/--no-factory",
        help="Whether a function makes the program or is the program. Default: it makes it if --arg is"
        " given, or if all its parameters have defaults.",
    ),
]
Allow: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KIND",
        help="A kind of diagnostics, such as 'untracked write', that is no error. Repeatable.",
    ),
]
Fake: TypeAlias = Annotated[
    bool, typer.Option("--fake", help="Trace without computing, so without memory for tensors.")
]
Deep: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--deep/--flat",
        help="Whether what composite operators call stands in place of them. Default: if a backward pass"
        " runs inside the program, which reads that.",
    ),
]
File: TypeAlias = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        show_default=False,
        help="A program (.opscope) or a graph as text (.txt), as opscope trace -o writes them.",
    ),
]
Depth: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="N", help="Levels of modules that pictures open. Default: as many as fit."
    ),
]
Direction: TypeAlias = Annotated[
    str,
    typer.Option(metavar="TB|LR", help="Which way data flows in pictures: down or right."),
]
Theme: TypeAlias = Annotated[
    str, typer.Option(metavar="light|dark|print", help="Colours of pictures.")
]
Debug: TypeAlias = Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")]
