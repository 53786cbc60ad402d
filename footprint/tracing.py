"""Run models and find out what they need of a build of torch."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import torch

from ..errors import FootprintError
from .inputs import Calls, GivenInputs, given_calls
from .methods import ALWAYS_INCLUDED, call_setup_methods, dependent_methods, is_for_training
from .models import Given, Model, model_of, needs_gpu
from .operators import is_observable
from .recording import Recording
from .result import (
    Failure,
    ModelFootprint,
    Needs,
    Outcome,
    RunReport,
    TracerResult,
    joined,
    joined_tables,
)
from .runs import RUNS, Run, engine_kept, run_model, summary_of

_CPU: Final = "CPU"
_METAL: Final = "Metal GPU"
_METAL_TAGS: Final = {"__unused__": frozenset({"Float"})}
# What an app that runs a model on Metal calls besides: loading, reading, and what Metal falls back on.
_METAL_ROOTS: Final = frozenset(
    f"aten::{name}"
    for name in (
        "adaptive_avg_pool2d", "add.Tensor", "add_.Tensor", "addmm", "conv2d", "empty.memory_format",
        "empty_strided", "flatten.using_ints", "hardtanh_", "log_softmax.int", "max_pool2d", "mul.Tensor",
        "relu", "relu_", "reshape", "sigmoid", "sub.Tensor", "upsample_nearest2d.vec", "view",
    )
)  # fmt: skip
_METAL_TRACED: Final = frozenset(
    f"aten::{name}"
    for name in (
        "copy_", "empty.memory_format", "set_.source_Storage", "set_.source_Storage_storage_offset",
        "to.dtype_layout",
    )
)  # fmt: skip


def trace_run(
    model: Given | Sequence[Given],
    inputs: GivenInputs | None = None,
    *,
    runs: str | Sequence[str] = tuple(RUNS),
    build_features: str | Iterable[str] = (),
) -> TracerResult:
    """Run a model, or several, and return which operators, types, classes and backends they need.

    Each is run up to three times, with the engines QNNPACK and FBGEMM and in inference mode, on all inputs
    that are bundled with it or given. One that fails in one of the last two is run without that. The engine,
    the modules and the inputs are left as they were.

    Args:
        model: the path of a file for the lite interpreter or of TorchScript, a module, or several of these.
        inputs: for models without bundled inputs, or instead of these: the arguments of each call of forward,
            ``[(x,), (y,)]``, or such lists by method, ``{"forward": [(x,)], "encode": [(x,)]}``.
        runs: which runs to make, of ``qnnpack``, ``fbgemm`` and ``inference``; one or several.
        build_features: features of a build to list, as torch does not report them; one or several.

    Raises:
        FootprintError: a model cannot be run, or another call of this function is running. Of several
            models all are tried first, and the error has what the others need in its ``result``.
    """
    given = _listed(model)
    if not given:
        raise FootprintError("there is no model to trace; give a path or a module")
    calls = None if inputs is None else given_calls(inputs)
    chosen = _chosen(_names(runs, "runs"))
    features = frozenset(_names(build_features, "build_features"))
    traced: list[ModelFootprint] = []
    failures: list[Failure] = []
    with _alone(), _plain_modes(), engine_kept():
        setup = _setup()
        for one in given:
            try:
                traced.append(_trace(model_of(one), calls, chosen, setup, features))
            except FootprintError as error:
                failures.append(Failure(_name_of(one), str(error)))
        result = _result(traced, failures)
    if failures:
        raise FootprintError(_of_all(failures, len(given)), result if traced else None)
    return result


def _trace(
    model: Model,
    calls: Calls | None,
    runs: Sequence[Run],
    setup: Recording,
    features: frozenset[str],
) -> ModelFootprint:
    roots = _roots(model)
    recording = Recording()
    recording.add(setup)
    if roots is not None and needs_gpu(roots):
        return _static(model, roots, recording, features)
    reports = []
    for run in runs:
        seen, report = run_model(model, run, calls)
        recording.add(seen)
        reports.append(report)
    if not any(report.outcome is Outcome.DONE for report in reports):
        raise FootprintError(
            f"{model.name} could be run in no way\n"
            + "\n".join(f"{report.name}: {report.reason}" for report in reports)
        )
    if roots is None:
        roots = recording.by_program
    recording.add(_dependent(roots))
    return _footprint(model, tuple(reports), _needs(model, roots, recording, features))


def _needs(
    model: Model, roots: frozenset[str], recording: Recording, features: frozenset[str]
) -> Needs:
    traced = frozenset(recording.callers) | ALWAYS_INCLUDED
    observable = frozenset(root for root in roots if is_observable(root))
    return Needs(
        root_ops=roots,
        traced_operators=traced,
        called_kernel_tags=recording.kernel_tags or recording.operator_dtypes,
        are_kernel_tags=bool(recording.kernel_tags),
        loaded_classes=recording.classes_with(roots | traced) | model.classes(),
        build_features=recording.features | features,
        enabled_backends=frozenset({_CPU}),
        is_training=is_for_training(roots),
        callers=recording.callers,
        unreached=observable - recording.of_model,
        interpreted=roots - observable,
    )


def _static(
    model: Model, roots: frozenset[str], recording: Recording, features: frozenset[str]
) -> ModelFootprint:
    """Return the footprint of a model for Metal, which cannot be loaded elsewhere."""
    read = _needs(model, roots | _METAL_ROOTS, recording, features)
    apps = dict.fromkeys(sorted(_METAL_TRACED), frozenset({"apps on Metal"}))
    needs = replace(
        read,
        traced_operators=read.traced_operators | _METAL_TRACED,
        called_kernel_tags={**read.called_kernel_tags, **_METAL_TAGS},
        enabled_backends=frozenset({_METAL}),
        callers=joined_tables((read.callers, apps)),
        unreached=frozenset(),  # nothing was to reach them
        interpreted=frozenset(),
    )
    reason = "operators of Metal run on Apple's GPUs alone; what is listed was read from the file"
    return _footprint(model, (RunReport("static", Outcome.STATIC, {}, reason, frozenset()),), needs)


def _footprint(model: Model, reports: tuple[RunReport, ...], needs: Needs) -> ModelFootprint:
    return ModelFootprint(model.name, model.kind, model.md5, model.size, needs, reports)


def _result(traced: Sequence[ModelFootprint], failures: Sequence[Failure]) -> TracerResult:
    needs = joined(model.needs for model in traced)
    # Together models may train and have batch norms where none of them does both.
    together = _dependent(needs.root_ops)
    whole = replace(
        needs,
        traced_operators=needs.traced_operators | frozenset(together.callers),
        called_kernel_tags=joined_tables(
            (
                needs.called_kernel_tags,
                together.kernel_tags if needs.are_kernel_tags else together.operator_dtypes,
            )
        ),
        callers=joined_tables((needs.callers, together.callers)),
    )
    return TracerResult(whole, tuple(traced), tuple(failures), str(torch.__version__))


def _setup() -> Recording:
    recording = Recording()
    if "qnnpack" in torch.backends.quantized.supported_engines:
        torch.backends.quantized.engine = "qnnpack"
    with recording.phase("setup"):
        call_setup_methods()
    return recording


def _dependent(roots: frozenset[str]) -> Recording:
    recording = Recording()
    for method in dependent_methods(roots):
        with recording.phase("training with other inputs"):
            method()
    return recording


def _roots(model: Model) -> frozenset[str] | None:
    try:
        return model.roots()
    except (RuntimeError, ValueError) as error:
        message = str(error)
        hint = (
            "load the library that registers these operators first (torch.ops.load_library)"
            if "cannot be found" in message or "nknown builtin op" in message
            else "it may be damaged, or saved by a newer torch; save it again"
        )
        raise FootprintError(
            f"{model.name} cannot be loaded: {summary_of(error)}\n{hint}"
        ) from error


_RUNNING: Final = threading.Lock()


@contextmanager
def _alone() -> Iterator[None]:
    """Refuse to trace twice at a time: recorders see all threads, and engines are a process's."""
    if not _RUNNING.acquire(blocking=False):
        raise FootprintError(
            "trace_run is running already in this process, and would record what this one calls\n"
            "wait until it is done, or use another process"
        )
    try:
        yield
    finally:
        _RUNNING.release()


