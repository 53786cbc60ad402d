"""Programs and graphs as files; the suffix says what kind. Needs no torch, but for the state of a program."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol

from . import __version__
from .errors import RenderError
from .exploring import save_html
from .exports import EXPORTS, export, export_suffix
from .ir import Graph
from .ir.files import Contents, Data, write_file
from .pictures import Program, draw, graph_of
from .visualize import PICTURES

SUFFIX: Final = ".opscope"
PAGES: Final = (".html", ".htm")


class Storable(Program, Protocol):
    """A program that can be written to a file."""

    def contents(self, *, with_state: bool) -> tuple[Contents, Data | None]:
        """Return what the file is to hold, and the data of tensors."""
        ...


def save(
    program: Storable | Graph, path: str | Path, *, state: bool | None = None, **options: Any
) -> Path:
    """Write a program to a file and return its path.

    The suffix says what is written: ``.opscope`` the program itself, which :func:`opscope.load` reads;
    ``.html`` the explorer, as one page; ``.svg``, ``.png``, ``.pdf``, ``.dot``, ``.gv`` and ``.mmd``
    a picture; ``.explorer.json`` what Model Explorer opens, ``.netron`` what Netron opens, ``.graphml`` and
    ``.nodelink.json`` what graph libraries read (see ``docs/exports.md``).

    Args:
        program: a traced or loaded program, or a graph.
        path: where to write; an existing file is replaced in one step.
        state: whether the file holds the parameters, buffers and constants, so that the program can be
            replayed: yes, if left out. For ``.opscope`` alone.
        options: for pictures, fields of ``ViewOptions``, such as ``depth=2`` or ``theme="dark"``; for pages,
            those of :func:`opscope.to_html`.

    Raises:
        FormatError: a tensor of the state cannot come back exactly, or the graph does not verify.
        TypeError: it is neither a program nor a graph.
        RenderError: the suffix is not known, or the picture cannot be made; or an option is for another
            kind of file.
        OSError: the file cannot be written.
    """
    target = Path(path)
    graph_of(program)  # or a TypeError that says what to pass
    if target.suffix.lower() != SUFFIX:
        return _save_for_others(program, target, state, options)
    if options:
        raise RenderError(
            f"{next(iter(options))} is for pictures; {SUFFIX} files hold all there is"
        )
    if isinstance(program, Graph):
        contents, data = Contents(program), None
    else:
        contents, data = program.contents(with_state=state is not False)
    write_file(target, replace(contents, writer=f"opscope {__version__}"), data)
    return target


def module_target(path: str | Path) -> Path:
    """Return where the file of a module goes.

    Raises:
        RenderError: the suffix is that of another kind of file.
    """
    target = Path(path)
    if target.suffix.lower() != SUFFIX:
        raise RenderError(
            f"a module of several programs is saved as {SUFFIX}, and not as {target.suffix!r}\n"
            '  save or draw one of them: module["forward"].save(...)'
        )
    return target


def _save_for_others(
    program: Storable | Graph, target: Path, state: bool | None, options: dict[str, Any]
) -> Path:
    """Write a page, a picture, or what other tools read."""
    if state is not None:
        raise RenderError(f"state is for {SUFFIX} files; a picture holds none")
    if target.suffix.lower() in PAGES:
        return save_html(program, target, **options)
    suffix = export_suffix(target)
    if suffix is None:
        if target.suffix.lower() not in PICTURES:
            known = ", ".join((SUFFIX, PAGES[0], *PICTURES, *EXPORTS))
            raise RenderError(f"no kind of file is named {target.suffix!r}; choose from {known}")
        return draw(program, target, **options)
    if options:
        raise RenderError(
            f"{next(iter(options))} is for pictures; {suffix} files hold the whole graph"
        )
    return export(program, target, suffix)
