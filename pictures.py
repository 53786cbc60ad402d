"""Pictures of programs and graphs, as files, as text and as objects of other libraries; needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from . import visualize
from .ir import Graph
from .ir.mutation import Mutation
from .ir.structure import Structure
from .visualize import ViewOptions, save_picture

if TYPE_CHECKING:  # what the exports return; the libraries are loaded when one is asked for
    import graphviz
    import networkx
    import pydot


class Program(Protocol):
    """What a picture shows of a program."""

    @property
    def graph(self) -> Graph:
        """What it runs."""
        ...

    @property
    def outputs(self) -> Structure:
        """What it returns."""
        ...

    @property
    def updates(self) -> Mapping[str, Structure]:
        """What becomes of its arguments."""
        ...

    @property
    def mutations(self) -> tuple[Mutation, ...]:
        """Which outputs are new contents."""
        ...


Drawable: TypeAlias = Program | Graph


def draw(program: Drawable, path: str | Path, **options: Any) -> Path:
    """Draw a program into a file and return its path; the suffix chooses the kind.

    Args:
        program: a program or a graph.
        path: where to write; an existing file is replaced in one step.
        options: fields of ``ViewOptions``, such as ``depth=2`` or ``theme="dark"``.

    Raises:
        RenderError: the suffix is not known, or the picture cannot be made.
    """
    return save_picture(
        graph_of(program),
        Path(path),
        ViewOptions(**options),
        output_names=output_names(program),
    )


def to_dot(program: Drawable, **options: Any) -> str:
    """Return a program's picture as DOT text.

    Args:
        program: a program or a graph.
        options: fields of ``ViewOptions``, such as ``depth=2`` or ``theme="dark"``.

    Raises:
        RenderError: an option has no such value.
    """
    return visualize.to_dot(_scene_of(program, options))


def to_mermaid(program: Drawable, **options: Any) -> str:
    """Return a program's picture as a Mermaid flowchart, which GitHub draws in a README.

    Args:
        program: a program or a graph.
        options: fields of ``ViewOptions``, such as ``depth=1`` or ``direction="LR"``.

    Raises:
        RenderError: it would be more than Mermaid draws: 500 edges.
    """
    return visualize.to_mermaid(_scene_of(program, options))


def to_pydot(program: Drawable, **options: Any) -> pydot.Dot:
    """Return a program's picture as a ``pydot.Dot``.

    Args:
        program: a program or a graph.
        options: fields of ``ViewOptions``, such as ``depth=2`` or ``theme="dark"``.

    Raises:
        RenderError: an option has no such value.
        ModuleNotFoundError: pydot is not installed.
    """
    return visualize.to_pydot(_scene_of(program, options))


def to_graphviz(program: Drawable, **options: Any) -> graphviz.Source:
    """Return a program's picture as a ``graphviz.Source``, which draws itself in notebooks.

    Args:
        program: a program or a graph.
        options: fields of ``ViewOptions``, such as ``depth=2`` or ``theme="dark"``.

    Raises:
        RenderError: an option has no such value.
        ModuleNotFoundError: the Python package graphviz is not installed.
    """
    return visualize.to_graphviz(_scene_of(program, options))


def to_networkx(program: Drawable) -> networkx.MultiDiGraph[str]:
    """Return the whole graph as a ``networkx.MultiDiGraph``: a node per operator, an edge per use.

    Args:
        program: a program or a graph.

    Raises:
        ModuleNotFoundError: networkx is not installed.
    """
    return visualize.to_networkx(graph_of(program))


def output_names(program: Drawable) -> list[str]:
    """Return what the outputs of a program are called, in order; nothing for a graph alone."""
    if isinstance(program, Graph):
        return []
    names = program.outputs.leaf_paths()
    for name, structure in program.updates.items():
        names += structure.leaf_paths(name)
    return [*names, *(f"new {m.name}" for m in program.mutations)]


def graph_of(program: Drawable) -> Graph:
    """Return the graph of a program; a graph is its own.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(program, Graph):
        return program
    try:
        return program.graph
    except AttributeError as error:  # which says more of what several methods were traced of
        raise TypeError(
            f"a program that was traced, or a graph, can be shown; this is {type(program).__name__}\n"
            "  trace it first, opscope.trace(model, inputs), or read it from its file, opscope.load(path)"
        ) from error


def _scene_of(program: Drawable, options: dict[str, Any]) -> visualize.Scene:
    return visualize.build_scene(graph_of(program), ViewOptions(**options), output_names(program))
