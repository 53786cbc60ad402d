"""Capture: the dispatcher hook, and what turns a running program into a graph."""

from .active import get_tracing_state, is_tracing, set_tracing_state, tracing
from .bindings import ExactBindings
from .callees import run_recorded
from .capture import Capture, capture
from .diagnostics import Diagnostic, DiagnosticKind
from .inputs import InputSpec
from .own_operators import OWN_OPERATORS
from .schemas import operator_of
from .sizes import Dynamic
from .state import TracingState

__all__ = [
    "OWN_OPERATORS",
    "Capture",
    "Diagnostic",
    "DiagnosticKind",
    "Dynamic",
    "ExactBindings",
    "InputSpec",
    "TracingState",
    "capture",
    "get_tracing_state",
    "is_tracing",
    "operator_of",
    "run_recorded",
    "set_tracing_state",
    "tracing",
]
