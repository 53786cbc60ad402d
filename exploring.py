"""The explorer of a program: a page in the browser, in a notebook, or in a file. Needs no torch.

What a page shows of a program besides its graph is put together here: what was found about it, the conditions
that a replay checks, and numbers to colour by.
"""

from __future__ import annotations

import html
import sys
import tempfile
import webbrowser
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

from .comparison import GraphDiff
from .comparison.text import diff_notes
from .comparison.wording import Naming
from .errors import RenderError
from .ir import Graph, Node, SourceRange
from .ir.collector import paused_collector
from .ir.conditions import Guard
from .ir.findings import Diagnostic
from .ir.measures import Measure
from .pictures import Drawable, graph_of, output_names
from .reports import node_costs
from .visualize import ViewOptions, build_scene, render
from .visualize.explorer import (
    Change,
    Comparison,
    Exhibit,
    Remark,
    document,
    page,
)
from .visualize.files import replace_file


@runtime_checkable
class Measured(Protocol):
    """What has measures, as the profile of a program has."""

    @property
    def measures(self) -> Sequence[Measure]:
        """Numbers for nodes."""
        ...


NodeNumbers: TypeAlias = Mapping[Node, float]
Overlay: TypeAlias = (
    "Measured | Measure | Iterable[Measure] | NodeNumbers | Mapping[str, NodeNumbers]"
)
"""Numbers to colour nodes by: of one kind, or of several by their names; a profile, or statistics."""


@runtime_checkable
class Stateful(Protocol):
    """A program that can tell of the numbers in its state."""

    def state_notes(self) -> Mapping[str, str]:
        """Return what is known of them, by name, in a line each."""
        ...


_MOST_SHOWN: Final = 20_000  # nodes above which a notebook shows the picture alone
_OPTIONS: Final = ("overlay", "sources", "picture")
_HEIGHT: Final = 640  # pixels of an explorer in a notebook
_SMALL: Final = ViewOptions(max_boxes=40)  # the picture where scripts are off


def to_html(
    program: Drawable | GraphDiff,
    *,
    overlay: Overlay | None = None,
    sources: bool = True,
    picture: bool = True,
) -> str:
    """Return the explorer of a program as one HTML page, which needs no network and no other file.

    Args:
        program: a traced or loaded program, or a graph; or what ``opscope.diff`` returned, which is shown as
            both programs side by side.
        overlay: numbers per node to colour by, besides FLOPs and bytes: ``{node: error}``, or several such by
            their names; a ``Measure`` or several, which say their units; what ``traced.profile()`` or
            ``traced.statistics()`` returned.
        sources: whether the user's source files come along, so that the page shows the lines.
        picture: whether a picture comes along for where scripts are off.

    Raises:
        RenderError: a number of the overlay is not finite, or is for a node of another graph.
    """
    if isinstance(program, GraphDiff):
        _refuse_overlay(overlay)
        return page(document(comparison_of(program, sources=sources)))
    with paused_collector():
        drawn = _static_picture(program) if picture else ""
        return page(document(exhibit_of(program, overlay, sources=sources)), picture=drawn)


def save_html(program: Drawable | GraphDiff, path: Path, **options: Any) -> Path:
    """Write the explorer of a program into a file; ``options`` are those of :func:`to_html`.

    Raises:
        RenderError: there is no such option, or see :func:`to_html`.
    """
    unknown = next((name for name in options if name not in _OPTIONS), None)
    if unknown is not None:
        raise RenderError(
            f"{unknown} is for pictures; a page of the explorer takes {', '.join(_OPTIONS)}"
        )
    text = to_html(program, **options)
    replace_file(path, text.encode(errors="replace"))
    return path


