"""Finding nodes by where they stand, what they run, and which line caused them."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache

from .node import Node
from .scope import Scope
from .source import Frame

ANY = "*"


def find_nodes(nodes: Iterable[Node], scope: str, op: str, caused_by: str) -> list[Node]:
    """Return those of some nodes that match three shell patterns: see ``Graph.nodes``. O(nodes)."""

    @cache
    def stands_in(part: Scope) -> bool:
        return part.parent is not None and (matches_scope(scope, part) or stands_in(part.parent))

    stacks: dict[Frame, bool] = {}
    return [
        node
        for node in nodes
        if (op == ANY or _matches(op, node.operator.base_name, node.operator.name))
        and (scope == ANY or stands_in(node.scope))
        and (caused_by == ANY or _is_called_from(node.stack, caused_by, stacks))
    ]


def matches_scope(pattern: str, scope: Scope) -> bool:
    """Whether a scope's own address or path matches a shell pattern."""
    return _matches(pattern, scope.address, scope.path)


def _matches(pattern: str, *names: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in names)


def _is_called_from(stack: Frame | None, pattern: str, known: dict[Frame, bool]) -> bool:
    """Whether a frame of a stack stands at a line that matches; ``known`` holds answers given before."""
    fresh = []
    answer = False
    while stack is not None and not answer:
        if stack in known:
            answer = known[stack]
            break
        fresh.append(stack)
        place = stack.range
        answer = _matches(pattern, f"{place.file}:{place.line}", place.file)
        stack = stack.caller
    known.update(dict.fromkeys(fresh, answer))
    return answer
