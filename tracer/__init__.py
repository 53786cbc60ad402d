"""Capture: the dispatcher hook, and what turns a running program into a graph."""

from .active import (
    apart,
    get_tracing_state,
    is_tracing,
    paused,
    set_tracing_state,
    tracing,
    unrecorded,
)
from .capture import Capture, capture
from .diagnostics import Diagnostic, DiagnosticKind, Severity
from .dispatch.bindings import ExactBindings
from .dispatch.dispatcher import current_recorder, make_fake_mode, plain_torch, storage_key
from .dispatch.literals import equal_literals
from .dispatch.modes import ModeReader
from .dispatch.operator_facts import MetaFacts
from .dispatch.schemas import operator_of
from .dispatch.tensors import type_of_tensor
from .functions.callees import run_recorded
from .numbers.sizes import Dynamic
from .partial import PartialRun, partial_run
from .program.circumstances import ModesOfModules
from .program.direct_inputs import DirectInputs
from .program.held_numbers import HeldNumber, held_numbers
from .program.held_state import HeldState
from .program.input_sizes import Sizes, inputs_at
from .program.inputs import InputSpec, input_leaves, input_names, is_opaque, is_tensor
from .program.modules import held_objects
from .program.program_state import mentioned_objects, named_objects, number_holders
from .sources.frames import is_library_file
from .state import TracingState

__all__ = [
    "Capture",
    "Diagnostic",
    "DiagnosticKind",
    "DirectInputs",
    "Dynamic",
    "ExactBindings",
    "HeldNumber",
    "HeldState",
    "InputSpec",
    "MetaFacts",
    "ModeReader",
    "ModesOfModules",
    "PartialRun",
    "Severity",
    "Sizes",
    "TracingState",
    "apart",
    "capture",
    "current_recorder",
    "equal_literals",
    "get_tracing_state",
    "held_numbers",
    "held_objects",
    "input_leaves",
    "input_names",
    "inputs_at",
    "is_library_file",
    "is_opaque",
    "is_tensor",
    "is_tracing",
    "make_fake_mode",
    "mentioned_objects",
    "named_objects",
    "number_holders",
    "operator_of",
    "partial_run",
    "paused",
    "plain_torch",
    "run_recorded",
    "set_tracing_state",
    "storage_key",
    "tracing",
    "type_of_tensor",
    "unrecorded",
]