def show(
    program: Drawable | GraphDiff,
    path: str | Path | None = None,
    *,
    overlay: Overlay | None = None,
    sources: bool = True,
) -> Path | None:
    """Open the explorer of a program: in the notebook that asks for it, else in the browser.

    Args:
        program: a traced or loaded program, or a graph; or what ``opscope.diff`` returned.
        path: where to keep the page; a file for temporary use, if left out.
        overlay: numbers per node to colour by; see :func:`to_html`.
        sources: whether the page shows the user's source files.

    Returns:
        The page's file; None in a notebook, which holds the page itself.

    Raises:
        RenderError: see :func:`to_html`.
        OSError: the file cannot be written.
    """
    text = to_html(program, overlay=overlay, sources=sources)
    if path is None and _is_notebook():
        from IPython.display import display  # there is one, as a notebook runs this

        display({"text/html": _framed(text), "text/plain": repr(program)}, raw=True)
        return None
    target = _temporary_page(program) if path is None else Path(path)
    replace_file(target, text.encode(errors="replace"))
    webbrowser.open(target.resolve().as_uri())
    return target


def notebook_bundle(program: Drawable) -> dict[str, str]:
    """Return what a notebook shows of a program, by kind of content: the explorer if it is not large."""
    bundle = {"text/plain": repr(program)}
    size = sum(1 for _ in graph_of(program).walk())
    drawn = _static_picture(program)
    if drawn:
        bundle["image/svg+xml"] = drawn
    if size <= _MOST_SHOWN:
        text = page(document(exhibit_of(program)), picture=drawn)
        bundle["text/html"] = _framed(text)
    else:
        words = (
            f"{size:,} operators would make this notebook large, so the explorer is not in it by itself. "
            "<code>opscope.show(traced)</code> puts it here, <code>opscope.show(traced, 'net.html')</code> "
            "into a file that opens in the browser."
        )
        bundle["text/html"] = f"<p>{words}</p>{drawn}"
    return bundle


def exhibit_of(
    program: Drawable, overlay: Overlay | None = None, *, sources: bool = True
) -> Exhibit:
    """Return all that a page shows of a program.

    Raises:
        RenderError: a number of the overlay is not finite, or is for a node of another graph.
    """
    graph = graph_of(program)
    costs = node_costs(graph)
    failed: Node | None = getattr(program, "failed_node", None)
    if failed is not None:  # it has computed nothing
        for numbers in (costs.flops, costs.moved_bytes, costs.made_bytes):
            numbers.pop(failed, None)
    measures = [
        *_overlaid(graph, overlay),
        Measure("FLOPs", "FLOP", costs.flops),
        Measure("bytes moved", "B", costs.moved_bytes),
        Measure("bytes made", "B", costs.made_bytes),
    ]
    facts = getattr(program, "torch_version", "")
    return Exhibit(
        graph,
        output_names(program),
        tuple(_remarks(program)),
        tuple(measure for measure in measures if measure.numbers),
        f"traced with torch {facts}" if facts else "",
        program.state_notes() if isinstance(program, Stateful) else {},
        with_sources=sources,
    )


def comparison_of(diff: GraphDiff, *, sources: bool = True) -> Comparison:
    """Return all that a page shows of two programs."""
    kinds = {c.node: c.kind for c in diff.nodes if c.before is None or c.after is None}
    naming = Naming(kinds)
    changes = [
        Change(
            change.kind.value,
            change.before,
            change.after,
            tuple(str(naming.words(fact, change.node.scope)) for fact in change.details),
        )
        for change in diff.nodes
    ]
    names = (diff.before.name, diff.after.name)
    if names[0] == names[1]:
        names = (f"{names[0]}, before", f"{names[1]}, after")
    return Comparison(
        exhibit_of(diff.before, sources=sources),
        exhibit_of(diff.after, sources=sources),
        changes,
        diff.matches,
        [note for note in diff_notes(diff) if note],
        names,
    )


def _refuse_overlay(overlay: Overlay | None) -> None:
    if overlay is not None:
        raise RenderError("an overlay is for one program; two side by side are coloured by changes")


