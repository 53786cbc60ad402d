"""What a comparison of two graphs gives."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..ir import Graph, Node, Scope
from .changes import (
    ChangeKind,
    FunctionChange,
    NodeChange,
    ScopeDiff,
    SignatureChange,
    StateChange,
)
from .plain import plain_diff
from .text import diff_text


@dataclass(frozen=True, slots=True, eq=False)
class GraphDiff:
    """In what two graphs differ. It is true if they do: ``if opscope.diff(a, b): ...``.

    ``print`` shows it by scope; what repeats from layer to layer is shown once.

    Attributes:
        before: the first graph.
        after: the second.
        nodes: what became of each node that is not in both graphs as it was, in program order, those of
            functions last.
        scopes: the scopes that are others, or in which something is, outer ones first.
        state: what became of parameters, buffers and constants.
        signature: how inputs, outputs, names and ambient modes differ.
        functions: functions that only one of the graphs has, or that have other names.
        matches: the nodes of the first graph that the second has too, with those there.
        scope_matches: the same for scopes.
        equal: how many nodes are as they were.
    """

    before: Graph
    after: Graph
    nodes: tuple[NodeChange, ...]
    scopes: tuple[ScopeDiff, ...]
    state: tuple[StateChange, ...]
    signature: tuple[SignatureChange, ...]
    functions: tuple[FunctionChange, ...]
    matches: Mapping[Node, Node] = field(repr=False)
    scope_matches: Mapping[Scope, Scope] = field(repr=False)
    equal: int = 0

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs."""
        return not self

    @property
    def counts(self) -> dict[ChangeKind, int]:
        """How many nodes were added, removed, changed and moved."""
        counts = Counter(change.kind for change in self.nodes)
        return {kind: counts[kind] for kind in ChangeKind}

    def text(self, *, whole: bool = False) -> str:
        """Return what differs as text, by scope.

        Args:
            whole: whether every change is shown, also where it repeats or is one of many of a kind.
        """
        return diff_text(self, whole=whole)

    def to_dict(self) -> dict[str, Any]:
        """Return all that differs as plain data."""
        return plain_diff(self)

    def to_json(self, indent: int | None = None) -> str:
        """Return all that differs as JSON."""
        return json.dumps(self.to_dict(), indent=indent)

    def __bool__(self) -> bool:
        scopes = any(scope.kind is not None for scope in self.scopes)
        return bool(self.nodes or self.state or self.signature or self.functions or scopes)

    def __str__(self) -> str:
        return self.text()
