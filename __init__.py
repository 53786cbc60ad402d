"""opscope traces a PyTorch program while it runs into a graph that people can read, run and draw.

    traced = opscope.trace(model, x)   # runs model(x) once; a TracedProgram
    traced.graph, traced(x), traced.diagnostics, traced.save("model.svg"), traced.summary()

Nothing here imports torch: names are resolved when they are first used (PEP 562), so that a saved
graph can be read and drawn where torch is not installed. Type checkers read ``__init__.pyi``.
"""

from __future__ import annotations

import gc
from importlib import import_module
from typing import Any, Final

__version__: Final = "0.1.0"

_HOMES: Final = {
    "checking": ("CheckReport",),
    "comparing": ("diff",),
    "comparison": ("GraphDiff",),
    "program.converted": ("from_fx", "to_fx"),
    "errors": (
        "CaptureError", "CheckError", "ExecutorWarning", "FormatError", "GuardError", "IRError", "InputError",
        "OpscopeError", "ParseError", "PassError", "QueryError", "RenderError", "ReplayError", "ReportError",
        "TracerWarning", "UnsupportedTorchError", "VerifyError",
    ),
    "exploring": ("show", "to_html"),
    "exports": ("to_graphml", "to_model_explorer", "to_model_explorer_overlay", "to_netron", "to_node_link"),
    "program.failed": ("FailedTrace", "failed_trace"),
    "program.interpreter": ("Interpreter",),
    "ir": ("Graph", "Node", "Value", "verify"),
    "ir.findings": ("Diagnostic", "DiagnosticKind", "Severity"),
    "ir.measures": ("Measure",),
    "program.loaded": ("LoadedProgram", "load"),
    "program.loaded_module": ("LoadedModule", "load_module"),
    "passes.base": ("Pass", "PassResult"),
    "passes.patterns": ("RewriteRules",),
    "passes.registry": ("register_pass",),
    "pictures": ("to_dot", "to_graphviz", "to_mermaid", "to_networkx", "to_pydot"),
    "program.profiling_executor": ("ProfilingExecutor",),
    "program.operators": ("functionalize", "parse", "rewrite_rule"),
    "program.traced": ("TracedProgram", "trace"),
    "reports": ("Profile", "Statistics", "Summary", "flop_formula", "summarize"),
    "program.running": ("RunResult",),
    "saving": ("save",),
    "tracer": (
        "TracingState", "get_tracing_state", "is_tracing", "paused", "set_tracing_state", "tracing",
    ),
    "program.traced_module": ("TracedModule", "trace_module"),
    "visualize": ("ViewOptions",),
}  # fmt: skip
_HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # What comes now stays. The collector would look through it, and through all of torch, for garbage.
    is_collecting = gc.isenabled()
    gc.disable()
    try:
        value = getattr(import_module(f".{home}", __name__), name)
    finally:
        if is_collecting:
            gc.enable()
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF})
