"""What a model needs to run: operators, types of elements, classes, backends and Python modules.

    result = trace_run("model.ptl")           # runs it; a TracerResult
    result.root_ops, result.traced_operators
    result.save("selected_operators.yaml")
    trace_dependencies(model, [(x,)])         # the Python modules that ran
    find_dependencies(model, [(x,)]).requirements

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
    "dependencies.distributions": ("Distribution", "DistributionIndex", "Origin", "OriginKind"),
    "dependencies.finding": (
        "Dependencies", "Dependency", "How", "dependencies_of", "find_dependencies",
        "trace_dependencies",
    ),
    "dependencies.first_uses": ("FirstUse", "Step"),
    "dependencies.report": ("dependency_record", "dependency_table", "way_to"),
    "dependencies.requirements": ("requirement", "requirements_text"),
    "dependencies.torch_packages": ("find_first_use_of_broken_modules", "is_from_package"),
    "dependencies.tracing": ("ModuleTracer",),
    "executorch.footprints": ("executorch_footprint",),
    "executorch.lists": ("operator_dict", "operator_list", "operator_schema"),
    "executorch.needs": ("ExecuTorchFootprint", "ExecuTorchModel", "ExecuTorchSource"),
    "executorch.programs": ("Delegate", "Program", "ProgramMethod", "read_program"),
    "executorch.reporting": ("executorch_report",),
    "recorders": (
        "BuildFeatureTracer", "CustomClassTracer", "KernelDTypeTracer", "OperatorCallTracer",
    ),
    "reporting": ("caveats", "report"),
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
