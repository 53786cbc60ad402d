"""Capture: the dispatcher hook, and what turns a running program into a graph."""

from .active import get_tracing_state, is_tracing, set_tracing_state, tracing
from .bindings import ExactBindings
from .capture import Capture, capture
from .diagnostics import Diagnostic, DiagnosticKind
from .inputs import InputSpec
from .operator_facts import MetaFacts
from .schemas import operator_of
from .sizes import Dynamic
from .state import TracingState

__all__ = [
    "Capture",
    "Diagnostic",
    "DiagnosticKind",
    "Dynamic",
    "ExactBindings",
    "InputSpec",
    "MetaFacts",
    "TracingState",
    "capture",
    "get_tracing_state",
    "is_tracing",
    "operator_of",
    "set_tracing_state",
    "tracing",
]
