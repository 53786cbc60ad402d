"""Programs and graphs in the formats of other tools: viewers and graph libraries; needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from .errors import RenderError
from .interop import model_explorer, netron, overlay
from .ir import Node
from .pictures import Drawable, graph_of, output_names
from .visualize import networkx_files
from .visualize.files import replace_file


def to_model_explorer(program: Drawable) -> str:
    """Return a program as JSON for Model Explorer: scopes are layers, blocks and functions are graphs.

    What is written to a file that ends in ``.json`` opens there with ``model-explorer FILE``.

    Args:
        program: a program or a graph.
    """
    return model_explorer.to_model_explorer(graph_of(program), output_names(program))


def to_model_explorer_overlay(program: Drawable, numbers: Mapping[Node, float]) -> str:
    """Return numbers on nodes of a program as node data, which Model Explorer shows over the graph.

    Args:
        program: the program that :func:`to_model_explorer` writes.
        numbers: a number for each of some nodes, those of functions and blocks too.

    Raises:
        RenderError: a node is not in the graph, or its number is not finite.
    """
    return overlay.to_overlay(graph_of(program), numbers)


def to_netron(program: Drawable) -> str:
    """Return a program as what Netron opens from a file that ends in ``.netron``: one flat picture.

    Args:
        program: a program or a graph.
    """
    return netron.to_netron(graph_of(program), output_names(program))


def to_graphml(program: Drawable) -> str:
    """Return the whole graph as GraphML, which ``networkx.parse_graphml`` reads; see :func:`to_networkx`.

    Args:
        program: a program or a graph.
    """
    return networkx_files.to_graphml(graph_of(program))


def to_node_link(program: Drawable) -> str:
    """Return the whole graph as JSON of nodes and edges; see :func:`to_networkx`.

    ``networkx.node_link_graph(json.loads(text), edges="edges")`` reads it.

    Args:
        program: a program or a graph.
    """
    return networkx_files.to_node_link(graph_of(program))


EXPORTS: Final[Mapping[str, Callable[[Drawable], str]]] = {
    ".explorer.json": to_model_explorer,
    ".nodelink.json": to_node_link,
    ".netron": to_netron,
    ".graphml": to_graphml,
}
"""What writes a program in another tool's format, by the end of the file's name."""


def export_suffix(path: Path) -> str | None:
    """Return which of the ends in ``EXPORTS`` a file's name has; None if it has none of them.

    Raises:
        RenderError: it ends in ``.json`` and does not say which kind of JSON it is to be.
    """
    name = path.name.lower()
    found = next((suffix for suffix in EXPORTS if name.endswith(suffix) and name != suffix), None)
    if found is None and name.endswith(".json"):
        stem = path.name[: -len(".json")] or "graph"
        raise RenderError(
            f"{path.name} does not say which kind of JSON it is to hold\n"
            f"  name it {stem}.explorer.json for Model Explorer, or {stem}.nodelink.json for networkx and d3"
        )
    return found


def export(program: Drawable, path: Path, suffix: str) -> Path:
    """Write a program to a file in the format of a suffix of ``EXPORTS`` and return the file's path."""
    replace_file(path, EXPORTS[suffix](program).encode())
    return path
