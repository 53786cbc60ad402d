"""The scene: everything a picture shows, decided and written down as plain data.

Renderers draw a scene and decide nothing. Boxes and clusters stand in flat lists and name the cluster
around them, so that no depth of nesting needs recursion.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .families import Family
from .options import Direction, Theme


class BoxKind(Enum):
    """What a box stands for."""

    OPERATOR = "operator"
    INPUT = "input"
    OUTPUT = "output"
    SCOPE = "scope"  # a scope folded into one box
    SECTION = "section"  # neighbouring operators put together to save room
    STUB = "stub"  # one end of an edge that is not drawn, named after its value
    JUNCTION = "junction"  # where a value that several boxes of a cluster read comes in


class EdgeKind(Enum):
    """What an edge says besides that data flows along it."""

    FLOW = "flow"
    SKIP = "skip"  # goes past what the other branch computes and joins its result
    WRITE = "write"  # the target changes the value in place


@dataclass(frozen=True, slots=True)
class Box:
    """One box.

    Attributes:
        name: opaque and unique, ``n12``.
        kind: what it stands for.
        cluster: the name of the cluster around it; None at the top.
        title: the first line, in bold.
        detail: the second line, smaller; may be empty.
        tooltip: the whole truth, in lines.
        family: what kind of computation, for the colour; None for what computes nothing.
        repeats: how many equal blocks it stands for.
    """

    name: str
    kind: BoxKind
    cluster: str | None
    title: str
    detail: str = ""
    tooltip: str = ""
    family: Family | None = None
    repeats: int = 1


@dataclass(frozen=True, slots=True)
class Cluster:
    """An opened scope with its boxes around which a frame is drawn.

    Attributes:
        name: opaque and unique, ``cluster_3``.
        parent: the name of the cluster around it; None at the top.
        title: what it is called, in bold.
        detail: its class and totals; may be empty.
        tooltip: the whole truth, in lines.
        depth: how many clusters are around it.
        repeats: how many equal blocks it stands for.
    """

    name: str
    parent: str | None
    title: str
    detail: str
    tooltip: str
    depth: int
    repeats: int = 1


@dataclass(frozen=True, slots=True)
class Edge:
    """Data that flows from one box to another.

    Attributes:
        source: name of a box.
        target: name of a box.
        label: shape and the like; mostly empty.
        tooltip: what flows.
        kind: flow, skip or write.
        count: how many operands it stands for.
    """

    source: str
    target: str
    label: str = ""
    tooltip: str = ""
    kind: EdgeKind = EdgeKind.FLOW
    count: int = 1


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture, decided.

    Attributes:
        title: the name of what was traced.
        totals: its size in words.
        notes: what the picture leaves out, a sentence each.
        boxes: in program order.
        clusters: each after the cluster around it.
        edges: in program order of their targets.
        legend: families that appear, in the order of the table.
        direction: which way data flows.
        theme: which colours to use.
    """

    title: str
    totals: str
    notes: tuple[str, ...]
    boxes: tuple[Box, ...]
    clusters: tuple[Cluster, ...]
    edges: tuple[Edge, ...]
    legend: tuple[Family, ...]
    direction: Direction
    theme: Theme
