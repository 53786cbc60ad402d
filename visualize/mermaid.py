"""Scenes as Mermaid: text that GitHub, GitLab and notebooks draw where it stands, for small graphs.

Note [What Mermaid does to text]
    Text in quotes is Markdown to some versions, may hold icons and HTML, and ends at the next quote, so
    every character that could mean anything is spelled as ``#34;``, Mermaid's reference to a character by
    its number. Line breaks, icons, formulas and its own marks it looks for after that, so a space without
    width parts what would be one; and titles are HTML without such references. ``_`` behind a letter
    means nothing and stays, so that ``relu_`` can be read. Names of boxes are never made of user text.
"""

from __future__ import annotations

import json
import re
from typing import Final

from ..errors import RenderError
from .families import Family
from .markup import clean
from .options import Theme
from .scene import Box, BoxKind, Cluster, Edge, EdgeKind, Scene
from .themes import PALETTES, Palette, Tint

_MOST_EDGES: Final = 500  # what Mermaid draws unless a page sets it otherwise
_MOST_CHARACTERS: Final = 50_000
_SPECIAL = re.compile(
    r"^(?:[-+]|[0-9]+\.)(?=\s)"  # what would begin an item of a list
    r"|(?<![^\W_])_"  # what would begin emphasis
    r"|[^\w .,()+=/→↔×·–…▸›-]"
)
_MEANT = re.compile(
    r"\\(?=n)|:(?=fa-)|\$(?=\$)|ﬂ(?=°)|¶(?=ß)"
)  # with what follows: even when spelled so
_ENDS = (BoxKind.INPUT, BoxKind.OUTPUT)
_SHAPES: Final = {
    BoxKind.OPERATOR: ('("', '")'),
    BoxKind.INPUT: ('(["', '"])'),
    BoxKind.OUTPUT: ('(["', '"])'),
    BoxKind.STUB: ('(["', '"])'),
    BoxKind.SCOPE: ('[["', '"]]'),
    BoxKind.SECTION: ('[["', '"]]'),
}
_CONFIGURATIONS: Final = {Theme.DARK: "dark", Theme.PRINT: "neutral"}


def to_mermaid(scene: Scene) -> str:
    """Return a scene as a Mermaid flowchart, the same for the same scene on every machine.

    Raises:
        RenderError: it would be more than Mermaid draws.
    """
    palette = PALETTES[scene.theme]
    edges = _without_junctions(scene)
    lines = [*_header(scene), f"flowchart {scene.direction.value}", *_boxes(scene)]
    lines.extend(f"  {_arrow(edge)}" for edge in edges)
    lines.extend(f"  {line}" for line in _styles(scene, edges, palette))
    text = "\n".join(lines) + "\n"
    if len(edges) > _MOST_EDGES or len(text) > _MOST_CHARACTERS:
        raise RenderError(
            f"{len(scene.boxes):,} boxes and {len(edges):,} edges are more than Mermaid draws, which ends at"
            f" {_MOST_EDGES} edges and {_MOST_CHARACTERS:,} characters; draw fewer with depth, max_boxes or"
            " focus, or write an .svg"
        )
    return text


def _header(scene: Scene) -> list[str]:
    """Return the lines before the chart: its title, the theme, and comments on what is left out."""
    words = " · ".join(
        " ".join(clean(word).split()) for word in (scene.title, scene.totals) if word
    )
    title = words.replace("<", "‹").replace(">", "›").replace("&", "＆")
    lines = ["---", f"title: {json.dumps(title, ensure_ascii=False)}"]
    theme = _CONFIGURATIONS.get(scene.theme)
    if theme is not None:
        lines += ["config:", f"  theme: {theme}"]
    return [*lines, "---", *(f"%% {' '.join(clean(note).split())}" for note in scene.notes)]


