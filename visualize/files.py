"""Pictures as files: what kind is told by the suffix, and a file is replaced whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from errno import ENOENT
from pathlib import Path
from typing import Final

from ..errors import RenderError
from ..ir import Graph
from .build import build_scene
from .dot import to_dot
from .mermaid import to_mermaid
from .options import ViewOptions
from .rendering import FORMATS, render

_TEXT: Final = {"dot": to_dot, "gv": to_dot, "mmd": to_mermaid}

PICTURES: Final = tuple(f".{kind}" for kind in (*FORMATS, *_TEXT))
"""The suffixes of pictures."""


def save_picture(
    graph: Graph,
    path: str | os.PathLike[str],
    options: ViewOptions | None = None,
    *,
    output_names: Sequence[str] = (),
    timeout_s: float = 60.0,
) -> Path:
    """Draw a graph into a file (.svg, .png, .pdf, .dot, .gv or .mmd) and return the file's path.

    Raises:
        RenderError: the suffix is none of these, or the picture cannot be made.
    """
    target = Path(path)
    kind = target.suffix.lower().removeprefix(".")
    if kind not in (*FORMATS, *_TEXT):
        known = ", ".join(PICTURES)
        raise RenderError(f"no kind of picture is named {target.suffix!r}; choose from {known}")
    scene = build_scene(graph, options, output_names)
    if kind in _TEXT:
        content = _TEXT[kind](scene).encode()
    else:
        content = render(scene, kind, timeout_s=timeout_s)
    replace_file(target, content)
    return target


def replace_file(target: Path, content: bytes) -> None:
    """Write a file beside the target and put it in its place, so that no reader sees half of it."""
    if not target.parent.is_dir():
        raise FileNotFoundError(ENOENT, "there is no such folder", str(target.parent))
    beside = target.with_name(f".opscope-{secrets.token_hex(6)}.tmp")
    try:
        with beside.open("xb") as file:
            file.write(content)
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
