"""Output files: what each holds is told by its suffix, and they change all together or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Final

from .errors import CommandError


class OutputKind(Enum):
    """What a file holds."""

    TEXT = auto()  # the graph as text
    CODE = auto()  # the Python function that a replay runs
    PAGE = auto()  # the explorer
    PICTURE = auto()
    EXPORT = auto()  # the graph, in the format of another tool
    PROGRAM = auto()  # all that opscope.load reads


KINDS: Final = {
    ".txt": OutputKind.TEXT,
    ".py": OutputKind.CODE,
    ".html": OutputKind.PAGE,
    ".svg": OutputKind.PICTURE,
    ".png": OutputKind.PICTURE,
    ".pdf": OutputKind.PICTURE,
    ".dot": OutputKind.PICTURE,
    ".gv": OutputKind.PICTURE,
    ".mmd": OutputKind.PICTURE,
    ".explorer.json": OutputKind.EXPORT,
    ".nodelink.json": OutputKind.EXPORT,
    ".netron": OutputKind.EXPORT,
    ".graphml": OutputKind.EXPORT,
    ".opscope": OutputKind.PROGRAM,
}


@dataclass(frozen=True, slots=True)
class Output:
    """A file to write."""

    path: Path
    kind: OutputKind


def parse_outputs(paths: Iterable[Path]) -> tuple[Output, ...]:
    """Return what is to be written where.

    Raises:
        CommandError: a suffix is not known, a file is named twice, or a folder does not exist or
            cannot be written to.
    """
    outputs: dict[Path, Output] = {}
    for path in paths:
        suffix = _suffix_of(path)
        if suffix is None:
            raise CommandError(_unknown(path))
        place = path.resolve()  # a link stays, and the file that it leads to is replaced
        if place in outputs:
            raise CommandError(f"{path} is to be written twice")
        check_place(path)
        outputs[place] = Output(path, KINDS[suffix])
    return tuple(outputs.values())


def check_place(path: Path) -> None:
    """Find out whether a file can be written, before anything is run for it.

    Raises:
        CommandError: it cannot.
    """
    place = path.resolve()
    if place.is_dir():
        raise CommandError(f"{path} is a folder")
    if not place.parent.is_dir():
        raise CommandError(f"there is no folder {path.parent} to write {path.name} into")
    _check_folder(path, place.parent)


def _suffix_of(path: Path) -> str | None:
    """Return which of the known suffixes a file's name has, those of two parts too; None if it has none."""
    name = path.name.lower()
    return next((suffix for suffix in KINDS if name.endswith(suffix) and name != suffix), None)


def _unknown(path: Path) -> str:
    if path.suffix.lower() == ".json":
        return (
            f"{path} does not say which kind of JSON it is to hold\n"
            f"name it {path.stem}.explorer.json for Model Explorer, or {path.stem}.nodelink.json for networkx"
        )
    return f"cannot tell what to write into {path}; its suffix must be one of {', '.join(KINDS)}"


def _check_folder(path: Path, folder: Path) -> None:
    """Make sure that a file can be made in a folder; permissions alone do not tell."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        # /proc says that there is no such file, which would be no help here.
        reason = "" if error.errno == errno.ENOENT else f": {error.strerror}"
        raise CommandError(
            f"cannot write {path}: the folder {path.parent} cannot be written to{reason}"
        ) from error


def write_together(writers: Mapping[Path, Callable[[Path], object]]) -> None:
    """Write files beside their places and then move each into its own.

    Whatever fails while they are written, existing files stay as they were.

    Args:
        writers: for every file, what writes it to the path that it is given.

    Raises:
        CommandError: a file cannot be written.
    """
    beside: dict[Path, Path] = {}
    path = Path()
    try:
        for path, write in writers.items():
            suffix = _suffix_of(path) or path.suffix
            beside[path] = path.resolve().with_name(f".opscope-{secrets.token_hex(6)}{suffix}")
            write(beside[path])
        for path, temporary in beside.items():
            os.replace(temporary, path.resolve())
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        for temporary in beside.values():
            temporary.unlink(missing_ok=True)