@contextmanager
def _plain_modes() -> Iterator[None]:
    """Leave the modes that the caller runs in, and its random numbers to it, as other programs would."""
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast("cpu", enabled=False),
        torch.random.fork_rng(devices=[]),
    ):
        yield


def _names(given: str | Iterable[str], option: str) -> tuple[str, ...]:
    """Return the names that an option has; a single one may stand alone."""
    names = (given,) if isinstance(given, str) else tuple(given)
    for name in names:
        if not isinstance(name, str):
            raise FootprintError(f"{option} holds {name!r}, which is no name")
    return names


def _chosen(names: Sequence[str]) -> list[Run]:
    for name in names:
        if name not in RUNS:
            raise FootprintError(f"there is no run {name!r}; there are {', '.join(RUNS)}")
    if not names:
        raise FootprintError(f"runs is empty; choose of {', '.join(RUNS)}")
    return [run for run in RUNS.values() if run.name in names]


def _listed(model: Given | Sequence[Given]) -> list[Given]:
    if isinstance(model, Sequence) and not isinstance(model, str):
        return list(model)
    return [model]


def _name_of(given: Any) -> str:
    return type(given).__name__ if isinstance(given, torch.nn.Module) else str(given)


def _of_all(failures: Sequence[Failure], of: int) -> str:
    if of == 1:
        return failures[0].message
    return "\n".join(
        [f"{len(failures)} of {of} models could not be traced", *(one.message for one in failures)]
    )
