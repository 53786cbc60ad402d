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
            help="Files for the lite interpreter (.ptl), of TorchScript (.pt) or of ExecuTorch (.pte);"
            " modules in Python, as MODULE:CALLABLE; and .yaml files that this or other tools wrote, which"
            " are merged with what the models need.",
        ),
    ],
    yaml: Annotated[
        Path | None,
        typer.Option(
            "--yaml",
            metavar="FILE",
            help="Where to write selected_operators.yaml for a build of torch.",
        ),
    ] = None,
    executorch_yaml: Annotated[
        Path | None,
        typer.Option(
            "--executorch-yaml",
            metavar="FILE",
            help="Where to write selected_operators.yaml for a build of ExecuTorch.",
        ),
    ] = None,
    executorch_list: Annotated[
        Path | None,
        typer.Option(
            "--executorch-list",
            metavar="FILE",
            help="Where to write what EXECUTORCH_SELECT_OPS_LIST takes; - for standard output.",
        ),
    ] = None,
    executorch_dict: Annotated[
        Path | None,
        typer.Option(
            "--executorch-dict",
            metavar="FILE",
            help="Where to write operators and their kernels as JSON (ops_dict); - for standard output.",
        ),
    ] = None,
    executorch_schema: Annotated[
        Path | None,
        typer.Option(
            "--executorch-schema",
            metavar="FILE",
            help="Where to write the list that EXECUTORCH_SELECT_OPS_YAML takes; - for standard output.",
        ),
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
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="Operators that a build has (.yaml, also ExecuTorch's functions.yaml; or a name on each"
            " line): print which are missing. Repeatable.",
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
    FBGEMM and in inference mode. Programs of ExecuTorch are read instead: they tell exactly. For ExecuTorch a
    module in Python is exported, which tells approximately.

    The exit code is 1 if a model could not be traced, and then no file is written, or if operators are
    missing.

    \b
    Examples:
      opscope footprint model.ptl
      opscope footprint a.ptl b.ptl --yaml selected_operators.yaml --report
      opscope footprint model.ptl -i 'f32[1,3,224,224]' --yaml selected_operators.yaml
      opscope footprint model.ptl --available app_operators.yaml
      opscope footprint a.yaml b.yaml --yaml both.yaml
      opscope footprint model.pte --executorch-yaml selected_operators.yaml --report
      opscope footprint model.pte --executorch-list -
      opscope footprint model.pte --available kernels/portable/functions.yaml
      opscope footprint torchvision.models:resnet18 -i 'f32[1,3,224,224]' --executorch-yaml ops.yaml
    """  # noqa: D301 - a real backspace tells typer to keep the lines of a paragraph
    with reported(debug=debug):
        from .footprint_outputs import FootprintOutputs  # what these load, help needs not
        from .footprinting import FootprintRequest, run_footprint
        from .inputs import parse_input

        request = FootprintRequest(
            models=tuple(models),
            outputs=FootprintOutputs(
                yaml, executorch_yaml, executorch_list, executorch_dict, executorch_schema
            ),
            report=report,
            inputs=tuple(map(parse_input, inputs or ())),
            method=method,
            runs=tuple(runs or ()),
            features=tuple(features or ()),
            available=tuple(available or ()),
            since=since,
        )
        if not run_footprint(request):
            raise typer.Exit(1)
