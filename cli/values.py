"""The values that input specs stand for."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open

from ..ir import DType
from .errors import CommandError
from .inputs import InputSpec, LiteralValue, RandomTensor, StoredValue

_LEGACY_START: Final = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # of torch.save before 1.6


def make_value(spec: InputSpec) -> Any:
    """Return the value of a spec; random numbers come from torch's global generator.

    Raises:
        CommandError: a file cannot be read, or a tensor does not fit on its device.
    """
    match spec:
        case RandomTensor():
            return _random(spec)
        case StoredValue():
            return _stored(spec)
        case LiteralValue():
            return spec.value


def _random(spec: RandomTensor) -> torch.Tensor:
    dtype: torch.dtype = getattr(torch, spec.dtype.long_name)
    try:
        return _fill(spec).to(device=spec.device, dtype=dtype)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # torch raises all three
        sizes = ",".join(map(str, spec.shape))
        kinds = _device_kinds()
        reason = str(error).partition("\n")[0]
        if spec.device.partition(":")[0] not in kinds:
            reason = f"the devices here are {', '.join(kinds)}"
        raise CommandError(
            f"{spec.dtype}[{sizes}] cannot be made on {spec.device}: {reason}"
        ) from error


def _device_kinds() -> list[str]:
    """Return the kinds of devices that tensors can be made on here."""
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return ["cpu", *([] if found is None else [found.type]), "meta"]


def _fill(spec: RandomTensor) -> torch.Tensor:
    """Return random numbers on the CPU, in the nearest dtype that torch can draw."""
    if spec.dtype.is_complex:
        drawn = torch.complex128 if spec.dtype is DType.C128 else torch.complex64
        return torch.randn(spec.shape, dtype=drawn)
    if spec.dtype.is_floating_point:
        drawn = torch.float64 if spec.dtype is DType.F64 else torch.float32
        return torch.randn(spec.shape, dtype=drawn)
    return torch.randint(spec.below, spec.shape)


def _stored(spec: StoredValue) -> Any:
    path = spec.path
    if not path.is_file():
        raise CommandError(f"there is no file {path}")
    if path.suffix == ".safetensors":
        return _safetensors(path, spec.entry)
    value = _load(path)
    if spec.entry is None:
        return value
    if not isinstance(value, dict):
        raise CommandError(
            f"{path} holds a {type(value).__name__}, which has no entry {spec.entry!r}"
        )
    if spec.entry not in value:
        raise _no_entry(path, spec.entry, list(value))
    return value[spec.entry]


def _load(path: Path) -> Any:
    try:
        with warnings.catch_warnings(action="ignore"):  # what matters comes as an error too
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # torch's reader meets foreign bytes with whatever they lead to
        raise CommandError(_why_not_loaded(path, error)) from error


def _why_not_loaded(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        start = file.read(len(_LEGACY_START))
    if start != _LEGACY_START and not zipfile.is_zipfile(path):
        return f"{path} is not a file that torch.save wrote, or only a part of one"
    text = str(error)
    if "TorchScript" in text:
        found = "a TorchScript program"
    elif isinstance(error, pickle.UnpicklingError):
        named = re.search(r"GLOBAL ([\w.]+)", text)
        found = f"an object that needs {named[1]}" if named else "objects of other classes"
    else:
        reason = text.partition("\n")[0]
        return f"{path} cannot be read as a file that torch.save wrote: {reason}"
    return (
        f"{path} holds {found}, and is not loaded\n"
        "only tensors and plain containers are read: numbers, text, and lists and dictionaries of these"
    )


def _safetensors(path: Path, entry: str | None) -> Any:
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            if entry is None:
                return {name: file.get_tensor(name) for name in names}
            if entry in names:
                return file.get_tensor(entry)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror or error}") from error
    except SafetensorError as error:
        raise CommandError(
            f"{path} is not a file that safetensors wrote, or only a part of one\n{error}"
        ) from error
    except Exception as error:  # a dtype that torch has not, say
        reason = str(error).partition("\n")[0]
        raise CommandError(f"{path} cannot be read: {reason}") from error
    raise _no_entry(path, entry, names)


def _no_entry(path: Path, entry: str, names: list[Any]) -> CommandError:
    shown = ", ".join(map(str, names[:8])) + (", ..." if len(names) > 8 else "")
    return CommandError(f"{path} has no entry {entry!r}; it has {shown or 'none'}")
