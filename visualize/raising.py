"""Raising: titles of clusters above the edges, in a picture that Graphviz has laid out.

Graphviz draws clusters first and edges over their titles. So a picture is laid out, each title is
put on a box of its own where it stands, filled as its cluster is, and the result is drawn as it lies.
"""

from __future__ import annotations

import re

from .painting import Attributes, Painter
from .scene import Scene

_NUMBER = r"-?[\d.]+(?:e[+-]?\d+)?"
_PAGE = re.compile(rf'\A[^{{]*\{{\s*graph \[bb="({_NUMBER},{_NUMBER}),({_NUMBER},{_NUMBER})",')
_CLUSTER = re.compile(r"^\s*subgraph (cluster_\d+) \{$", re.MULTILINE)
_END = re.compile(r"^\s*\];$", re.MULTILINE)
_FACTS = {
    name: re.compile(rf'^\s*{name}="?({_NUMBER}(?:,{_NUMBER})?)"?,?$', re.MULTILINE)
    for name in ("lp", "lwidth", "lheight")
}


def raised_titles(text: str, scene: Scene) -> str | None:
    """Return laid-out DOT text with every title above the edges; None where it is not laid out."""
    page = _PAGE.match(text)
    if page is None or not text.rstrip().endswith("}"):
        return None
    painter = Painter(scene)
    found = list(_CLUSTER.finditer(text))
    pieces = [text[: page.end()], "\noutputorder=edgesfirst,"]
    done = page.end()
    titles = []
    clusters = {cluster.name: cluster for cluster in scene.clusters}
    for start in found:
        end = _END.search(text, start.end())
        facts = None if end is None else _facts(text, start.end(), end.start())
        if end is None or facts is None or start[1] not in clusters:
            continue
        pieces += [text[done : end.start()], ' label=""\n']  # the last word counts
        done = end.start()
        attributes: Attributes = painter.title_attributes(clusters[start[1]]) | {
            "pos": f'"{facts["lp"]}"',
            "width": facts["lwidth"],
            "height": facts["lheight"],
        }
        spelled = " ".join(f"{name}={value}" for name, value in attributes.items())
        titles.append(f"title_{start[1]} [{spelled}]")
    pieces.append(text[done:].rstrip()[:-1])
    for number, corner in enumerate((page[1], page[2])):  # else the page shrinks to its boxes
        titles.append(f'corner_{number} [pos="{corner}" shape=point width=0 label="" style=invis]')
    return "".join(pieces) + "\n".join([*titles, "}"]) + "\n"


def _facts(text: str, start: int, end: int) -> dict[str, str] | None:
    """Return place and size of the title of a cluster whose attributes stand there."""
    found = {}
    for name, pattern in _FACTS.items():
        match = pattern.search(text, start, end)
        if match is None:
            return None
        found[name] = match[1]
    return found
