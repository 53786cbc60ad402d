"""Comparison: which nodes two graphs have in common, and in what they differ."""

from .changes import (
    ChangeKind,
    FunctionChange,
    NodeChange,
    ScopeDiff,
    SignatureChange,
    StateChange,
)
from .compare import compare_graphs
from .graph_diff import GraphDiff

__all__ = [
    "ChangeKind",
    "FunctionChange",
    "GraphDiff",
    "NodeChange",
    "ScopeDiff",
    "SignatureChange",
    "StateChange",
    "compare_graphs",
]
