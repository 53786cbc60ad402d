import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from opscope.cli.main import app


def run(*args: str) -> Result:
    return CliRunner().invoke(app, ["deps", *args])


@pytest.fixture
def helper(project: Path) -> Path:
    (project / "beside.py").write_text("import yaml\n")
    text = (project / "net.py").read_text()
    (project / "net.py").write_text(f"import beside\n{text}")
    return project


def test_the_table_is_of_the_program_alone(helper: Path) -> None:
    result = run("net.py:Net", "-i", "f32[2,4]", "--modules")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert ["yours", "2"] in [line.split() for line in lines]
    assert any(line.split() == ["net", "what", "was", "called"] for line in lines)
    assert any(line.split() == ["yaml", "import", "in", "beside.py:1"] for line in lines)
    assert any("torch.nn.modules.linear " in line for line in lines)
    assert "opscope" not in result.stdout


def test_requirements_are_written_and_what_is_left_out_is_told(helper: Path) -> None:
    result = run("net.py:Net", "-i", "f32[2,4]", "--requirements", "requirements.txt")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert result.stderr == (
        "wrote requirements.txt: 2 requirements\nnot in it, as they are yours: beside.py, net.py\n"
    )
    lines = (helper / "requirements.txt").read_text().splitlines()
    assert lines[0] == "# What net.py:Net needed when opscope deps ran it."
    assert [line.partition("==")[0] for line in lines[1:]] == ["PyYAML", "torch"]
    assert sorted(path.name for path in helper.iterdir() if path.suffix == ".txt") == [
        "requirements.txt"
    ]


def test_a_module_that_holds_the_program_is_needed_though_none_of_it_runs(helper: Path) -> None:
    (helper / "net.py").write_text("import beside\nfrom torch import nn\nnet = nn.ReLU()\n")
    result = run("net.py:net", "-i", "f32[2]", "--json")
    record = json.loads(result.stdout)
    found = {one["name"]: one["how"] for one in record["modules"]}
    assert found["net"] == "imported"
    assert found["yaml"] == "imported"
    assert found["torch.nn.modules.activation"] == "ran"


def test_the_way_is_printed(helper: Path) -> None:
    result = run("net.py:Net", "-i", "f32[2,4]", "--why", "PyYAML")
    assert result.stdout.splitlines()[1:] == [
        "  net.py:1     import beside",
        "  beside.py:1  import yaml",
    ]
    record = json.loads(run("net.py:Net", "-i", "f32[2,4]", "--why", "yaml", "--json").stdout)
    assert [step["line"] for step in record["path"]] == [1, 1]


def test_what_a_program_prints_goes_to_stderr(project: Path) -> None:
    result = run("net.py:talk", "-i", "f32[2]", "--json")
    assert json.loads(result.stdout)["modules"]
    assert "hello from the program\n" in result.stderr


def test_a_profiler_that_the_program_takes_away_is_told(project: Path) -> None:
    (project / "net.py").write_text("import sys\ndef off(x):\n    sys.setprofile(None)\n")
    result = run("net.py:off", "-i", "1")
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: the program changed the profile function")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["net.py:Net", "-i", "f32[2,4]", "--why", "numpy"], "no module and no distribution numpy"),
        (["net.py:Net", "--requirements", "none/r.txt"], "there is no folder none to write r.txt"),
        (["net.py:Net", "--requirements", "."], ". is a folder"),
        (["net.py:broken", "-i", "f32[1]"], "ValueError while running broken"),
        (["net.py:need", "-i", "1"], "need returned a module, so it is a factory"),
        (["net.py:Net", "-i", "f32[2,5]"], "RuntimeError while running Net"),
        (["net.py:Nat"], "has no Nat; did you mean Net?"),
        (["net.py:Net"], "the inputs do not fit net.py:Net"),
        (
            ["net.py:Net", "-i", "f32[2,4]", "--requirements", "net.py"],
            "net.py is named as Python is",
        ),
        (["net.py:Net", "--seed", "x"], "--seed takes a whole number"),
    ],
)
def test_failures_are_one_message_and_leave_files_alone(
    project: Path, args: list[str], words: str
) -> None:
    (project / "requirements.txt").write_text("before")
    result = run(
        *args, *([] if "--requirements" in args else ["--requirements", "requirements.txt"])
    )
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stdout == ""
    assert (project / "requirements.txt").read_text() == "before"


def test_help_loads_no_torch() -> None:
    code = (
        "import sys\nfrom opscope.cli.main import app\n"
        "try: app(['deps', '--help'])\nexcept SystemExit: pass\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--requirements FILE" in done.stdout.replace("  ", " ")
