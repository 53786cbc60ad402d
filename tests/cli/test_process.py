"""What only a process of its own shows: what it loads, signals, pipes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import opscope

COMMAND = [sys.executable, "-m", "opscope"]


def test_version() -> None:
    result = subprocess.run([*COMMAND, "--version"], capture_output=True, text=True, check=True)
    assert result.stdout == f"opscope {opscope.__version__}\n"


@pytest.mark.parametrize(
    "args",
    [
        ["--help"],
        ["--version"],
        ["trace", "--help"],
        ["demo", "--help"],
        ["footprint", "--help"],
        ["trace", "a:b", "-i", "f3[1]"],
    ],
)
def test_help_and_mistakes_load_neither_torch_nor_rich(args: list[str]) -> None:
    script = (
        "import sys\n"
        "from opscope.cli.main import main\n"
        "try:\n"
        "    main()\n"
        "except SystemExit:\n"
        "    print('loaded', sorted({'torch', 'rich', 'numpy'} & set(sys.modules)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, *args], capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == "loaded []"


def test_no_command_shows_help() -> None:
    result = subprocess.run(COMMAND, capture_output=True, text=True, check=False)
    assert "Usage: opscope" in result.stdout + result.stderr
    assert "trace" in result.stdout + result.stderr


@pytest.mark.usefixtures("project")
def test_an_interrupt_ends_with_one_line(project: Path) -> None:
    (project / "slow.py").write_text(
        "import time\ndef f(x):\n    open('started', 'w').close()\n    time.sleep(60)\n    return x\n"
    )
    listening = (  # a shell that runs things in the background makes them deaf to SIGINT
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from opscope.cli.main import main\n"
        "main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", listening, "trace", "slow.py:f", "-i", "f32[1]", "-o", "out.txt"],
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (project / "started").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stderr == "interrupted\n"
    assert not (project / "out.txt").exists()


@pytest.mark.usefixtures("project")
def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [*COMMAND, "trace", "net.py:Net", "-i", "f32[2,4]"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert result.returncode == 141
    assert result.stderr == ""
