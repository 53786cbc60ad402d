"""Pictures of graphs: a scene decides what is shown, and renderers draw it."""

from .build import build_scene
from .dot import to_dot
from .files import save_picture
from .options import Direction, Theme, ViewOptions
from .rendering import render
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
    "render",
    "save_picture",
    "to_dot",
]
