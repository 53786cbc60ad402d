"""Small models, saved as apps get them."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils import bundled_inputs


class Branching(nn.Module):
    """Calls sigmoid for large batches alone."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.size(0) > 5:
            return torch.sigmoid(self.fc(x))
        return torch.relu(self.fc(x))

    @torch.jit.export
    def encode(self, xs: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"joined": torch.cat(xs)}


class Quantized(nn.Module):
    """Convolves and multiplies quantized tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4, 2)
        self.quant = torch.ao.quantization.QuantStub()
        self.dequant = torch.ao.quantization.DeQuantStub()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.conv(self.quant(x)))
        out: torch.Tensor = self.dequant(self.fc(y.mean([2, 3])))
        return out


class Training(nn.Module):
    """Does a step of training in its forward."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 4)
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        loss: torch.Tensor = self.drop(self.norm(self.fc(x))).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()


class Normed(nn.Module):
    """Is not trained, and has a batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.norm(x)
        return out


class Stepping(nn.Module):
    """Trains without a batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        loss: torch.Tensor = self.fc(x).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()


class OldStyle(nn.Module):
    """Has inputs as they were bundled at first, without a directory of methods."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x)

    @torch.jit.export
    def get_all_bundled_inputs(self) -> list[tuple[torch.Tensor]]:
        return [(torch.ones(2),), (torch.zeros(3),)]


class WithoutInputs(nn.Module):
    """Says that it has inputs, and has none."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x)

    @torch.jit.export
    def get_all_bundled_inputs(self) -> list[tuple[torch.Tensor]]:
        none: list[tuple[torch.Tensor]] = []
        return none


class Failing(nn.Module):
    """Fails on all inputs."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.numel() > 100, "too small"
        return torch.relu(x)


def scripted(module: nn.Module, inputs: Any = None) -> Any:
    """Return a module as TorchScript has it, with inputs bundled if there are any.

    Args:
        module: the module.
        inputs: tuples of arguments, or these by name of the method.
    """
    with quiet():
        script: Any = torch.jit.script(module)
        if inputs is None:
            return script
        if isinstance(inputs, dict):
            inputs = {getattr(script, method): given for method, given in inputs.items()}
        return bundled_inputs.bundle_inputs(script, inputs)


def saved_lite(
    path: Path, module: nn.Module, inputs: Any = None, *, flatbuffer: bool = False
) -> Path:
    """Save a module for the lite interpreter."""
    with quiet():
        scripted(module, inputs)._save_for_lite_interpreter(str(path), _use_flatbuffer=flatbuffer)
    return path


def saved_script(path: Path, module: nn.Module, inputs: Any = None) -> Path:
    """Save a module with ``torch.jit.save``."""
    with quiet():
        torch.jit.save(scripted(module, inputs), str(path))
    return path


def quantized(engine: str = "qnnpack") -> nn.Module:
    """Return a module whose weights and activations have eight bits."""
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = engine
    quantization: Any = torch.ao.quantization
    try:
        with quiet():
            module = Quantized().eval()
            module.qconfig = quantization.get_default_qconfig(engine)
            prepared = quantization.prepare(module)
            prepared(torch.randn(1, 3, 8, 8))
            converted: nn.Module = quantization.convert(prepared)
            return converted
    finally:
        torch.backends.quantized.engine = before


def dynamically_quantized() -> nn.Module:
    """Return a module whose linear layers choose scales as they run, which engines do in different ways."""
    with quiet():
        quantization: Any = torch.ao.quantization
        module: nn.Module = quantization.quantize_dynamic(
            nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)), {nn.Linear}, torch.qint8
        )
    return module


def for_metal(path: Path, original: Path) -> Path:
    """Write what a model for Metal looks like: one of its operators exists on Apple's machines alone."""

    def changed(name: str, content: bytes) -> bytes:
        if not name.endswith("bytecode.pkl"):
            return content
        assert b"aten::relu" in content
        return content.replace(b"aten::relu", b"metal::rel")

    rewritten(path, original, changed)
    return path


def rewritten(path: Path, original: Path, change: Callable[[str, bytes], bytes]) -> None:
    """Write an archive again, with the content of its entries changed."""
    with zipfile.ZipFile(original) as before, zipfile.ZipFile(path, "w") as after:
        for entry in before.infolist():
            name = entry.filename.replace(original.stem, path.stem, 1)
            after.writestr(name, change(name, before.read(entry)))


def quiet() -> warnings.catch_warnings[None]:
    """Make torch not tell that TorchScript and its quantization are old."""
    return warnings.catch_warnings(action="ignore")
