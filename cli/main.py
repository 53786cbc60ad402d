"""The ``opscope`` command. What a command needs is imported when it runs, so that help comes at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from .. import __version__
from .failures import reported
from .usage import PlainGroup, read_choice, read_whole

_DIRECTIONS: Final = ("TB", "LR")
_THEMES: Final = ("light", "dark", "print")
_MOST_SEED: Final = 2**64 - 1  # torch takes no larger one

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
    target: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:CALLABLE", show_default=False, help="What to trace; see above."
        ),
    ],
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", metavar="SPEC", help="A positional input. Repeatable."),
    ] = None,
    kwargs: Annotated[
        list[str] | None,
        typer.Option("--kwarg", "-k", metavar="NAME=SPEC", help="A keyword input. Repeatable."),
    ] = None,
    arguments: Annotated[
        list[str] | None,
        typer.Option(
            "--arg",
            "-a",
            metavar="NAME=VALUE",
            help="What a class or factory is called with: a Python literal or a word. Repeatable.",
        ),
    ] = None,
    outputs: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A file to write: .txt (the graph), .py (what a replay runs), .svg, .png, .pdf, .dot"
            " or .gv (pictures). Repeatable. Without any, the graph is printed.",
        ),
    ] = None,
    depth: Annotated[
        str | None,
        typer.Option(
            metavar="N", help="Levels of modules that pictures open. Default: as many as fit."
        ),
    ] = None,
    direction: Annotated[
        str,
        typer.Option(metavar="TB|LR", help="Which way data flows in pictures: down or right."),
    ] = "TB",
    theme: Annotated[
        str, typer.Option(metavar="light|dark|print", help="Colours of pictures.")
    ] = "light",
    seed: Annotated[str, typer.Option(metavar="N", help="Seed of weights and inputs.")] = "0",
    grad: Annotated[
        bool | None,
        typer.Option(
            "--grad/--no-grad",
            help="Run with or without gradients. Default: without for a module in evaluation mode,"
            " with for all else.",
        ),
    ] = None,
    train: Annotated[
        bool | None,
        typer.Option("--train/--eval", help="Mode to run a module in. Default: --eval."),
    ] = None,
    factory: Annotated[
        bool | None,
        typer.Option(
            "--factory/--no-factory",
            help="Whether a function makes the program or is the program. Default: see above.",
        ),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND",
            help="A kind of diagnostics, such as 'untracked write', that is no error. Repeatable.",
        ),
    ] = None,
    fixed: Annotated[
        bool, typer.Option("--fixed", help="Fix all sizes instead of letting them vary.")
    ] = False,
    fake: Annotated[
        bool, typer.Option("--fake", help="Trace without computing, so without memory for tensors.")
    ] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Show what composite operators call in place of them.")
    ] = False,
    functional: Annotated[
        bool, typer.Option("--functional", help="Turn writes to memory into values.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Run the program again and compare the replay with it.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
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
        from ..visualize import ViewOptions
        from .inputs import parse_argument, parse_input, parse_pairs
        from .outputs import parse_outputs
        from .request import TargetName, TraceRequest

        request = TraceRequest(
            target=TargetName.parse(target),
            inputs=tuple(map(parse_input, inputs or ())),
            kwargs=parse_pairs("--kwarg", kwargs or [], parse_input),
            arguments=parse_pairs("--arg", arguments or [], parse_argument),
            outputs=parse_outputs(outputs or ()),
            view=ViewOptions(
                depth=None if depth is None else read_whole("--depth", depth),
                direction=read_choice("--direction", direction, _DIRECTIONS),
                theme=read_choice("--theme", theme, _THEMES),
            ),
            seed=read_whole("--seed", seed, _MOST_SEED),
            grad=grad,
            train=train,
            factory=factory,
            allow=tuple(allow or ()),
            fixed=fixed,
            fake=fake,
            deep=deep,
            functional=functional,
            check=check,
        )
        from .tracing import run_trace  # loads torch

        run_trace(request)


@app.command()
def demo(
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
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """Trace, draw and replay three networks, and print what it cost.

    A ResNet-50 and a 12-layer transformer in plain torch, and GPT-2 as transformers has it, all with
    random weights. Each replay is compared with the network bit for bit. Nothing is downloaded.
    """
    with reported(debug=debug):
        from .demo import run_demo  # loads torch

        if not run_demo(out, examples):
            raise typer.Exit(1)
