"""``opscope footprint``: run or read models, write and print what is asked for. Only running loads torch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from ..errors import FootprintError, FormatError
from ..footprint import (
    ExecuTorchFootprint,
    OperatorSelection,
    TracerResult,
    caveats,
    coverage,
    diff,
    executorch_footprint,
    executorch_report,
    merge,
    read_available,
    read_selection,
    report,
)
from .errors import CommandError
from .failures import report as report_failure
from .footprint_inputs import Named, imported
from .footprint_outputs import FootprintOutputs
from .inputs import InputSpec
from .report import terminal_width
from .waiting import waiting


@dataclass(frozen=True, slots=True)
class FootprintRequest:
    """What a command line asks for.

    Attributes:
        models: files of models, modules to import, and lists of operators to merge.
        outputs: where to write what.
        report: whether a table is printed.
        inputs: what to call the models with; empty for what is bundled with them.
        method: which method the inputs are for.
        runs: names of runs; empty for all.
        features: build features to list.
        available: files of lists of operators that there are.
        since: the file of a list to compare with.
    """

    models: tuple[Path, ...]
    outputs: FootprintOutputs
    report: bool
    inputs: tuple[InputSpec, ...]
    method: str
    runs: tuple[str, ...]
    features: tuple[str, ...]
    available: tuple[Path, ...]
    since: Path | None


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found out, for torch and for ExecuTorch; None where nothing was to be, or all failed."""

    torch: TracerResult | None
    executorch: ExecuTorchFootprint | None
    errors: tuple[str, ...]


def run_footprint(request: FootprintRequest) -> bool:
    """Do what a command line asks for; return whether all models were traced, and nothing is missing.

    Raises:
        CommandError: the command line cannot be followed.
        FootprintError: a list of operators cannot be read or written.
    """
    named = Named.of(request.models)
    _check(request, named)
    request.outputs.check(named.sources)
    lists = [read_selection(path) for path in named.lists]
    available = merge(map(read_available, request.available)) if request.available else None
    since = None if request.since is None else read_selection(request.since)
    found = _find_out(request, named)
    _print_reports(request, found)
    if found.errors:
        sys.stdout.flush()
        report_failure("\n".join([*found.errors, *_after_failure(request, found)]))
        return False
    torch = merge([found.torch.selection] if found.torch is not None else [])
    executorch = merge([found.executorch.selection] if found.executorch is not None else [])
    for path, one in zip(named.lists, lists, strict=True):
        if not request.outputs.for_executorch or (request.outputs.yaml and not _has_kernels(one)):
            torch = torch.merged(one)
        elif _has_kernels(one):
            executorch = executorch.merged(one)
        else:
            raise FootprintError(
                f"{path} lists no kernels (et_kernel_metadata), so ExecuTorch would build nothing of it"
            )
    request.outputs.write(torch, executorch)
    return _compare(torch.merged(executorch), available, since)


def _check(request: FootprintRequest, named: Named) -> None:
    """Find out whether what is named and what is asked for fit each other."""
    outputs = request.outputs
    has_torch = bool(named.files or named.modules or named.lists)
    has_executorch = bool(named.programs or named.modules or named.lists)
    if outputs.for_executorch and not has_executorch:
        raise CommandError(
            "nothing here is for ExecuTorch: name a .pte file, or a module in Python as MODULE:CALLABLE"
        )
    if outputs.yaml is not None and named.programs and not outputs.for_executorch:
        raise CommandError(
            f"{named.programs[0]} is a program of ExecuTorch, and --yaml is for builds of torch\n"
            "write --executorch-yaml instead"
        )
    if outputs.yaml is not None and not has_torch:
        raise CommandError("--yaml is for builds of torch, and nothing here is run by it")
    if named.modules and not request.inputs:
        raise CommandError(f"{named.modules[0]} is run with inputs; give --input for each")
    if (request.inputs or request.runs) and not (named.files or named.modules):
        raise CommandError(
            "nothing here is run, so --input and --run say nothing: programs of ExecuTorch and lists are read"
        )


def _find_out(request: FootprintRequest, named: Named) -> _Found:
    modules = imported(named.modules) if named.modules else []
    calls = _inputs(request)
    for_executorch = [*named.programs, *(modules if request.outputs.for_executorch else [])]
    # A module is run for a build of torch, unless only one of ExecuTorch is asked about.
    is_run = request.outputs.yaml is not None or not request.outputs.for_executorch
    for_torch = [*named.files, *(modules if is_run else [])]
    errors: list[str] = []
    names = ", ".join(path.name for path in (*named.files, *named.programs)) or "modules"
    with waiting(f"running {names}"), redirect_stdout(sys.stderr):
        torch = _tried(lambda: _traced(request, for_torch, calls), for_torch, errors)
        executorch = _tried(
            lambda: executorch_footprint(for_executorch, calls), for_executorch, errors
        )
    return _Found(torch, executorch, tuple(errors))


def _tried(find: Callable[[], Any], models: list[Any], errors: list[str]) -> Any:
    """Return what is found out of models, as far as they could be read, and add what went wrong."""
    if not models:
        return None
    try:
        return find()
    except FootprintError as error:
        errors.append(str(error))
        return error.result
    except FormatError as error:
        errors.append(str(error))
        return None


def _traced(request: FootprintRequest, models: list[Any], calls: Any) -> TracerResult:
    from ..footprint import trace_run  # loads torch, which merging lists needs not

    options: dict[str, Any] = {"build_features": request.features}
    if request.runs:
        options["runs"] = request.runs
    return trace_run(models, calls, **options)


def _inputs(request: FootprintRequest) -> dict[str, list[tuple[Any, ...]]] | None:
    if not request.inputs:
        return None
    from .values import make_value  # loads torch

    return {request.method: [tuple(make_value(spec) for spec in request.inputs)]}


def _print_reports(request: FootprintRequest, found: _Found) -> None:
    if not request.report and (request.outputs.all or request.available or request.since):
        if found.torch is not None:
            for line in caveats(found.torch, terminal_width()):
                typer.echo(line if line[:1] == " " else f"warning: {line}", err=True)
        return
    reports = []
    if found.torch is not None:
        reports.append(report(found.torch, terminal_width()))
    if found.executorch is not None:
        reports.append(executorch_report(found.executorch, terminal_width()))
    typer.echo("\n".join(reports), nl=False)


def _after_failure(request: FootprintRequest, found: _Found) -> Iterator[str]:
    """Yield what became of the other models, and of the files."""
    names = [
        model.name
        for result in (found.torch, found.executorch)
        for model in (result.models if result is not None else ())
    ]
    if names:
        yield f"traced without failure: {', '.join(names)}"
    for path in request.outputs.all:
        yield f"{path} was not written, as it would lack what the failed need"


def _has_kernels(selection: OperatorSelection) -> bool:
    return bool(selection.et_kernel_metadata or selection.include_all_operators)


def _compare(
    selection: OperatorSelection,
    available: OperatorSelection | None,
    since: OperatorSelection | None,
) -> bool:
    if since is not None:
        typer.echo(str(diff(since, selection)))
    if available is None:
        return True
    found = coverage(selection, available)
    typer.echo(str(found))
    return found.is_complete
