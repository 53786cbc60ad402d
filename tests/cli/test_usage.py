from collections.abc import Callable

import pytest
from typer.testing import Result

from opscope.cli.errors import CommandError
from opscope.cli.usage import read_choice, read_whole

Command = Callable[..., Result]

HELP = "  opscope trace --help shows what can be written"


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("args", "lines"),
    [
        (["--theme", "dunkel"], ["--theme takes one of light, dark, print, not 'dunkel'"]),
        (["--direction", "up"], ["--direction takes one of TB, LR, not 'up'"]),
        (["--depth", "-1"], ["--depth takes a whole number from 0, not '-1'"]),
        (["--depth", "x"], ["--depth takes a whole number from 0, not 'x'"]),
        (["--seed", str(2**64)], [f"--seed takes a whole number from 0 to {2**64 - 1}, not '{2**64}'"]),
        (["--bogus", "3"], ["there is no option --bogus", HELP]),
        (["--dept", "3"], ["there is no option --dept; did you mean --depth?", HELP]),
        (["--no-gard"], ["there is no option --no-gard; did you mean --no-grad?", HELP]),
        (["--seed"], ["--seed needs a value"]),
        (["f32[1]"], ["f32[1] belongs to no option", HELP]),
    ],
)  # fmt: skip
def test_a_wrong_option_is_one_block(opscope: Command, args: list[str], lines: list[str]) -> None:
    result = opscope("trace", "net.py:Net", "-i", "f32[2,4]", *args)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [f"error: {lines[0]}", *lines[1:]]


def test_a_missing_target_is_one_block(opscope: Command) -> None:
    result = opscope("trace", "-i", "3")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == ["error: MODULE:CALLABLE is missing", HELP]


def test_an_unknown_command_is_one_block(opscope: Command) -> None:
    result = opscope("trac")
    assert result.exit_code == 2
    first, second = result.stderr.splitlines()
    assert first.startswith("error: no such command 'trac'")
    assert second == "  opscope --help shows what can be written"


def test_help_is_no_error_and_its_examples_need_nothing_else(opscope: Command) -> None:
    result = opscope("trace", "--help")
    assert result.exit_code == 0
    assert "--direction TB|LR" in result.stdout
    assert "torchvision" not in result.stdout
    example = next(line for line in result.stdout.splitlines() if "trace torch.nn:Linear" in line)
    assert opscope(*example.replace("'", "").split()[1:]).exit_code == 0


def test_the_example_of_a_target_needs_nothing_else(opscope: Command) -> None:
    result = opscope("trace", "nothing")
    assert "torchvision" not in result.stderr
    assert "torch.nn:ReLU" in result.stderr


def test_words_are_read_in_any_case() -> None:
    assert read_choice("--direction", "lr", ("TB", "LR")) == "LR"


@pytest.mark.parametrize("text", ["", "1.0", "1_000", "\u0663", "9" * 5000])
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match="--depth takes a whole number from 0"):
        read_whole("--depth", text)
