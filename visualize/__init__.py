"""Pictures of graphs: a scene decides what is shown, and renderers draw it."""

from .build import build_scene
from .dot import to_dot
from .options import Direction, Theme, ViewOptions
from .scene import Box, BoxKind, Cluster, Edge, EdgeKind, Scene

__all__ = [
    "Box",
    "BoxKind",
    "Cluster",
    "Direction",
    "Edge",
    "EdgeKind",
    "Scene",
    "Theme",
    "ViewOptions",
    "build_scene",
    "to_dot",
]
