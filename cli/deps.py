"""The command ``opscope deps``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .failures import reported
from .options import Arguments, Debug, Factory, Grad, Inputs, Kwargs, Seed, Target, Train


def deps(
    target: Target,
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

    MODULE:CALLABLE and SPEC are as for opscope trace.

    \b
    Examples:
      opscope deps net.py:Net -i 'f32[1,3,224,224]'
      opscope deps package.models:build -a width=64 -i 'f32[2,64]' --requirements requirements.txt
      opscope deps net.py:Net -i 'f32[1,3,224,224]' --why numpy
    """  # noqa: D301 - a real backspace tells typer to keep the lines of a paragraph
    with reported(debug=debug):
        from ..visualize import ViewOptions
        from .inputs import parse_argument, parse_input, parse_pairs
        from .request import TargetName, TraceRequest
        from .usage import MOST_SEED, read_whole

        request = TraceRequest(
            target=TargetName.parse(target),
            inputs=tuple(map(parse_input, inputs or ())),
            kwargs=parse_pairs("--kwarg", kwargs or [], parse_input),
            arguments=parse_pairs("--arg", arguments or [], parse_argument),
            outputs=(),
            view=ViewOptions(),
            seed=read_whole("--seed", seed, MOST_SEED),
            grad=grad,
            train=train,
            factory=factory,
        )
        from .dependencies import DependencyOutput, run_deps  # loads torch

        run_deps(request, DependencyOutput(requirements, why, modules, json))
