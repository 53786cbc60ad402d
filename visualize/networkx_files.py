"""Whole graphs as files that graph libraries read: GraphML, and node-link JSON.

Both hold what ``networkx_export.py`` gives, every attribute a string or a number, so that other readers
than networkx (igraph, Gephi, yEd, d3) take them too.
"""

from __future__ import annotations

import json
from typing import Final, TypeAlias

from ..ir import Graph
from .markup import clean
from .networkx_export import to_networkx

_Plain: TypeAlias = str | int | float
_NONE: Final = ""  # of an attribute that has no text


def to_graphml(graph: Graph) -> str:
    """Return a graph as GraphML, which ``networkx.read_graphml`` reads. O(size).

    Nodes and edges have the attributes that :func:`to_networkx` gives them; a shape is text: ``[8, 16]``.
    Characters that XML cannot hold are replaced. Every edge has a number of its own for an id.
    """
    import networkx  # an optional dependency, and slow to load

    exported = to_networkx(graph)
    plain: networkx.MultiDiGraph[str] = networkx.MultiDiGraph(name=clean(graph.name))
    for name, facts in exported.nodes(data=True):
        plain.add_node(name, **{key: _for_xml(fact) for key, fact in facts.items()})
    for number, (source, target, facts) in enumerate(exported.edges(data=True)):
        uses = {key: _for_xml(fact) for key, fact in facts.items()}
        plain.add_edge(source, target, key=number, **uses)
    lines = networkx.generate_graphml(plain)
    return "\n".join(["<?xml version='1.0' encoding='utf-8'?>", *lines]) + "\n"


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
    if isinstance(fact, str | int | float):
        return fact
    if isinstance(fact, tuple):
        return f"[{', '.join(map(str, fact))}]"
    return _NONE if fact is None else str(fact)


def _for_xml(fact: object) -> _Plain:
    plain = _plain(fact)
    return clean(plain) if isinstance(plain, str) else plain
