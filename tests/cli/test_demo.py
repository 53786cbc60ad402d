import shutil
from pathlib import Path

import pytest
import torch

from opscope.cli import demo, demo_train
from opscope.cli.demo import Case, DemoModel, Missing, demonstrate, run_demo, same_bits
from opscope.cli.demo_train import run_training
from opscope.cli.errors import CommandError


class Tiny(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = torch.nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"y": self.fc(x).relu()}


def tiny() -> Case:
    return Case(Tiny(), {"x": torch.randn(2, 4)})


def missing() -> Case:
    raise Missing("its parts are not there")


def test_the_table_and_the_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "deep" / "out"
    assert demonstrate([DemoModel("Tiny", "tiny", tiny)], out)
    rows = dict(
        line.split(maxsplit=1)
        for line in capsys.readouterr().out.splitlines()
        if len(line.split()) > 1
    )
    assert rows["nodes"].strip() == "2"
    assert rows["scopes"].strip() == "1"
    assert rows["parameters"].strip() == "15"
    assert rows["operators"].split() == ["1", "linear"]
    assert rows["replay"].strip() == "bit for bit"
    files = ["tiny.html", "tiny.png", "tiny.svg", "tiny.txt"]
    assert sorted(path.name for path in out.iterdir()) == files
    assert (out / "tiny.txt").read_text().startswith("graph Tiny(%x : f32[2, 4])")


def test_what_is_missing_is_left_out_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = [DemoModel("Gone", "gone", missing), DemoModel("Tiny", "tiny", tiny)]
    assert demonstrate(models, tmp_path)
    shown = capsys.readouterr()
    assert shown.err == "Gone is left out: its parts are not there\n"
    assert "Gone" not in shown.out


def test_a_demonstration_of_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="there is no network to trace"):
        demonstrate([DemoModel("Gone", "gone", missing)], tmp_path)


def test_a_replay_that_differs_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "same_bits", lambda *_: False)
    assert not demonstrate([DemoModel("Tiny", "tiny", tiny)], tmp_path)
    assert "DIFFERS" in capsys.readouterr().out


def test_without_checkout_and_transformers_it_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda _: None)
    with pytest.raises(CommandError, match="there is no network to trace"):
        run_demo(tmp_path / "out", tmp_path)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(
        "ResNet-50 is left out: resnet.py is an example of the source checkout"
    )
    assert lines[1].startswith("GPT, 12 layers is left out: gpt.py")
    assert lines[2].startswith("GPT-2, transformers is left out: transformers is not installed")


def test_the_examples_of_the_checkout_are_found() -> None:
    assert (demo.EXAMPLES / "resnet.py").is_file()
    assert (demo.EXAMPLES / "gpt.py").is_file()


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    shutil.copy(__file__, tmp_path / "file")
    with pytest.raises(CommandError, match="cannot make the folder"):
        demonstrate([DemoModel("Tiny", "tiny", tiny)], tmp_path / "file")


def test_bits_are_compared_not_numbers() -> None:
    nan = torch.tensor([float("nan")])
    assert same_bits({"a": nan}, {"a": nan.clone()})
    assert not same_bits(torch.tensor(0.0), torch.tensor(-0.0))
    assert not same_bits(torch.ones(2), torch.ones(2, dtype=torch.float64))
    assert not same_bits(torch.ones(2), torch.ones(1, 2))
    assert not same_bits([torch.ones(2)], (torch.ones(2),))
    assert not same_bits({"a": torch.ones(2)}, {"b": torch.ones(2)})


def test_a_training_step_replays_as_eager_trains(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_training(tmp_path)
    shown = capsys.readouterr().out
    table, _, report = shown.partition("not recorded: nothing")
    assert table.count("equal") == 5 * 5
    assert "DIFFERS" not in table
    assert "blocks.0–3  ×4  Block" in report
    assert "AdamW" in report
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["train.html", "train.png", "train.svg", "train.txt"]
    assert "prim::set_gradient" in (tmp_path / "train.txt").read_text()


def test_a_training_step_that_differs_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_train, "same_bits", lambda *_: False)
    assert not run_training(tmp_path)
