"""What models need of a build of ExecuTorch: read from programs, estimated of modules."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ...errors import FootprintError, FormatError
from ..result import Failure
from .needs import ExecuTorchFootprint, ExecuTorchModel, ExecuTorchSource
from .programs import read_program

_HOW: Final = (
    "give the path of a .pte file, which is exact, or a torch.nn.Module with inputs, which is not"
)


def executorch_footprint(model: Any | Sequence[Any], inputs: Any = None) -> ExecuTorchFootprint:
    """Return what a model, or several, need of a build of ExecuTorch.

    Programs are read, and neither run nor loaded: what they call stands in them. A module is exported with
    torch.export, and its footprint is approximate, as ExecuTorch has passes of its own.

    Args:
        model: the path of a ``.pte`` file, a module, or several of these.
        inputs: what modules are called with, as for ``trace_run``: ``[(x,)]``, or such lists by method.

    Raises:
        FormatError: the one path given is no program of ExecuTorch, or a damaged one.
        FootprintError: a module cannot be exported. Of several models all are tried first, and the error has
            what the others need in its ``result``.
    """
    given = list(model) if isinstance(model, list | tuple) else [model]
    if not given:
        raise FootprintError(f"there is no model\n{_HOW}")
    models: list[ExecuTorchModel] = []
    failures: list[Failure] = []
    for one in given:
        try:
            models.append(_model(one, inputs))
        except (FootprintError, FormatError) as error:
            if len(given) == 1:
                raise
            failures.append(Failure(_name_of(one), str(error)))
    result = ExecuTorchFootprint(tuple(models), tuple(failures))
    if failures:
        lines = [f"{len(failures)} of {len(given)} models could not be read"]
        lines += [failure.message for failure in failures]
        raise FootprintError("\n".join(lines), result if models else None)
    return result


def _model(given: Any, inputs: Any) -> ExecuTorchModel:
    if isinstance(given, str | os.PathLike):
        path = Path(os.fsdecode(given))
        program = read_program(path)
        source = ExecuTorchSource.BUNDLE if program.has_inputs else ExecuTorchSource.PROGRAM
        return ExecuTorchModel(str(path), source, path.stat().st_size, program.methods)
    return _estimated(given, inputs)


def _estimated(given: Any, inputs: Any) -> ExecuTorchModel:
    import torch  # reading programs needs none of it

    from ..inputs import given_calls
    from .exporting import estimate

    if not isinstance(given, torch.nn.Module) or isinstance(given, torch.jit.ScriptModule):
        raise FootprintError(f"{type(given).__name__} cannot be exported for ExecuTorch\n{_HOW}")
    if inputs is None:
        raise FootprintError(
            f"{type(given).__name__} is exported with inputs, and there are none; give inputs=[(x,)]"
        )
    return estimate(given, given_calls(inputs))


def _name_of(given: Any) -> str:
    return str(given) if isinstance(given, str | os.PathLike) else type(given).__name__
