"""``.opscope`` files, written and read; ``docs/files.md`` describes the format."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

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
    of_method,
    read_archive,
    write_archive,
)
from .fields import dump_json, fields, listed, load_json, text, whole
from .graph_reader import GraphReader
from .graph_writer import GraphWriter
from .origins import sources_of
from .programs import ProgramReader, ProgramWriter
from .records import Contents, ModuleContents
from .state import extent
from .tensors import read_header

FORMAT: Final = "opscope"
VERSION: Final = 1
"""Of the format; a reader reads its own version and earlier ones."""

_Contents = TypeVar("_Contents", Contents, ModuleContents)


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
        manifest = _manifest_of(contents)
        entries = {MANIFEST: dump_json(manifest, "the manifest"), **_entries(contents)}
    write_archive(path, entries, data)


def write_module(path: Path, module: ModuleContents, data: Data | None = None) -> None:
    """Write a file of several programs with one state, whole or not at all. O(size).

    Raises:
        FormatError: see :func:`write_file`.
        OSError: the file cannot be written.
    """
    with paused_collector():
        first = next(iter(module.methods.values()))
        manifest = {**_manifest_of(first), "module": [module.name, list(module.methods)]}
        entries = {MANIFEST: dump_json(manifest, "the manifest")}
        for number, contents in enumerate(module.methods.values()):
            for name, content in _entries(contents).items():
                entries[of_method(number, name)] = content
    write_archive(path, entries, data)


def _manifest_of(contents: Contents) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "writer": contents.writer,
        "torch": contents.torch,
    }


def _entries(contents: Contents) -> dict[str, bytes]:
    """Return the JSON of a program by the names of its entries."""
    graphs = GraphWriter()
    graph = graphs.write(contents.graph)
    program = None
    if contents.program is not None:
        program = ProgramWriter(graphs).write(contents.program, contents.graph)
        graph.update(graphs.origins.tables())  # which has more now
    entries = {
        GRAPH: dump_json(graph, "the graph"),
        SOURCES: dump_json(graphs.origins.sources(), "the sources"),
    }
    if program is not None:
        entries[PROGRAM] = dump_json(program, "the program")
    return entries


def read_file(path: Path) -> tuple[Contents, Archive]:
    """Read a file; nothing in it is run, imported or unpacked. O(size without the data of tensors).

    Raises:
        FormatError: it is no such file, of a later version, damaged, or too large.
        OSError: it cannot be read.
    """
    return _read(path, _only_program)


def read_module(path: Path) -> tuple[ModuleContents, Archive]:
    """Read a file of several programs with one state, as :func:`read_file` reads that of one.

    Raises:
        FormatError: it is no such file, of a later version, damaged, or too large.
        OSError: it cannot be read.
    """
    return _read(path, _module)


def _read(path: Path, contents_of: Callable[[Archive], _Contents]) -> tuple[_Contents, Archive]:
    with _told_of(path):
        archive = read_archive(path)
        with paused_collector():
            return contents_of(archive), archive


@contextmanager
def _told_of(path: Path) -> Iterator[None]:
    """Say which file something is wrong with."""
    try:
        yield
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error
    except RecursionError as error:
        raise FormatError(f"{path}: it is nested too deeply to be read") from error


def _only_program(archive: Archive) -> Contents:
    manifest = _manifest(load_json(archive.entries[MANIFEST], MANIFEST))
    if "module" in manifest:
        _, methods = _methods(manifest)
        raise FormatError(
            f"it holds a module with methods {', '.join(methods)}\n  read it with opscope.load_module"
        )
    _require_known(archive, (GRAPH, PROGRAM, SOURCES))
    contents = _contents(archive, manifest, {name: name for name in archive.entries})
    _require_data(contents, archive)
    return contents


def _module(archive: Archive) -> ModuleContents:
    manifest = _manifest(load_json(archive.entries[MANIFEST], MANIFEST))
    if "module" not in manifest:
        raise FormatError("it holds one program, and no module\n  read it with opscope.load")
    name, methods = _methods(manifest)
    kinds = (GRAPH, PROGRAM, SOURCES)
    _require_known(archive, {of_method(n, kind) for n in range(len(methods)) for kind in kinds})
    read = {}
    for number, method in enumerate(methods):
        own = {kind: of_method(number, kind) for kind in kinds}
        names = {kind: entry for kind, entry in own.items() if entry in archive.entries}
        read[method] = _contents(archive, manifest, names)
        _require_data(read[method], archive)
    _require_one_state(read.values())
    return ModuleContents(name, read)


def _require_known(archive: Archive, known: Collection[str]) -> None:
    stray = next((name for name in archive.entries if name not in (MANIFEST, *known)), None)
    if stray is not None:
        raise FormatError(f"it has an entry {stray}, which belongs to nothing in it")


def _methods(manifest: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the name of a module, and those of its methods."""
    where = f"{MANIFEST}: module"
    name, methods = listed(manifest["module"], where, 2)
    names = [text(each, where) for each in listed(methods, where)]
    if not names or len(set(names)) < len(names):
        raise FormatError(f"{where} has no methods, or one twice")
    return text(name, where), names


def _require_one_state(methods: Collection[Contents]) -> None:
    """Raise a FormatError where the programs of a module do not share the tensors and places they have."""
    states = [None if each.program is None else each.program.state for each in methods]
    shared = [  # as text, in which a number that is not even equal to itself is the same
        state and repr((state.tensors, state.entries, state.places, state.holders))
        for state in states
    ]
    if any(each != shared[0] for each in shared) or any(each.program is None for each in methods):
        raise FormatError("its methods do not have one state")


def _contents(archive: Archive, manifest: Mapping[str, Any], names: Mapping[str, str]) -> Contents:
    """Return what the entries of one program say; ``names`` are those that there are, by kind."""
    if GRAPH not in names:
        raise FormatError(f"it is not an .opscope file: it has no entry {GRAPH}")
    entry: dict[str, Any] = {
        kind: load_json(archive.entries[name], name) for kind, name in names.items()
    }
    with _in(SOURCES):
        sources = tuple(sources_of(entry.get(SOURCES, [])))
    with _in(GRAPH):
        graphs = GraphReader(entry[GRAPH], sources)
    program = None
    if PROGRAM in entry:
        with _in(PROGRAM):
            program = ProgramReader(graphs).read(entry[PROGRAM])
    return Contents(graphs.graph, program, sources, manifest["torch"], manifest["writer"])


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
    parts = fields(value, MANIFEST, ("format", "version", "writer", "torch"), ("module",))
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
