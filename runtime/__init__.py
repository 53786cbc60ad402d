"""Replay: a graph compiled to a Python function, and what it calls."""

from .codegen import CompiledGraph, compile_graph
from .literals import torch_literal
from .operators import find_overload, plain_calls

__all__ = ["CompiledGraph", "compile_graph", "find_overload", "plain_calls", "torch_literal"]
