"""Graphs as functions of other graphs: taken in whole, with what they keep passed as arguments."""

from __future__ import annotations

from collections.abc import Mapping

from .composites import noted_composites
from .graph import Graph
from .rules import references_in
from .value import StateEntry, Value


def take_in(graph: Graph, callee: Graph) -> tuple[str, tuple[StateEntry, ...]]:
    """Make a copy of ``callee`` a function of ``graph``; return its name there and what to pass it.

    A function keeps nothing itself: the state that ``callee`` reads comes after its inputs, in the
    order of the entries returned. Functions of ``callee`` become functions of ``graph``, since a
    function has none of its own. One that ``graph`` has already, to the letter, is not added again.
    O(size of the callee, and of the functions of the same name).
    """
    copy = callee.copy()
    names: dict[str, str] = {}
    _bring(graph, copy, copy.functions, names)
    copy.functions = {}
    entries = tuple(entry for entry in callee.state.values() if entry.value.is_used)
    _pass_state(copy)
    return _add(graph, copy, callee.name), entries


def _bring(
    graph: Graph, caller: Graph, functions: Mapping[str, Graph], names: dict[str, str]
) -> None:
    """Add the functions that ``caller`` names, callees first, and make it name what they are now."""
    for node in caller.walk():
        for reference in references_in(node.all_args):
            if reference.name not in names:
                names[reference.name] = reference.name  # ends the search where one calls itself
                function = functions[reference.name]
                _bring(graph, function, functions, names)
                names[reference.name] = _add(graph, function, reference.name)
        node.rename_functions(names)


def _pass_state(graph: Graph) -> None:
    """Make inputs of all state that is read, and forget the rest.

    Given:   graph(%x : f32[2]):
               state %weight : f32[2]
               %0 : f32[2] = aten::mul(%x, %weight)
    Result:  graph(%x : f32[2], %weight : f32[2]):
               %0 : f32[2] = aten::mul(%x, %weight)
    """
    noted = noted_composites(graph)
    becomes: dict[Value, Value] = {}
    for name, entry in list(graph.state.items()):
        kept: Value = entry.value
        if kept.is_used:
            becomes[kept] = graph.add_input(kept.type, name)
            kept.replace_all_uses_with(becomes[kept])
        graph.remove_state(name)
    graph.composites = {scope: each.with_values(becomes) for scope, each in noted.items()}


def _add(graph: Graph, function: Graph, wanted: str) -> str:
    """Add a function under a name like the one wanted, unless it is there, and return its name."""
    name, suffix = wanted, 0
    while (present := graph.functions.get(name)) is not None:
        function.name = present.name
        if str(function) == str(present):
            return name
        suffix += 1
        name = f"{wanted}.{suffix}"
    function.name = name
    graph.functions[name] = function
    return name
