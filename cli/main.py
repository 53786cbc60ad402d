"""The ``opscope`` command. What a command needs is imported when it runs, so that help comes at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from .. import __version__
from .deps import deps
from .errors import CommandError
from .failures import reported
from .file_commands import diff, inspect, opt, show
from .footprint import footprint
from .options import (
    Allow,
    Arguments,
    Debug,
    Deep,
    Depth,
    Direction,
    Factory,
    Fake,
    Grad,
    Inputs,
    Kwargs,
    Seed,
    Target,
    Theme,
    Train,
)
from .usage import PlainGroup, given_options, read_choice, read_whole

_DEMOS: Final = ("networks", "train")

app = typer.Typer(
    cls=PlainGroup,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help comes in half the time
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line of this process."""
    app(prog_name="opscope")


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"opscope {__version__}")
        raise typer.Exit


@app.callback()
def opscope(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Trace PyTorch programs while they run, into graphs that you can read, replay and draw."""


@app.command(no_args_is_help=True)
def trace(
    target: Target,
    inputs: Inputs = None,
    kwargs: Kwargs = None,
    arguments: Arguments = None,
    outputs: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A file to write: .html (the explorer), .txt (the graph), .py (what a replay runs), .svg,"
            " .png, .pdf, .dot, .gv or .mmd (pictures), .explorer.json, .netron, .graphml or"
            " .nodelink.json (for other tools), .opscope (the program, for opscope.load and the"
            " commands below)."
            " Repeatable. Without any, the graph is printed.",
        ),
    ] = None,
    depth: Depth = None,
    direction: Direction = "TB",
    theme: Theme = "light",
    state: Annotated[
        bool,
        typer.Option("--state/--no-state", help="Whether .opscope files hold the parameters too."),
    ] = True,
    seed: Seed = "0",
    grad: Grad = None,
    train: Train = None,
    factory: Factory = None,
    allow: Allow = None,
    fixed: Annotated[
        bool, typer.Option("--fixed", help="Fix all sizes instead of letting them vary.")
    ] = False,
    fake: Fake = False,
    deep: Deep = None,
    functional: Annotated[
        bool, typer.Option("--functional", help="Turn writes to memory into values.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Run the program again and compare the replay with it.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Run a program once and record every operator.

    \b
    MODULE is a module (package.models) or a script (path/to/net.py). CALLABLE is
      a module instance, traced as it is;
      a class, instantiated with --arg and traced;
      a method (Net.encode), traced on an instance made with --arg;
      a factory: a function with --arg, or whose parameters all have defaults;
      it is called, and what it returns is traced;
      any other function, traced itself.

    \b
    SPEC is
      f32[1,3,224,224]     a tensor of random numbers; f32[] is a single one
      i64[2,16]<1000       whole numbers below 1000; without <N, zeros and ones
      f16[8,64]@cuda:0     a tensor on a device
      x.pt  x.safetensors  a file; x.pt:name is one entry of it
      3  True  None  [1,2]  '"text"'    a Python literal

    \b
    Examples:
      opscope trace torch.nn:Linear -a in_features=4 -a out_features=2 -i 'f32[1,4]'
      opscope trace examples/resnet.py:resnet18 -i 'f32[1,3,224,224]' -o r18.svg
      opscope trace net.py:Net -a width=64 -i 'i64[2,16]<1000' | less
    """  # noqa: D301 - a real backspace tells typer to keep the lines of a paragraph
    with reported(debug=debug):
        # These load nothing heavy, so a mistake on the command line is reported at once.
        from .outputs import parse_outputs
        from .request import TraceRequest
        from .views import read_view

        request = TraceRequest.read(
            target,
            inputs,
            kwargs,
            arguments,
            seed,
            grad=grad,
            train=train,
            factory=factory,
            outputs=parse_outputs(outputs or ()),
            view=read_view(depth, direction, theme),
            allow=tuple(allow or ()),
            fixed=fixed,
            fake=fake,
            deep=deep,
            functional=functional,
            check=check,
            state=state,
        )
        from .tracing import run_trace  # loads torch

        run_trace(request)


@app.command(no_args_is_help=True)
def summary(
    context: typer.Context,
    target: Annotated[
        str,
        typer.Argument(metavar="FILE|MODULE:CALLABLE", show_default=False, help="What to sum up."),
    ],
    inputs: Inputs = None,
    kwargs: Kwargs = None,
    arguments: Arguments = None,
    by: Annotated[
        str, typer.Option(metavar="module|line|operator", help="What the rows are.")
    ] = "module",
    depth: Annotated[
        str | None,
        typer.Option(metavar="N", help="Levels of modules to show. Default: as many as fit."),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="FIGURE",
            help="Most first: flops, moved, activations, saved, parameters or calls.",
        ),
    ] = None,
    top: Annotated[
        str | None, typer.Option(metavar="N", help="Rows to show of each level. Default: all.")
    ] = None,
    fold: Annotated[
        bool, typer.Option("--fold/--no-fold", help="Whether equal neighbours are one row.")
    ] = True,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    seed: Seed = "0",
    grad: Grad = None,
    train: Train = None,
    factory: Factory = None,
    allow: Allow = None,
    fake: Fake = False,
    deep: Deep = None,
    debug: Debug = False,
) -> None:
    """Print what a program computes, moves and keeps in memory.

    \b
    FILE is a graph or program as opscope trace -o NAME.opscope, or NAME.txt, writes it;
    torch is not needed for it.
    MODULE:CALLABLE and SPEC are as for opscope trace, whose --help explains them;
    the program is traced first, with the options from --seed on.

    \b
    Examples:
      opscope summary examples/resnet.py:resnet50 -i 'f32[1,3,224,224]' --depth 2
      opscope summary examples/gpt.py:gpt -i 'i64[1,128]<1000' --by operator --top 10
      opscope summary r50.txt --by line --json
    """  # noqa: D301 - a real backspace tells typer to keep the lines of a paragraph
    with reported(debug=debug):
        from ..reports import SummaryOptions
        from .report import is_graph_file, report_of_file, terminal_width

        options = SummaryOptions(
            by=by,
            depth=None if depth is None else read_whole("--depth", depth),
            sort=sort,
            top=None if top is None else read_whole("--top", top, least=1),
            fold=fold,
            width=terminal_width(),
        )
        if is_graph_file(target):
            _refuse_for_a_file(context, target)
            typer.echo(report_of_file(Path(target), options, as_json=json), nl=False)
            return
        from .request import TraceRequest

        request = TraceRequest.read(
            target,
            inputs,
            kwargs,
            arguments,
            seed,
            grad=grad,
            train=train,
            factory=factory,
            allow=tuple(allow or ()),
            fake=fake,
            deep=deep,
        )
        from .tracing import run_summary  # loads torch

        run_summary(request, options, as_json=json)


