"""What the profiling executor adds to a call, and what its plans save: guards, sizes, and fused kernels."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import torch

import opscope
from opscope.runtime.executor import Kind
from opscope.runtime.executor.facts import facts_of
from opscope.runtime.executor.guard import PlanGuard

from .harness import Claim, Clock, Comparison, Effort, Report, interleave
from .models import Program, resnet50, small_gpt, small_gpt2, torchscript, vit_b_16
from .pointwise import programs

_INPUTS = 20
_CALLS = 1000  # of a guard, within a round
_SETTLED = 20  # calls after which plans are made, and TorchScript's too
_MEASURED = 100  # calls after which engines are measured, however unclear it is
_PATIENCE_S = 900.0  # with compilations, on a busy machine
_TURN_S = 50e-3  # that a turn takes at least, in as many calls as that needs

Row: TypeAlias = tuple[dict[str, float | None], tuple[Claim, ...]]
"""Figures by contestant, and what they are held to."""


def plans(effort: Effort) -> Report:
    """Check guards, and run a program of many sizes with plans and without."""
    return Report(
        "Plans of the profiling executor",
        "µs",
        (
            *[
                Comparison(f"{kind} guard, {_INPUTS} inputs", *_guard(kind, effort))
                for kind in (Kind.STATIC, Kind.DYNAMIC)
            ],
            Comparison("program", *_sizes(effort)),
        ),
        (
            f"Guards: all of {_INPUTS} inputs of three dimensions are checked, and hold.",
            "Program: reshapes by sizes that it computes, 50 times on 4x4 tensors, without gradients.",
            "With one thread these are timed by the processor's time, so that a busy machine does not count.",
        ),
    )


def executor(effort: Effort) -> Report:
    """Run programs as plans that an engine has compiled."""
    rows = _rows(effort)
    wanted = {what: rows[what] for what in rows if effort.wants(what)}
    return Report(
        "Profiling executor",
        "µs",
        tuple(Comparison(what, *measure()) for what, measure in wanted.items()),
        (
            'Executor: engine="auto" without gradients, after as many calls as it takes to settle;',
            "TorchScript: torch.jit.trace and as many calls, with what fusion torch has on this device.",
            "With one thread these are timed by the processor's time, so that a busy machine does not count.",
            "Below the programs of single elements: the demo's models, most of whose time is products.",
        ),
    )


def _rows(effort: Effort) -> dict[str, Callable[[], Row]]:
    """Return what measures each row of the table, by its name."""
    rows: dict[str, Callable[[], Row]] = {}
    for name, (function, args) in list(programs().items())[: effort.size(100, 2)]:
        rows[name] = partial(_fused, function, args, effort)
    rows["GPT, 12 small layers"] = partial(_demo, small_gpt, effort)
    if not effort.is_quick:
        rows["GPT-2, 12 small layers"] = partial(_demo, small_gpt2, effort)
        rows["ResNet-50"] = partial(_demo, resnet50, effort)
        rows["ViT-B/16"] = partial(_demo, vit_b_16, effort)
    return rows


def _guard(kind: Kind, effort: Effort) -> Row:
    inputs = [torch.randn(3, 4, 5) for _ in range(_INPUTS)]
    program = opscope.trace(lambda *inputs: [x * 2 for x in inputs], tuple(inputs))
    found = [(n, program.type_of(x), False) for n, x in enumerate(inputs)]
    admits = PlanGuard(_INPUTS, facts_of(program.input_dimensions(), found, kind), True).admits
    assert admits(*inputs)

    def check() -> None:
        for _ in range(_CALLS):
            admits(*inputs)

    samples = interleave({"guard": check}, effort.budget_s / 4, clock=_clock())
    micros = samples.median("guard") * 1e6 / _CALLS
    return {"guard": micros}, (Claim("guard", micros, "µs", 20),)


def _sizes(effort: Effort) -> Row:
    function, x = _reshaping(50), torch.randn(4, 4)
    with torch.no_grad():
        traced = opscope.trace(function, x)
        static = opscope.ProfilingExecutor(traced)
        dynamic = opscope.ProfilingExecutor(traced, fusion_strategy=[("dynamic", 1)])
        for settle in (static, dynamic) * 2:
            settle(x)
        contestants: dict[str, Callable[[], Any]] = {
            "replay": lambda: traced(x),
            "static": lambda: static(x),
            "dynamic": lambda: dynamic(x),
        }
        samples = interleave(contestants, effort.budget_s, clock=_clock(), turn_s=_TURN_S)
    return (
        {name: samples.median(name) * 1e6 for name in contestants},
        (
            Claim("static / replay", samples.ratio("static", "replay"), "x", 1),
            Claim("dynamic / replay", samples.ratio("dynamic", "replay")),
        ),
    )


def _fused(function: Callable[..., Any], args: tuple[torch.Tensor, ...], effort: Effort) -> Row:
    figures, ratio = _against_eager(function, args, effort)
    return (
        figures,
        (
            Claim("eager / executor", ratio("eager"), "x", 1.3, is_at_least=True),
            Claim("TorchScript / executor", ratio("TorchScript"), "x", 1, is_at_least=True),
        ),
    )


def _demo(make: Callable[[], Program], effort: Effort) -> Row:
    figures, ratio = _against_eager(*make(), effort)
    return (
        figures,
        (
            Claim("executor / eager", 1 / ratio("eager"), "x", 1.03),
            Claim("TorchScript / executor", ratio("TorchScript"), "x", 1, is_at_least=True),
        ),
    )


def _against_eager(
    function: Callable[..., Any], args: tuple[torch.Tensor, ...], effort: Effort
) -> tuple[dict[str, float | None], Callable[[str], float]]:
    """Return what a call takes, in microseconds, and what gives the ratio of one to that of the executor."""
    with torch.no_grad():
        executor = opscope.ProfilingExecutor(
            opscope.trace(function, args), engine="auto", slow_after=_PATIENCE_S
        )
        scripted = torchscript(function, args)
        contestants = {"eager": function, "executor": executor, "TorchScript": scripted}
        for _ in range(_SETTLED):
            executor(*args)
            scripted(*args)
        for _ in range(_MEASURED):
            if "is being measured" in executor.explain():
                executor(*args)
        turns = {name: partial(run, *args) for name, run in contestants.items()}
        samples = interleave(turns, effort.budget_s, clock=_clock(), turn_s=_TURN_S)
    figures: dict[str, float | None] = {name: samples.median(name) * 1e6 for name in contestants}
    return figures, lambda name: samples.ratio(name, "executor")


def _clock() -> Clock:
    """Return the clock of this process where one thread does all; else the usual one."""
    return time.process_time if torch.get_num_threads() == 1 else time.perf_counter


def _reshaping(times: int) -> Callable[[torch.Tensor], torch.Tensor]:
    def reshape(x: torch.Tensor) -> torch.Tensor:
        for _ in range(times):
            rows, columns = x.shape
            x = (x + 1).view(rows * columns // 2, 2).view(rows, columns)
        return x

    return reshape
