"""The command ``opscope footprint``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .failures import reported
from .options import Debug, Inputs


def footprint(
    models: Annotated[
        list[Path],
        typer.Argument(
            metavar="MODEL",
            show_default=False,
            help="Files for the lite interpreter (.ptl) or of TorchScript (.pt); and .yaml files that this"
            " or other tools wrote, which are merged with what the models need.",
        ),
    ],
    yaml: Annotated[
        Path | None,
        typer.Option("--yaml", metavar="FILE", help="Where to write selected_operators.yaml."),
    ] = None,
    report: Annotated[
        bool,
        typer.Option(
            "--report", help="Print a table of operators. Default: if nothing else is asked for."
        ),
    ] = False,
    inputs: Inputs = None,
    method: Annotated[
        str, typer.Option(metavar="NAME", help="The method that --input is for.")
    ] = "forward",
    runs: Annotated[
        list[str] | None,
        typer.Option(
            "--run",
            metavar="qnnpack|fbgemm|inference",
            help="A run to make. Repeatable. Default: all three.",
        ),
    ] = None,
    features: Annotated[
        list[str] | None,
        typer.Option("--feature", metavar="NAME", help="A build feature to list. Repeatable."),
    ] = None,
    available: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="Operators that a build has (.yaml, or a name on each line): print which are missing.",
        ),
    ] = None,
    since: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", show_default=False, help="An older .yaml: print what has changed since."
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Find out which operators, types and classes models need, by running them.

    Each model is run on the inputs that are bundled with it, or on --input, with the engines QNNPACK and
    FBGEMM and in inference mode.

    The exit code is 1 if a model could not be traced, and then no file is written, or if operators are
    missing.

    \b
    Examples:
      opscope footprint model.ptl
      opscope footprint a.ptl b.ptl --yaml selected_operators.yaml --report
      opscope footprint model.ptl -i 'f32[1,3,224,224]' --yaml selected_operators.yaml
      opscope footprint model.ptl --available app_operators.yaml
      opscope footprint a.yaml b.yaml --yaml both.yaml
    """  # noqa: D301 - a real backspace tells typer to keep the lines of a paragraph
    with reported(debug=debug):
        from .footprinting import FootprintRequest, run_footprint  # what it loads, help needs not
        from .inputs import parse_input

        request = FootprintRequest(
            models=tuple(models),
            yaml=yaml,
            report=report,
            inputs=tuple(map(parse_input, inputs or ())),
            method=method,
            runs=tuple(runs or ()),
            features=tuple(features or ()),
            available=available,
            since=since,
        )
        if not run_footprint(request):
            raise typer.Exit(1)