_OF_TABLES = frozenset("target by depth sort top fold json debug".split())


def _refuse_for_a_file(context: typer.Context, target: str) -> None:
    """Raise a CommandError if an option was given that says how to trace, where nothing is traced."""
    for name, option in given_options(context):
        if name not in _OF_TABLES:
            raise CommandError(
                f"{option} is for a program that is traced; {target} is a graph already\n"
                "give it to opscope trace, which writes the file"
            )


app.command(no_args_is_help=True)(show)
app.command(no_args_is_help=True)(inspect)
app.command(no_args_is_help=True)(diff)
app.command(no_args_is_help=True)(opt)
app.command(no_args_is_help=True)(footprint)
app.command(no_args_is_help=True)(deps)


@app.command()
def demo(
    what: Annotated[
        str,
        typer.Argument(metavar="|".join(_DEMOS), help="Three networks, or a training step."),
    ] = "networks",
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the files go.")] = Path(
        "demo-output"
    ),
    examples: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            show_default=False,
            help="Where resnet.py and gpt.py lie. Default: examples/ of the checkout that opscope runs from.",
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Trace, draw and replay networks, and print what it cost.

    A ResNet-50 and a 12-layer transformer in plain torch, and GPT-2 as transformers has it, all with
    random weights. Each replay is compared with the network bit for bit. `train` does so with a whole
    training step, five times over, and sums it up by module and by line. Nothing is downloaded.
    """
    with reported(debug=debug):
        if read_choice("the demonstration", what, _DEMOS) == "train":
            from .demo_train import run_training as run  # loads torch
        else:
            from .demo import run_demo as run  # loads torch

        if not run(out, examples):
            raise typer.Exit(1)