def _boxes(scene: Scene) -> list[str]:
    """Return the lines of all boxes, those of a cluster inside of it."""
    inside: dict[str | None, list[Box | Cluster]] = {None: []}
    inside.update((cluster.name, []) for cluster in scene.clusters)
    for cluster in scene.clusters:
        inside[cluster.parent].append(cluster)
    for box in scene.boxes:
        if box.kind is not BoxKind.JUNCTION:
            inside[box.cluster].append(box)
    lines = []
    walks = [iter(inside[None])]
    while walks:
        indent = "  " * min(len(walks), 20)
        item = next(walks[-1], None)
        if item is None:
            walks.pop()
            if walks:
                lines.append(f"{indent[2:]}end")
        elif isinstance(item, Box):
            lines.append(indent + _box(item))
        else:
            lines.append(
                f'{indent}subgraph {item.name}["{_label(item.title, item.detail, " · ")}"]'
            )
            walks.append(iter(inside[item.name]))
    return lines


def _box(box: Box) -> str:
    before, after = _SHAPES[box.kind]
    return f"{box.name}{before}{_label(box.title, box.detail, '<br>')}{after}:::{_class_of(box)}"


def _class_of(box: Box) -> str:
    if box.family is not None:
        name = box.family.name.lower()
    else:
        name = "ends" if box.kind in (*_ENDS, BoxKind.STUB) else "scope"
    return f"{name}_many" if box.repeats > 1 else name


def _label(title: str, detail: str, joint: str) -> str:
    return joint.join(_escaped(text) for text in (title or " ", detail) if text)


def _escaped(text: str) -> str:
    """Return text for the inside of quotes; see Note [What Mermaid does to text]."""
    line = " ".join(clean(text).split()) or " "
    return _SPECIAL.sub(_spelled, _MEANT.sub("\\g<0>\u200b", line))


def _spelled(match: re.Match[str]) -> str:
    return "".join(f"#{ord(character)};" for character in match[0])


def _without_junctions(scene: Scene) -> list[Edge]:
    """Return the edges, those through junctions as edges to all that these lead to."""
    junctions = {box.name for box in scene.boxes if box.kind is BoxKind.JUNCTION}
    origins: dict[str, Edge] = {
        edge.target: edge for edge in scene.edges if edge.target in junctions
    }
    edges = []
    labelled = set()
    for edge in scene.edges:
        if edge.target in junctions:
            continue
        source, label = edge.source, edge.label
        while source in origins:
            way = origins[source]
            source = way.source
            if way.label and (way.target not in labelled) and not label:
                label = way.label
                labelled.add(way.target)
        edges.append(Edge(source, edge.target, label, kind=edge.kind, count=edge.count))
    return edges


def _arrow(edge: Edge) -> str:
    line = "-.->" if edge.kind is EdgeKind.WRITE else "-->"
    label = f'|"{_escaped(edge.label)}"|' if edge.label else ""
    return f"{edge.source} {line}{label} {edge.target}"


def _styles(scene: Scene, edges: list[Edge], palette: Palette) -> list[str]:
    """Return the lines that colour boxes, clusters and edges."""
    tints: dict[str, Tint] = {
        _class_of(box): palette.tint(box.kind, box.family)
        for box in scene.boxes
        if box.kind is not BoxKind.JUNCTION
    }
    order = {family.name.lower(): number for number, family in enumerate(Family)}
    lines = []
    for name in sorted(tints, key=lambda name: (order.get(name.removesuffix("_many"), -1), name)):
        tint = tints[name]
        dashes = ",stroke-dasharray:4 3" if name.endswith("_many") else ""
        lines.append(
            f"classDef {name} fill:{tint.fill},stroke:{tint.border},color:{palette.text}{dashes}"
        )
    for cluster in scene.clusters:
        fill = palette.frames[min(cluster.depth, len(palette.frames) - 1)]
        border = palette.scope.border if cluster.repeats > 1 else palette.frame
        dashes = ",stroke-dasharray:4 3" if cluster.repeats > 1 else ""
        lines.append(
            f"style {cluster.name} fill:{fill},stroke:{border},color:{palette.text}{dashes}"
        )
    for kind, colour in ((EdgeKind.SKIP, palette.skip), (EdgeKind.WRITE, palette.write)):
        numbers = [str(number) for number, edge in enumerate(edges) if edge.kind is kind]
        if numbers:
            lines.append(f"linkStyle {','.join(numbers)} stroke:{colour}")
    return lines
