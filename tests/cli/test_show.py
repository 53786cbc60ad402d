"""What ``opscope show`` prints, and where ``opscope inspect`` sends people."""

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from typer.testing import Result

Run = Callable[..., Result]

TEXT = """graph twice(%x : f32[2]) -> (f32[2]):
  %dead : f32[2] = aten::exp(%x)                                          # net.py:3:5 fc (Linear)
  %a : f32[2] = aten::neg(%x)                                             # net.py:4:5 fc (Linear)
  %b : f32[2] = prim::call(@"</script>", %x)                              # net.py:5:5
  %y : f32[2] = aten::add.Tensor(%a, %b)                                  # net.py:6:5
  return (%y)

function "</script>"(%x : f32[2]) -> (f32[2]):
  %h : f32[2] = aten::neg(%x)                                             # net.py:9:1
  return (%h)
"""


@pytest.fixture
def text(project: Path) -> Path:
    path = project / "twice.txt"
    path.write_text(TEXT)
    return path


def printed(opscope: Run, *args: str) -> list[str]:
    result = opscope("show", *args)
    assert result.exit_code == 0, result.stderr
    return result.stdout.splitlines()


def test_stats_sum_up_a_program(project: Path, opscope: Run) -> None:
    opscope("trace", "net.py:Net", "-i", "f32[2,4]", "-o", "net.opscope")
    first, *lines = printed(opscope, "net.opscope", "--stats")
    assert first.startswith(
        f"net.opscope: a program traced with torch {torch.__version__}, with its state, "
    )
    assert lines == [
        "sources: net.py",
        "Net: 3 nodes in 2 scopes, 15 parameters",
        "operators: linear 1, relu 1, dropout 1",
        "input %x : f32[2, 4]",
        "output %y : f32[2, 3]",
    ]
    record = json.loads("".join(printed(opscope, "net.opscope", "--stats", "--json")))
    size = record.pop("bytes")
    assert size == (project / "net.opscope").stat().st_size
    assert record == {
        "file": "net.opscope",
        "graph": "Net",
        "torch": torch.__version__,
        "has_state": True,
        "sources": ["net.py"],
        "nodes": 3,
        "scopes": 2,
        "functions": {},
        "parameters": 15,
        "operators": {"linear": 1, "relu": 1, "dropout": 1},
        "inputs": [{"name": "x", "type": "f32[2, 4]"}],
        "outputs": [{"name": "y", "type": "f32[2, 3]"}],
        "requires": [],
        "diagnostics": [],
    }


def test_stats_tell_what_a_replay_requires(project: Path, opscope: Run) -> None:
    opscope("trace", "net.py:Reader", "-i", "f32[2,4]", "-o", "net.opscope")
    (found,) = json.loads("".join(printed(opscope, "net.opscope", "--stats", "--json")))["requires"]
    assert found == {"text": "not bool(%1)", "source": "net.py:36:12"}


def test_nodes_are_a_line_each(opscope: Run, text: Path) -> None:
    assert printed(opscope, "twice.txt", "--nodes") == [
        "%dead : f32[2] = aten::exp(%x)".ljust(70) + "  # net.py:3:5 fc (Linear)",
        "%a : f32[2] = aten::neg(%x)".ljust(70) + "  # net.py:4:5 fc (Linear)",
        '%b : f32[2] = prim::call(@"</script>", %x)'.ljust(70) + "  # net.py:5:5",
        "%y : f32[2] = aten::add.Tensor(%a, %b)".ljust(70) + "  # net.py:6:5",
        "function </script>:",
        "%h : f32[2] = aten::neg(%x)".ljust(70) + "  # net.py:9:1",
    ]


def test_filters_choose_nodes_and_need_no_word_for_it(opscope: Run, text: Path) -> None:
    assert printed(opscope, "twice.txt", "--op", "aten::neg") == [
        "%a : f32[2] = aten::neg(%x)".ljust(70) + "  # net.py:4:5 fc (Linear)",
        "function </script>:",
        "%h : f32[2] = aten::neg(%x)".ljust(70) + "  # net.py:9:1",
        "2 nodes of 5 nodes",
    ]
    for args in (
        ("--op", "aten::neg", "--scope", "fc", "--line", "net.py:4"),
        ("--find", "op:neg class:Linear"),
        ("--find", "op:neg", "--scope", "fc"),
    ):
        assert printed(opscope, "twice.txt", *args)[-1] == "1 node of 5 nodes"
    assert printed(opscope, "twice.txt", "--find", "nowhere") == ["0 nodes of 5 nodes"]


