"""What people mean in a graph that runs: values by name, nodes by source line, scope or operator.

A node that stands in a block of another one runs as a part of that, so that other one is found for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Final

from ..errors import ReplayError
from .graph import Graph
from .names import value_names
from .node import Node
from .printer import node_text, value_text
from .scalars import scalar_named
from .scope import Scope
from .search import find_nodes, matches_scope
from .source import Frame, SourceRange
from .types import TensorType
from .value import Value

_LINE: Final = re.compile(r"(?P<file>.+):(?P<line>[0-9]+)\Z", re.DOTALL)


class Selection:
    """Finds nodes and values of a graph by what people call them; says what is near where it finds none."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    @cached_property
    def names(self) -> dict[Value, str]:
        """How the graph's text refers to each value: ``%h``."""
        return {value: value_text(name) for value, name in self._names.items()}

    @cached_property
    def _names(self) -> dict[Value, str]:
        return value_names(self._graph)

    @cached_property
    def _nodes(self) -> list[Node]:
        """The nodes that compute: sizes and conditions on them may stand far from where the user has them."""
        return [node for node in self._graph.walk() if scalar_named(node.kind) is None]

    def statement(self, node: Node) -> str:
        """Return a node as the graph's text shows it."""
        return node_text(node, self._names)

    @cached_property
    def _values(self) -> dict[str, Value]:
        values = {name: value for value, name in self.names.items()}
        for entry in self._graph.state.values():
            for name in entry.names:
                values.setdefault(value_text(name), entry.value)
        return values

    def value(self, name: str) -> Value:
        """Return the value that text calls ``%h``.

        Raises:
            ReplayError: there is none, or it stands inside a node that runs as a whole.
        """
        value = self._values.get(name) or self._values.get(f"%{name}")
        if value is None:
            raise self._missing(f"has no value {name}", name, list(self._values))
        node = value.node
        block = value.block
        if block is not None and block is not self._graph.block:
            owner = block.owner if node is None else node
            assert owner is not None, "an inner block has an owner"
            raise self._inside(name, owner)
        return value

    def by_line(self, line: str) -> list[Node]:
        """Return the nodes of a source line, ``model.py:41``: those that stand on it.

        Where none does, those that what it calls has made.

        Raises:
            ReplayError: there are none.
        """
        return self._steps(self._of_line(line)[0])

    def made_on_line(self, line: str) -> list[Value]:
        """Return the tensors that a source line makes; of one that only calls functions, their results.

        Raises:
            ReplayError: there are none.
        """
        found, stand_there = self._of_line(line)
        nodes = self._steps(found)
        made = tensors_of(nodes) if stand_there else self.results(nodes)
        if not made:
            raise ReplayError(f"{self._graph.name} makes no tensors on line {line}")
        return made

    def _of_line(self, line: str) -> tuple[list[Node], bool]:
        """Return the nodes of a line, and whether they stand on it or are made by what it calls."""
        place = _LINE.match(line)
        if place is None:
            raise ReplayError(
                f"{line!r} is no source line\n  write it as file and number: 'model.py:41'"
            )
        file, number = place["file"], int(place["line"])

        def is_there(frame: Frame) -> bool:
            return frame.range.line == number and _is_file(frame.range, file)

        nodes = [(node, node.stack) for node in self._nodes if node.stack is not None]
        own = [node for node, stack in nodes if is_there(stack.user)]
        if own:
            return own, True
        known: dict[Frame, bool] = {}
        called = [node for node, stack in nodes if _any(stack, is_there, known)]
        if not called:
            raise self._no_line(file, number)
        return called, False

    def is_line(self, text: str) -> bool:
        """Whether a text has the form of a source line, and is not the address of a scope."""
        return _LINE.match(text) is not None and text not in self._addresses

    @cached_property
    def _addresses(self) -> dict[str, None]:
        scopes = dict.fromkeys(node.scope for node in self._nodes)
        whole = dict.fromkeys(part for scope in scopes for part in (scope, *scope.ancestors()))
        return dict.fromkeys(scope.address for scope in whole if scope.parent is not None)

    def by_operator(self, pattern: str) -> list[Node]:
        """Return the nodes that run an operator: ``aten::softmax*``.

        Raises:
            ReplayError: there are none.
        """
        found = find_nodes(self._graph.walk(), "*", pattern, "*")
        if not found:
            kinds = dict.fromkeys(node.operator.base_name for node in self._graph.walk())
            raise self._missing(f"runs no {pattern}", pattern, list(kinds))
        return self._steps(found)

    def scopes(self, pattern: str) -> dict[Scope, list[Node]]:
        """Return the scopes whose address or path matches a shell pattern, each with the nodes in it.

        Raises:
            ReplayError: there are none.
        """
        inside: dict[Scope, list[Node]] = {}
        for node in self._nodes:
            for scope in (node.scope, *node.scope.ancestors()):
                inside.setdefault(scope, []).append(node)
        found = {
            scope: self._steps(nodes)
            for scope, nodes in inside.items()
            if scope.parent is not None and matches_scope(pattern, scope)
        }
        if not found:
            raise self._missing(f"has no scope {pattern}", pattern, list(self._addresses))
        return found

    def results(self, nodes: Sequence[Node]) -> list[Value]:
        """Return the tensors that some nodes make for what comes after them.

        That is what others read, or the graph returns; of a forward, what not only its backward reads.
        """
        own = set(nodes)
        is_backward = all(node.scope.is_backward for node in nodes)
        made = tensors_of(nodes)
        read = [v for v in made if any(user not in own for user in self._users(v))]
        passed_on = [
            value
            for value in read
            if any(
                user not in own
                and (is_backward or not isinstance(user, Node) or not user.scope.is_backward)
                for user in self._users(value)
            )
        ]
        return passed_on or read or made[-1:]

    def _users(self, value: Value) -> Iterator[object]:
        for user in value.users:
            yield self._step(user) if isinstance(user, Node) else self._owner(user) or user

    def _owner(self, block: object) -> Node | None:
        owner = getattr(block, "owner", None)
        return None if owner is None else self._step(owner)

    def _steps(self, nodes: Iterable[Node]) -> list[Node]:
        return list(dict.fromkeys(map(self._step, nodes)))

    def _step(self, node: Node) -> Node:
        """Return the node of the top block that a node is a part of."""
        while node.block is not None and node.block is not self._graph.block:
            owner = node.block.owner
            assert owner is not None, "an inner block has an owner"
            node = owner
        return node

    def _no_line(self, file: str, number: int) -> ReplayError:
        """Return the error that names the nearest lines of a file; lines of any where it is not known."""
        sources = dict.fromkeys(s for s in (node.source for node in self._nodes) if s is not None)
        own = [source for source in sources if _is_file(source, file)]
        own.sort(key=lambda source: abs(source.line - number))
        lines = list(dict.fromkeys(f"{source.file}:{source.line}" for source in own or sources))
        return self._missing(f"has nothing of line {file}:{number}", "", lines)

    def _inside(self, name: str, node: Node) -> ReplayError:
        step = self._step(node)
        made = ", ".join(self.names[value] for value in step.outputs) or "nothing"
        return ReplayError(
            f"{name} stands in a block of {step.kind}, which runs as a whole\n"
            f"  it makes {made}, which can be asked for"
        )

    def _missing(self, what: str, wanted: str, known: Sequence[str]) -> ReplayError:
        near = get_close_matches(wanted, known, n=3, cutoff=0.5) or list(known[:3])
        hint = f"\n  there are, for example, {', '.join(near)}" if near else ""
        return ReplayError(f"{self._graph.name} {what}{hint}")


