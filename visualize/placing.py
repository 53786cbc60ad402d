"""Placing: a box for everything that a folding shows, and for every node the box it is seen in."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..ir import Node
from .families import Family, family_of
from .folding import Folding, Part
from .labels import operator_label, region_label
from .regions import Item, Region, RegionKind, item_nodes
from .scene import Box, BoxKind, Cluster


@dataclass(slots=True)
class Placement:
    """Boxes and clusters in program order, and where to find nodes in them.

    Attributes:
        boxes: by name.
        clusters: by name, each after the one around it.
        box_of: the box of each drawn node that is not a twin of another.
        twin_of: for a node of a folded repetition, the node that is drawn in its place.
        turns: for a node in repetitions, which turn of each it belongs to.
        last_turn: for a drawn node in a repetition, the node in its place in the last turn.
    """

    boxes: dict[str, Box] = field(default_factory=dict)
    clusters: dict[str, Cluster] = field(default_factory=dict)
    box_of: dict[Node, str] = field(default_factory=dict)
    twin_of: dict[Node, Node] = field(default_factory=dict)
    turns: dict[Node, dict[Part, int]] = field(default_factory=dict)
    last_turn: dict[Node, Node] = field(default_factory=dict)

    def add_box(
        self,
        kind: BoxKind,
        cluster: str | None,
        title: str,
        detail: str = "",
        tooltip: str = "",
        family: Family | None = None,
        repeats: int = 1,
    ) -> str:
        """Add a box and return its name."""
        name = f"n{len(self.boxes)}"
        self.boxes[name] = Box(name, kind, cluster, title, detail, tooltip, family, repeats)
        return name

    def shown(self, node: Node) -> Node:
        """Return the node that is drawn in the place of this one."""
        while node in self.twin_of:
            node = self.twin_of[node]
        return node

    def turn(self, node: Node) -> dict[Part, int]:
        """Return which turn of which repetitions a node belongs to."""
        found = dict(self.turns.get(node, {}))
        while node in self.twin_of:
            node = self.twin_of[node]
            for part, turn in self.turns.get(node, {}).items():
                found.setdefault(part, turn)
        return found

    def around(self, cluster: str | None) -> list[str]:
        """Return a cluster and those around it, innermost first."""
        found = []
        while cluster is not None:
            found.append(cluster)
            cluster = self.clusters[cluster].parent
        return found


def place(root: Region, folding: Folding, placement: Placement) -> None:
    """Add a box or cluster for every part of a folding. O(drawn nodes)."""
    cluster_of: dict[Region, str | None] = {root: None}
    for region, part in folding.walk(root):
        around = cluster_of[region]
        if part.twins:
            _pair_twins(part, placement)
        if isinstance(part.item, Region) and folding.is_open(part.item):
            cluster_of[part.item] = _add_cluster(part, around, placement)
            continue
        name = _add_box(part, around, placement)
        for node in item_nodes(part.item):
            placement.box_of[node] = name


def _pair_twins(part: Part, placement: Placement) -> None:
    first = list(item_nodes(part.item))
    for node in first:
        placement.turns.setdefault(node, {})[part] = 0
    for turn, twin in enumerate(part.twins, start=1):
        for node, shown in zip(item_nodes(twin), first, strict=True):
            placement.turns.setdefault(node, {})[part] = turn
            placement.twin_of[node] = shown
            placement.last_turn[shown] = node


def _add_cluster(part: Part, around: str | None, placement: Placement) -> str:
    label = region_label(part)
    name = f"cluster_{len(placement.clusters)}"
    depth = 0 if around is None else placement.clusters[around].depth + 1
    placement.clusters[name] = Cluster(
        name, around, label.title, label.detail, label.tooltip, depth, part.count
    )
    return name


def _add_box(part: Part, around: str | None, placement: Placement) -> str:
    node = _only_node(part.item)
    if node is None:
        label = region_label(part)
        family = None
        kind = BoxKind.SCOPE
        if isinstance(part.item, Region) and part.item.kind is RegionKind.CONTROL:
            family = Family.CONTROL
        elif isinstance(part.item, Region) and part.item.kind is RegionKind.SECTION:
            kind = BoxKind.SECTION
    else:
        label = operator_label(node, part, placement.last_turn.get(node))
        family = family_of(node.operator)
        kind = BoxKind.OPERATOR
    return placement.add_box(
        kind, around, label.title, label.detail, label.tooltip, family, part.count
    )


def _only_node(item: Item) -> Node | None:
    """Return the node that an item is, or that is all there is of it."""
    if isinstance(item, Node):
        return item
    only = item.items[0]
    return only if item.is_leaf and isinstance(only, Node) else None
