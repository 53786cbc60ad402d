"""What is to be run for a command: the program, what it is called with, and in which modes."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import torch

from .errors import CommandError
from .request import TraceRequest
from .target import Program, find_program, plain_call
from .values import make_value
from .waiting import waiting


@dataclass(frozen=True, slots=True)
class Prepared:
    """A program with what it is called with.

    Attributes:
        program: the program, in the mode that was asked for.
        args: positional inputs.
        kwargs: keyword inputs.
        wants_grad: whether it runs with gradients.
    """

    program: Program
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    wants_grad: bool


def prepare(request: TraceRequest, make: Callable[..., Any] = plain_call) -> Prepared:
    """Make the program that a command line names, and its inputs.

    Args:
        request: what the command line asks for.
        make: calls a class or a factory with its arguments, to make the program.

    Raises:
        CommandError: the request does not fit the program.
        ProgramError: the user's code failed while it was imported or made.
    """
    with waiting(f"loading {request.target}"), redirect_stdout(sys.stderr):
        torch.manual_seed(request.seed)
        program = find_program(
            request.target, request.arguments, factory=request.factory, make=make
        )
        torch.manual_seed(request.seed)  # so that inputs do not depend on how the program was made
        args = tuple(make_value(spec) for spec in request.inputs)
        kwargs = {name: make_value(spec) for name, spec in request.kwargs.items()}
    _set_training(program, request)
    _check_inputs(program, request, args, kwargs)
    return Prepared(program, args, kwargs, _wants_grad(program, request))


def refuse_module(result: object, request: TraceRequest) -> None:
    """Raise a CommandError if a program returned a module, since then what it makes was meant."""
    if isinstance(result, torch.nn.Module):
        raise CommandError(
            f"{request.target} returned a module, so it is a factory\n"
            "give what it is called with as --arg name=value, or none with --factory"
        )


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
