"""The commands on files: ``opscope show``, ``inspect``, ``diff`` and ``opt``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .failures import DIFFERENT, reported
from .options import Debug, Direction, File, Theme
from .usage import given_options


def show(
    context: typer.Context,
    file: File,
    nodes: Annotated[bool, typer.Option("--nodes", help="Print the nodes, one a line.")] = False,
    scopes: Annotated[
        bool,
        typer.Option(
            "--scopes", help="Print the tree of scopes: classes, nodes and parameters in each."
        ),
    ] = False,
    stats: Annotated[
        bool,
        typer.Option("--stats", help="Print sizes, operators and what a replay requires."),
    ] = False,
    graph: Annotated[bool, typer.Option("--graph", help="Print the whole graph as text.")] = False,
    scope: Annotated[
        str | None,
        typer.Option(metavar="SCOPE", help="Only nodes in scopes like layers.0*."),
    ] = None,
    op: Annotated[
        str | None,
        typer.Option(metavar="OPERATOR", help="Only nodes of operators like aten::conv*."),
    ] = None,
    line: Annotated[
        str | None,
        typer.Option(metavar="PLACE", help="Only nodes that a line like net.py:41 causes."),
    ] = None,
    find: Annotated[
        str | None,
        typer.Option(
            metavar="QUERY", help="Only nodes that a search finds: 'op:conv2d shape:1x3 relu'."
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON: an object a line; for --stats, one.")
    ] = False,
    outputs: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A file to write: .html (the explorer), .svg, .png, .pdf, .dot, .gv or .mmd (pictures),"
            " .txt (the graph), .explorer.json, .netron, .graphml or .nodelink.json (for other tools)."
            " Repeatable. Without any, the browser opens.",
        ),
    ] = None,
    depth: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Levels of scopes that pictures open, or --scopes prints. Default: as many as fit; all.",
        ),
    ] = None,
    focus: Annotated[
        str | None,
        typer.Option(metavar="SCOPE", help="Draw only what happens in scopes like layers.0*."),
    ] = None,
    around: Annotated[
        str | None,
        typer.Option(metavar="VALUE", help="Draw only what is near a value like %h."),
    ] = None,
    steps: Annotated[
        str, typer.Option(metavar="N", help="How many operators near --around reaches.")
    ] = "2",
    direction: Direction = "TB",
    theme: Theme = "light",
    debug: Debug = False,
) -> None:
    """Open a saved program in the browser, or print or draw it. Needs no torch.

    SCOPE, OPERATOR and PLACE are patterns as shells have them; nodes that are printed fit all of them.
    docs/terminal.md describes QUERY, and the JSON.

    \b
    Examples:
      opscope show r50.opscope
      opscope show r50.opscope --stats
      opscope show r50.opscope --scopes --depth 2
      opscope show r50.opscope --scope 'layer1.*' --op 'aten::conv*'
      opscope show r50.opscope --nodes --json | jq -r .op | sort | uniq -c
      opscope show r50.opscope -o r50.svg
      opscope show gpt.opscope --focus 'blocks.0*' --theme dark -o block.png
      opscope show gpt.opscope -o gpt.explorer.json && model-explorer gpt.explorer.json
    """  # noqa: D301 - a real backspace tells typer to keep the lines of a paragraph
    with reported(debug=debug):
        from ..visualize.search import parse_query  # what these load, help needs not
        from .outputs import parse_outputs
        from .printing import Listing, Selection, choose_listing, refuse_drawing, run_print
        from .showing import run_show
        from .views import read_view

        view = read_view(depth, direction, theme, focus, around, steps)
        query = None if find is None else parse_query(find)
        selection = Selection(scope, op, line, query)
        wanted = {
            Listing.NODES: nodes,
            Listing.SCOPES: scopes,
            Listing.STATS: stats,
            Listing.GRAPH: graph,
        }
        listing = choose_listing(wanted, selection, as_json=json)
        if listing is None:
            run_show(file, parse_outputs(outputs or ()), view, dict(given_options(context)))
        else:
            refuse_drawing(dict(given_options(context)), listing)
            run_print(file, listing, selection, view.depth, as_json=json)


def inspect(
    file: File,
    find: Annotated[
        str | None,
        typer.Option(metavar="QUERY", help="Start at what a search finds: 'op:conv2d shape:1x3'."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Browse a program in the terminal: scopes, nodes, source lines, search. Needs no torch.

    It shows the tree of scopes, the nodes of each, and all that is known of a node. ? lists the keys.
    Where there is no terminal to browse in, opscope show prints.

    \b
    Examples:
      opscope inspect r50.opscope
      opscope inspect r50.opscope --find 'op:conv2d scope:layer3'
    """  # noqa: D301 - a real backspace tells typer to keep the lines of a paragraph
    with reported(debug=debug):
        from .browsing import run_inspect  # what it loads, help needs not

        run_inspect(file, find)


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
    page: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Show both side by side in this file, .html."
        ),
    ] = None,
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
      opscope diff before.opscope after.opscope -o diff.html
      opscope diff golden.txt new.opscope >/dev/null || echo the model is another
      opscope diff a.opscope b.opscope --json | jq .counts
    """  # noqa: D301 - a real backspace tells typer to keep the lines of a paragraph
    with reported(debug=debug):
        from .comparing import run_diff  # what it loads, help needs not

        if run_diff(before, after, whole=whole, sources=sources, as_json=json, page=page):
            raise typer.Exit(DIFFERENT)


def opt(
    file: File,
    passes: Annotated[
        str,
        typer.Option(
            metavar="PASSES",
            show_default=False,
            help="What to run, in this order: dce,cse or noopt or 'dce{drop_random=true}' or, of a module, "
            "mine:MyPass.",
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
