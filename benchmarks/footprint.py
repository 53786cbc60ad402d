"""What recording the operators that a model calls costs over running it."""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ExecutionTraceObserver

from opscope.footprint import KernelDTypeTracer, OperatorCallTracer

from .harness import Claim, Comparison, Effort, Report, interleave
from .models import Program, resnet50, small_gpt, vit_b_16


def footprint(effort: Effort) -> Report:
    """Record which operators networks call, on the CPU, without gradients."""
    rows: list[tuple[str, Callable[[], Program]]] = [
        ("ResNet-50", resnet50),
        ("ViT-B/16", vit_b_16),
        ("GPT, 12 small layers", small_gpt),
        ("ResNet-50, 8 bits", _quantized),
    ]
    with tempfile.TemporaryDirectory() as folder:
        return Report(
            "Recording the operators of a network",
            "ms",
            tuple(_compare(name, build(), Path(folder), effort) for name, build in rows),
            (
                "One forward pass on one example, no_grad. Recording: until the names can be read.",
                "types: with the types of inputs. torch: its observer of execution traces, read or not.",
                "8 bits: linear layers choose their scales as they run.",
            ),
        )


def _compare(what: str, program: Program, folder: Path, effort: Effort) -> Comparison:
    module, args = program

    def run() -> object:
        return module(*args)

    def record() -> object:
        with OperatorCallTracer() as tracer:
            run()
        return tracer.called_operators

    def record_types() -> object:
        with KernelDTypeTracer() as tracer:
            run()
        return tracer.called_kernel_tags

    def observe() -> None:
        with _observed(folder / "trace.json"):
            run()

    contestants: dict[str, Callable[[], Any]] = {
        "eager": run,
        "recording": record,
        "types": record_types,
        "torch": observe,
    }
    with torch.no_grad(), warnings.catch_warnings(action="ignore"):
        samples = interleave(contestants, effort.budget_s)
    return Comparison(
        what,
        {name: samples.median(name) * 1e3 for name in contestants},
        (
            Claim("recording / eager", samples.ratio("recording", "eager"), "x", 2.0),
            Claim("types / eager", samples.ratio("types", "eager")),
            Claim("torch / eager", samples.ratio("torch", "eager")),
        ),
    )


@contextlib.contextmanager
def _observed(path: Path) -> Iterator[None]:
    observer = ExecutionTraceObserver()
    observer.register_callback(str(path))
    observer.start()
    try:
        yield
    finally:
        observer.stop()
        observer.unregister_callback()


def _quantized() -> Program:
    module, args = resnet50()
    quantization: Any = torch.ao.quantization
    with warnings.catch_warnings(action="ignore"):
        return quantization.quantize_dynamic(module, {torch.nn.Linear}, torch.qint8), args
