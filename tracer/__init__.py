"""Capture: the dispatcher hook, and what turns a running program into a graph."""

from .active import (
    get_tracing_state,
    is_tracing,
    paused,
    set_tracing_state,
    tracing,
    unrecorded,
)
from .bindings import ExactBindings
from .callees import run_recorded
from .capture import Capture, capture
from .diagnostics import Diagnostic, DiagnosticKind, Severity
from .dispatcher import storage_key
from .inputs import InputSpec, input_leaves, is_opaque, is_tensor
from .literals import equal_literals
from .modules import held_objects
from .operator_facts import MetaFacts
from .program_state import mentioned_objects, named_objects
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
    "Severity",
    "TracingState",
    "capture",
    "equal_literals",
    "get_tracing_state",
    "held_objects",
    "input_leaves",
    "is_opaque",
    "is_tensor",
    "is_tracing",
    "mentioned_objects",
    "named_objects",
    "operator_of",
    "paused",
    "run_recorded",
    "set_tracing_state",
    "storage_key",
    "tracing",
    "unrecorded",
]
