"""What a program takes, as plain data and in force again."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch

from ...ir.files import SavedInputs, TensorRef
from ...ir.structure import Structure
from ..program.inputs import Arguments, InputSpec


def saved_inputs(
    spec: InputSpec, number_of: Callable[[torch.Tensor, str], int | None]
) -> SavedInputs:
    """Return what a program takes as a file has it; ``number_of`` gives the numbers of tensors there."""
    arguments = spec.arguments
    signature = arguments.signature
    if signature is not None:  # a default that is a tensor is one of the file
        parameters = [
            parameter.replace(default=TensorRef(number))
            if isinstance(parameter.default, torch.Tensor)
            and (number := number_of(parameter.default, parameter.name)) is not None
            else parameter
            for parameter in signature.parameters.values()
        ]
        signature = signature.replace(parameters=parameters)
    return SavedInputs(
        signature=signature,
        positional=arguments.positional,
        by_name=arguments.by_name,
        structure=spec.structure,
        names=spec.names,
        types=spec.types,
        dimensions=spec.dimensions,
        same_as=spec.same_as,
        state=tuple(
            [None if own is None else (own[0], number_of(own[1], own[0])) for own in spec.state]
        ),
        is_exact=spec.is_exact,
    )


def restored_inputs(
    saved: SavedInputs,
    structure: Structure,
    tensors: Sequence[torch.Tensor],
    plain: Callable[[Any], Any],
) -> InputSpec:
    """Return what a program takes.

    Args:
        saved: as a file has it.
        structure: that of the file, of real classes and constants.
        tensors: those of the file, by number.
        plain: makes an object of what the file has for it.
    """
    signature = saved.signature
    if signature is not None:
        parameters = [
            parameter
            if parameter.default is inspect.Parameter.empty
            else parameter.replace(default=plain(parameter.default))
            for parameter in signature.parameters.values()
        ]
        signature = signature.replace(parameters=parameters)
    return InputSpec(
        arguments=Arguments.of(signature, saved.positional, saved.by_name),
        structure=structure,
        names=saved.names,
        types=saved.types,
        dimensions=saved.dimensions,
        same_as=saved.same_as,
        state=tuple(
            [
                None if own is None or own[1] is None else (own[0], tensors[own[1]])
                for own in saved.state
            ]
        ),
        is_exact=saved.is_exact,
    )
