"""The zip that a file is: JSON, for each program its own entries, and the data of tensors as it is.

Nothing is ever unpacked to disk. What is read is bounded before it is read.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Final, Protocol

from ...errors import FormatError

MANIFEST: Final = "opscope.json"
GRAPH: Final = "graph.json"
PROGRAM: Final = "program.json"
SOURCES: Final = "sources.json"
STATE: Final = "state.safetensors"

_OF_METHOD: Final = re.compile(r"methods/[0-9]{1,6}/(graph|program|sources)\.json", re.ASCII)

_MOST_BYTES: Final = 1 << 30
"""Bytes that an entry of JSON may have when it is unpacked."""

_MOST_RATIO: Final = 300
_FREE_BYTES: Final = 16 << 20
"""How many times its packed size an entry may have, and how much it may have in any case."""

_MAGIC: Final = b"PK\x03\x04"
_LEVEL: Final = 3  # of compression: half again as large as the best, in a fourth of the time
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the first date of a zip: equal programs give equal files
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def of_method(number: int, name: str) -> str:
    """Return what an entry is called that belongs to a method of a module."""
    return f"methods/{number}/{name}"


@dataclass(frozen=True, slots=True)
class Data:
    """The data of tensors to be written.

    Attributes:
        nbytes: how many bytes it has.
        write: writes it to a stream.
    """

    nbytes: int
    write: Callable[[IO[bytes]], None]


def write_archive(path: Path, entries: Mapping[str, bytes], data: Data | None) -> None:
    """Write a file whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    with _replaced(path) as file, zipfile.ZipFile(file, "w", allowZip64=True) as archive:
        for name, content in entries.items():
            info = _info(name, zipfile.ZIP_DEFLATED)
            archive.writestr(info, content, compresslevel=_LEVEL)
        if data is not None:
            info = _info(STATE, zipfile.ZIP_STORED)
            info.file_size = data.nbytes
            with archive.open(info, "w", force_zip64=True) as stream:
                data.write(stream)


def _info(name: str, method: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = method
    info.external_attr = 0o644 << 16
    info.create_system = 3  # the same on every machine
    return info


@contextmanager
def _replaced(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file beside ``path`` that takes its place when it is complete."""
    place = path.resolve()  # a link stays, and the file that it leads to is replaced
    beside = place.with_name(f".opscope-{secrets.token_hex(6)}.tmp")
    try:
        with beside.open("xb") as file:
            yield file
        os.replace(beside, place)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


class Readable(Protocol):
    """What data is read from, from its beginning to its end."""

    def read(self, count: int = -1, /) -> bytes:
        """Return the next bytes, at most ``count``; none at the end."""
        ...


class _Guarded:
    """Reads an entry of a zip, and tells its damage as such."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, count: int = -1, /) -> bytes:
        """Return the next bytes, at most ``count``; none at the end.

        Raises:
            FormatError: the entry is damaged.
        """
        with damage_told():
            return self._stream.read(count)


@dataclass(frozen=True, slots=True)
class Archive:
    """What was read of a file.

    Attributes:
        path: the file.
        entries: the content of the entries of JSON, by name.
        data: how many bytes of tensors' data there are; None if there is no such entry.
        identity: tells the file from what may stand in its place later.
    """

    path: Path
    entries: Mapping[str, bytes]
    data: int | None
    identity: tuple[int, ...]

    @contextmanager
    def open_data(self) -> Iterator[Readable]:
        """Yield a stream of the data of tensors; to read from it is a FormatError if it is damaged.

        What else goes wrong while it is open, such as a full disk that it is copied to, is no damage.

        Raises:
            FormatError: it is damaged, or the file is another one by now.
            OSError: the file is gone, or cannot be read.
        """
        with self.path.open("rb") as file:
            if _identity(file) != self.identity:
                raise FormatError("the file is another one now than when it was loaded")
            with ExitStack() as opened:
                with damage_told():
                    archive = opened.enter_context(zipfile.ZipFile(file))
                    stream = opened.enter_context(archive.open(STATE))
                yield _Guarded(stream)

    def renewed(self) -> Archive:
        """Return the same of the file that stands in its place now, and holds the same data."""
        with self.path.open("rb") as file:
            return replace(self, identity=_identity(file))

    def copied(self) -> Data | None:
        """Return the data of tensors, to be written to another file."""
        if self.data is None:
            return None

        def write(stream: IO[bytes]) -> None:
            with self.open_data() as source:
                shutil.copyfileobj(source, stream, 1 << 20)

        return Data(self.data, write)


def read_archive(path: Path) -> Archive:
    """Read a file, but for the data of tensors. O(size of the rest).

    Raises:
        FormatError: it is no such file, damaged, or too large.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(len(_MAGIC))
        if start != _MAGIC:
            what = "is empty" if not start else f"begins with {start!r}"
            raise FormatError(f"it is not an .opscope file, which is a zip: it {what}")
        with damage_told(), zipfile.ZipFile(file) as archive:
            infos = _infos(archive)
            entries = {name: _content(archive, i) for name, i in infos.items() if name != STATE}
            state = infos.get(STATE)
            return Archive(
                path, entries, None if state is None else state.file_size, _identity(file)
            )


def _infos(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    infos: dict[str, zipfile.ZipInfo] = {}
    known = (MANIFEST, GRAPH, PROGRAM, SOURCES, STATE)
    for info in archive.infolist():
        name = info.orig_filename
        if name not in known and _OF_METHOD.fullmatch(name) is None:
            raise FormatError(f"it has an entry {name[:80]!r}, which no .opscope file has")
        if name in infos:
            raise FormatError(f"it has the entry {name} twice")
        if info.flag_bits & 0x1:
            raise FormatError(f"{name} is encrypted")
        if info.compress_type not in _METHODS or (
            name == STATE and info.compress_type != zipfile.ZIP_STORED
        ):
            raise FormatError(f"{name} is packed in a way that no .opscope file is")
        infos[name] = info
    if MANIFEST not in infos:
        raise FormatError(f"it is not an .opscope file: it has no entry {MANIFEST}")
    return infos


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    allowed = min(_MOST_BYTES, max(_FREE_BYTES, info.compress_size * _MOST_RATIO))
    if info.file_size > allowed:
        raise FormatError(
            f"{info.filename} is {info.file_size:,} bytes when it is unpacked, from "
            f"{info.compress_size:,}, and may be {allowed:,}"
        )
    with archive.open(info) as stream:
        content = stream.read(allowed + 1)
    if len(content) != info.file_size:
        raise FormatError(f"{info.filename} is not as long as it says")
    return content


def _identity(file: IO[bytes]) -> tuple[int, ...]:
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@contextmanager
def damage_told() -> Iterator[None]:
    """Tell what the zip library says of a damaged file.

    Raises:
        FormatError: it said something.
    """
    try:
        yield
    except FormatError:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        OSError,
        ValueError,
        OverflowError,
        NotImplementedError,
        RuntimeError,
        KeyError,
        IndexError,
    ) as error:
        raise FormatError(f"it is damaged: {error or type(error).__name__}") from error
