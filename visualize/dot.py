"""Scenes as DOT: a small tree of statements, and its text.

Everything in the tree is spelled as DOT wants it, quotes included, so that every exporter that starts
from the tree (text, pydot) says the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .markup import escaped, quoted
from .options import Direction, Theme
from .scene import Box, BoxKind, Cluster, Edge, EdgeKind, Scene
from .themes import PALETTES, Palette

# Wide fonts first where a name stands for several, so that a viewer's font is rarely the wider one.
_FONTS = '"Helvetica,Arial,DejaVu Sans,sans-serif"'
_LEGEND_COLUMNS = 4
_HEADING = 36  # characters of a cluster's title above which it takes two lines
_STRAIGHT = "200"  # Graphviz keeps clusters narrow with a weight of 128; straight lines matter more

Attributes = dict[str, str]


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
    painter = _Painter(scene)
    root = Subgraph("opscope", painter.graph_attributes())
    homes: dict[str | None, Subgraph] = {None: root}
    for cluster in scene.clusters:
        home = homes[cluster.name] = Subgraph(cluster.name, painter.cluster_attributes(cluster))
        homes[cluster.parent].subgraphs.append(home)
    for box in scene.boxes:
        homes[box.cluster].nodes.append((box.name, painter.box_attributes(box)))
    edges: list[tuple[str, str, Attributes]] = []
    nesting = _Nesting(scene)
    stubs = {box.name for box in scene.boxes if box.kind is BoxKind.STUB}
    for number, edge in enumerate(scene.edges):
        attributes = painter.edge_attributes(edge)
        if edge.source in stubs:
            attributes["weight"] = "1"
        head = {"arrowhead": "none"} if edge.target in nesting.junctions else {}
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
        self.junctions = {box.name for box in scene.boxes if box.kind is BoxKind.JUNCTION}
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


class _Painter:
    """Chooses the attributes of everything in one scene."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._palette: Palette = PALETTES[scene.theme]

    def graph_attributes(self) -> Attributes:
        attributes = {
            "rankdir": self._scene.direction.value,
            "nodesep": "0.22",
            "ranksep": "0.2" if self._scene.direction is Direction.DOWN else "0.4",
            "fontname": _FONTS,
            "fontsize": "9",
            "fontcolor": quoted(self._palette.text),
            "bgcolor": quoted(self._palette.page),
            "pad": "0.2",
            "labelloc": "b",
            "tooltip": quoted(self._scene.title),
            "label": self._caption(),
        }
        return attributes | _limits(len(self._scene.boxes))

    def node_defaults(self) -> Attributes:
        return {
            "shape": "box",
            "style": '"rounded,filled"',
            "fontname": _FONTS,
            "fontsize": "10",
            "fontcolor": quoted(self._palette.text),
            "margin": '"0.09,0.05"',
            "penwidth": "0.8",
            "width": "0",
            "height": "0",
        }

    def edge_defaults(self) -> Attributes:
        return {
            "color": quoted(self._palette.line),
            "arrowsize": "0.55",
            "penwidth": "0.9",
        }

    def cluster_attributes(self, cluster: Cluster) -> Attributes:
        frames = self._palette.frames
        attributes = {
            "label": f"<{self._heading(cluster)}>",
            "labeljust": "l",
            "labelloc": "t",
            "fontsize": "9",
            "style": '"rounded,filled"',
            "fillcolor": quoted(frames[min(cluster.depth, len(frames) - 1)]),
            "color": quoted(self._palette.frame),
            "margin": "10",
            "tooltip": quoted(cluster.tooltip),
            "class": '"scope"',
        }
        if cluster.repeats > 1:
            attributes |= {
                "style": '"rounded,filled,dashed"',
                "color": quoted(self._palette.scope.border),
                "peripheries": "2",
            }
        return attributes

    def box_attributes(self, box: Box) -> Attributes:
        if box.kind is BoxKind.JUNCTION:
            return {
                "shape": "point",
                "width": "0.05",
                "color": quoted(self._palette.line),
                "fillcolor": quoted(self._palette.line),
                "label": '""',
                "tooltip": quoted(box.tooltip),
                "id": quoted(box.name),
                "class": '"junction"',
            }
        tint = self._palette.tint(box.kind, box.family)
        attributes = {
            "label": f"<{self._lines(box)}>",
            "fillcolor": quoted(tint.fill),
            "color": quoted(tint.border),
            "tooltip": quoted(box.tooltip),
            "id": quoted(box.name),
            "class": quoted(box.kind.value),
        }
        if box.kind in (BoxKind.INPUT, BoxKind.OUTPUT):
            attributes["penwidth"] = "1.4"
        elif box.kind is BoxKind.STUB:
            attributes |= {"fontsize": "8", "margin": '"0.06,0.02"', "style": '"rounded,dashed"'}
        elif box.kind is BoxKind.SCOPE:
            attributes |= {"margin": '"0.14,0.07"', "penwidth": "1.1"}
        if box.repeats > 1:
            attributes |= {"style": '"rounded,filled,dashed"', "peripheries": "2"}
        return attributes

    def edge_attributes(self, edge: Edge) -> Attributes:
        attributes: Attributes = {}
        if edge.tooltip:
            attributes["tooltip"] = quoted(edge.tooltip)
        if edge.kind is EdgeKind.SKIP:
            attributes |= {"color": quoted(self._palette.skip), "weight": "0", "class": '"skip"'}
        elif edge.kind is EdgeKind.WRITE:
            attributes |= {
                "color": quoted(self._palette.write),
                "style": "dashed",
                "weight": _STRAIGHT,
                "class": '"write"',
            }
        else:
            attributes["weight"] = _STRAIGHT
        return attributes

    def text_attributes(self, edge: Edge) -> Attributes:
        return {
            "shape": "plain",
            "style": '""',
            "fontsize": "8",
            "fontcolor": quoted(self._palette.faint),
            "label": quoted(f" {edge.label} "),
            "tooltip": quoted(edge.tooltip),
            "class": '"text"',
        }

    def _lines(self, box: Box) -> str:
        title = escaped(box.title) or "&#160;"
        if box.kind is not BoxKind.STUB:
            title = f"<b>{title}</b>"
        if not box.detail:
            return title
        faint = quoted(self._palette.faint)
        return f'{title}<br/><font point-size="8" color={faint}>{escaped(box.detail)}</font>'

    def _heading(self, cluster: Cluster) -> str:
        title = f"<b>{escaped(cluster.title) or '&#160;'}</b>"
        if not cluster.detail:
            return title
        faint = quoted(self._palette.faint)
        gap = "&#160;&#160;"
        if len(cluster.title) + len(cluster.detail) > _HEADING:
            gap = '<br align="left"/>'
        detail = f"<font color={faint}>{escaped(cluster.detail)}</font>"
        return f'{title}{gap}{detail}<br align="left"/>'

    def _caption(self) -> str:
        scene = self._scene
        faint = quoted(self._palette.faint)
        title = f"<b>{escaped(scene.title) or '&#160;'}</b>&#160;&#160;"
        rows = [f"{title}<font color={faint}>{escaped(scene.totals)}</font>"]
        rows.extend(f"<font color={faint}>{escaped(note)}</font>" for note in scene.notes)
        cells = "".join(f'<tr><td align="left">{row}</td></tr>' for row in rows)
        legend = self._legend()
        if legend:
            cells += f'<tr><td align="left">{legend}</td></tr>'
        return f'<<table border="0" cellborder="0" cellspacing="0" cellpadding="2">{cells}</table>>'

    def _legend(self) -> str:
        families = self._scene.legend
        if self._scene.theme is Theme.PRINT or len(families) < 2:
            return ""
        rows = []
        for start in range(0, len(families), _LEGEND_COLUMNS):
            cells = ""
            for family in families[start : start + _LEGEND_COLUMNS]:
                tint = self._palette.families[family]
                cells += (
                    f'<td border="1" width="14" height="9" fixedsize="true" style="rounded"'
                    f" color={quoted(tint.border)} bgcolor={quoted(tint.fill)}></td>"
                    f'<td align="left"><font point-size="8">{escaped(family.value)}</font></td>'
                )
            rows.append(f"<tr>{cells}</tr>")
        return (
            '<table border="0" cellborder="0" cellspacing="3" cellpadding="1">'
            + "".join(rows)
            + "</table>"
        )


def _limits(boxes: int) -> Attributes:
    """Return what keeps the layout of many boxes within seconds, at some cost in beauty."""
    if boxes <= 400:
        return {}
    if boxes <= 2000:
        return {"nslimit": "4"}
    return {"nslimit": "1", "mclimit": "0.1", "splines": "polyline"}
