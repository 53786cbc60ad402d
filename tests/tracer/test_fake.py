"""``fake=True`` gives the graph of a real run, computes nothing, and leaves the model as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch._higher_order_ops import while_loop
from torch._subclasses import FakeTensor, FakeTensorMode
from torch.testing._internal.two_tensor import TwoTensor

import opscope
from opscope.cli.target import load_script

EXAMPLES = Path(__file__).parents[2] / "examples"


def trace(program: Any, inputs: tuple[Any, ...], fake: bool) -> opscope.TracedProgram:
    """Trace on one line, which stands in the text where nothing of the program does."""
    return opscope.trace(program, inputs, fake=fake, warn=False)


def mlp() -> tuple[nn.Module, tuple[Any, ...]]:
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 2)), (
        torch.randn(3, 4),
    )


def gpt() -> tuple[nn.Module, tuple[Any, ...]]:
    model = load_script(EXAMPLES / "gpt.py").gpt(
        layers=2, heads=4, width=24, vocabulary=50, context=16
    )
    return model, (torch.randint(50, (2, 16)),)


def resnet() -> tuple[nn.Module, tuple[Any, ...]]:
    model = load_script(EXAMPLES / "resnet.py").resnet18(classes=10, width=8)
    return model, (torch.randn(2, 3, 32, 32),)


def lstm() -> tuple[nn.Module, tuple[Any, ...]]:
    return nn.LSTM(4, 6, num_layers=2), (torch.randn(5, 2, 4),)


def transformer() -> tuple[nn.Module, tuple[Any, ...]]:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), (torch.randn(2, 5, 8),)


MODELS: list[Callable[[], tuple[nn.Module, tuple[Any, ...]]]] = [
    mlp,
    gpt,
    resnet,
    lstm,
    transformer,
]


@pytest.mark.parametrize("make", MODELS)
def test_the_text_is_that_of_a_real_trace(make: Any) -> None:
    model, inputs = make()
    fake = trace(model, inputs, fake=True)
    real = trace(model, inputs, fake=False)
    assert str(fake) == str(real)
    opscope.verify(fake.graph)


@pytest.mark.parametrize("make", MODELS)
def test_a_real_model_replays_on_real_tensors_and_was_not_touched(make: Any) -> None:
    model, inputs = make()
    before = {
        name: (t, t.clone(), t._version) for name, t in model.state_dict(keep_vars=True).items()
    }
    attributes = [dict(vars(module)) for module in model.modules()]
    traced = opscope.trace(model, inputs, fake=True)
    for name, tensor in model.state_dict(keep_vars=True).items():
        assert tensor is before[name][0]
        assert torch.equal(tensor, before[name][1])
        assert tensor._version == before[name][2]
    for module, held in zip(model.modules(), attributes, strict=True):
        assert all(vars(module)[name] is value for name, value in held.items())
        assert len(vars(module)) == len(held)
    model.eval()
    traced = opscope.trace(model, inputs, fake=True)
    for ours, theirs in zip(leaves(traced(*inputs)), leaves(model(*inputs)), strict=True):
        assert torch.equal(ours, theirs)


def leaves(result: Any) -> list[torch.Tensor]:
    return [leaf for leaf in torch.utils._pytree.tree_leaves(result) if leaf is not None]


def test_a_model_on_the_meta_device_stands_for_one_where_its_inputs_are() -> None:
    real, inputs = mlp()
    with torch.device("meta"):
        model, _ = mlp()
    expected = str(trace(real, inputs, fake=False))
    for given in (inputs, (inputs[0].to("meta"),)):
        traced = trace(model, given, fake=True)
        assert str(traced) == expected
        assert traced.state["0.weight"] is model[0].weight  # type: ignore[index]
    assert all(parameter.is_meta for parameter in model.parameters())


def test_a_real_model_takes_inputs_of_the_meta_device() -> None:
    model, inputs = mlp()
    traced = trace(model, (inputs[0].to("meta"),), fake=True)
    assert str(traced) == str(trace(model, inputs, fake=False))


def test_a_model_built_under_a_fake_mode_is_traced_under_that_mode() -> None:
    real, inputs = mlp()
    expected = str(trace(real, inputs, fake=False))
    with FakeTensorMode() as mode:
        model, fake_inputs = mlp()
        assert str(trace(model, fake_inputs, fake=False)) == expected
        assert str(trace(model, inputs, fake=True)) == expected
    assert str(trace(model, inputs, fake=True)) == expected
    assert str(trace(model, (mode.from_tensor(inputs[0]),), fake=True)) == expected
    with pytest.raises(opscope.CaptureError, match="fake tensors of different FakeTensorModes"):
        opscope.trace(model, (FakeTensorMode().from_tensor(inputs[0]),), fake=True)


def test_a_model_larger_than_any_memory_is_traced() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(1 << 20, 1 << 20), nn.Linear(1 << 20, 1 << 20))
    traced = opscope.trace(model, torch.zeros(1, 1 << 20), fake=True)
    assert traced.parameter_count == 2 * ((1 << 40) + (1 << 20))


def test_gradients_and_caches_of_the_run_are_not_kept() -> None:
    weight = nn.Parameter(torch.ones(3))

    class Caching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 3)
            self.seen: list[torch.Tensor] = []
            self.plain = torch.ones(3)
            self.last: torch.Tensor | None = None

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.plain.add_(1)
            y = self.fc(x) * self.plain * weight
            self.seen.append(y)
            self.last = y
            self.extra = y
            y.sum().backward()
            return y

    model = Caching()

    def program(x: torch.Tensor) -> torch.Tensor:
        return model(x) * weight

    traced = opscope.trace(program, torch.ones(2, 3), fake=True, warn=False)
    assert list(traced.state) == ["model.plain", "model.fc.weight", "model.fc.bias", "weight"]
    assert traced.state["weight"] is weight
    assert traced.state["model.plain"] is model.plain
    assert model.seen == []
    assert model.last is None
    assert not hasattr(model, "extra")
    assert model.plain.tolist() == [1.0, 1.0, 1.0]
    assert model.plain._version == 0
    assert weight.grad is None
    assert model.fc.weight.grad is None


def test_attributes_come_back_after_an_error() -> None:
    model, _ = mlp()
    weight = model[0].weight  # type: ignore[index]
    with pytest.raises(RuntimeError, match="must have same reduction dim"):
        opscope.trace(model, torch.ones(3, 5), fake=True)
    assert model[0].weight is weight  # type: ignore[index]
    assert not opscope.is_tracing()
    assert not isinstance(torch.ones(1), FakeTensor)


def test_inputs_in_containers_stay_as_they_were() -> None:
    def program(batch: dict[str, Any]) -> torch.Tensor:
        batch["new"] = batch["x"] + 1
        batch["x"].mul_(2)
        return batch["new"] * batch["list"][0]

    batch = {"x": torch.ones(2), "list": [torch.ones(2)]}
    traced = opscope.trace(program, (batch,), fake=True, warn=False)
    assert set(batch) == {"x", "list"}
    assert batch["x"].tolist() == [1.0, 1.0]
    assert traced({"x": torch.ones(2), "list": [torch.ones(2)]}).tolist() == [2.0, 2.0]


def test_constants_made_of_python_data_are_real() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return x + torch.tensor([1.0, 2.0]) * torch.tensor(3).item()

    traced = opscope.trace(program, torch.zeros(2), fake=True, warn=False)
    assert type(traced.state["constant"]) is torch.Tensor
    assert traced(torch.zeros(2)).tolist() == [3.0, 6.0]


def reads_item(x: torch.Tensor) -> torch.Tensor:
    return x * x.sum().item()


def branches(x: torch.Tensor) -> torch.Tensor:
    if x.sum() > 0:
        return x + 1
    return x


def lists(x: torch.Tensor) -> torch.Tensor:
    return x * x.tolist()[0]


def to_numpy(x: torch.Tensor) -> torch.Tensor:
    return x * float(x.numpy()[0])


def picks(x: torch.Tensor) -> torch.Tensor:
    return x[x > 0]


def finds(x: torch.Tensor) -> torch.Tensor:
    return torch.nonzero(x)


@pytest.mark.parametrize(
    ("program", "message", "line"),
    [
        (reads_item, "aten::item gives Python a value of a tensor", "return x * x.sum().item()"),
        (branches, "aten::is_nonzero gives Python a value of a tensor", "if x.sum() > 0:"),
        (lists, "aten::item gives Python a value of a tensor", "return x * x.tolist()[0]"),
        (to_numpy, "handed to Python or NumPy", "return x * float(x.numpy()[0])"),
        (picks, "aten::index.Tensor gives a tensor whose size depends on data", "return x[x > 0]"),
        (
            finds,
            "aten::nonzero gives a tensor whose size depends on data",
            "return torch.nonzero(x)",
        ),
    ],
)
def test_what_needs_data_is_named_with_the_users_line(
    program: Any, message: str, line: str
) -> None:
    with pytest.raises(opscope.CaptureError) as raised:
        opscope.trace(program, torch.ones(2), fake=True, warn=False)
    text = str(raised.value)
    assert message in text
    assert "trace with real tensors" in text
    assert f"in {program.__name__}" in text
    assert line in text


def test_an_operator_that_refuses_its_arguments_without_data_says_so() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return x @ x

    with pytest.raises(RuntimeError) as raised:
        opscope.trace(program, torch.ones(2, 3), fake=True)
    (note,) = raised.value.__notes__
    assert "asked what aten::matmul would give" in note
    assert "trace it with real tensors" in note
    assert "return x @ x" in note


def test_an_operator_without_a_fake_kernel_is_named() -> None:
    @torch.library.custom_op("opscope_tests::opaque", mutates_args=())
    def opaque(x: torch.Tensor) -> torch.Tensor:
        return x + 1

    with pytest.raises(opscope.CaptureError, match="opscope_tests::opaque cannot tell the type"):
        opscope.trace(lambda x: opaque(x), torch.ones(2), fake=True)


def test_sizes_are_data_in_a_trace_without_data() -> None:
    linear = nn.Linear(4, 4)

    def program(x: torch.Tensor) -> torch.Tensor:
        return linear(x).view(x.shape[0] * 2, 2)

    traced = trace(program, (torch.ones(3, 4),), fake=True)
    assert str(traced) == str(trace(program, (torch.ones(3, 4),), fake=False))
    x = torch.randn(5, 4)
    assert torch.equal(traced(x), program(x))


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_tensors_that_cannot_be_fake_are_refused() -> None:
    quantized = torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.quint8)
    with pytest.raises(opscope.CaptureError, match=r"a tensor qu8\[3\] cannot be fake"):
        opscope.trace(lambda x: x.dequantize(), quantized, fake=True)
    sparse = torch.eye(3).to_sparse()
    with pytest.raises(opscope.CaptureError, match=r"layout=sparse_coo\} cannot be fake"):
        opscope.trace(lambda x: x.to_dense(), sparse, fake=True)
    nested = torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(1, 3)])
    with pytest.raises(opscope.CaptureError, match=r"layout=nested\} cannot be fake"):
        opscope.trace(lambda x: x * 2, nested, fake=True)
    with pytest.raises(opscope.CaptureError, match="get their size at its first run"):
        opscope.trace(nn.LazyLinear(3), torch.ones(2, 4), fake=True)


def test_ragged_tensors_are_traced_without_data() -> None:
    def ragged(*lengths: int) -> torch.Tensor:
        parts = [torch.randn(length, 3) for length in lengths]
        return torch.nested.nested_tensor(parts, layout=torch.jagged)

    linear = nn.Linear(3, 2)

    def program(x: torch.Tensor) -> torch.Tensor:
        return linear(x) * x.size(0)

    traced = trace(program, (ragged(2, 1),), fake=True)
    assert str(traced) == str(trace(program, (ragged(2, 1),), fake=False))
    x = ragged(1, 4)
    assert torch.equal(traced(x).values(), (linear(x) * 2).values())


def test_tensors_of_other_classes_are_faked_by_their_parts() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(TwoTensor(torch.randn(4, 4), torch.randn(4, 4)))

        def forward(self, x: torch.Tensor) -> Any:
            return nn.functional.linear(x, self.weight).a

    model, x = Model(), torch.randn(2, 4)
    traced = trace(model, (x,), fake=True)
    assert str(traced) == str(trace(model, (x,), fake=False))
    assert torch.equal(traced(x), model(x))
    assert type(model.weight) is TwoTensor


def test_a_trace_around_it_does_not_see_it() -> None:
    linear = nn.Linear(4, 4)

    def program(x: torch.Tensor) -> torch.Tensor:
        opscope.trace(linear, x, fake=True)
        return x + 1

    traced = opscope.trace(program, torch.ones(2, 4))
    assert [node.kind for node in traced.graph.walk()] == ["aten::add.Tensor"]


def test_random_state_is_not_drawn_from() -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    opscope.trace(lambda x: nn.functional.dropout(x) + torch.randn(2), torch.ones(2), fake=True)
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_a_script_that_needs_data_is_named_with_the_users_line() -> None:
    @torch.jit.script
    def choosing(x: torch.Tensor) -> torch.Tensor:
        if x.sum() > 0:
            return x + 1
        return x

    with pytest.raises(opscope.CaptureError) as raised:
        opscope.trace(lambda x: choosing(x), torch.ones(2), fake=True)
    text = str(raised.value)
    assert "a scripted function needs the data of a tensor" in text
    assert "if x.sum() > 0:" in text
    assert "choosing(x), torch.ones(2)" in text
    assert "scripted.py" not in text


def test_loops_are_traced_without_data() -> None:
    def program(x: torch.Tensor) -> Any:
        start = torch.zeros((), dtype=torch.int64)
        return while_loop(lambda n, t: n < 3, lambda n, t: (n + 1, t * 2), (start, x))

    traced = trace(program, (torch.ones(2),), fake=True)
    assert str(traced) == str(trace(program, (torch.ones(2),), fake=False))
    assert torch.equal(traced(torch.ones(2))[1], torch.full((2,), 8.0))

    def counting(x: torch.Tensor) -> Any:
        return while_loop(lambda n, t: n < 3, lambda n, t: (n + 1, t * 2), (0, x))

    with pytest.raises(opscope.CaptureError, match="while_loop gives Python a value of a tensor"):
        opscope.trace(counting, torch.ones(2), fake=True)


def test_generators_of_the_program_are_seeded_in_a_trace_without_data() -> None:
    generator = torch.Generator()

    def program(x: torch.Tensor) -> torch.Tensor:
        generator.manual_seed(7)
        return x + torch.rand(2, generator=generator)

    traced = opscope.trace(program, torch.ones(2), fake=True)
    assert not traced.diagnostics
    assert torch.equal(traced(torch.ones(2)), program(torch.ones(2)))


def test_weak_references_to_parameters_lead_to_their_twins() -> None:
    assert not opscope.trace(nn.LSTM(4, 5), torch.ones(2, 3, 4), fake=True).diagnostics


def test_a_program_may_make_fake_tensors_itself() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        mode = FakeTensorMode()
        fake = mode.from_tensor(x)
        with mode:
            columns = (fake @ fake.t()).shape[1]
        return x * columns

    traced = opscope.trace(program, torch.ones(2, 3), warn=False)
    assert torch.equal(traced(torch.ones(2, 3)), torch.full((2, 3), 2.0))
