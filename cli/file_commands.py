"""The commands on files: ``opscope show``, ``inspect`` and ``opt``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .failures import reported
from .options import Debug, Depth, Direction, File, Theme


def show(
    file: File,
    outputs: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A file to write: .svg, .png, .pdf, .dot, .gv or .mmd (pictures), .txt (the graph),"
            " .explorer.json, .netron, .graphml or .nodelink.json (for other tools). Repeatable.",
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
      opscope show gpt.opscope -o gpt.explorer.json && model-explorer gpt.explorer.json
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
            help="A file to write: .opscope (the program), .txt (the graph), or what show writes. Repeatable."
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
