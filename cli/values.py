"""The values that input specs stand for."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from ..ir import DType
from .errors import CommandError
from .inputs import InputSpec, LiteralValue, RandomTensor, StoredValue


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
        reason = str(error).partition("\n")[0]
        raise CommandError(
            f"{spec.dtype}[{sizes}] cannot be made on {spec.device}: {reason}"
        ) from error


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
    try:
        value = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise CommandError(
            f"{path} cannot be read as tensors: {reason}\n"
            "only tensors, numbers, text, and lists and dictionaries of these are loaded"
        ) from error
    if spec.entry is None:
        return value
    if not isinstance(value, dict):
        raise CommandError(
            f"{path} holds a {type(value).__name__}, which has no entry {spec.entry!r}"
        )
    if spec.entry not in value:
        raise _no_entry(path, spec.entry, list(value))
    return value[spec.entry]


def _safetensors(path: Path, entry: str | None) -> Any:
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            if entry is None:
                return {name: file.get_tensor(name) for name in names}
            if entry in names:
                return file.get_tensor(entry)
    except (OSError, SafetensorError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from error
    raise _no_entry(path, entry, names)


def _no_entry(path: Path, entry: str, names: list[Any]) -> CommandError:
    shown = ", ".join(map(str, names[:8])) + (", ..." if len(names) > 8 else "")
    return CommandError(f"{path} has no entry {entry!r}; it has {shown or 'none'}")
