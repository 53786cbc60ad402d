"""Check a built wheel: what it holds, and that the package works as installed from it.

Run as ``python check_wheel.py opscope.whl`` by the interpreter of an environment that has opscope's
dependencies; the wheel is installed into a folder of its own and used from there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOMS = (
    "cli",
    "ir",
    "ir/files",
    "passes",
    "program",
    "reports",
    "runtime",
    "tracer",
    "visualize",
    "visualize/listing",
    "visualize/search",
    "visualize/terminal",
)
OUTSIDE = ("tests", "benchmarks", "conformance", "examples")
FILES = ("__init__.py", "__init__.pyi", "errors.py", "py.typed")

PROGRAM = """
import pathlib, sys
import opscope
assert pathlib.Path(opscope.__file__).is_relative_to({folder!r}), opscope.__file__
assert "torch" not in sys.modules
import torch
traced = opscope.trace(torch.nn.Linear(4, 2), torch.ones(1, 4))
assert torch.equal(traced(torch.ones(1, 4)), traced(torch.ones(1, 4)))
assert str(opscope.parse(str(traced.graph))) == str(traced.graph)
loaded = opscope.load(traced.save("linear.opscope"))
assert torch.equal(loaded(torch.ones(1, 4)), traced(torch.ones(1, 4)))
picture = traced.save("linear.svg")
assert "linear" in picture.read_text()
"""


def main(wheel: Path) -> None:
    """Raise or exit with an error where the wheel is not as it should be."""
    names = zipfile.ZipFile(wheel).namelist()
    strangers = [n for n in names if not n.startswith(("opscope/", "opscope-"))]
    assert not strangers, f"the wheel holds files outside opscope/: {strangers}"
    wanted = [f"opscope/{name}" for name in (*FILES, *(f"{room}/__init__.py" for room in ROOMS))]
    missing = [name for name in wanted if name not in names]
    assert not missing, f"the wheel lacks {missing}"
    unwanted = [n for n in names if n.startswith(tuple(f"opscope/{name}" for name in OUTSIDE))]
    assert not unwanted, f"the wheel holds {unwanted}"
    with tempfile.TemporaryDirectory() as folder:
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            folder,
            str(wheel),
        ]
        subprocess.run(pip, check=True)
        environment = {**os.environ, "PYTHONPATH": folder}
        program = PROGRAM.format(folder=folder)
        subprocess.run([sys.executable, "-c", program], check=True, cwd=folder, env=environment)
        command = [sys.executable, "-m", "opscope", "--version"]
        subprocess.run(command, check=True, cwd=folder, env=environment)
    print(f"{wheel.name}: {len(names)} files, works as installed")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
