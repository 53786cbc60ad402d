"""Painting: the DOT attributes of everything in a scene, in the colours of its theme."""

from __future__ import annotations

from collections import Counter
from typing import TypeAlias

from .markup import escaped, quoted
from .options import Direction, Theme
from .scene import Box, BoxKind, Cluster, Edge, EdgeKind, Scene
from .themes import PALETTES, Palette

# Wide fonts first where a name stands for several, so that a viewer's font is rarely the wider one.
_FONTS = '"Helvetica,Arial,DejaVu Sans,sans-serif"'
_LEGEND_COLUMNS = 4
_HEADING = 36  # characters of a cluster's title above which it takes two lines

Attributes: TypeAlias = dict[str, str]
"""Names and values, the values spelled as DOT wants them."""


class Painter:
    """Chooses the DOT attributes of everything in one scene."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._palette: Palette = PALETTES[scene.theme]
        self._kinds = {box.name: box.kind for box in scene.boxes}
        flows = [edge for edge in scene.edges if self._is_main(edge)]
        self._leaving = Counter(edge.source for edge in flows)
        self._entering = Counter(edge.target for edge in flows)

    def graph_attributes(self) -> Attributes:
        """Return the attributes of the picture, with caption and legend."""
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
        """Return what holds for boxes that say nothing else."""
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
        """Return what holds for edges that say nothing else."""
        return {
            "color": quoted(self._palette.line),
            "arrowsize": "0.55",
            "penwidth": "0.9",
        }

    def cluster_attributes(self, cluster: Cluster) -> Attributes:
        """Return the attributes of an opened scope; one drawn for many is dashed."""
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
            }
        return attributes

    def title_attributes(self, cluster: Cluster) -> Attributes:
        """Return the attributes of a box that holds a cluster's title, above what crosses it."""
        frames = self._palette.frames
        fill = quoted(frames[min(cluster.depth, len(frames) - 1)])
        return {
            "shape": "box",
            "style": '"filled"',
            "fixedsize": "true",
            "margin": "0",
            "penwidth": "0",
            "fontsize": "9",
            "fillcolor": fill,
            "color": fill,
            "label": f"<{self._heading(cluster)}>",
            "tooltip": quoted(cluster.tooltip),
            "id": quoted(f"title_{cluster.name}"),
            "class": '"heading"',
        }

    def box_attributes(self, box: Box) -> Attributes:
        """Return the attributes of a box."""
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
            attributes |= {"fontsize": "8", "margin": '"0.06,0.02"', "penwidth": "0.5"}
        elif box.kind is BoxKind.SCOPE:
            attributes |= {"margin": '"0.14,0.07"', "penwidth": "1.1"}
        elif box.kind is BoxKind.SECTION:
            attributes |= {
                "style": '"rounded,filled,dotted"',
                "color": quoted(self._palette.line),
                "fontcolor": quoted(self._palette.faint),
            }
        if box.repeats > 1:
            attributes |= {"style": '"rounded,filled,dashed"', "peripheries": "2"}
        return attributes

    def edge_attributes(self, edge: Edge) -> Attributes:
        """Return the attributes of an edge, without its text."""
        attributes: Attributes = {}
        if edge.tooltip:
            attributes["tooltip"] = quoted(edge.tooltip)
        if edge.kind is EdgeKind.SKIP:
            attributes |= {"color": quoted(self._palette.skip), "class": '"skip"'}
        elif edge.kind is EdgeKind.WRITE:
            attributes |= {
                "color": quoted(self._palette.write),
                "style": "dashed",
                "class": '"write"',
            }
        return attributes | {"weight": self._weight(edge)}

    def _weight(self, edge: Edge) -> str:
        """Return how much a straight line matters.

        Graphviz keeps clusters narrow with a weight of 128. Lines that neither fork nor join matter
        more than that, so that chains are straight and only their ends bend.
        """
        if not self._is_main(edge):
            return "1"
        is_chain = self._leaving[edge.source] == 1 and self._entering[edge.target] == 1
        return "400" if is_chain else "100"

    def _is_main(self, edge: Edge) -> bool:
        return edge.kind is not EdgeKind.SKIP and self._kinds[edge.source] is not BoxKind.STUB

    def text_attributes(self, edge: Edge) -> Attributes:
        """Return the attributes of the frameless box that holds an edge's text."""
        return {
            "shape": "plain",
            "style": '""',
            "fontsize": "8",
            "fontcolor": quoted(self._palette.faint),
            "label": f"<&#160;{escaped(edge.label)}&#160;>",
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
        detail = f'<font point-size="8" color={faint}>{escaped(cluster.detail)}</font>'
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
        cells = [
            f'<td border="1" width="14" height="9" fixedsize="true" style="rounded"'
            f" color={quoted(tint.border)} bgcolor={quoted(tint.fill)}></td>"
            f'<td align="left"><font point-size="8">{escaped(family.value)}&#160;&#160;</font></td>'
            for family in families
            for tint in (self._palette.families[family],)
        ]
        cells.extend(self._line_samples())
        rows = [
            f"<tr>{''.join(cells[start : start + _LEGEND_COLUMNS])}</tr>"
            for start in range(0, len(cells), _LEGEND_COLUMNS)
        ]
        return (
            '<table border="0" cellborder="0" cellspacing="3" cellpadding="1">'
            + "".join(rows)
            + "</table>"
        )

    def _line_samples(self) -> list[str]:
        """Return the cells of the legend that explain lines, each with a sample."""
        scene, palette = self._scene, self._palette
        kinds = {edge.kind for edge in scene.edges}
        samples = [
            f'<td><font point-size="8" color={quoted(colour)}>{sign}</font></td>'
            f'<td align="left"><font point-size="8">{words}&#160;&#160;</font></td>'
            for kind, colour, sign, words in (
                (EdgeKind.SKIP, palette.skip, "&#8212;&#8212;", "skip connection"),
                (EdgeKind.WRITE, palette.write, "- -", "in-place write"),
            )
            if kind in kinds
        ]
        repeats = [box.repeats for box in scene.boxes] + [c.repeats for c in scene.clusters]
        if max(repeats, default=1) > 1:
            samples.append(
                f'<td><font point-size="8" color={quoted(palette.scope.border)}><b>&#215;N</b></font></td>'
                '<td align="left"><font point-size="8">repeated block, dashed&#160;&#160;</font></td>'
            )
        return samples


def _limits(boxes: int) -> Attributes:
    """Return what keeps the layout of many boxes within seconds, at some cost in beauty."""
    if boxes <= 400:
        return {}
    if boxes <= 2000:
        return {"nslimit": "4"}
    return {"nslimit": "1", "mclimit": "0.1", "splines": "polyline"}
