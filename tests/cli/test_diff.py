"""``opscope diff``: what two files have in common, and exit codes for CI."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Command = Callable[..., Result]


@pytest.fixture
def files(project: Path, opscope: Command) -> Path:
    """A folder with a program, as a program and as text, and another program."""
    trace = ("trace", "net.py:Net", "-i", "f32[2,4]", "--no-state")
    assert opscope(*trace, "-o", "a.opscope", "-o", "a.txt").exit_code == 0
    assert opscope(*trace, "-a", "activation=tanh", "-o", "b.opscope").exit_code == 0
    return project


@pytest.mark.usefixtures("files")
def test_equal_files_end_with_0(opscope: Command) -> None:
    result = opscope("diff", "a.opscope", "a.txt")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "Net: 3 equal, nothing differs\n"


@pytest.mark.usefixtures("files")
def test_files_that_differ_end_with_1(opscope: Command) -> None:
    result = opscope("diff", "a.opscope", "b.opscope")
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout.startswith("Net: 1 changed, 2 equal\n\nNet\n  ~ ")
    assert result.stdout.endswith("      operator: aten::relu → aten::tanh\n")


@pytest.mark.usefixtures("files")
def test_json(opscope: Command) -> None:
    result = opscope("diff", "a.opscope", "b.opscope", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["nodes"][0]["details"] == [
        {"kind": "operator", "what": "operator", "before": "aten::relu", "after": "aten::tanh"}
    ]


def test_both_are_shown_side_by_side_in_a_page(files: Path, opscope: Command) -> None:
    result = opscope("diff", "a.opscope", "b.opscope", "-o", "diff.html")
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout.startswith("Net: 1 changed, 2 equal\n")
    page = (files / "diff.html").read_text()
    assert "<title>Net, before and Net, after</title>" in page


def test_no_other_file_shows_two_programs(files: Path, opscope: Command) -> None:
    result = opscope("diff", "a.opscope", "b.opscope", "-o", "diff.svg")
    assert result.exit_code == 2
    assert (
        result.stderr
        == "error: diff.svg cannot show two programs side by side; a page can, such as -o diff.html\n"
    )
    assert not (files / "diff.svg").exists()


def test_source_lines_count_when_that_is_asked_for(files: Path, opscope: Command) -> None:
    moved = (files / "a.txt").read_text().replace("net.py:", "net.py:1")
    (files / "moved.txt").write_text(moved)
    assert opscope("diff", "a.txt", "moved.txt").exit_code == 0
    result = opscope("diff", "a.txt", "moved.txt", "--sources", "--all")
    assert result.exit_code == 1
    assert result.stdout.count("      source: net.py:") == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a.txt", "missing.txt"), "error: cannot read missing.txt: No such file or directory\n"),
        (("net.py", "a.txt"), "error: net.py is Python\n"),
        (("a.txt",), "error: B is missing\n"),
    ],
)
@pytest.mark.usefixtures("files")
def test_what_cannot_be_read_ends_with_2(arguments: tuple[str, ...], message: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "opscope", "diff", *arguments], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(message)


@pytest.mark.usefixtures("files")
def test_no_torch_is_needed() -> None:
    program = (
        "import sys\nfrom opscope.cli.main import main\n"
        "sys.argv = ['opscope', 'diff', 'a.opscope', 'b.opscope']\n"
        "try:\n    main()\nfinally:\n    assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")
