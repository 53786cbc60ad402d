"""The commands on files: ``opscope show``, ``inspect``, ``diff`` and ``opt``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .failures import DIFFERENT, reported
from .options import Debug, Depth, Direction, File, Theme


def show(
    file: File,
    outputs: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A file to write: .svg, .png, .pdf, .dot or .gv (pictures), .txt (the graph). Repeatable.",
        ),
    ] = None,
    depth: Depth = None,
    focus: Annotated[
        str | None,
        typer.Option(metavar="SCOPE", help="Draw only what happens in scopes like layers.0*."),
    ] = None,
    direction: Direction = "TB",
    theme: Theme = "light",
    debug: Debug = False,
) -> None:
    """Draw a program that was saved. Needs no torch.

    \b
    Examples:
      opscope show r50.opscope -o r50.svg
      opscope show gpt.opscope --focus 'blocks.0*' --theme dark -o block.png
    """  # noqa: D301 - a real backspace tells typer to keep the lines of a paragraph
    with reported(debug=debug):
        from .outputs import parse_outputs  # what these load, help needs not
        from .showing import run_show
        from .views import read_view

        run_show(file, parse_outputs(outputs or ()), read_view(depth, direction, theme, focus))


def inspect(
    file: File,
    scope: Annotated[
        str | None,
        typer.Option(metavar="SCOPE", help="Print the nodes in scopes like layers.0*."),
    ] = None,
    op: Annotated[
        str | None,
        typer.Option(metavar="OPERATOR", help="Print the nodes of operators like aten::conv*."),
    ] = None,
    line: Annotated[
        str | None,
        typer.Option(metavar="PLACE", help="Print the nodes that a line like net.py:41 causes."),
    ] = None,
    text: Annotated[bool, typer.Option("--text", help="Print the whole graph.")] = False,
    debug: Debug = False,
) -> None:
    """Print what is in a file: sizes, operators, what a replay requires, and nodes. Needs no torch.

    SCOPE, OPERATOR and PLACE are patterns as shells have them; nodes that are printed fit all of them.

    \b
    Examples:
      opscope inspect r50.opscope
      opscope inspect r50.opscope --scope 'layer1.*' --op 'aten::conv*'
      opscope inspect r50.opscope --text | less
    """  # noqa: D301 - a real backspace tells typer to keep the lines of a paragraph
    with reported(debug=debug):
        from .showing import run_inspect  # what it loads, help needs not

        run_inspect(file, scope, op, line, whole=text)


def diff(
    before: Annotated[
        Path, typer.Argument(metavar="A", show_default=False, help="A program or graph, as a file.")
    ],
    after: Annotated[
        Path,
        typer.Argument(metavar="B", show_default=False, help="The one that it is compared with."),
    ],
    whole: Annotated[
        bool,
        typer.Option("--all", help="Show every change, also those that are like others."),
    ] = False,
    sources: Annotated[
        bool, typer.Option("--sources", help="Count another source line as a difference.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
    debug: Debug = False,
) -> None:
    """Print in what two programs that were saved differ. Needs no torch.

    \b
    A and B are programs (.opscope) or graphs as text (.txt), as opscope trace -o writes them.
    Names of values and contents of parameters are not compared.

    \b
    Signs: + added in B   - only in A   ~ changed   > the same in another place
    Exit status: 0 if they are equal, 1 if they differ, 2 if a file cannot be read.

    \b
    Examples:
      opscope diff before.opscope after.opscope
      opscope diff golden.txt new.opscope >/dev/null || echo the model is another
      opscope diff a.opscope b.opscope --json | jq .counts
    """  # noqa: D301 - a real backspace tells typer to keep the lines of a paragraph
    with reported(debug=debug):
        from .comparing import run_diff  # what it loads, help needs not

        if run_diff(before, after, whole=whole, sources=sources, as_json=json):
            raise typer.Exit(DIFFERENT)


def opt(
    file: File,
    passes: Annotated[
        str,
        typer.Option(
            metavar="PASSES",
            show_default=False,
            help="What to run, in this order: dce,cse or noopt or 'dce{drop_random=true}'.",
        ),
    ],
    outputs: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A file to write: .opscope (the program), .txt (the graph), or a picture. Repeatable."
            " Without any, the graph is printed.",
        ),
    ] = None,
    print_after_each: Annotated[
        bool, typer.Option("--print-after-each", help="Print the graph after each pass.")
    ] = False,
    verify_each: Annotated[
        bool, typer.Option("--verify-each", help="Verify the graph after each pass.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Run passes on a program that was saved, and print what each of them did.

    A program (.opscope) needs no torch for it; the file has what passes need to know of operators. Of a
    graph as text, torch tells that.

    \b
    Examples:
      opscope opt r50.opscope --passes dce,cse -o small.opscope
      opscope opt net.txt --passes cse --print-after-each --verify-each
    """  # noqa: D301 - a real backspace tells typer to keep the lines of a paragraph
    with reported(debug=debug):
        from .optimizing import run_opt  # what these load, help needs not
        from .outputs import parse_outputs

        run_opt(
            file,
            passes,
            parse_outputs(outputs or ()),
            print_each=print_after_each,
            verify_each=verify_each,
        )
