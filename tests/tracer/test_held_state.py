"""A replay reads parameters and buffers by reference, and says so when they are not what they were."""

import pytest
import torch
from torch import nn

import opscope

X = torch.arange(8.0).view(2, 4)


def test_what_is_trained_or_loaded_in_place_is_read() -> None:
    model = nn.Linear(4, 4)
    traced = opscope.trace(model, X)
    model.load_state_dict({"weight": torch.ones(4, 4), "bias": torch.zeros(4)})
    assert torch.equal(traced(X), model(X))
    model.weight.data = torch.full((4, 4), 2.0)
    assert torch.equal(traced(X), model(X))
    model.requires_grad_(False)
    assert torch.equal(traced(X), model(X))


def test_a_parameter_that_was_replaced_is_told() -> None:
    model = nn.Sequential(nn.Linear(4, 4))
    traced = opscope.trace(model, X)
    before = model[0].weight
    model.load_state_dict({"0.weight": torch.ones(4, 4), "0.bias": torch.ones(4)}, assign=True)
    with pytest.raises(opscope.GuardError, match=r"0\.weight is another tensor now than at the"):
        traced(X)
    model[0].weight = before
    with pytest.raises(opscope.GuardError, match=r"0\.bias is another tensor now than at the"):
        traced(X)


def test_a_module_that_was_replaced_is_told() -> None:
    model = nn.Sequential(nn.Sequential(nn.Linear(4, 4)), nn.ReLU(), nn.Linear(4, 4))
    traced = opscope.trace(lambda x: model[0](x), X)
    model[2] = nn.Linear(4, 4)  # of which the graph reads nothing
    assert torch.equal(traced(X), model[0](X))
    model[0] = nn.Sequential(nn.Linear(4, 4))
    with pytest.raises(opscope.GuardError, match=r"model\.0 is another module now than at the"):
        traced(X)


@pytest.mark.parametrize("has_versions", [True, False])
def test_what_is_put_back_is_as_it_was_however_often(
    has_versions: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_versions:
        monkeypatch.delattr(torch._C._dynamo.guards, "dict_version")
    model = nn.Linear(4, 4)
    traced = opscope.trace(model, X)
    before, other = model.weight, nn.Parameter(torch.ones(4, 4))
    for _ in range(150):
        assert torch.equal(traced(X), model(X))
        model.weight = other
        with pytest.raises(opscope.GuardError, match=r"weight is another tensor now than at the"):
            traced(X)
        model.weight = before
    del model.weight
    with pytest.raises(opscope.GuardError, match=r"weight is another tensor now"):
        traced(X)


def test_a_buffer_that_was_replaced_is_told() -> None:
    model = nn.BatchNorm1d(4).eval()
    traced = opscope.trace(lambda x: model(x), X)
    model.running_mean = torch.ones(4)
    with pytest.raises(opscope.GuardError, match=r"model\.running_mean is another tensor now"):
        traced(X)


def test_a_buffer_that_the_program_replaces_is_its_own() -> None:
    class Count(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("seen", torch.zeros(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.seen = self.seen + 1
            return x + self.seen

    with pytest.warns(opscope.TracerWarning, match="seen is another tensor now"):
        traced = opscope.trace(Count(), X)
    assert torch.equal(traced(X), X + 1)


def test_a_model_that_was_converted_is_told() -> None:
    embed = nn.Embedding(5, 4)

    def program(ids: torch.Tensor) -> torch.Tensor:
        x: torch.Tensor = embed(ids)
        return x + torch.finfo(embed.weight.dtype).eps

    ids = torch.tensor([1, 2])
    traced = opscope.trace(program, ids)
    embed.half()
    with pytest.raises(
        opscope.GuardError, match=r"embed\.weight was f32\[5, 4\].* there, and is f16\[5, 4\]"
    ):
        traced(ids)
    embed.float()
    assert torch.equal(traced(ids), program(ids))


def test_state_of_another_size_is_told() -> None:
    table = nn.Parameter(torch.ones(3, 4))
    traced = opscope.trace(lambda x: x + table.sum(0) / table.shape[0], X)
    table.data = torch.ones(5, 4)
    with pytest.raises(opscope.GuardError, match=r"table was f32\[3, 4\].*, and is f32\[5, 4\]"):
        traced(X)


def test_a_graph_that_was_parsed_holds_no_module() -> None:
    model = nn.Linear(4, 4)
    traced = opscope.trace(model, X, fake=True)
    assert torch.equal(traced(X), model(X))
    model.weight = nn.Parameter(torch.ones(4, 4))
    with pytest.raises(opscope.GuardError, match="weight is another tensor now"):
        traced(X)


def test_modes_do_not_count() -> None:
    model = nn.Linear(4, 4)
    traced = opscope.trace(model, X)
    with torch.no_grad():
        assert torch.equal(traced(X), model(X))
    with torch.inference_mode():
        assert torch.equal(traced(X), model(X))
    with torch.autocast("cpu"):
        assert traced(X).shape == (2, 4)
