"""Whole graphs as files that graph libraries read: GraphML, and node-link JSON.

Both hold what ``networkx_export.py`` gives, every attribute a string or a number, so that other readers
than networkx (igraph, Gephi, yEd, d3) take them too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeAlias
from xml.sax.saxutils import escape

from ..ir import Graph
from .markup import clean
from .networkx_export import to_networkx

_Plain: TypeAlias = str | int


def to_graphml(graph: Graph) -> str:
    """Return a graph as GraphML, which ``networkx.read_graphml`` reads. O(size).

    Nodes and edges have the attributes that :func:`to_networkx` gives them; a shape is text: ``[8, 16]``.
    Characters that XML cannot hold are replaced. Every edge has an id of its own, ``use0`` onwards.
    """
    exported = to_networkx(graph)
    nodes = _Elements("node", "n")
    edges = _Elements("edge", "e")
    for name, facts in exported.nodes(data=True):
        nodes.add(f'id="{name}"', facts)
    for number, (source, target, facts) in enumerate(exported.edges(data=True)):
        edges.add(f'id="use{number}" source="{source}" target="{target}"', facts)
    whole = _Elements("graph", "g")
    title = whole.content({"name": graph.name})
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">',
        *whole.keys(),
        *nodes.keys(),
        *edges.keys(),
        f'<graph edgedefault="directed">{title}',
        *nodes.lines,
        *edges.lines,
        "</graph>",
        "</graphml>",
    ]
    return "\n".join(lines) + "\n"


class _Elements:
    """The elements of one kind in a GraphML file, and the keys of their attributes."""

    def __init__(self, kind: str, prefix: str) -> None:
        self.lines: list[str] = []
        self._kind = kind
        self._prefix = prefix
        self._keys: dict[tuple[str, str], str] = {}  # by name and type

    def add(self, attributes: str, facts: Mapping[str, object]) -> None:
        self.lines.append(f"<{self._kind} {attributes}>{self.content(facts)}</{self._kind}>")

    def content(self, facts: Mapping[str, object]) -> str:
        """Return the facts of an element as XML."""
        return "".join([self._fact(name, _plain(fact)) for name, fact in facts.items()])

    def keys(self) -> list[str]:
        return [
            f'<key id="{key}" for="{self._kind}" attr.name="{name}" attr.type="{type_}"/>'
            for (name, type_), key in self._keys.items()
        ]

    def _fact(self, name: str, plain: _Plain) -> str:
        type_ = "string" if isinstance(plain, str) else "long"
        key = self._keys.get((name, type_))
        if key is None:
            key = self._keys[name, type_] = f"{self._prefix}{len(self._keys)}"
        text = escape(clean(plain)) if isinstance(plain, str) else plain
        return f'<data key="{key}">{text}</data>'


def to_node_link(graph: Graph) -> str:
    """Return a graph as JSON of nodes and edges, which ``networkx.node_link_graph`` reads. O(size).

    Nodes and edges have the attributes that :func:`to_networkx` gives them; a shape is text: ``[8, 16]``.
    There is a node or an edge on each line, in program order.
    """
    exported = to_networkx(graph)
    nodes = [
        json.dumps({"id": name} | {key: _plain(fact) for key, fact in facts.items()})
        for name, facts in exported.nodes(data=True)
    ]
    edges = [
        json.dumps(
            {"source": source, "target": target, "key": key}
            | {name: _plain(fact) for name, fact in facts.items()}
        )
        for source, target, key, facts in exported.edges(data=True, keys=True)
    ]
    about = json.dumps({"name": graph.name})
    return (
        f'{{"directed": true, "multigraph": true, "graph": {about},\n'
        f'"nodes": [\n{_lines(nodes)}],\n"edges": [\n{_lines(edges)}]}}\n'
    )


def _lines(items: list[str]) -> str:
    return ",\n".join(items) + "\n" if items else ""


def _plain(fact: object) -> _Plain:
    if isinstance(fact, str | int):
        return fact
    if isinstance(fact, tuple):
        return f"[{', '.join(map(str, fact))}]"
    return str(fact)
