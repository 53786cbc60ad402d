"""Run torch's shipped corpora through opscope and compare bit by bit: ``python -m conformance``."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

import torch
from rich.console import Console

import opscope

from .check import Way
from .entry import Task, suite_named
from .exceptions import FILE, load
from .suites import SUITES
from .summary import Summary, show
from .workers import run_all

_WIDTH = 120  # characters, where no terminal says


def main() -> int:
    """Print the table; return 1 if a sample fails that is not listed in ``exceptions.toml``."""
    options = _parser().parse_args()
    console = Console() if sys.stdout.isatty() else Console(width=_WIDTH)
    tasks = _tasks(options)
    if not tasks:
        console.print(f"no entry is called {', '.join(options.only)}", highlight=False)
        return 2
    console.print(f"opscope {opscope.__version__}, torch {torch.__version__}", highlight=False)
    start = time.perf_counter()
    reports = []
    with console.status("") as status:
        for report in run_all(tasks, options.workers):
            reports.append(report)
            status.update(f"{len(reports)} of {len(tasks)}: {report.task.entry}")
    summary = Summary(reports, load())
    show(summary, console)
    console.print(f"{time.perf_counter() - start:.0f} s", highlight=False)
    if options.json:
        facts = {"opscope": opscope.__version__, "torch": torch.__version__}
        options.json.write_text(json.dumps({**facts, "suites": summary.as_json()}, indent=2))
    return 0 if summary.is_clean() else 1


def _tasks(options: argparse.Namespace) -> list[Task]:
    tasks = []
    for name in options.suites or SUITES:
        entries = suite_named(name).entries()
        # Small suites go whole: each of their entries is a case of its own.
        step = options.every if len(entries) > _SMALL else 1
        wanted = [entry for entry in entries[::step] if not options.only]
        wanted += [entry for entry in entries if entry in options.only]
        way = Way(options.depth, options.fake, tuple(options.passes))
        tasks += [Task(name, entry, options.sample, way) for entry in wanted]
    return tasks


_SMALL = 50  # entries


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m conformance", description=__doc__)
    parser.add_argument(
        "suites",
        nargs="*",
        metavar="SUITE",
        help=f"one of {', '.join(SUITES)}; all if none is given",
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="run the entry of this name; may be given several times",
    )
    parser.add_argument(
        "--sample",
        type=int,
        default=0,
        metavar="N",
        help="run at most N samples of each entry, spread evenly over all",
    )
    parser.add_argument(
        "--every",
        type=int,
        default=1,
        metavar="N",
        help=f"run every Nth entry of suites that have more than {_SMALL}",
    )
    parser.add_argument(
        "--depth",
        choices=("flat", "deep"),
        default="flat",
        help="what becomes of composite operators",
    )
    parser.add_argument(
        "--fake",
        action="store_true",
        help="trace without computing; programs that need data are none",
    )
    parser.add_argument(
        "--passes",
        action="append",
        default=[],
        metavar="PASSES",
        help="apply these passes, or a pipeline, to a copy of each graph and replay it; may be given "
        "several times",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=min(os.cpu_count() or 1, 8),
        metavar="N",
        help="how many processes run entries; 1 runs them in this one",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help=f"write the result there; expected: {FILE.name}"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
