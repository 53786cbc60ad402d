"""Run the benchmarks and print their tables: ``python -m benchmarks ``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

import torch
from rich.console import Console

import opscope

from .capture import capture
from .dependencies import dependencies
from .executor import executor, plans
from .fake import fake
from .first import first
from .footprint import footprint
from .graphs import graphs
from .harness import QUICK, Effort, Report, show
from .memory import memory
from .network_graphs import network_graphs
from .networks import networks
from .pages import explorer
from .replay import models, operators, replay
from .scaling import scaling
from .steps import steps
from .training import training

BENCHMARKS: Final[dict[str, Callable[[Effort], Report]]] = {
    "capture": capture,
    "first": first,
    "networks": networks,
    "steps": steps,
    "memory": memory,
    "fake": fake,
    "replay": replay,
    "operators": operators,
    "models": models,
    "plans": plans,
    "executor": executor,
    "graphs": graphs,
    "network_graphs": network_graphs,
    "training": training,
    "scaling": scaling,
    "explorer": explorer,
    "footprint": footprint,
    "dependencies": dependencies,
}


_WIDTH = 120  # characters, where no terminal says


def main() -> None:
    """Print a table per benchmark as soon as it is done."""
    options = _parser().parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    console = Console() if sys.stdout.isatty() else Console(width=_WIDTH)
    facts = machine()
    console.print(", ".join(f"{name} {value}" for name, value in facts.items()), highlight=False)
    console.print()
    reports = {}
    for name in options.only or BENCHMARKS:
        with console.status(f"{name} ..."):
            effort = QUICK if options.quick else Effort()
            report = BENCHMARKS[name](replace(effort, rows=tuple(options.row)))
        show(report, console)
        reports[name] = asdict(report)
    if options.json:
        options.json.write_text(json.dumps({"machine": facts, "reports": reports}, indent=2))


def machine() -> dict[str, str]:
    """Return what the figures depend on besides the code."""
    return {
        "opscope": opscope.__version__,
        "torch": torch.__version__,
        "Python": platform.python_version(),
        "CPU": _cpu_model(),
        "cores": str(os.cpu_count()),
        "threads": str(torch.get_num_threads()),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        choices=list(BENCHMARKS),
        help="run this benchmark; may be given several times",
    )
    parser.add_argument(
        "--quick", action="store_true", help="smaller programs and few rounds: under a minute"
    )
    parser.add_argument(
        "--row",
        action="append",
        default=[],
        metavar="TEXT",
        help="of executor, run the rows with this in their names; may be given several times",
    )
    parser.add_argument(
        "--threads", type=int, metavar="N", help="how many threads torch uses; 1 on a busy machine"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    return parser


if __name__ == "__main__":
    main()