def tensors_of(nodes: Iterable[Node]) -> list[Value]:
    """Return the tensors that some nodes make."""
    return [v for node in nodes for v in node.outputs if isinstance(v.type, TensorType)]


def firsts(block: Iterable[Node], nodes: Container[Node]) -> list[Node]:
    """Return the first of each row of neighbours in a block that are among some nodes."""
    found = []
    is_inside = False
    for node in block:
        if node in nodes and not is_inside:
            found.append(node)
        is_inside = node in nodes
    return found


def firsts_of_turns(block: Iterable[Node], nodes: Container[Node]) -> list[Node]:
    """Return what :func:`firsts` does; where the same call comes again, as in a loop, a row begins anew."""
    found = []
    seen: set[tuple[Frame | None, str]] = set()
    for node in block:
        call = (node.stack, node.kind)
        if node not in nodes:
            seen.clear()
            continue
        if not seen or call in seen:
            seen.clear()
            found.append(node)
        seen.add(call)
    return found


def _is_file(place: SourceRange, file: str) -> bool:
    """Whether people who write ``file`` may mean that of a place: by its end, its path or a pattern."""
    return (
        place.file == file
        or place.file.endswith(f"/{file}")
        or place.path == file
        or fnmatchcase(place.file, file)
    )


def _any(stack: Frame, holds: Callable[[Frame], bool], known: dict[Frame, bool]) -> bool:
    """Whether something holds of a frame of a stack; ``known`` has answers given before."""
    fresh = []
    answer = False
    for frame in stack:
        if frame in known:
            answer = known[frame]
            break
        fresh.append(frame)
        if holds(frame):
            answer = True
            break
    known.update(dict.fromkeys(fresh, answer))
    return answer
