"""Pictures of graphs: a scene decides what is shown, and renderers draw it."""

from .build import build_scene
from .dot import to_dot
from .dot_objects import to_graphviz, to_pydot
from .families import Family
from .files import PICTURES, save_picture
from .mermaid import to_mermaid
from .networkx_export import to_networkx
from .options import Direction, Theme, ViewOptions
from .rendering import render
from .scene import Box, BoxKind, Cluster, Edge, EdgeKind, Scene

__all__ = [
    "PICTURES",
    "Box",
    "BoxKind",
    "Cluster",
    "Direction",
    "Edge",
    "EdgeKind",
    "Family",
    "Scene",
    "Theme",
    "ViewOptions",
    "build_scene",
    "render",
    "save_picture",
    "to_dot",
    "to_graphviz",
    "to_mermaid",
    "to_networkx",
    "to_pydot",
]
