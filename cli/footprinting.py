"""``opscope footprint``: run models, write and print what is asked for. Loads torch to run models alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import typer

from ..errors import FootprintError
from ..footprint import (
    OperatorSelection,
    TracerResult,
    coverage,
    diff,
    merge,
    read_available,
    read_selection,
    report,
)
from .errors import CommandError
from .failures import report as report_failure
from .inputs import InputSpec
from .report import terminal_width
from .waiting import waiting

_LISTS: Final = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class FootprintRequest:
    """What a command line asks for.

    Attributes:
        models: files of models, and lists of operators to merge.
        yaml: where to write; None for nowhere.
        report: whether a table is printed.
        inputs: what to call the models with; empty for what is bundled with them.
        method: which method the inputs are for.
        runs: names of runs; empty for all.
        features: build features to list.
        available: the file of a list of operators that there are.
        since: the file of a list to compare with.
    """

    models: tuple[Path, ...]
    yaml: Path | None
    report: bool
    inputs: tuple[InputSpec, ...]
    method: str
    runs: tuple[str, ...]
    features: tuple[str, ...]
    available: Path | None
    since: Path | None


def run_footprint(request: FootprintRequest) -> bool:
    """Do what a command line asks for; return whether all models were traced, and nothing is missing.

    Raises:
        CommandError: the command line cannot be followed.
        FootprintError: a list of operators cannot be read or written.
    """
    _check_place(request)
    lists = [read_selection(path) for path in request.models if _is_list(path)]
    available = None if request.available is None else read_available(request.available)
    since = None if request.since is None else read_selection(request.since)
    result, failure = _traced(request)
    _print_report(request, result)
    if failure is not None:
        sys.stdout.flush()
        report_failure("\n".join([str(failure), *_after_failure(request, result)]))
        return False
    selection = merge([*([result.selection] if result is not None else []), *lists])
    if request.yaml is not None:
        selection.save(request.yaml)
        typer.echo(f"wrote {request.yaml}: {_summary(selection)}", err=True)
    return _compare(selection, available, since)


def _traced(request: FootprintRequest) -> tuple[TracerResult | None, FootprintError | None]:
    """Return what the models need, as far as they could be traced, and what went wrong."""
    paths = [path for path in request.models if not _is_list(path)]
    if not paths:
        return None, None
    with waiting(f"running {', '.join(path.name for path in paths)}"), redirect_stdout(sys.stderr):
        from ..footprint import trace_run  # loads torch, which merging lists needs not

        try:
            return trace_run(paths, _inputs(request), **_options(request)), None
        except FootprintError as error:
            return error.result, error


def _options(request: FootprintRequest) -> dict[str, Any]:
    options: dict[str, Any] = {"build_features": request.features}
    if request.runs:
        options["runs"] = request.runs
    return options


def _inputs(request: FootprintRequest) -> dict[str, list[tuple[Any, ...]]] | None:
    if not request.inputs:
        return None
    from .values import make_value  # loads torch

    return {request.method: [tuple(make_value(spec) for spec in request.inputs)]}


def _print_report(request: FootprintRequest, result: TracerResult | None) -> None:
    is_asked = request.report or not (request.yaml or request.available or request.since)
    if is_asked and result is not None:
        typer.echo(report(result, terminal_width()), nl=False)


def _after_failure(request: FootprintRequest, result: TracerResult | None) -> Iterator[str]:
    """Yield what became of the other models, and of the file."""
    if result is not None:
        yield f"traced without failure: {', '.join(model.name for model in result.models)}"
    if request.yaml is not None:
        yield f"{request.yaml} was not written, as it would lack what the failed need"


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


def _check_place(request: FootprintRequest) -> None:
    """Find out whether the file can be written before anything is run."""
    path = request.yaml
    if path is None:
        return
    if path.is_dir():
        raise CommandError(f"{path} is a folder")
    if not path.resolve().parent.is_dir():
        raise CommandError(f"there is no folder {path.parent} to write {path.name} into")
    if any(path.resolve() == model.resolve() for model in request.models if not _is_list(model)):
        raise CommandError(f"{path} is a model that is to be read; write to another file")


def _is_list(path: Path) -> bool:
    return path.suffix.lower() in _LISTS


def _summary(selection: OperatorSelection) -> str:
    roots = sum(operator.is_root for operator in selection.operators.values())
    return f"{len(selection.operators)} operators, {roots} of them roots"
