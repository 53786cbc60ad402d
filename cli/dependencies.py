"""``opscope deps``: make and call a program, then write and print what that needed."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import torch
import typer

from ..footprint.dependencies.distributions import file_of
from ..footprint.dependencies.finding import Dependencies, dependencies_of
from ..footprint.dependencies.report import (
    dependency_record,
    dependency_table,
    local_files,
    module_record,
    way_to,
)
from ..footprint.dependencies.requirements import requirements_text
from ..footprint.dependencies.tracing import NOT_WHOLE, ModuleTracer
from .errors import CommandError, user_code
from .outputs import check_place, write_together
from .preparation import Prepared, prepare, refuse_module
from .report import terminal_width
from .request import TargetName, TraceRequest
from .waiting import waiting


@dataclass(frozen=True, slots=True)
class DependencyOutput:
    """What is written and printed.

    Attributes:
        requirements: the file to write; None for none.
        why: the module or distribution whose way is printed; None for none.
        modules: whether the table lists the modules of distributions.
        as_json: whether JSON is printed, and not lines for people.
    """

    requirements: Path | None
    why: str | None
    modules: bool
    as_json: bool


def run_deps(request: TraceRequest, output: DependencyOutput) -> None:
    """Run a program, then write and print what it needs.

    Raises:
        CommandError: the request does not fit the program, or the file cannot be written.
        ProgramError: the program failed.
        FootprintError: what is asked about is not needed.
    """
    if output.requirements is not None:
        _check_requirements(output.requirements)
    tracer = ModuleTracer()
    prepared = prepare(request, tracer.call)
    _call(prepared, request, tracer)
    if not tracer.is_whole:
        typer.echo(f"warning: {NOT_WHOLE}", err=True)
    found = dependencies_of(tracer, [_module_of(request.target)])
    _print(found, output)
    if output.requirements is not None:
        _write(found, output.requirements, request)


def _check_requirements(path: Path) -> None:
    check_place(path)
    if path.suffix == ".py":  # which would be lost, if it is the program
        raise CommandError(f"{path} is named as Python is; write requirements to another file")


def _call(prepared: Prepared, request: TraceRequest, tracer: ModuleTracer) -> None:
    # What the program prints goes to stderr, so that stdout holds the table and nothing else.
    with waiting(f"running {request.target}"), redirect_stdout(sys.stderr):
        with (
            torch.set_grad_enabled(prepared.wants_grad),
            user_code(f"running {request.target.name}"),
        ):
            result = tracer.call(prepared.program.call, *prepared.args, **prepared.kwargs)
    refuse_module(result, request)


def _module_of(target: TargetName) -> str:
    """Return the name that the module of a target was imported by."""
    if not target.is_script:
        return target.module
    file = str(Path(target.module).resolve())
    return next(name for name in list(sys.modules) if file_of(name) == file)


def _print(found: Dependencies, output: DependencyOutput) -> None:
    if output.why is not None:
        if output.as_json:
            typer.echo(json.dumps(module_record(found.why(output.why)), indent=2))
        else:
            typer.echo(way_to(found, output.why, terminal_width()), nl=False)
    elif output.as_json:
        typer.echo(json.dumps(dependency_record(found), indent=2))
    elif output.modules or output.requirements is None:
        typer.echo(dependency_table(found, terminal_width(), modules=output.modules), nl=False)
    sys.stdout.flush()


def _write(found: Dependencies, path: Path, request: TraceRequest) -> None:
    text = requirements_text(
        found.distributions, [f"What {request.target} needed when opscope deps ran it."]
    )
    write_together({path: lambda place: place.write_text(text, encoding="utf-8", newline="\n")})
    count = len(found.requirements)
    typer.echo(f"wrote {path}: {count} requirement{'' if count == 1 else 's'}", err=True)
    editable = [one.name for one in found.distributions if one.is_editable]
    for what, names in (("editable", editable), ("yours", local_files(found))):
        if names:
            typer.echo(f"not in it, as they are {what}: {', '.join(names)}", err=True)
