"""opscope traces a PyTorch program while it runs into a graph that people can read, run and draw.

Nothing here imports torch: names are resolved when they are first used (PEP 562), so that a saved
graph can be read and drawn where torch is not installed.
"""

from __future__ import annotations

__version__ = "0.1.0"

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import (
        CaptureError,
        FormatError,
        InputError,
        IRError,
        OpscopeError,
        ParseError,
        PassError,
        RenderError,
        ReplayError,
        TracerWarning,
        UnsupportedTorchError,
        VerifyError,
    )
    from .ir import Graph, Node, Value, verify
    from .program import TracedProgram, parse, trace
    from .tracer import (
        Diagnostic,
        TracingState,
        get_tracing_state,
        is_tracing,
        set_tracing_state,
        tracing,
    )
    from .visualize import ViewOptions, build_scene

_HOMES = {
    "errors": (
        "CaptureError", "FormatError", "IRError", "InputError", "OpscopeError", "ParseError", "PassError",
        "RenderError", "ReplayError", "TracerWarning", "UnsupportedTorchError", "VerifyError",
    ),
    "ir": ("Graph", "Node", "Value", "verify"),
    "program": ("TracedProgram", "parse", "trace"),
    "tracer": (
        "Diagnostic", "TracingState", "get_tracing_state", "is_tracing", "set_tracing_state", "tracing",
    ),
    "visualize": ("ViewOptions", "build_scene"),
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [*sorted(_HOME_OF), "__version__"]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *_HOME_OF]
