"""Rendering: DOT through Graphviz into SVG, PNG or PDF, in a process of its own under a time limit.

A ``dot`` on the path is used where there is one, else the Graphviz inside the pygraphviz wheel.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from ..errors import RenderError
from .dot import to_dot
from .raising import raised_titles
from .scene import Scene
from .svg import describe, finished_svg, svg_size

FORMATS: Final = ("svg", "png", "pdf")
_MOST_BOXES = 5000  # with more, Graphviz takes minutes and nobody can read the result
_PNG_DPI = 192  # twice the usual, for screens that show two pixels a point
_READABLE_DPI = 60
_PNG_SIDE = 32_000  # pixels; cairo stops at 32,767
_PNG_AREA = 150_000_000  # pixels, four bytes each


@dataclass(frozen=True, slots=True)
class _Job:
    """One picture in the making."""

    text: str
    deadline_s: float
    workplace: Path
    engine: str = "dot"  # "nop2" draws what is laid out already


def render(picture: Scene | str, format: str = "svg", *, timeout_s: float = 60.0) -> bytes:
    """Return a scene, or DOT text, as an SVG, PNG or PDF file.

    Args:
        picture: a scene, or the text that ``to_dot`` made of one.
        format: ``svg``, ``png`` or ``pdf``.
        timeout_s: seconds that Graphviz may take.

    Raises:
        RenderError: the format is unknown, there is no Graphviz, or it failed or took too long. The
            DOT text is then kept in a file that the message names.
    """
    if format not in FORMATS:
        raise RenderError(f"no picture format {format!r}; choose from {', '.join(FORMATS)}")
    if isinstance(picture, Scene) and len(picture.boxes) > _MOST_BOXES:
        raise RenderError(
            f"{len(picture.boxes):,} boxes are too many to lay out and to read; draw fewer with"
            " depth, max_boxes or focus, or open the explorer"
        )
    text = to_dot(picture) if isinstance(picture, Scene) else picture
    with tempfile.TemporaryDirectory(prefix="opscope-") as folder:
        job = _Job(text, timeout_s, Path(folder))
        if isinstance(picture, Scene) and picture.clusters:
            # Clusters are drawn first, so their titles are raised above the edges in a second pass.
            laid_out = raised_titles(_run(job, "dot").decode(errors="replace"), picture)
            if laid_out is not None:
                job = _Job(laid_out, timeout_s, Path(folder), "nop2")
        if format == "svg":
            description = describe(picture) if isinstance(picture, Scene) else ("Graph", "")
            return finished_svg(_run(job, "svg"), *description)
        return _run(job, format, _dpi(job) if format == "png" else None)


def _dpi(job: _Job) -> int:
    """Return the resolution at which a PNG stays within what can be drawn and opened."""
    width, height = svg_size(_run(job, "svg"))  # points
    inches = max(width, height) / 72
    area = max(width * height / 72**2, 1e-6)
    dpi = int(min(_PNG_DPI, _PNG_SIDE / max(inches, 1e-3), (_PNG_AREA / area) ** 0.5))
    if dpi < _READABLE_DPI:
        warnings.warn(
            f"the picture is {inches:.0f} inches long, too large for a PNG that can be read;"
            " write SVG or PDF instead, or draw fewer boxes",
            UserWarning,
            stacklevel=3,
        )
    return max(dpi, 1)


def _run(job: _Job, format: str, dpi: int | None = None) -> bytes:
    source = job.workplace / "graph.dot"
    result = job.workplace / f"graph.{format}"
    # Tools that read text turn "\r" into line ends; the file holds none, and is UTF-8 everywhere.
    source.write_bytes(job.text.encode(errors="replace"))
    command = _command(source, result, format, job.engine, dpi)
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=job.deadline_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RenderError(
            f"Graphviz did not finish within {job.deadline_s:g} s; draw fewer boxes with depth,"
            f" max_boxes or focus, or allow more time. {_keep(job.text)}"
        ) from None
    except OSError as error:
        raise RenderError(f"Graphviz cannot be started: {error}. {_keep(job.text)}") from error
    if done.returncode != 0 or not result.exists():
        reason = _reason(done.returncode, done.stderr.decode(errors="replace"))
        raise RenderError(f"Graphviz failed: {reason}. {_keep(job.text)}")
    return result.read_bytes()


def _command(source: Path, result: Path, format: str, engine: str, dpi: int | None) -> list[str]:
    """Return the command that makes ``result`` out of ``source``.

    Raises:
        RenderError: there is no Graphviz.
    """
    program = shutil.which("dot")
    if program is not None:
        resolution = [f"-Gdpi={dpi}"] if dpi else []
        return [program, f"-K{engine}", f"-T{format}", *resolution, f"-o{result}", str(source)]
    package = find_spec("pygraphviz")
    if package is None or package.origin is None:
        raise RenderError(
            "there is no Graphviz: install pygraphviz, which brings it along, or put dot on the"
            " path; DOT text needs neither"
        )
    home = Path(package.origin).parent.parent
    script = Path(__file__).with_name("embedded_graphviz.py")
    places = [str(home), str(source), str(result)]
    # Isolated, so that neither this folder nor the user's environment can change what is imported.
    return [sys.executable, "-I", str(script), *places, format, engine, str(dpi or "")]


def _reason(status: int, stderr: str) -> str:
    lines = [line for line in stderr.splitlines() if line.strip() and "Fontconfig" not in line]
    if lines:
        return lines[-1].strip().rstrip(".")
    return f"signal {-status}" if status < 0 else f"exit status {status} without a message"


def _keep(text: str) -> str:
    """Write DOT text where it survives, and return a sentence that says where."""
    handle, path = tempfile.mkstemp(prefix="opscope-", suffix=".dot")
    with os.fdopen(handle, "wb") as file:
        file.write(text.encode(errors="replace"))
    return f"The DOT text is kept in {path}"
