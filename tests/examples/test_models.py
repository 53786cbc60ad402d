import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

import opscope
from opscope.cli.target import load_script

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def _same_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])


def example(name: str) -> ModuleType:
    return load_script(EXAMPLES / f"{name}.py")


def count(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_sizes_are_those_of_the_papers() -> None:
    with torch.device("meta"):
        assert count(example("resnet").resnet18()) == 11_689_512
        assert count(example("resnet").resnet50()) == 25_557_032
        assert count(example("vit").vit_b_16()) == 86_567_656
        assert count(example("gpt").gpt()) == 124_439_808


def test_each_replay_is_the_model() -> None:
    torch.manual_seed(0)
    cases = [
        (example("resnet").resnet18(classes=10, width=8), torch.randn(2, 3, 32, 32), (2, 10)),
        (example("resnet").resnet50(classes=10, width=8), torch.randn(2, 3, 32, 32), (2, 10)),
        (
            example("vit").VisionTransformer(
                image=32, patch=8, width=24, layers=2, heads=4, classes=10
            ),
            torch.randn(2, 3, 32, 32),
            (2, 10),
        ),
        (
            example("gpt").gpt(layers=2, heads=4, width=24, vocabulary=50, context=16),
            torch.randint(50, (2, 16)),
            (2, 16, 50),
        ),
    ]
    for model, x, shape in cases:
        model.eval()
        traced = opscope.trace(model, (x,))
        assert traced.diagnostics == ()
        expected = model(x)
        assert expected.shape == shape
        assert torch.equal(traced(x), expected)


def test_a_token_of_gpt_does_not_see_those_after_it() -> None:
    torch.manual_seed(0)
    model = example("gpt").gpt(layers=2, heads=2, width=8, vocabulary=20, context=8).eval()
    tokens = torch.randint(20, (1, 8))
    changed = tokens.clone()
    changed[0, 5] = (changed[0, 5] + 1) % 20
    before, after = model(tokens), model(changed)
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.equal(before[:, 5:], after[:, 5:])
