"""What people wait for at the first trace of a process: what is loaded and made ready counts as well."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Final

from .harness import Claim, Comparison, Effort, Report

_ROOT: Final = Path(__file__).resolve().parent.parent

_PROGRAM: Final = """
import time, warnings
warnings.simplefilter("ignore")
import torch
torch.set_num_threads(1)
from benchmarks.models import small_gpt
model, args = small_gpt()
with torch.no_grad():
    model(*args)
    start = time.process_time()
    {run}
    print(time.process_time() - start)
"""

_RUNS: Final = {
    "opscope": "import opscope; opscope.trace(model, args)",
    "jit.trace": "torch.jit.trace(model, args, check_trace=False)",
    "export": "torch.export.export(model, args)",
}


def first(effort: Effort) -> Report:
    """Trace in processes of their own, in turn, and take the time of the first trace of each."""
    rounds = effort.size(3, 1)
    seconds: dict[str, list[float]] = {name: [] for name in _RUNS}
    for _ in range(rounds):
        for name, run in _RUNS.items():
            seconds[name].append(_seconds(run))
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    row = Comparison(
        "GPT, 12 small layers",
        {name: taken * 1e3 for name, taken in medians.items()},
        tuple(
            Claim(f"{name} / opscope", medians[name] / medians["opscope"])
            for name in _RUNS
            if name != "opscope"
        ),
    )
    return Report(
        "The first trace of a process",
        "ms",
        (row,),
        (
            "Processor time from the import of opscope on, with torch loaded and the model run once before.",
            f"Processes in turn, {rounds} of each, one thread; what Python compiled before stays compiled.",
        ),
    )


def _seconds(run: str) -> float:
    program = _PROGRAM.format(run=run)
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)
