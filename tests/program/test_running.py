"""Runs that keep values, times of nodes, and statistics of what they make."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import opscope
from opscope.ir import TensorType
from support.exactness import assert_identical


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> Any:
        h = self.fc(x)
        return torch.relu_(h) + x


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList([Block(), Block()])

    def forward(self, x: torch.Tensor) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x.sum()


def line_of(text: str) -> str:
    """Return the line of this file on which some text stands first, as people write it."""
    lines = Path(__file__).read_text().splitlines()
    number = next(n for n, line in enumerate(lines, 1) if text in line)
    return f"{Path(__file__).name}:{number}"


@pytest.fixture
def traced() -> opscope.TracedProgram:
    return opscope.trace(Net(), torch.randn(2, 4))


def test_the_output_is_that_of_a_call(traced: opscope.TracedProgram) -> None:
    x = torch.randn(2, 4)
    result = traced.run(x, keep=["%h"])
    assert_identical(result.output, traced(x))
    assert repr(result) == "<RunResult: kept %h>"


def test_a_kept_value_is_as_it_was_when_it_was_made(traced: opscope.TracedProgram) -> None:
    x = torch.randn(2, 4)
    function = traced.function
    assert isinstance(function, Net)
    result = traced.run(x, keep="%h")
    assert torch.equal(result.kept["%h"], function.layers[0].fc(x))
    assert not result.kept["%h"].requires_grad
    assert (result.kept["%h"] < 0).any()


def test_without_copies_a_write_shows_and_gradients_flow(traced: opscope.TracedProgram) -> None:
    result = traced.run(torch.randn(2, 4), keep=["%h"], copy=False)
    assert not (result.kept["%h"] < 0).any()
    traced_exp = opscope.trace(lambda x: x.exp().sum(), torch.zeros(2, requires_grad=True))
    result = traced_exp.run(
        torch.zeros(2, requires_grad=True), keep=lambda node: "exp" in node.kind, copy=False
    )
    (kept,) = result.kept.values()
    assert torch.equal(torch.autograd.grad(result.output, kept)[0], torch.ones(2))


def test_inputs_and_state_are_kept_as_they_were_at_first() -> None:
    model = nn.BatchNorm1d(2)
    traced = opscope.trace(model, torch.ones(3, 2))
    before = model.running_mean.clone() if model.running_mean is not None else None
    result = traced.run(torch.randn(3, 2), keep=["%input", "%running_mean"])
    assert before is not None
    assert torch.equal(result.kept["%running_mean"], before)
    assert result.kept["%input"].shape == (3, 2)


def test_a_line_gives_all_tensors_that_it_makes(traced: opscope.TracedProgram) -> None:
    x = torch.randn(2, 4)
    line = line_of("return torch.relu_(h) + x")
    kept = traced.run(x, keep=[line]).kept
    made = [
        f"%{name}"
        for value, name in opscope.ir.value_names(traced.graph).items()
        if value.node is not None and "relu_" in value.node.kind + str(value.name)
    ]
    assert len(kept) == 4  # of two layers, what relu_ gives and the sum
    assert set(made) <= set(kept)


def test_a_line_that_only_calls_gives_what_the_calls_return(traced: opscope.TracedProgram) -> None:
    x = torch.randn(2, 4)
    function = traced.function
    assert isinstance(function, Net)
    kept = traced.run(x, keep=[line_of("x = layer(x)")]).kept
    first = function.layers[0](x)
    assert [each.shape for each in kept.values()] == [(2, 4), (2, 4)] or len(kept) == 1
    assert torch.equal(list(kept.values())[-1], function.layers[1](first))


def test_scopes_give_their_results_by_address(traced: opscope.TracedProgram) -> None:
    x = torch.randn(2, 4)
    function = traced.function
    assert isinstance(function, Net)
    kept = traced.run(x, keep=["layers.?", "layers.1.fc"]).kept
    assert list(kept) == ["layers.0", "layers.1", "layers.1.fc"]
    first = function.layers[0](x)
    assert torch.equal(kept["layers.0"], first)
    assert torch.equal(kept["layers.1"], function.layers[1](first))
    assert torch.equal(kept["layers.1.fc"], function.layers[1].fc(first))


def test_a_scope_with_several_results_has_each_by_its_name() -> None:
    lstm = nn.LSTM(3, 5)
    traced = opscope.trace(nn.Sequential(lstm), torch.randn(2, 1, 3))
    x = torch.randn(2, 1, 3)
    kept = traced.run(x, keep=["0"]).kept
    expected = lstm(x)
    assert [name.partition(" %")[0] for name in kept] == ["0", "0", "0"]
    assert torch.equal(next(iter(kept.values())), expected[0])


def test_scopes_of_a_forward_give_no_more_where_a_backward_reads_what_they_save() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.Sigmoid(), nn.Linear(8, 1))

    def step(x: torch.Tensor) -> Any:
        loss = model(x).sum()
        loss.backward()
        return loss

    x = torch.randn(3, 4)
    traced = opscope.trace(step, x)
    assert traced.depth == "deep"
    expected = model[1](model[0](x))
    model.zero_grad()
    scope = next(s for s in (n.scope for n in traced.graph.walk()) if s.path.endswith("1"))
    kept = traced.run(x, keep=[scope.address]).kept
    assert list(kept) == [scope.address, f"backward<backward>/{scope.address}"]
    ours, gradient = kept.values()
    assert torch.equal(ours, expected)
    hidden = model[0](x).detach().requires_grad_()
    (theirs,) = torch.autograd.grad(model[2](hidden.sigmoid()).sum(), hidden)
    assert torch.equal(gradient, theirs)


def test_blocks_run_as_a_whole_and_say_so() -> None:
    def program(x: torch.Tensor) -> Any:
        return torch.cond(x.sum() > 0, lambda x: x.sin(), lambda x: x.cos(), (x,))

    traced = opscope.trace(program, torch.ones(2))
    inner = next(value for value in traced.graph.values() if value.block is not traced.graph.block)
    name = f"%{opscope.ir.value_names(traced.graph)[inner]}"
    with pytest.raises(opscope.ReplayError) as raised:
        traced.run(torch.ones(2), keep=[name])
    assert str(raised.value) == (
        f"{name} stands in a block of higher_order::cond, which runs as a whole\n"
        "  it makes %2, which can be asked for"
    )
    assert torch.equal(traced.run(torch.ones(2), keep=["%2"]).kept["%2"], torch.ones(2).sin())


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ("%hh", "Net has no value %hh\n  there are, for example, %h"),
        ("layers.7", "Net has no scope layers.7\n  there are, for example, layers.1, layers.0"),
        ("nowhere.py:3", "Net has nothing of line nowhere.py:3\n  there are, for example, "),
        (3, "keep has 3, which is no value's name, source line, scope or function of nodes"),
    ],
)
def test_a_wrong_name_is_an_error_that_says_what_is_near(
    traced: opscope.TracedProgram, keep: Any, message: str
) -> None:
    with pytest.raises(opscope.ReplayError) as raised:
        traced.run(torch.ones(2, 4), keep=[keep])
    assert message in str(raised.value)


def test_a_wrong_line_names_those_that_are_next_to_it(traced: opscope.TracedProgram) -> None:
    name, _, number = line_of("h = self.fc(x)").partition(":")
    with pytest.raises(opscope.ReplayError) as raised:
        traced.run(torch.ones(2, 4), keep=[f"{name}:{int(number) - 1}"])
    hint = str(raised.value).splitlines()[1]
    assert f"{name}:{number}" in hint.removeprefix("  there are, for example, ").split(", ")[0]


def test_a_scope_named_like_a_line_is_a_scope() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.add_module("a</script>:7", nn.ReLU())

        def forward(self, x: torch.Tensor) -> Any:
            return self._modules["a</script>:7"](x) + 1  # type: ignore[misc]

    traced = opscope.trace(Named(), torch.ones(2))
    address = next(n.scope.address for n in traced.graph.walk() if n.scope.address)
    assert list(traced.run(torch.ones(2), keep=[address]).kept) == [address]


def test_a_run_inside_a_trace_is_refused(traced: opscope.TracedProgram) -> None:
    def outer(x: torch.Tensor) -> Any:
        return traced.run(x, keep=["%h"]).output

    with pytest.raises(opscope.ReplayError, match="which a trace cannot record"):
        opscope.trace(outer, torch.ones(2, 4))


def test_a_loaded_program_keeps_times_and_looks_as_well(
    traced: opscope.TracedProgram, tmp_path: Path
) -> None:
    x = torch.randn(2, 4)
    loaded = opscope.load(traced.save(tmp_path / "net.opscope"))
    ours, theirs = loaded.run(x, keep=["layers.0"]), traced.run(x, keep=["layers.0"])
    assert torch.equal(ours.kept["layers.0"], theirs.kept["layers.0"])
    assert set(loaded.profile(x, repeats=1).times) == set(loaded.graph.block)
    assert loaded.statistics(x).first_nonfinite is None


def training() -> tuple[nn.Module, Any, Any]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))
    optimizer = torch.optim.Adam(model.parameters())

    def step(x: torch.Tensor) -> Any:
        optimizer.zero_grad()
        loss = model(x).square().sum()
        loss.backward()
        optimizer.step()
        return loss

    step(torch.randn(3, 4))  # makes the state of the optimizer
    return model, optimizer, step


def test_profile_and_statistics_leave_everything_as_it_was() -> None:
    model, optimizer, step = training()
    x = torch.randn(3, 4)
    traced = opscope.trace(step, x)
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    steps = [float(state["step"]) for state in optimizer.state.values()]
    random = torch.get_rng_state()
    traced.profile(x, repeats=2)
    traced.statistics(x)
    assert all(torch.equal(value, kept[name]) for name, value in model.state_dict().items())
    assert [float(state["step"]) for state in optimizer.state.values()] == steps
    assert torch.equal(torch.get_rng_state(), random)


def test_a_profile_times_every_node_and_shows_modules(traced: opscope.TracedProgram) -> None:
    profile = traced.profile(torch.randn(2, 4), repeats=3)
    assert list(profile.times) == list(traced.graph.block)
    assert all(0 < seconds < 10 for seconds in profile.times.values())
    assert profile.total_s == pytest.approx(sum(profile.times.values()))
    text = str(profile)
    assert text.startswith("Net: ")
    assert "├ layers.0  Block" in text or "└ layers.0–1  ×2  Block" in text
    assert "medians of 3 runs after a first one" in text
    assert "addmm" in profile.table(by="operator") or "linear" in profile.table(by="operator")
    assert line_of("h = self.fc(x)") in profile.table(by="line")


def test_inputs_of_the_trace_are_taken_where_none_are_given() -> None:
    x = torch.randn(2, 4)
    traced = opscope.trace(Net(), x)
    assert len(traced.profile(repeats=1).times) == len(traced.graph.block)
    del x
    with pytest.raises(opscope.ReplayError, match="are gone"):
        traced.statistics()


@pytest.mark.parametrize("repeats", [0, -1, 1.5, True, "3"])
def test_repeats_is_a_number_of_runs(traced: opscope.TracedProgram, repeats: Any) -> None:
    with pytest.raises(opscope.InputError, match="repeats is a whole number from 1"):
        traced.profile(torch.ones(2, 4), repeats=repeats)


def test_arguments_that_do_not_fit_are_an_input_error(traced: opscope.TracedProgram) -> None:
    with pytest.raises(opscope.InputError):
        traced.profile(torch.ones(2, 4, dtype=torch.int64))


def test_statistics_are_those_of_the_tensors(traced: opscope.TracedProgram) -> None:
    x = torch.randn(2, 4)
    statistics = traced.statistics(x)
    result = traced.run(x, keep=lambda node: True)
    checked = 0
    for node, numbers in statistics.numbers.items():
        for value in node.outputs:
            assert isinstance(value.type, TensorType)
        kept = result.kept[f"%{opscope.ir.value_names(traced.graph)[node.output]}"].double()
        assert numbers.count == kept.numel()
        assert statistics.mean[node] == pytest.approx(float(kept.mean()))
        assert statistics.std[node] == pytest.approx(float(kept.std(correction=0)))
        assert statistics.absmax[node] == float(kept.abs().max())
        checked += 1
    assert checked > 5


def test_the_first_of_several_results_counts_unless_another_is_not_finite() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        mean, rest = torch.native_layer_norm(x, [4], None, None, 1e-12)[:2]
        return mean + rest.sum()

    traced = opscope.trace(program, torch.ones(2, 4))
    (node,) = traced.graph.nodes(op="aten::native_layer_norm")
    x = torch.tensor(
        [[1.0, 2.0, 3.0, 4.0], [8.0, 8.0, 8.0, 8.0]]
    )  # deviates by nothing: rstd is huge
    statistics = traced.statistics(x)
    assert statistics.absmax[node] == pytest.approx(1.3416, rel=1e-3)
    assert statistics.numbers[node].count == 8 + 2 + 2


def test_equal_numbers_deviate_by_nothing() -> None:
    statistics = opscope.trace(lambda x: x * 1.0, torch.full((1000,), 0.1)).statistics(
        torch.full((1000,), 0.1)
    )
    assert list(statistics.std.values()) == [pytest.approx(0.0, abs=1e-15)]


def logarithm(x: torch.Tensor) -> torch.Tensor:
    masked = x.masked_fill(x > 100, -math.inf)
    y = masked * 2
    z = torch.log(y)
    return z + 1


def test_the_first_node_that_made_nan_is_named_with_its_line() -> None:
    x = torch.tensor([1.0, -1.0, 200.0])
    statistics = opscope.trace(logarithm, x).statistics(x)
    first, first_nan = statistics.first_nonfinite, statistics.first_nan
    assert first is not None
    assert first.kind == "aten::masked_fill.Scalar"
    assert first_nan is not None
    assert first_nan.kind == "aten::log"
    assert first_nan.source is not None
    assert first_nan.source.text.strip() == "z = torch.log(y)"
    assert statistics.nans[first_nan] == 2
    text = str(statistics)
    assert "2 nodes made NaN, 2 nodes made infinities" in text
    assert "2 NaN of 3 numbers" in " ".join(text.split())
    assert "z = torch.log(y)" in text


def test_inputs_and_state_that_hold_nan_are_named() -> None:
    model = nn.Linear(2, 2)
    traced = opscope.trace(model, torch.ones(1, 2))
    with torch.no_grad():
        model.weight[0, 0] = math.nan
    statistics = traced.statistics(torch.full((1, 2), math.inf))
    facts = [line for line in str(statistics).splitlines() if line.startswith("Given")]
    assert [fact.partition("%")[2] for fact in facts] == [
        "weight holds 1 NaN of 4 numbers",
        "input holds 2 infinite of 2 numbers",
    ]
    assert statistics.given["%bias"].is_finite


def test_numbers_that_are_none_do_not_reach_a_page() -> None:
    x = torch.tensor([1.0, -1.0, 200.0])
    traced = opscope.trace(logarithm, x)
    statistics = traced.statistics(x)
    profile = traced.profile(x, repeats=1)
    overlay = {
        "mean": statistics.mean,
        "std": statistics.std,
        "absmax": statistics.absmax,
        "nans": statistics.nans,
        "time": profile.times,
    }
    opscope.to_html(traced, overlay=overlay, picture=False)
    assert all(math.isfinite(number) for some in overlay.values() for number in some.values())


def test_memory_that_is_not_written_yet_has_no_statistics() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        memory = torch.empty(3)
        memory.copy_(x)
        return memory + 1

    traced = opscope.trace(program, torch.ones(3))
    kinds = [node.kind for node in traced.statistics(torch.ones(3)).numbers]
    assert kinds == ["aten::copy_", "aten::add.Tensor"]


def test_statistics_of_a_step_see_what_is_written() -> None:
    _, _, step = training()
    x = torch.randn(3, 4)
    traced = opscope.trace(step, x)
    torch.manual_seed(5)
    statistics = traced.statistics(x)
    assert statistics.first_nonfinite is None
    x = torch.full((3, 4), math.nan)
    first = traced.statistics(x).first_nan
    assert first is not None
    assert first.scope.path == "model.0"
