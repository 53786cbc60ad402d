"""Graphs as plain lines and as records: nodes, and the tree of scopes that they stand in."""

from .arguments import named_arguments
from .node_lines import node_lines
from .records import node_records, scope_records
from .scope_lines import scope_lines
from .scope_tree import Branch, ScopeTree

__all__ = [
    "Branch",
    "ScopeTree",
    "named_arguments",
    "node_lines",
    "node_records",
    "scope_lines",
    "scope_records",
]