def _remarks(program: Drawable) -> Iterator[Remark]:
    failure = getattr(program, "failure", "")
    if failure:
        node: Node | None = getattr(program, "failed_node", None)
        source: SourceRange | None = getattr(program, "failed_source", None)
        yield Remark("error", failure, "", source, () if node is None else (node,))
    diagnostics: tuple[Diagnostic, ...] = getattr(program, "diagnostics", ())
    for diagnostic in sorted(diagnostics, key=lambda found: found.severity, reverse=True):
        yield Remark(
            diagnostic.severity.name.lower(),
            diagnostic.title,
            diagnostic.hint,
            diagnostic.source,
            diagnostic.nodes,
        )
    guards: tuple[Guard, ...] = getattr(program, "guards", ())
    for guard in guards:
        yield Remark("guard", guard.text, "", guard.source, (guard.node,))


def _overlaid(graph: Graph, overlay: Overlay | None) -> Iterator[Measure]:
    if overlay is None:
        return
    nodes = set(graph.walk())
    for measure in _measures(overlay):
        _check(measure, nodes)
        yield measure


def _measures(overlay: Overlay) -> Sequence[Measure]:
    """Return an overlay as measures, however it is given."""
    if isinstance(overlay, Measure):
        return (overlay,)
    if isinstance(overlay, Measured):
        return overlay.measures
    if not isinstance(overlay, Mapping):
        listed = tuple(overlay) if isinstance(overlay, Iterable) else (overlay,)
        strange = next((each for each in listed if not isinstance(each, Measure)), None)
        if strange is not None:
            raise RenderError(f"an overlay has numbers by node, and this is {strange!r}")
        return listed
    if not all(isinstance(key, str) for key in overlay):
        return (Measure("overlay", "", overlay),)  # type: ignore[arg-type]  # its keys are checked
    for name, numbers in overlay.items():
        if not isinstance(numbers, Mapping):
            raise RenderError(f"the overlay {name!r} has no numbers by node: {numbers!r}")
    return [Measure(str(name), "", numbers) for name, numbers in overlay.items()]  # type: ignore[arg-type]


def _check(measure: Measure, nodes: set[Node]) -> None:
    for node, number in measure.numbers.items():
        if not isinstance(node, Node):
            raise RenderError(
                f"the overlay {measure.name!r} has {node!r} where a node of the graph is wanted"
            )
        if node not in nodes:
            raise RenderError(f"the overlay {measure.name!r} has a node of another graph: {node!r}")
        if not isinstance(number, int | float) or not abs(number) < float("inf"):
            raise RenderError(f"the overlay {measure.name!r} has {number!r} for {node!r}")


def _static_picture(program: Drawable) -> str:
    """Return an SVG element of a program; empty where there is no Graphviz, or it gives up."""
    graph = graph_of(program)
    try:
        drawn = render(
            build_scene(graph, _SMALL, output_names(program)), "svg", timeout_s=5
        ).decode()
    except RenderError:
        return ""
    return drawn[drawn.index("<svg") :]


def _framed(text: str) -> str:
    """Return a page as an element of another one, which keeps the two apart."""
    escaped = html.escape(text, quote=True)
    return (
        f'<iframe srcdoc="{escaped}" style="width: 100%; height: {_HEIGHT}px; border: 1px solid #d0d7de;'
        ' border-radius: 6px" title="opscope explorer"></iframe>'
    )


def _is_notebook() -> bool:
    shell = sys.modules.get("IPython")
    return shell is not None and getattr(shell.get_ipython(), "kernel", None) is not None


def _temporary_page(program: Drawable | GraphDiff) -> Path:
    graph = program.after if isinstance(program, GraphDiff) else graph_of(program)
    name = "".join(letter if letter.isalnum() else "_" for letter in graph.name)[:40]
    return Path(tempfile.mkdtemp(prefix="opscope-")) / f"{name or 'graph'}.html"
