"""A comparison as plain data, for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..ir import Modes, Node, Scope, StateEntry, Value
from ..ir.printer import place_text
from .changes import NodeChange, ScopeDiff, SignatureChange, StateChange
from .facts import Fact
from .wording import Naming

if TYPE_CHECKING:
    from .graph_diff import GraphDiff  # which is written with the functions of this file


def plain_diff(diff: GraphDiff) -> dict[str, Any]:
    """Return all that differs as dictionaries, lists, strings and numbers."""
    writer = _PlainWriter(diff)
    return {
        "is_equal": diff.is_equal,
        "before": diff.before.name,
        "after": diff.after.name,
        "counts": {
            **{kind.value: count for kind, count in diff.counts.items()},
            "equal": diff.equal,
        },
        "signature": [writer.signature(change) for change in diff.signature],
        "state": [writer.state(change) for change in diff.state],
        "functions": [
            {"kind": change.kind.value, "before": change.before, "after": change.after}
            for change in diff.functions
        ],
        "scopes": [writer.scope(scope) for scope in diff.scopes],
        "nodes": [writer.node(change) for change in diff.nodes],
    }


class _PlainWriter:
    """Writes the parts of a comparison."""

    def __init__(self, diff: GraphDiff) -> None:
        self._naming = Naming({c.node: c.kind for c in diff.nodes if not (c.before and c.after)})
        functions = (*diff.before.functions.items(), *diff.after.functions.items())
        self._functions = {graph: name for name, graph in functions}

    def signature(self, change: SignatureChange) -> dict[str, Any]:
        return {
            "kind": change.kind.value,
            "what": change.what,
            "position": change.position,
            "function": change.function,
            "before": self._outside(change.before),
            "after": self._outside(change.after),
            "details": self._facts(change.details, None),
        }

    def _outside(self, what: Value | Modes | str | None) -> Any:
        if isinstance(what, Value):
            return {"name": self._naming.name(what), "type": str(what.type)}
        return None if what is None else str(what)

    def state(self, change: StateChange) -> dict[str, Any]:
        return {
            "kind": change.kind.value,
            "function": change.function,
            "before": _entry(change.before),
            "after": _entry(change.after),
            "details": self._facts(change.details, None),
        }

    def scope(self, diff: ScopeDiff) -> dict[str, Any]:
        return {
            "kind": None if diff.kind is None else diff.kind.value,
            "before": _scope(diff.before),
            "after": _scope(diff.after),
            "added": diff.added,
            "removed": diff.removed,
            "changed": diff.changed,
            "moved": diff.moved,
            "equal": diff.equal,
            "details": self._facts(diff.details, None),
        }

    def node(self, change: NodeChange) -> dict[str, Any]:
        return {
            "kind": change.kind.value,
            "before": self._node(change.before),
            "after": self._node(change.after),
            "details": self._facts(change.details, change.node.scope),
        }

    def _node(self, node: Node | None) -> dict[str, Any] | None:
        if node is None:
            return None
        graph = node.graph
        return {
            "text": self._naming.statement(node),
            "operator": node.kind,
            "scope": node.scope.address,
            "source": place_text(node.stack),
            "function": None if graph is None else self._functions.get(graph),
        }

    def _facts(self, facts: tuple[Fact, ...], reader: Scope | None) -> list[dict[str, str]]:
        found = []
        for fact in facts:
            words = self._naming.words(fact, reader)
            kind = type(fact).__name__.removesuffix("Change").lower()
            found.append(
                {"kind": kind, "what": words.what, "before": words.before, "after": words.after}
            )
        return found


def _entry(entry: StateEntry | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    kind = entry.kind.name.lower()
    return {"names": list(entry.names), "kind": kind, "type": str(entry.value.type)}


def _scope(scope: Scope | None) -> dict[str, str] | None:
    return None if scope is None else {"address": scope.address, "class": scope.class_name}
