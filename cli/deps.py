"""The command ``opscope deps``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .failures import reported
from .options import Arguments, Debug, Factory, Grad, Inputs, Kwargs, Program, Seed, Train


def deps(
    target: Program,
    inputs: Inputs = None,
    kwargs: Kwargs = None,
    arguments: Arguments = None,
    requirements: Annotated[
        Path | None,
        typer.Option(
            "--requirements",
            metavar="FILE",
            help="Where to write the requirements, for pip install -r.",
        ),
    ] = None,
    why: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Print the way on which this module, or distribution, was first come to.",
        ),
    ] = None,
    modules: Annotated[
        bool, typer.Option("--modules", help="List the modules of distributions in the table, too.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    seed: Seed = "0",
    grad: Grad = None,
    train: Train = None,
    factory: Factory = None,
    debug: Debug = False,
) -> None:
    """Find out which Python modules and distributions a program needs, by running it.

    The program is made and called once. Listed is every module whose Python code runs meanwhile, what is
    imported meanwhile, and what modules of yours import. A table is printed if nothing else is asked for.

    MODULE:CALLABLE and SPEC are as for opscope trace, whose --help explains them.

    \b
    Examples:
      opscope deps net.py:Net -i 'f32[1,3,224,224]'
      opscope deps package.models:build -a width=64 -i 'f32[2,64]' --requirements requirements.txt
      opscope deps net.py:Net -i 'f32[1,3,224,224]' --why numpy
    """  # noqa: D301 - a real backspace tells typer to keep the lines of a paragraph
    with reported(debug=debug):
        from .request import TraceRequest  # loads nothing heavy, so a mistake is reported at once

        request = TraceRequest.read(
            target, inputs, kwargs, arguments, seed, grad=grad, train=train, factory=factory
        )
        from .dependencies import DependencyOutput, run_deps  # loads torch

        run_deps(request, DependencyOutput(requirements, why, modules, json))
