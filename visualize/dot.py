"""Scenes as DOT: a small tree of statements, and its text.

Everything in the tree is spelled as DOT wants it, quotes included, so that every exporter that starts
from the tree (text, pydot) says the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .painting import Attributes, Painter
from .scene import BoxKind, Edge, Scene


@dataclass(slots=True)
class Subgraph:
    """A cluster, or the whole graph: attributes, boxes and inner clusters, spelled as DOT."""

    name: str
    attributes: Attributes
    nodes: list[tuple[str, Attributes]] = field(default_factory=list)
    subgraphs: list[Subgraph] = field(default_factory=list)


@dataclass(slots=True)
class Document:
    """A whole DOT file.

    Attributes:
        root: the graph with everything in it.
        node_defaults: attributes of every box.
        edge_defaults: attributes of every edge.
        edges: source, target and attributes.
    """

    root: Subgraph
    node_defaults: Attributes
    edge_defaults: Attributes
    edges: list[tuple[str, str, Attributes]]


def to_dot(scene: Scene) -> str:
    """Return a scene as DOT text, the same for the same scene on every machine."""
    document = dot_document(scene)
    lines = [f"digraph {document.root.name} {{"]
    lines.append(f"  node [{_list(document.node_defaults)}]")
    lines.append(f"  edge [{_list(document.edge_defaults)}]")
    lines.extend(_subgraph_lines(document.root))
    lines.extend(
        f"  {source} -> {target}" + (f" [{_list(attributes)}]" if attributes else "")
        for source, target, attributes in document.edges
    )
    return "\n".join([*lines, "}"]) + "\n"


def dot_document(scene: Scene) -> Document:
    """Return a scene as a tree of DOT statements."""
    painter = Painter(scene)
    root = Subgraph("opscope", painter.graph_attributes())
    homes: dict[str | None, Subgraph] = {None: root}
    for cluster in scene.clusters:
        home = homes[cluster.name] = Subgraph(cluster.name, painter.cluster_attributes(cluster))
        homes[cluster.parent].subgraphs.append(home)
    for box in scene.boxes:
        homes[box.cluster].nodes.append((box.name, painter.box_attributes(box)))
    edges: list[tuple[str, str, Attributes]] = []
    nesting = _Nesting(scene)
    junctions = {box.name for box in scene.boxes if box.kind is BoxKind.JUNCTION}
    for number, edge in enumerate(scene.edges):
        attributes = painter.edge_attributes(edge)
        head = {"arrowhead": "none"} if edge.target in junctions else {}
        if not edge.label:
            edges.append((edge.source, edge.target, attributes | head))
            continue
        name = f"t{number}"
        homes[nesting.home(edge)].nodes.append((name, painter.text_attributes(edge)))
        edges.append((edge.source, name, attributes | {"arrowhead": "none"}))
        edges.append((name, edge.target, attributes | head))
    return Document(root, painter.node_defaults(), painter.edge_defaults(), edges)


class _Nesting:
    """Finds the cluster in which the text of an edge stands.

    Note [Text on edges]
        Graphviz has labels for edges, but loses track of the clusters they stand in and bends edges
        around them. Text is therefore a box without a frame, halfway along its edge.
    """

    def __init__(self, scene: Scene) -> None:
        self._cluster = {box.name: box.cluster for box in scene.boxes}
        self._parent = {cluster.name: cluster.parent for cluster in scene.clusters}

    def home(self, edge: Edge) -> str | None:
        """Return the innermost cluster around both ends of an edge; None at the top."""
        around: set[str | None] = {None}
        outer = self._cluster[edge.source]
        while outer is not None:
            around.add(outer)
            outer = self._parent[outer]
        inner = self._cluster[edge.target]
        while inner is not None and inner not in around:
            inner = self._parent[inner]
        return inner


def _subgraph_lines(root: Subgraph) -> Iterator[str]:
    """Yield the lines of a graph: each subgraph's attributes, its boxes, then what is inside it."""
    walks = [(root, _body(root), iter(root.subgraphs))]
    while walks:
        _, body, inner = walks[-1]
        indent = "  " * min(len(walks), 20)
        yield from (indent + line for line in body)
        following = next(inner, None)
        if following is not None:
            yield f"{indent}subgraph {following.name} {{"
            walks.append((following, _body(following), iter(following.subgraphs)))
            continue
        walks.pop()
        if walks:
            yield "  " * min(len(walks), 20) + "}"


def _body(subgraph: Subgraph) -> Iterator[str]:
    for name, value in subgraph.attributes.items():
        yield f"{name}={value}"
    for name, attributes in subgraph.nodes:
        yield f"{name} [{_list(attributes)}]"


def _list(attributes: Attributes) -> str:
    return " ".join(f"{name}={value}" for name, value in attributes.items())
