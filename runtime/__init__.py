"""Replay: a graph compiled to a Python function, and what it calls."""

from .clock import Clock
from .codegen import CompiledGraph, compile_graph, run_blocks
from .compare import Tolerance
from .constant_tensors import StateTensors
from .guards import circumstance_error, length_error
from .literals import torch_literal
from .modes import mode_contexts
from .numbers import numbers_of
from .objects_after import ObjectsAfter
from .operators import call_plainly, find_overload
from .resolved import Resolver
from .state_notes import state_notes
from .steps import GraphRun, SteppedGraph, compile_steps
from .stored_tensors import TensorWriter, make_tensors, read_memories
from .write_back import WriteBack

__all__ = [
    "Clock",
    "CompiledGraph",
    "GraphRun",
    "ObjectsAfter",
    "Resolver",
    "StateTensors",
    "SteppedGraph",
    "TensorWriter",
    "Tolerance",
    "WriteBack",
    "call_plainly",
    "circumstance_error",
    "compile_graph",
    "compile_steps",
    "find_overload",
    "length_error",
    "make_tensors",
    "mode_contexts",
    "numbers_of",
    "read_memories",
    "run_blocks",
    "state_notes",
    "torch_literal",
]
