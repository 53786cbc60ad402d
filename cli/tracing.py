"""``opscope trace`` and ``opscope summary``: make a program and its inputs, trace, show what is asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import asdict
from functools import partial
from pathlib import Path
from time import perf_counter

import torch
import typer

from ..program.failed import failed_trace
from ..program.traced import TracedProgram, trace
from ..reports import SummaryOptions
from .errors import CommandError, ProgramError, user_code
from .outputs import Output, OutputKind, write_together
from .preparation import Prepared, prepare, refuse_module
from .report import report_of
from .request import TraceRequest
from .summary import found_lines, summarize
from .waiting import waiting


def run_trace(request: TraceRequest) -> None:
    """Trace a program, write its outputs or print its graph, and sum up on stderr.

    Raises:
        CommandError: the request does not fit the program, or an output cannot be written.
        ProgramError: the program failed.
    """
    _refuse_source(request)
    try:
        traced, seconds = _traced(request)
    except ProgramError as error:
        _write_failed(error, request)
        raise
    if request.outputs:
        with waiting(f"writing {', '.join(output.path.name for output in request.outputs)}"):
            write_together(
                {output.path: _writer(output, traced, request) for output in request.outputs}
            )
    else:
        typer.echo(str(traced.graph), nl=False)
        sys.stdout.flush()
    typer.echo(summarize(traced, seconds, request.outputs, is_checked=request.check), err=True)


def _refuse_source(request: TraceRequest) -> None:
    if request.target.is_script:
        source = Path(request.target.module).resolve()
        for output in request.outputs:
            if output.path.resolve() == source:
                raise CommandError(
                    f"{output.path} is the program that is to be traced; write to another file"
                )


def _write_failed(error: ProgramError, request: TraceRequest) -> None:
    """Write what ran of a program that failed beside the files that were asked for, where that can be."""
    failed = failed_trace(error)
    if failed is None:
        return
    writers: dict[Path, Callable[[Path], object]] = {}
    for output in request.outputs:
        path = output.path.with_name(f"{output.path.stem}.failed{output.path.suffix}")
        if output.kind is OutputKind.PAGE:
            writers[path] = failed.save
        elif output.kind is OutputKind.PICTURE:
            writers[path] = partial(failed.save, **asdict(request.view))
        elif output.kind is OutputKind.TEXT:
            writers[path] = partial(_write_text, text=str(failed.graph))
    if writers:
        write_together(writers)
        typer.echo(f"what ran until it failed is in {', '.join(map(str, writers))}", err=True)
    elif not error.hint:
        error.hint = "what ran until it failed can be seen with -o NAME.html"


def run_summary(request: TraceRequest, options: SummaryOptions, *, as_json: bool) -> None:
    """Trace a program and print what it computes, moves and keeps; diagnostics go to stderr.

    Raises:
        CommandError: the request does not fit the program.
        ProgramError: the program failed.
    """
    traced, _ = _traced(request)
    typer.echo(report_of(traced.graph, options, as_json=as_json), nl=False)
    sys.stdout.flush()
    for line in found_lines(traced.diagnostics):
        typer.echo(line, err=True)


def _traced(request: TraceRequest) -> tuple[TracedProgram, float]:
    """Return the traced program, and how many seconds that took."""
    prepared = prepare(request)
    start = perf_counter()
    with waiting(f"tracing {request.target}"):
        traced = _trace(prepared, request)
    return traced, perf_counter() - start


def _trace(prepared: Prepared, request: TraceRequest) -> TracedProgram:
    # What the program prints goes to stderr, so that stdout holds the graph and nothing else.
    with redirect_stdout(sys.stderr), torch.set_grad_enabled(prepared.wants_grad):
        with user_code(f"running {request.target.name}"):
            traced = trace(
                prepared.program.call,
                prepared.args,
                prepared.kwargs,
                dynamic=False if request.fixed else None,
                warn=False,
                fake=request.fake,
                allow=request.allow,
                force_outplace=request.functional,
                check=request.check,
                depth=None if request.deep is None else "deep" if request.deep else "flat",
            )
    refuse_module(traced.outputs.constant, request)
    return traced


def _writer(
    output: Output, traced: TracedProgram, request: TraceRequest
) -> Callable[[Path], object]:
    match output.kind:
        case OutputKind.TEXT:
            return partial(_write_text, text=str(traced.graph))
        case OutputKind.CODE:
            return partial(_write_text, text=traced.code)
        case OutputKind.PICTURE:
            return partial(traced.save, **asdict(request.view))
        case OutputKind.PAGE | OutputKind.EXPORT:
            return traced.save
        case OutputKind.PROGRAM:
            return partial(traced.save, state=request.state)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