def test_nodes_are_a_json_object_a_line(opscope: Run, text: Path) -> None:
    lines = printed(opscope, "twice.txt", "--find", "op:neg", "--json")
    records = [json.loads(line) for line in lines]
    assert [(record["function"], record["index"], record["op"]) for record in records] == [
        ("", 1, "aten::neg"),
        ("</script>", 0, "aten::neg"),
    ]
    assert records[0]["source"]["line"] == 4
    assert records[0]["matches"] == [{"key": "op", "text": "aten::neg"}]


def test_scopes_are_a_tree(opscope: Run, text: Path) -> None:
    assert printed(opscope, "twice.txt", "--scopes") == [
        "scope                     nodes  parameters",
        "twice                         4",
        "  fc (Linear)                 2",
        'function "</script>"          1',
    ]
    assert printed(opscope, "twice.txt", "--scopes", "--op", "aten::neg", "--depth", "0") == [
        "scope                     nodes  parameters",
        "twice                         1",
        'function "</script>"          1',
    ]
    records = [json.loads(line) for line in printed(opscope, "twice.txt", "--scopes", "--json")]
    assert [(record["scope"], record["nodes"]) for record in records] == [
        ("", 4),
        ("fc", 2),
        ("", 1),
    ]


def test_the_graph_is_its_text(opscope: Run, text: Path) -> None:
    assert opscope("show", "twice.txt", "--graph").stdout == TEXT


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--nodes", "--scopes"), "--nodes and --scopes are two things; print one of them"),
        (("--stats", "--op", "x"), "--op chooses among nodes, and --stats prints all there is"),
        (("--graph", "--json"), "--graph prints text; --nodes --json prints the nodes as JSON"),
        (("--nodes", "-o", "a.svg"), "--output is for pictures, and --nodes prints"),
        (("--scopes", "--theme", "dark"), "--theme is for pictures, and --scopes prints"),
        (
            ("--nodes", "--depth", "2"),
            "--depth is for pictures and --scopes, and --nodes prints all",
        ),
        (("--find", "opp:x"), "there is no filter opp:; did you mean op:?"),
    ],
)
def test_what_does_not_go_together_is_told(
    opscope: Run, text: Path, project: Path, args: tuple[str, ...], message: str
) -> None:
    result = opscope("show", "twice.txt", *args)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {message}")
    assert result.stdout == ""
    assert not (project / "a.svg").exists()


def test_inspect_without_a_terminal_says_what_prints(opscope: Run, text: Path) -> None:
    result = opscope("inspect", "twice.txt")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "error: inspect needs a terminal to browse in",
        "  opscope show twice.txt --nodes prints; so do --scopes, --stats and --graph",
    ]


def test_inspect_without_textual_says_how_to_get_it(text: Path) -> None:
    program = (
        "import sys\nsys.modules['textual'] = None\nfrom opscope.cli.main import main\nmain()\n"
    )
    shown = in_a_terminal([sys.executable, "-c", program, "inspect", str(text)])
    assert "inspect needs Textual, which is not installed" in shown
    assert "pip install 'opscope[terminal]'" in shown
    assert "opscope show" in shown


def test_inspect_browses_in_a_terminal_until_q(text: Path) -> None:
    command = [sys.executable, "-m", "opscope", "inspect", str(text), "--find", "op:add"]
    shown = in_a_terminal(command, until="hit", then="q")
    assert "op:add" in shown
    assert shown.endswith("code 0")


def in_a_terminal(command: list[str], until: str = "", then: str = "") -> str:
    """Run a command in a terminal of its own, and return what it writes there.

    Args:
        command: the command.
        until: what to wait for.
        then: what to type when it has come.
    """
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "200", "LINES": "40"}
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, close_fds=True
    )
    os.close(theirs)
    shown = b""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if select.select([ours], [], [], 0.2)[0]:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # the process has closed its end
                break
            shown += piece
            if then and until.encode() in shown:
                os.write(ours, then.encode())
                then = ""
    code = process.wait(timeout=60)
    os.close(ours)
    return f"{shown.decode(errors='replace')}code {code}"
