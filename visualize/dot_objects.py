"""Scenes as objects of the libraries that handle DOT: pydot and graphviz.

Objects are built from the statements of ``dot.py``, in which every string is spelled already. Parsing
text is what makes pydot slow (minutes for ten thousand boxes), and names made of user text are what
makes both libraries write something else than they were given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .dot import Subgraph, dot_document, to_dot
from .scene import Scene

if TYPE_CHECKING:
    import graphviz
    import pydot


def to_pydot(scene: Scene) -> pydot.Dot:
    """Return a scene as a ``pydot.Dot``. O(boxes + edges)."""
    import pydot  # an optional dependency

    document = dot_document(scene)
    dot = pydot.Dot(document.root.name, graph_type="digraph")
    dot.set_node_defaults(**document.node_defaults)
    dot.set_edge_defaults(**document.edge_defaults)
    pending: list[tuple[Subgraph, pydot.Graph]] = [(document.root, dot)]
    for subgraph, target in pending:
        for name, value in subgraph.attributes.items():
            target.set(name, value)
        for name, attributes in subgraph.nodes:
            target.add_node(pydot.Node(name, None, **attributes))
        for inner in subgraph.subgraphs:
            holder = pydot.Subgraph(inner.name)
            target.add_subgraph(holder)
            pending.append((inner, holder))
    for source, end, attributes in document.edges:
        dot.add_edge(pydot.Edge(source, end, None, **attributes))
    return dot


def to_graphviz(scene: Scene) -> graphviz.Source:
    """Return a scene as a ``graphviz.Source``, which draws itself in notebooks."""
    import graphviz  # an optional dependency

    return graphviz.Source(to_dot(scene))
