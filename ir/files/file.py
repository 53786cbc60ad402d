"""``.opscope`` files, written and read; ``docs/files.md`` describes the format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from ...errors import FormatError
from ..collector import paused_collector
from .archive import (
    GRAPH,
    MANIFEST,
    PROGRAM,
    SOURCES,
    STATE,
    Archive,
    Data,
    read_archive,
    write_archive,
)
from .fields import dump_json, fields, load_json, text, whole
from .graph_reader import GraphReader
from .graph_writer import GraphWriter
from .origins import sources_of
from .programs import ProgramReader, ProgramWriter
from .records import Contents
from .state import extent
from .tensors import read_header

FORMAT: Final = "opscope"
VERSION: Final = 1
"""Of the format; a reader reads its own version and earlier ones."""


def write_file(path: Path, contents: Contents, data: Data | None = None) -> None:
    """Write a file whole or not at all. O(size).

    Args:
        path: where; an existing file is replaced.
        contents: what to write.
        data: the data of tensors.

    Raises:
        FormatError: the graph does not verify, or something is nested too deeply to be written.
        OSError: the file cannot be written.
    """
    with paused_collector():
        graphs = GraphWriter()
        graph = graphs.write(contents.graph)
        program = None
        if contents.program is not None:
            program = ProgramWriter(graphs).write(contents.program, contents.graph)
            graph.update(graphs.origins.tables())  # which has more now
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "writer": contents.writer,
            "torch": contents.torch,
        }
        entries = {
            MANIFEST: dump_json(manifest, "the manifest"),
            GRAPH: dump_json(graph, "the graph"),
            SOURCES: dump_json(graphs.origins.sources(), "the sources"),
        }
        if program is not None:
            entries[PROGRAM] = dump_json(program, "the program")
    write_archive(path, entries, data)


def read_file(path: Path) -> tuple[Contents, Archive]:
    """Read a file; nothing in it is run, imported or unpacked. O(size without the data of tensors).

    Raises:
        FormatError: it is no such file, of a later version, damaged, or too large.
        OSError: it cannot be read.
    """
    try:
        archive = read_archive(path)
        with paused_collector():
            return _contents(archive), archive
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error
    except RecursionError as error:
        raise FormatError(f"{path}: it is nested too deeply to be read") from error


def _contents(archive: Archive) -> Contents:
    manifest = _manifest(load_json(archive.entries[MANIFEST], MANIFEST))
    entry: dict[str, Any] = {
        name: load_json(content, name) for name, content in archive.entries.items()
    }
    with _in(SOURCES):
        sources = tuple(sources_of(entry.get(SOURCES, [])))
    with _in(GRAPH):
        graphs = GraphReader(entry[GRAPH], sources)
    program = None
    if PROGRAM in entry:
        with _in(PROGRAM):
            program = ProgramReader(graphs).read(entry[PROGRAM])
    contents = Contents(graphs.graph, program, sources, manifest["torch"], manifest["writer"])
    _require_data(contents, archive)
    return contents


@contextmanager
def _in(name: str) -> Iterator[None]:
    """Say in which entry of the file something is wrong."""
    try:
        yield
    except FormatError as error:
        raise FormatError(f"{name}: {error}") from error


def _manifest(value: Any) -> Mapping[str, Any]:
    if value.__class__ is not dict or value.get("format") != FORMAT:
        raise FormatError(f"it is not an .opscope file: {MANIFEST} names another format")
    found = whole(value.get("version"), f"{MANIFEST}: version", 1)
    if found > VERSION:
        raise FormatError(
            f"it is of version {found} of the format, and this opscope reads up to {VERSION}\n"
            "  install a later release of opscope"
        )
    parts = fields(value, MANIFEST, ("format", "version", "writer", "torch"))
    text(parts["torch"], MANIFEST)
    text(parts["writer"], MANIFEST)
    return parts


def _require_data(contents: Contents, archive: Archive) -> None:
    """Raise a FormatError where the data of tensors is not what the state says."""
    state = None if contents.program is None else contents.program.state
    if (state is None or not state.entries) != (archive.data is None):
        raise FormatError("it has data of tensors without state, or the other way round")
    if state is None or archive.data is None:
        return
    with archive.open_data() as stream, _in(STATE):
        spans = read_header(stream, archive.data)
    if list(spans) != list(state.entries):
        raise FormatError("the data of tensors has other entries than the state")
    sizes = [size for _, size in spans.values()]
    for number, tensor in enumerate(state.tensors):
        if tensor.entry is None:
            continue
        if extent(tensor.shape, tensor.strides, tensor.offset, tensor.dtype) > sizes[tensor.entry]:
            raise FormatError(f"state.tensors[{number}] reaches beyond the end of its memory")
