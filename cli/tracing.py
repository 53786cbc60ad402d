"""``opscope trace`` and ``opscope summary``: make a program and its inputs, trace, show what is asked for."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import asdict
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
import typer

from ..failed import failed_trace
from ..program import TracedProgram, trace
from ..reports import SummaryOptions
from .errors import CommandError, ProgramError, user_code
from .outputs import Output, OutputKind, write_together
from .report import report_of
from .request import TraceRequest
from .summary import found_lines, summarize
from .target import Program, find_program
from .values import make_value
from .waiting import waiting


def run_trace(request: TraceRequest) -> None:
    """Trace a program, write its outputs or print its graph, and sum up on stderr.

    Raises:
        CommandError: the request does not fit the program, or an output cannot be written.
        ProgramError: the program failed.
    """
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
    with waiting(f"loading {request.target}"), redirect_stdout(sys.stderr):
        torch.manual_seed(request.seed)
        program = find_program(request.target, request.arguments, factory=request.factory)
        torch.manual_seed(request.seed)  # so that inputs do not depend on how the program was made
        args = tuple(make_value(spec) for spec in request.inputs)
        kwargs = {name: make_value(spec) for name, spec in request.kwargs.items()}
    _set_training(program, request)
    _check_inputs(program, request, args, kwargs)
    start = perf_counter()
    with waiting(f"tracing {request.target}"):
        traced = _trace(program, request, args, kwargs)
    return traced, perf_counter() - start


def _trace(
    program: Program, request: TraceRequest, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> TracedProgram:
    # What the program prints goes to stderr, so that stdout holds the graph and nothing else.
    with redirect_stdout(sys.stderr), torch.set_grad_enabled(_wants_grad(program, request)):
        with user_code(f"running {request.target.name}"):
            traced = trace(
                program.call,
                args,
                kwargs,
                dynamic=False if request.fixed else None,
                warn=False,
                fake=request.fake,
                allow=request.allow,
                force_outplace=request.functional,
                check=request.check,
                depth=None if request.deep is None else "deep" if request.deep else "flat",
            )
    if isinstance(traced.outputs.constant, torch.nn.Module):
        raise CommandError(
            f"{request.target} returned a module, so it is a factory\n"
            "give what it is called with as --arg name=value, or none with --factory"
        )
    return traced


def _set_training(program: Program, request: TraceRequest) -> None:
    if program.module is not None:
        program.module.train(bool(request.train))
    elif request.train is not None:
        option = "--train" if request.train else "--eval"
        raise CommandError(f"{option} is for modules, and {request.target} is none")


def _wants_grad(program: Program, request: TraceRequest) -> bool:
    if request.grad is not None:
        return request.grad
    return program.module is None or program.module.training


def _check_inputs(
    program: Program, request: TraceRequest, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    call = program.call
    try:
        signature = inspect.signature(call.forward if isinstance(call, torch.nn.Module) else call)
    except (TypeError, ValueError):  # built-in functions have none
        return
    _check_names(signature, request)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise CommandError(
            f"the inputs do not fit {request.target}: {error}\n"
            f"it takes {signature}; give positional inputs with --input, others with --kwarg name=SPEC"
        ) from error


def _check_names(signature: inspect.Signature, request: TraceRequest) -> None:
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    if inspect.Parameter.VAR_KEYWORD in kinds:
        return
    known = [
        name
        for name, parameter in signature.parameters.items()
        if parameter.kind is not inspect.Parameter.VAR_POSITIONAL
    ]
    for name in request.kwargs:
        if name not in known:
            raise CommandError(
                f"{name} is not a parameter of {request.target}; "
                + (f"its parameters are {', '.join(known)}" if known else "it has none")
            )


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
