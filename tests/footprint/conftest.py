"""Files of small models, made once."""

from pathlib import Path

import pytest
import torch

from support.mobile_models import (
    Branching,
    Failing,
    OldStyle,
    Training,
    WithoutInputs,
    dynamically_quantized,
    for_metal,
    quantized,
    saved_lite,
    saved_script,
)

X = torch.randn(2, 8)
BRANCHING_INPUTS = {"forward": [(X,)], "encode": [([X, torch.ones(2, 8)],)]}


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models: their names are said in the tests."""
    folder = tmp_path_factory.mktemp("models")
    saved_lite(folder / "branching.ptl", Branching(), BRANCHING_INPUTS)
    saved_lite(folder / "flat.ptl", Branching(), BRANCHING_INPUTS, flatbuffer=True)
    saved_script(folder / "branching.pt", Branching(), BRANCHING_INPUTS)
    saved_lite(folder / "without.ptl", Branching())
    saved_script(folder / "without.pt", Branching())
    saved_lite(folder / "quantized.ptl", quantized(), [(torch.ones(1, 3, 8, 8),)])
    saved_lite(folder / "dynamic.ptl", dynamically_quantized(), [(X,)])
    saved_lite(folder / "training.ptl", Training(), [(X,)])
    saved_lite(folder / "training_flat.ptl", Training(), [(X,)], flatbuffer=True)
    saved_lite(folder / "old.ptl", OldStyle())
    saved_lite(folder / "failing.ptl", Failing(), [(X,)])
    for_metal(folder / "metal.ptl", folder / "old.ptl")
    return folder


@pytest.fixture(scope="session")
def bad_files(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with files that are no models."""
    folder = tmp_path_factory.mktemp("bad")
    (folder / "junk.ptl").write_bytes(b"hello, this is no model")
    (folder / "empty.ptl").touch()
    (folder / "cut.ptl").write_bytes((models / "branching.ptl").read_bytes()[:3000])
    (folder / "cut_flat.ptl").write_bytes((models / "flat.ptl").read_bytes()[:300])
    (folder / "program.pte").write_bytes(b"\0\0\0\0ET12" + bytes(40))
    torch.save({"weight": X}, folder / "saved.pt")
    torch.save({"weight": X}, folder / "pickle.pt", _use_new_zipfile_serialization=False)
    torch.export.save(torch.export.export(torch.nn.Linear(8, 2), (X,)), folder / "exported.pt2")
    saved_lite(folder / "hollow.ptl", WithoutInputs())
    return folder
