"""Operators with schemas, and what viewers' files hold, in short."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from opscope.ir import Effect, Graph, Operator, Parameter, parse

_SCHEMAS = {
    "aten::linear": "input weight bias",
    "aten::add.Tensor": "self other",
    "aten::relu_": "self!",
    "aten::view": "self size",
    "aten::cat": "tensors dim",
}


def _operator(name: str) -> Operator:
    parameters = tuple(
        Parameter(word.rstrip("!"), "Tensor", is_written=word.endswith("!"))
        for word in _SCHEMAS.get(name, "").split()
    )
    return Operator(name, parameters, effects=Effect.NONE)


@pytest.fixture
def read() -> Callable[[str], Graph]:
    """Parse a graph whose operators have schemas."""
    return lambda text: parse(text, _operator)


@pytest.fixture
def shown() -> Callable[[str], dict[str, list[str]]]:
    """Spell what a file for Model Explorer holds: per graph a line for each node."""
    return _shown


def _shown(text: str) -> dict[str, list[str]]:
    graphs: dict[str, list[str]] = {}
    for graph in json.loads(text)["graphs"]:
        names = {node["id"] for node in graph["nodes"]}
        graphs[graph["id"]] = [_node(node, names) for node in graph["nodes"]]
    return graphs


def _node(node: dict[str, Any], names: set[str]) -> str:
    sources = [edge["sourceNodeId"] for edge in node["incomingEdges"]]
    assert names.issuperset(sources), "an edge from nowhere is left out"
    place = f" in {node['namespace']}" if node["namespace"] else ""
    into = f" <- {', '.join(sources)}" if sources else ""
    graphs = f" enters {', '.join(node['subgraphIds'])}" if "subgraphIds" in node else ""
    return f"{node['id']} {node['label']}{place}{into}{graphs}"
