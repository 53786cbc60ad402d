"""``opscope show`` and ``opt`` on files, and files that ``opscope trace`` writes."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from typer.testing import Result

import opscope as package

Run = Callable[..., Result]

TEXT = """graph twice(%x : f32[2]) -> (f32[2]):
  %dead : f32[2] = aten::exp(%x)                                          # net.py:3:5 fc (Linear)
  %a : f32[2] = aten::neg(%x)                                             # net.py:4:5 fc (Linear)
  %b : f32[2] = aten::neg(%x)                                             # net.py:5:5
  %y : f32[2] = aten::add.Tensor(%a, %b)                                  # net.py:6:5
  return (%y)
"""


@pytest.fixture
def text(project: Path) -> Path:
    path = project / "twice.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def traced(project: Path, opscope: Run) -> Path:
    result = opscope("trace", "net.py:Net", "-i", "f32[2,4]", "-o", "net.opscope")
    assert result.exit_code == 0, result.stderr
    assert result.stderr.splitlines()[-1] == "wrote net.opscope"
    return project / "net.opscope"


def test_trace_writes_programs_with_and_without_their_parameters(
    project: Path, opscope: Run, traced: Path
) -> None:
    loaded = package.load(traced)
    assert loaded(torch.ones(2, 4)).shape == (2, 3)
    result = opscope("trace", "net.py:Net", "-i", "f32[2,4]", "--no-state", "-o", "net.opscope")
    assert result.exit_code == 0, result.stderr
    assert not package.load(traced).has_state


def test_show_draws_what_trace_draws(project: Path, opscope: Run, traced: Path) -> None:
    picture = opscope("trace", "net.py:Net", "-i", "f32[2,4]", "--depth", "1", "-o", "a.dot")
    assert picture.exit_code == 0, picture.stderr
    shown = opscope("show", "net.opscope", "--depth", "1", "-o", "b.dot", "-o", "b.txt")
    assert shown.exit_code == 0, shown.stderr
    assert (project / "b.dot").read_text() == (project / "a.dot").read_text()
    assert (project / "b.txt").read_text() == str(package.load(traced).graph)


def test_show_opens_the_browser_without_outputs(
    opscope: Run, traced: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    result = opscope("show", "net.opscope")
    assert result.exit_code == 0, result.stderr
    assert opened[0].startswith("file://")
    page = Path(opened[0].removeprefix("file://"))
    assert result.stderr.splitlines()[-1] == f"the page is {page}"
    assert page.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "net.html",
            "net.html is a page\n  open it in a browser; commands read .opscope and .txt files",
        ),
        (
            "net.py",
            "net.py is Python\n"
            "  opscope trace net.py:NAME -o net.opscope writes what this command reads",
        ),
        (
            "net.py:Net",
            "cannot read net.py:Net: No such file or directory\n"
            "  opscope trace net.py:Net -o Net.opscope writes a file of it",
        ),
    ],
)
def test_what_is_no_program_leads_to_one(
    project: Path, opscope: Run, name: str, message: str
) -> None:
    (project / "net.html").write_text("<!doctype html>")
    result = opscope("show", name, "--stats")
    assert result.exit_code == 2
    assert result.stderr == f"error: {message}\n"


def test_show_refuses_options_of_pictures_where_the_browser_opens(
    opscope: Run, traced: Path
) -> None:
    result = opscope("show", "net.opscope", "--depth", "2")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "error: --depth is for pictures, and the browser shows a page",
        "  name a picture, such as -o net.svg",
    ]


def test_opt_runs_passes_and_tells_what_they_did(opscope: Run, text: Path, project: Path) -> None:
    result = opscope("opt", "twice.txt", "--passes", "dce,cse", "--verify-each")
    assert result.exit_code == 0, result.stderr
    assert "aten::exp" not in result.stdout
    assert result.stdout.count("aten::neg") == 1
    header, dce, cse = result.stderr.splitlines()
    assert header.split() == ["pass", "nodes", "ms"]
    assert dce.split()[:4] == ["dce", "4", "->", "3"]
    assert cse.split()[:4] == ["cse", "3", "->", "2"]


def test_opt_runs_passes_of_a_module_beside_it(opscope: Run, text: Path, project: Path) -> None:
    (project / "mine_of_opt.py").write_text(
        "from opscope.passes.dce import DeadCodeElimination as Mine\nbroken = 1\n"
    )
    ran = opscope("opt", text.name, "--passes", "mine_of_opt:Mine{drop_random=true}")
    assert ran.exit_code == 0, ran.stderr
    assert "dce" in ran.stderr
    (project / "mine_of_opt_too.py").write_text("raise ValueError('on purpose')\n")
    ran = opscope("opt", text.name, "--passes", "mine_of_opt_too:Mine")
    assert ran.exit_code == 2
    assert "reading the passes mine_of_opt_too:Mine" in ran.stderr
    assert "on purpose" in ran.stderr


def test_opt_prints_after_each_pass_and_writes_files(
    opscope: Run, text: Path, project: Path
) -> None:
    result = opscope(
        "opt", "twice.txt", "--passes", "dce,dce,cse", "--print-after-each", "-o", "a.opscope", "-o", "a.txt"
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    heads = [line for line in result.stdout.splitlines() if line.startswith("# after")]
    assert heads == ["# after dce", "# after dce, which changed nothing", "# after cse"]
    assert result.stdout.count("graph twice(") == 3
    assert result.stderr.splitlines()[-1] == "wrote a.opscope, a.txt"
    loaded = package.load(project / "a.opscope")
    assert str(loaded.graph) == (project / "a.txt").read_text()
    assert not loaded.is_program


def test_opt_keeps_a_program_one_that_runs(opscope: Run, traced: Path, project: Path) -> None:
    x = torch.randn(2, 4)
    expected = package.load(traced)(x)
    result = opscope("opt", "net.opscope", "--passes", "dce,cse", "-o", "net.opscope")
    assert result.exit_code == 0, result.stderr
    assert torch.equal(package.load(traced)(x), expected)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("opt", "twice.txt", "--passes", "nope"), "there is no pass 'nope'"),
        (("opt", "twice.txt"), "--passes is missing"),
        (("opt", "twice.txt", "--passes", "dce", "-o", "a.py"), "opscope trace -o NAME.py writes"),
        (("show", "none.opscope", "-o", "a.svg"), "cannot read none.opscope: No such file"),
        (("show", "damaged.opscope", "--stats"), "damaged.opscope: it is not an .opscope file"),
        (("show", "bad.txt", "--nodes"), "bad.txt: line 1, column 1"),
    ],
)
def test_mistakes_are_told(
    opscope: Run, text: Path, project: Path, args: tuple[str, ...], message: str
) -> None:
    (project / "damaged.opscope").write_text("something")
    (project / "bad.txt").write_text("something")
    result = opscope(*args)
    assert result.exit_code == 2
    assert message.lower() in result.stderr.lower()
    assert not list(project.glob("a.*"))


def test_summary_reads_programs_too(opscope: Run, traced: Path) -> None:
    result = opscope("summary", "net.opscope")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("Net: f32[2, 4] → f32[2, 3]")


def test_files_are_shown_and_changed_without_torch_and_textual(traced: Path, project: Path) -> None:
    program = (
        "import sys; from opscope.cli.main import app\n"
        "try: app(sys.argv[1:])\n"
        "finally: assert not {'torch', 'textual'} & set(sys.modules)"
    )
    for args in (
        ["show", "net.opscope", "--stats"],
        ["show", "net.opscope", "--nodes", "--find", "op:relu"],
        ["show", "net.opscope", "--scopes", "--json"],
        ["show", "net.opscope", "-o", "a.dot"],
        ["opt", "net.opscope", "--passes", "dce", "-o", "b.opscope"],
        ["summary", "net.opscope"],
    ):
        command = [sys.executable, "-c", program, *args]
        done = subprocess.run(command, capture_output=True, text=True, cwd=project, check=False)
        assert done.returncode == 0, done.stderr
