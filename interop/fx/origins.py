"""Where nodes of a trace of torch.fx modules come from, which the metadata of these modules tells."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from types import TracebackType
from typing import Any

import torch
from torch.fx.graph_module import GraphModule

from ...errors import IRError
from ...ir import Frame, Graph, Node, Scope, ScopeKind, SourceRange
from ...ir.scope import ScopeTable
from ...ir.source import portable_file
from ...tracer import is_library_file
from .metadata import SCOPE

_ASSIGNED = re.compile(r"\s*(\w+)\s*[:=]")
_FRAME = re.compile(r'\s*File "(.*)", line (\d+), in (.*)$')
_CALL = re.compile(r"(.*)@(\d+)\Z")
_SELF = re.compile(r"L(?:\['self'\]|__self__)\.?")


class Origins:
    """Finds the nodes of torch.fx that lines of generated code stand for.

    Args:
        module: the module, with all modules in it.
    """

    def __init__(self, module: torch.nn.Module) -> None:
        self._lines: dict[str, list[str]] = {}  # by the file that the code counts as
        self._nodes: dict[str, dict[str, torch.fx.Node]] = {}
        self._names: dict[str, str] = {}  # what the files are called
        self._stacks: dict[tuple[torch.fx.Node, Frame], Frame] = {}
        for part in module.modules():
            if isinstance(part, GraphModule):
                file = type(part).forward.__code__.co_filename
                self._lines[file] = part.code.split("\n")
                self._names[file] = f"<torch.fx {type(part).__name__}>"
                self._nodes[file] = {node.name: node for node in part.graph.nodes}

    def node_at(self, file: str, line: int) -> torch.fx.Node | None:
        """Return the node that a line of generated code stands for."""
        lines = self._lines.get(file, [])
        text = lines[line - 1] if 0 < line <= len(lines) else ""
        match = _ASSIGNED.match(text)
        return self._nodes[file].get(match[1]) if match else None

    def failed(self, trace: TracebackType | None) -> torch.fx.Node | None:
        """Return the innermost node that ran when an error was raised."""
        found = None
        while trace is not None:
            node = self.node_at(trace.tb_frame.f_code.co_filename, trace.tb_lineno)
            found = node or found
            trace = trace.tb_next
        return found

    def tell(self, graph: Graph) -> None:
        """Give the nodes of a graph the scopes and stacks that the nodes they come from tell of."""
        scopes = _Scopes(graph)
        for node in graph.walk():
            if node.stack is None:
                continue
            inner: list[Frame] = []
            origin = self._origin(node, inner)
            if origin is None:
                continue
            scope = scopes.told_by(origin)
            node.scope = node.scope if scope is None else scope
            node.stack = self._stack(origin, node.stack, inner)
            _name_items(node, origin)

    def _origin(self, node: Node, inner: list[Frame]) -> torch.fx.Node | None:
        """Return the node of torch.fx that a node comes from; ``inner`` takes the frames that it called."""
        for frame in node.stack or ():
            file = frame.range.path
            if file in self._lines:
                return self.node_at(file, frame.range.line)
            inner.append(frame)
        return None

    def _stack(self, origin: torch.fx.Node, stack: Frame, inner: list[Frame]) -> Frame:
        """Return the stack that an origin tells of, with the frames that it called further in."""
        key = (origin, stack)
        if key not in self._stacks:
            made = stack_told_by(origin) or self._renamed(stack, len(inner))
            for frame in reversed(inner):
                made = frame.called_by(made)
            self._stacks[key] = made
        return self._stacks[key]

    def _renamed(self, stack: Frame, depth: int) -> Frame:
        """Return the frames from that of generated code on, its file called after the module."""
        frame = next(islice(stack, depth, None))
        place = replace(frame.range, file=self._names[frame.range.path])
        return Frame.resolved(place, frame.caller, frame.is_library)


def _name_items(node: Node, origin: torch.fx.Node) -> None:
    """Name the values of a node as the nodes of torch.fx are that take them out of the whole."""
    if len(node.groups) > 1 and node.gives_lists:
        return
    for user in origin.users:
        if user.target is operator.getitem and isinstance(user.args[1], int):
            position = user.args[1]
            if user.args[0] is origin and position < len(node.outputs) > 1:
                node.outputs[position].name = user.name


def stack_told_by(node: torch.fx.Node) -> Frame | None:
    """Return the user's stack that a node of torch.fx tells of."""
    text = node.meta.get("stack_trace") or node.stack_trace
    return _parsed(text) if text else None


def _parsed(text: str) -> Frame | None:
    """Return the stack of a traceback's text, its last frame innermost."""
    stack: Frame | None = None
    for line in text.splitlines():
        match = _FRAME.match(line)
        if match is not None:
            path = match[1]
            place = SourceRange(portable_file(path), int(match[2]), function=match[3], path=path)
            stack = Frame.resolved(place, stack, is_library_file(path))
    return stack


class _Scopes:
    """The scopes of one graph, and those that metadata tells of."""

    def __init__(self, graph: Graph) -> None:
        self._root = graph.root_scope
        self._table = ScopeTable(self._root)
        self._known: dict[str, Scope] = {}
        for node in graph.walk():
            for scope in node.scope.chain()[1:]:
                if scope.address not in self._known:
                    self._known[scope.address] = scope
                    self._table.add(scope)

    def told_by(self, node: torch.fx.Node) -> Scope | None:
        """Return the scope that a node of torch.fx tells of; None if it tells of none."""
        stack = node.meta.get("nn_module_stack")
        address = node.meta.get(SCOPE)
        if stack is None and address is None:
            return None
        modules = list(_modules(stack or {}))
        if isinstance(address, str):
            try:
                return self._at(address, stack or {})
            except IRError:  # somebody else's metadata, and no address
                pass
        scope = self._root
        for name, class_name, call in modules:
            made = Scope(scope, ScopeKind.MODULE, name, class_name, call)
            scope = self._known.setdefault(made.address, made)
        return scope

    def _at(self, address: str, stack: dict[str, Any]) -> Scope:
        """Return the scope at an address, around which modules stand that have classes."""
        for outer, (_, class_) in stack.items():
            if address.startswith(outer):
                self._table.at(outer, _class_name(class_))
        return self._table.at(address)


def _modules(stack: dict[str, Any]) -> Iterator[tuple[str, str, int]]:
    """Yield name, class and number of call of the modules that a node stands in, outermost first."""
    outer = ""
    for path, class_ in stack.values():
        path = _SELF.sub("", str(path))
        match = _CALL.match(path)
        call = int(match[2]) + 1 if match else 1
        path = match[1] if match else path
        if not path:
            continue
        is_inside = outer and path.startswith(f"{outer}.")
        yield path[len(outer) + 1 :] if is_inside else path, _class_name(class_), call
        outer = path


def _class_name(class_: Any) -> str:
    name = class_.__qualname__ if isinstance(class_, type) else str(class_)
    return name.rpartition(".")[2]
