"""Scopes as an indented tree for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ...ir.types import quote_name
from .scope_tree import Branch, ScopeTree

_INDENT: Final = "  "
_LEAST_WIDTH = 24
_GAP: Final = "  "


def scope_lines(tree: ScopeTree, most_depth: int | None = None) -> list[str]:
    """Return one line per scope: name and class, nodes in it, and elements of parameters they read.

    Args:
        tree: the scopes.
        most_depth: how many levels below a graph are shown; all if left out.
    """
    branches = [*tree.walk(most_depth)]
    labels = [_label(branch) for branch in branches]
    nodes = [f"{branch.node_count:,}" for branch in branches]
    parameters = [
        f"{branch.parameter_count:,}" if branch.parameter_count else "" for branch in branches
    ]
    columns = [_aligned("scope", labels, "<"), _aligned("nodes", nodes, ">")]
    columns.append(_aligned("parameters", parameters, ">"))
    return [_GAP.join(cells).rstrip() for cells in zip(*columns, strict=True)]


def _aligned(title: str, cells: list[str], side: str) -> Iterator[str]:
    least = _LEAST_WIDTH if side == "<" else 0
    width = max(least, *map(len, (title, *cells)))
    return (f"{cell:{side}{width}}" for cell in (title, *cells))


def _label(branch: Branch) -> str:
    if branch.parent is None:
        name = quote_name(branch.name)
        return f"function {name}" if branch.function else name
    class_name = branch.scope.class_name
    name = f"{branch.name} ({quote_name(class_name)})" if class_name else branch.name
    return _INDENT * branch.depth + name
