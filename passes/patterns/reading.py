"""Patterns and replacements from a graph's text, and patterns from functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ...errors import ParseError, PassError
from ...ir import Graph, Value, parse
from .building import NodeWriter, PatternWriter
from .captures import Anything, Capture, capture_of
from .pattern import Name, Pattern, PatternNode, Result, Term, names_in, results_in

Replacement: TypeAlias = Callable[..., Any]
"""Is called with a :class:`NodeWriter` and what the names captured; returns what stands for the results."""


def _read(text: str, name: str, what: str) -> Graph:
    try:
        return parse(text)
    except ParseError as error:
        raise PassError(f"rule {name or '?'}: the {what} cannot be read\n{error}") from error


def read_pattern(text: str, name: str, commutative: tuple[str, ...]) -> tuple[str, Pattern]:
    """Return the name of a rule, the graph's if none is given, and the pattern that a text describes.

    Raises:
        PassError: the text cannot be read, or is no pattern.
    """
    graph = _read(text, name, "pattern")
    name = name or graph.name
    terms = _input_terms(graph, name, "pattern")
    captures = {value.name or "": _capture(value, name) for value in graph.inputs}
    nodes = []
    for number, node in enumerate(graph.block):
        nodes.append(
            PatternNode(
                node.kind,
                tuple([_term(arg, terms) for arg in node.all_args]),
                node.keywords,
                tuple([_capture(value, name) for value in node.outputs]),
                node.groups if node.gives_lists else None,
                node.kind in commutative,
            )
        )
        terms.update((value, Result(number, n)) for n, value in enumerate(node.outputs))
    missing = [kind for kind in commutative if all(node.operator != kind for node in nodes)]
    if missing:
        raise PassError(f"rule {name}: the pattern has no node of {missing[0]}, said to commute")
    returned = [terms.get(value) for value in graph.outputs]
    return name, _pattern(captures, nodes, returned, name)


def _capture(value: Value, name: str) -> Capture:
    try:
        return capture_of(value.type, value.name or "?")
    except PassError as error:
        raise PassError(f"rule {name}: {error}") from None


def _input_terms(graph: Graph, name: str, what: str) -> dict[Value, Term]:
    if graph.state or graph.functions or any(node.blocks for node in graph.walk()):
        raise PassError(
            f"rule {name}: the {what} has state, functions or blocks\n"
            "  have it take what it reads as inputs, and write nodes alone"
        )
    for value in graph.inputs:
        if not value.name:
            raise PassError(
                f"rule {name}: an input of the {what} has no name\n  call it %x, say, not %0"
            )
    return {value: Name(value.name or "") for value in graph.inputs}


def _term(arg: Any, terms: Mapping[Value, Term]) -> Term:
    if isinstance(arg, Value):
        return terms[arg]
    if isinstance(arg, tuple):
        return tuple([_term(item, terms) for item in arg])
    literal: Term = arg
    return literal


def run_pattern(before: Callable[..., Any], name: str) -> Pattern:
    """Return the pattern that a function writes.

    Raises:
        PassError: it writes none.
    """
    names = parameters_of(before, name)
    writer = PatternWriter()
    returned = before(writer, *map(Name, names))
    captures = {each: Anything() for each in names}
    results = list(returned) if isinstance(returned, tuple) else [returned]
    return _pattern(captures, writer.nodes, results, name)


def parameters_of(function: Callable[..., Any], name: str) -> tuple[str, ...]:
    """Return the names of what a function captures: all of its parameters but the first.

    Raises:
        PassError: it has none, or takes any number of them.
    """
    parameters = list(inspect.signature(function).parameters.values())
    odd = [p.name for p in parameters if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if not parameters or odd:
        raise PassError(
            f"rule {name}: {getattr(function, '__name__', 'the function')} must take op and then a "
            "parameter for each capture"
        )
    return tuple(parameter.name for parameter in parameters[1:])


def _pattern(
    captures: Mapping[str, Capture], nodes: list[PatternNode], returned: list[Any], name: str
) -> Pattern:
    """Return a pattern, its nodes checked: one root, whose results are all given, and no node aside."""
    root = len(nodes) - 1
    wanted = [Result(root, n) for n in range(len(nodes[-1].results or ()))] if nodes else []
    if not nodes or returned != wanted or not wanted:
        raise PassError(
            f"rule {name}: the pattern must give all results of its last node, its root, in order"
        )
    read = {result.node for node in nodes for result in results_in(node.args)}
    aside = [node for number, node in enumerate(nodes[:-1]) if number not in read]
    if aside:
        raise PassError(f"rule {name}: nothing in the pattern reads what {aside[0].operator} gives")
    used = {each for node in nodes for each in names_in(node.args)}
    unused = [each for each in captures if each not in used]
    if unused:
        raise PassError(f"rule {name}: no node of the pattern reads %{unused[0]}")
    return Pattern(dict(captures), tuple(nodes))


def read_replacement(text: str, name: str, count: int) -> tuple[Replacement, tuple[str, ...]]:
    """Return what makes the nodes that a text describes, and the names that it reads.

    Raises:
        PassError: the text cannot be read, or gives another number of results than ``count``.
    """
    graph = _read(text, name, "replacement")
    _input_terms(graph, name, "replacement")
    if len(graph.outputs) != count:
        raise PassError(
            f"rule {name}: the pattern gives {count} results, and the replacement {len(graph.outputs)}"
        )
    names = tuple(value.name or "" for value in graph.inputs)
    return _Transcript(graph), names


class _Transcript:
    """Makes the nodes of a graph that was written down, each time that it is called."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def __call__(self, op: NodeWriter, *captured: Any) -> Any:
        found: dict[Value, Any] = dict(zip(self._graph.inputs, captured, strict=True))
        for node in self._graph.block:
            types = [value.type for value in node.outputs]
            made = op.append(
                op.operator(node.kind),
                tuple([_spelled_out(arg, found) for arg in node.all_args]),
                node.keywords,
                types,
                node.groups if node.gives_lists else None,
            )
            results = (made,) if len(types) == 1 else made
            found.update(zip(node.outputs, results, strict=True))
        given = tuple(found[value] for value in self._graph.outputs)
        return given[0] if len(given) == 1 else given


def _spelled_out(arg: Any, found: Mapping[Value, Any]) -> Any:
    if isinstance(arg, Value):
        return found[arg]
    if isinstance(arg, tuple):
        return tuple([_spelled_out(item, found) for item in arg])
    return arg
