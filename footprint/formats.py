"""Which kind of model a file holds, told from its names and first bytes; nothing in it is unpickled."""

from __future__ import annotations

import re
import stat
import zipfile
from pathlib import Path
from typing import Final

from ..errors import FootprintError
from .result import ModelKind

_HEAD: Final = 64  # bytes
_MOST_BYTES: Final = 256 << 20  # of a part that is a program rather than weights
_CLASS: Final = re.compile(rb"__torch__\.torch\.classes((?:\.[A-Za-z0-9_]+){2,})")
_REMEDY: Final = (
    "save the scripted model with model._save_for_lite_interpreter(path),"
    " or with torch.jit.save(model, path)"
)


def kind_of_file(path: Path) -> ModelKind:
    """Return what a file holds.

    Raises:
        FootprintError: it cannot be read, or holds no model that can be run; the message says what it is.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
            raise FootprintError(f"{path} is no file")  # a pipe would be waited for
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except FileNotFoundError:
        raise FootprintError(f"{path} does not exist") from None
    except IsADirectoryError:
        raise FootprintError(f"{path} is a folder, not a model") from None
    except OSError as error:
        raise FootprintError(f"cannot read {path}: {error.strerror or error}") from error
    if head[4:8] == b"PTMF":
        return ModelKind.LITE_FLATBUFFER
    if head[4:6] == b"ET":
        raise FootprintError(
            f"{path} is a program of ExecuTorch, which torch cannot run\n"
            "read it with opscope.footprint.executorch_footprint"
        )
    if head[:2] == b"PK":
        return _kind_of_archive(path)
    if not head:
        raise FootprintError(f"{path} is empty")
    if head[:1] == b"\x80":
        raise FootprintError(
            f"{path} is a pickle, as old torch.save wrote it, and no program\n{_REMEDY}"
        )
    raise FootprintError(
        f"{path} is no model: it is neither a zip archive nor a flatbuffer\n{_REMEDY}"
    )


def classes_named_in(path: Path) -> frozenset[str]:
    """Return the names of classes in C++ that a file of a model mentions, without their namespaces."""
    found: set[bytes] = set()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                is_small = entry.file_size <= _MOST_BYTES
                if is_small and entry.filename.endswith((".py", ".pkl")):
                    found.update(_CLASS.findall(archive.read(entry)))
    else:
        found.update(_CLASS.findall(path.read_bytes()))
    return frozenset(name.rpartition(b".")[2].decode() for name in found)


def _kind_of_archive(path: Path) -> ModelKind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise FootprintError(
            f"{path} is a damaged archive: {error}\nit may have been cut off; copy or save it again"
        ) from error
    parts = {name.partition("/")[2] for name in names}
    if "bytecode.pkl" in parts:
        return ModelKind.LITE
    if "constants.pkl" in parts:
        return ModelKind.TORCHSCRIPT
    if "data.pkl" in parts:
        raise FootprintError(
            f"{path} is what torch.save writes: tensors and names of classes, and no program\n{_REMEDY}"
        )
    if "archive_format" in parts or any(part.startswith("models/") for part in parts):
        raise FootprintError(
            f"{path} is an exported program\n"
            "pass torch.export.load(path).module() to opscope.footprint.trace_run, with inputs"
        )
    if path.suffix == ".opscope" or "graph.json" in names:
        raise FootprintError(f"{path} is a program that opscope traced; give the model itself")
    raise FootprintError(f"{path} is an archive, and no model\n{_REMEDY}")
