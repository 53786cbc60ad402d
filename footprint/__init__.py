"""What a model needs to run: operators, types of elements, classes and backends.

    result = trace_run("model.ptl")           # runs it; a TracerResult
    result.root_ops, result.traced_operators
    result.save("selected_operators.yaml")

    needs = executorch_footprint("model.pte")  # reads it; an ExecuTorchFootprint
    needs.operators, needs.kernels, needs.delegates

Nothing here imports torch until what runs a model is used: lists of operators, and programs of ExecuTorch,
are read and compared without.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

_HOMES: Final = {
    "comparing": ("Coverage", "SelectionDifference", "coverage", "diff", "read_available"),
    "executorch.footprints": ("executorch_footprint",),
    "executorch.lists": ("operator_dict", "operator_list", "operator_schema"),
    "executorch.needs": ("ExecuTorchFootprint", "ExecuTorchModel", "ExecuTorchSource"),
    "executorch.programs": ("Delegate", "Program", "ProgramMethod", "read_program"),
    "executorch.reporting": ("executorch_report",),
    "recorders": (
        "BuildFeatureTracer", "CustomClassTracer", "KernelDTypeTracer", "OperatorCallTracer",
    ),
    "reporting": ("report",),
    "result": (
        "Failure", "ModelFootprint", "ModelKind", "Needs", "Outcome", "RunReport", "TracerResult",
    ),
    "selection": (
        "OperatorSelection", "SelectedOperator", "merge", "parse_selection", "read_selection",
    ),
    "tracing": ("trace_run",),
}  # fmt: skip
_HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF})
