"""``opscope summary``: of a program that is traced now, or of a graph in a file."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

import opscope as package

Command = Callable[..., Result]
ROOT = Path(__file__).parents[2]


@pytest.mark.usefixtures("project")
def test_a_program_is_traced_and_summed_up(opscope: Command) -> None:
    result = opscope("summary", "net.py:Pair", "-i", "f32[2,4]")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("Pair: f32[2, 4] → f32[2, 3]\n\nModule ")
    assert re.search(r"^  └ 1  Net +15 +48 +42\.9 ", result.stdout, re.MULTILINE)
    assert "FLOPs       112 · a multiplication and an addition count as two" in result.stdout
    assert result.stderr == ""


@pytest.mark.usefixtures("project")
def test_options_reach_the_table(opscope: Command) -> None:
    command = ("summary", "net.py:Pair", "-i", "f32[2,4]")
    assert " fc " not in opscope(*command, "--depth", "1").stdout
    by_line = opscope(*command, "--by", "line").stdout
    assert "y = self.drop(self." in by_line
    assert "Saved" in opscope(*command, "--train").stdout
    assert "addmm" in opscope(*command, "--by", "operator", "--deep").stdout
    assert "… 2 more" in opscope(*command, "--by", "operator", "--top", "1").stdout
    by_activations = opscope(*command, "--by", "operator", "--sort", "activations").stdout
    assert by_activations.index("linear") < by_activations.index("relu")


@pytest.mark.usefixtures("project")
def test_what_could_not_be_recorded_exactly_is_told_on_stderr(opscope: Command) -> None:
    result = opscope("summary", "net.py:Reader", "-i", "f32[2,4]")
    assert result.exit_code == 0
    assert "data read" in result.stderr
    assert "data read" not in result.stdout


def test_a_graph_in_a_file_of_any_name_is_summed_up(opscope: Command, project: Path) -> None:
    graph = opscope("trace", "net.py:Pair", "-i", "f32[2,4]").stdout
    (project / "pair.graph").write_text(graph)
    assert opscope("summary", "pair.graph").stdout.startswith("Pair: f32[2, 4] → f32[2, 3]")


@pytest.mark.usefixtures("project")
def test_json(opscope: Command) -> None:
    result = opscope("summary", "net.py:Pair", "-i", "f32[2,4]", "--json")
    assert json.loads(result.stdout)["flops"] == 112


def test_a_graph_in_a_file_is_summed_up_without_torch(opscope: Command, project: Path) -> None:
    opscope("trace", "net.py:Pair", "-i", "f32[2,4]", "-o", "pair.txt")
    traced = opscope("summary", "net.py:Pair", "-i", "f32[2,4]")
    assert opscope("summary", "pair.txt").stdout == traced.stdout
    program = (
        "import sys\nfrom opscope.cli.main import main\n"
        "sys.argv = ['opscope', 'summary', 'pair.txt']\n"
        "try:\n    main()\nfinally:\n    assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=project, capture_output=True, check=True
    )
    assert done.stdout.decode() == traced.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.txt"], "cannot read none.txt: No such file or directory"),
        (["bad.txt"], "bad.txt: line 1, column 1"),
        (["bytes.txt"], "cannot read bytes.txt: it is no text"),
        (["net.py:Net", "--by", "colour"], "a summary is by module, line, operator"),
        (["net.py:Net", "--depth", "x"], "--depth takes a whole number from 0, not 'x'"),
        (["net.py:Net", "--top", "0"], "--top takes a whole number from 1, not '0'"),
        (["README"], "cannot read README: Is a directory"),
        (
            ["pair.txt", "-i", "f32[2,4]"],
            "--input is for a program that is traced; pair.txt is a graph",
        ),
        (
            ["pair.txt", "--deep"],
            "--deep is for a program that is traced; pair.txt is a graph already",
        ),
        (["nothing"], "'nothing' does not say what to trace"),
    ],
)
def test_mistakes_are_one_block(
    opscope: Command, project: Path, arguments: list[str], message: str
) -> None:
    (project / "bad.txt").write_text("no graph")
    (project / "README").mkdir()
    (project / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    result = opscope("summary", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert message in result.stderr


def test_the_readme_shows_what_the_command_prints(
    opscope: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", [*sys.path])
    readme = (ROOT / "README.md").read_text()
    found = re.search(r"```\n\$ opscope (summary .*)\n(?P<shown>(?s:.*?))```\n", readme)
    assert found is not None
    assert opscope(*shlex.split(found[1])).stdout == found["shown"]


def test_the_command_is_the_programs_own_summary(opscope: Command, project: Path) -> None:
    result = opscope("trace", "net.py:Pair", "-i", "f32[2,4]")
    assert (
        str(package.summarize(package.parse(result.stdout)))
        == opscope("summary", "net.py:Pair", "-i", "f32[2,4]").stdout
    )
