"""``traced.check()`` compares a replay with the program and leaves everything as it found it."""

import copy
import random
import re
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch
from torch import nn

import opscope
from opscope.checking import DifferenceKind


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.3),
        nn.Flatten(), nn.Linear(64, 5),
    )  # fmt: skip


def images() -> torch.Tensor:
    return torch.randn(2, 3, 6, 6)


def found_by(check: Callable[[], Any]) -> opscope.CheckReport:
    """Return the report of a check that must find something."""
    with pytest.raises(opscope.CheckError) as caught:
        check()
    report = caught.value.report
    assert isinstance(report, opscope.CheckReport)
    assert not report.ok
    assert str(caught.value) == str(report)
    return report


def test_a_true_replay_passes_on_other_inputs_and_with_gradients() -> None:
    model, x = network(), images()
    traced = opscope.trace(model, x)
    report = traced.check(x, (images().requires_grad_(),), gradients=True)
    assert report.ok
    assert str(report) == (
        "Sequential: the replay equals the program bit by bit on 2 sets of inputs\n"
        "  compared 2 outputs, 2 inputs, 18 pieces of state, 13 gradients"
    )


def test_tracing_with_check_returns_the_traced_program() -> None:
    x = torch.zeros(2)
    traced = opscope.trace(lambda x: x.add_(1) * 2, x, check=True)
    assert x.tolist() == [1.0, 1.0]
    assert traced(torch.zeros(2)).tolist() == [2.0, 2.0]


def test_a_check_leaves_model_gradients_and_random_numbers_as_they_were() -> None:
    model, x = network(), images()
    model[0].eval()
    model(x).sum().backward()
    traced = opscope.trace(model, x)
    before = copy.deepcopy(model.state_dict())
    gradients = [(p.grad, None if p.grad is None else p.grad.clone()) for p in model.parameters()]
    flags = [module.training for module in model.modules()]
    versions = [p._version for p in model.parameters()]
    states = torch.get_rng_state(), random.getstate(), str(numpy.random.get_state())
    traced.check(gradients=True)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])
    for parameter, (gradient, content) in zip(model.parameters(), gradients, strict=True):
        assert parameter.grad is gradient
        assert content is not None
        assert torch.equal(parameter.grad, content)
    assert [module.training for module in model.modules()] == flags
    assert [p._version for p in model.parameters()] == versions
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), str(numpy.random.get_state())) == states[1:]


def test_a_check_leaves_what_the_program_changes_in_python_as_it_was() -> None:
    seen: list[int] = []

    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.calls = 0
            self.history: list[torch.Tensor] = []
            self.register_buffer("total", torch.zeros(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            self.history.append(x)
            seen.append(self.calls)
            self.total += 1
            return x * 2

    model = Counting()
    x = torch.ones(2)
    traced = opscope.trace(lambda x: (seen.append(0), model(x))[1], x, warn=False)
    total = model.total
    traced.check()
    assert model.calls == 1
    assert len(model.history) == 1
    assert seen == [0, 1]
    assert model.total is total
    assert total.item() == 1.0


def test_a_check_does_not_touch_its_inputs() -> None:
    traced = opscope.trace(lambda x: x.mul_(2) + 1, torch.ones(2))
    x = torch.ones(2)
    traced.check(x)
    assert x.tolist() == [1.0, 1.0]
    assert x._version == 0


def test_the_inputs_of_the_trace_are_taken_while_they_live() -> None:
    x = torch.ones(2)
    traced = opscope.trace(lambda a, scale: {"y": a["x"] * scale}, ({"x": x}, 3))
    assert traced.check().compared[DifferenceKind.OUTPUT] == 1
    del x
    with pytest.raises(opscope.ReplayError, match="inputs that function was traced with are gone"):
        traced.check()
    assert traced.check(({"x": torch.zeros(2)}, 3)).ok


def test_keyword_arguments_are_for_all_sets_or_one_mapping_each() -> None:
    def program(x: torch.Tensor, *, scale: torch.Tensor) -> torch.Tensor:
        return x * scale

    one, two, three = torch.ones(2), torch.full((2,), 2.0), torch.full((2,), 3.0)
    traced = opscope.trace(program, one, {"scale": two})
    assert traced.check(one, two, kwargs={"scale": three}).input_sets == 2
    assert traced.check(one, two, kwargs=[{"scale": two}, {"scale": one}]).input_sets == 2
    assert traced.check(kwargs={"x": one, "scale": two}).input_sets == 1
    with pytest.raises(opscope.InputError, match="2 sets of inputs and 1 of keyword arguments"):
        traced.check(one, two, kwargs=[{"scale": two}])


def test_inputs_that_do_not_fit_are_refused_before_anything_runs() -> None:
    runs: list[int] = []

    def program(x: torch.Tensor) -> torch.Tensor:
        runs.append(1)
        return x + 1

    traced = opscope.trace(program, torch.ones(2))
    with pytest.raises(opscope.InputError, match="its dtype is f64 and was f32"):
        traced.check(torch.ones(2, dtype=torch.float64))
    assert runs == [1]


def test_other_sizes_are_checked_as_far_as_the_guards_allow() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        rows = x.shape[0]
        if rows > 4:
            return x * 2
        return x.view(-1)[:rows] + rows

    traced = opscope.trace(program, torch.ones(2, 3))
    assert traced.check(torch.ones(2, 3), torch.ones(4, 3), torch.ones(1, 7)).ok
    with pytest.raises(opscope.GuardError):
        traced.check(torch.ones(5, 3))
    fixed = opscope.trace(program, torch.ones(2, 3), dynamic=False)
    assert fixed.check(torch.zeros(2, 3)).notes == ()


def test_a_program_that_fails_on_the_inputs_is_told() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        if x.sum() < 0:
            raise ValueError("negative")
        return x + 1

    traced = opscope.trace(program, torch.ones(2), warn=False)
    with pytest.raises(opscope.CheckError, match=r"itself fails on set of inputs 1[\s\S]*negative"):
        traced.check(torch.ones(2), -torch.ones(2))


def test_a_program_without_a_callable_says_so() -> None:
    traced = opscope.trace(lambda x: x + 1, torch.ones(2))
    traced.function = None
    with pytest.raises(opscope.ReplayError, match="no program to check it against"):
        traced.check(torch.ones(2))


def test_data_fixed_in_the_trace_is_found_with_the_first_node_that_differs() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        total = float(x.sum())
        h = x * 2
        return h * total

    traced = opscope.trace(program, torch.ones(2), warn=False)
    report = found_by(lambda: traced.check(torch.full((2,), 3.0)))
    assert re.sub(r"test_check.py:\d+", "test_check.py:N", str(report)) == (
        "program: the replay differs\n"
        "  output result: 2 of 2 elements differ, by at most 24; the first at [0]: eager 36.0, "
        "replay 12.0\n"
        "  first difference: aten::mul.Tensor read 2.0 first and then 6.0\n"
        "    in the graph\n"
        "      in   %1 : f32[2] = aten::mul.Tensor(%h, 2.0)\n"
        "      from test_check.py:N:16 in "
        "test_data_fixed_in_the_trace_is_found_with_the_first_node_that_differs.<locals>.program:  "
        "return h * total\n"
        "    in the run of the check\n"
        "      in   %1 : f32[2] = aten::mul.Tensor(%h, 6.0)\n"
        "      from test_check.py:N:16 in "
        "test_data_fixed_in_the_trace_is_found_with_the_first_node_that_differs.<locals>.program:  "
        "return h * total"
    )
    assert report.origin is not None
    assert report.origin.node is traced.graph.outputs[0].node


def test_a_wrong_value_is_traced_back_to_the_node_that_made_it() -> None:
    table = [1.0, 2.0]

    def program(x: torch.Tensor) -> torch.Tensor:
        h = x.exp()
        noise = torch.tensor(table)
        k = h.sin() * noise
        return k.cumsum(0)

    x = torch.ones(2)
    traced = opscope.trace(program, x)
    table[1] = 2.5
    report = found_by(lambda: traced.check(x))
    assert report.origin is not None
    assert report.origin.node is traced.graph.nodes(op="aten::clone")[0]
    assert "the first at [1]: eager 2.5, replay 2.0" in report.origin.message
    assert "noise = torch.tensor(table)" in report.origin.text


@pytest.mark.parametrize("kind", ["branch", "transform", "callee"])
def test_a_difference_inside_a_function_is_named_there(kind: str) -> None:
    factor = [2.0]

    def scaled(x: torch.Tensor) -> torch.Tensor:
        h = x + 1
        return h * factor[0]

    def program(x: torch.Tensor) -> torch.Tensor:
        h = x.exp()
        match kind:
            case "branch":
                h = torch.cond(h.sum() > 0, scaled, torch.neg, (h,))
            case "transform":
                h = torch.func.vmap(scaled)(h)
            case "callee":
                h = opscope.trace(scaled, h)(h)
        return h.cumsum(0)

    x = torch.ones(2)
    traced = opscope.trace(program, x)
    factor[0] = 3.0
    with torch.compiler.set_stance("force_eager"):  # torch compiles no functions in these folders
        report = found_by(lambda: traced.check(x))
    assert report.origin is not None
    assert report.origin.message == "aten::mul.Tensor read 2.0 first and then 3.0"
    assert "return h * factor[0]" in report.origin.text


@pytest.mark.parametrize("depth", [30])
def test_of_many_nodes_that_differ_beyond_the_tolerance_the_first_is_named(depth: int) -> None:
    shift = [0.0]

    def program(x: torch.Tensor) -> torch.Tensor:
        x = x + torch.tensor(shift)
        for _ in range(depth):
            x = x * 1.5
        return x

    x = torch.ones(1)
    traced = opscope.trace(program, x)
    shift[0] = 1e-3
    report = found_by(lambda: traced.check(x, atol=0.5))
    assert report.origin is not None
    multiplications = traced.graph.nodes(op="aten::mul")
    assert report.origin.node is next(
        node for n, node in enumerate(multiplications, start=1) if 1e-3 * 1.5**n > 0.5
    )
    assert traced.check(x, rtol=0.01).ok


def test_a_program_that_runs_other_operators_each_time_is_told_with_both_lines() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        if random.random() < 0.5:
            return torch.relu(x)
        return torch.sigmoid(x)

    random.seed(1)
    x = torch.randn(4)
    traced = opscope.trace(program, x, warn=False)
    first = traced.graph.outputs[0].node
    assert first is not None
    reports = [found_by(lambda: checked_until_it_fails(traced, x)) for _ in range(2)]
    for report in reports:
        assert report.origin is not None
        kinds = {"aten::relu", "aten::sigmoid"}
        other = (kinds - {first.kind}).pop()
        assert report.origin.message == (
            f"the second run called {other} where the first called {first.kind}"
        )
        assert "return torch.relu(x)" in report.origin.text
        assert "return torch.sigmoid(x)" in report.origin.text


def checked_until_it_fails(traced: opscope.TracedProgram, x: torch.Tensor) -> None:
    for _ in range(50):  # each run of the program takes one of two branches
        traced.check(x)
        random.random()


def test_random_numbers_of_torch_are_the_same_in_each_run() -> None:
    generator = torch.Generator().manual_seed(5)

    def program(x: torch.Tensor) -> torch.Tensor:
        noise = torch.randn(4, generator=generator)
        return x.bernoulli(0.5) + torch.rand(4) + noise

    state = generator.get_state()
    x = torch.rand(4)
    opscope.trace(program, x)
    generator.set_state(state)
    assert opscope.trace(program, x, check=True).check(x).ok


def test_a_program_that_remembers_its_first_run_passes_with_a_note() -> None:
    class Remembering(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table: torch.Tensor | None = None

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.table is None:
                self.table = torch.arange(4.0).exp()
            return x * self.table

    report = opscope.trace(Remembering(), torch.ones(4), warn=False).check(torch.ones(4))
    assert report.ok
    assert len(report.notes) == 1
    assert "other operators than its graph has, with the same results" in report.notes[0]


def test_a_counter_in_python_is_found() -> None:
    class Counting(nn.Module):
        calls = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return x * self.calls

    traced = opscope.trace(Counting(), torch.ones(1), warn=False)
    report = found_by(lambda: traced.check(torch.ones(1)))
    assert report.origin is not None
    assert report.origin.message == "aten::mul.Tensor read 1 first and then 2"


def test_state_that_only_the_program_writes_is_found() -> None:
    class Rebinding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("count", torch.zeros(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.count = self.count + 1
            return x * 2

    model = Rebinding()
    traced = opscope.trace(model, torch.ones(1), warn=False)
    report = found_by(lambda: traced.check(torch.ones(1)))
    (difference,) = report.differences
    assert difference.kind is DifferenceKind.STATE
    assert difference.name == "count"
    assert difference.message.startswith("the program writes it and the replay does not")
    assert model.count.item() == 1.0


def test_gradients_that_only_the_program_stores_are_found_and_taken_back() -> None:
    linear = nn.Linear(2, 1)

    def step(x: torch.Tensor) -> torch.Tensor:
        loss = linear(x).sum()
        with opscope.paused():
            loss.backward()
        return loss.detach()

    x = torch.ones(1, 2)
    traced = opscope.trace(step, x, warn=False)
    linear.zero_grad()
    report = found_by(lambda: traced.check(x))
    assert [d.name for d in report.differences] == ["linear.weight.grad", "linear.bias.grad"]
    assert linear.weight.grad is None


def test_a_gradient_that_a_replay_does_not_give_is_found() -> None:
    weight = nn.Parameter(torch.ones(2))

    def program(x: torch.Tensor) -> torch.Tensor:
        with opscope.paused():
            hidden = weight * 2
        return x * hidden

    x = torch.ones(2)
    traced = opscope.trace(program, x, warn=False)
    report = found_by(lambda: traced.check(x, gradients=True))
    assert {d.kind for d in report.differences} >= {DifferenceKind.OUTPUT, DifferenceKind.GRADIENT}
    assert any("requires_grad: eager True, replay False" in d.message for d in report.differences)


def test_optimizers_are_left_as_they_were() -> None:
    linear = nn.Linear(2, 1)
    optimizer = torch.optim.Adam(linear.parameters(), lr=0.1)
    linear(torch.ones(1, 2)).sum().backward()

    def step(x: torch.Tensor) -> torch.Tensor:
        optimizer.step()
        return linear(x)

    x = torch.ones(1, 2)
    first = opscope.trace(step, x)
    traced = opscope.trace(step, x)
    for node in traced.graph.nodes(op="aten::add_.Tensor"):  # which counts the steps
        node.output.replace_all_uses_with(node.inputs[0])
        node.erase()
    before = copy.deepcopy(optimizer.state_dict())
    weight = linear.weight.detach().clone()
    report = found_by(lambda: traced.check(x))
    names = {difference.name for difference in report.differences}
    assert "optimizer.state.linear.weight.step" in names
    with pytest.raises(opscope.GuardError, match=r"no entry for linear\.weight"):
        first.check(x)  # the first step is over
    assert torch.equal(linear.weight, weight)
    after = optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]
    for key, kept in before["state"].items():
        assert all(torch.equal(kept[n], after["state"][key][n]) for n in kept)


def test_a_replay_that_fails_is_a_difference_with_its_node() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        n = int(x.sum())
        return x.new_zeros(4).view(2, 2) if n < 3 else x.view(-1)[: n - 3]

    traced = opscope.trace(program, torch.ones(2), warn=False)
    broken = traced.graph = opscope.parse(str(traced.graph).replace(", [2, 2])", ", [3, 2])"))
    report = found_by(lambda: traced.check(torch.ones(2)))
    assert report.differences[0].kind is DifferenceKind.REPLAY
    assert report.origin is not None
    assert report.origin.node is broken.nodes(op="aten::view")[0]


@pytest.mark.parametrize("grad", [True, False])
def test_both_run_in_the_modes_of_the_caller(grad: bool) -> None:
    linear = nn.Linear(2, 2)
    is_grad_enabled = (
        torch.is_grad_enabled
    )  # unknown to the trace, for which it would be a circumstance
    modes: deque[bool] = deque()  # a list would be as before after the check

    def program(x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = linear(x)
        modes.append(is_grad_enabled())
        return y

    with torch.set_grad_enabled(grad):
        opscope.trace(program, torch.ones(1, 2), check=True)
    assert list(modes) == [grad] * 3  # traced, run eagerly, and traced again
    traced = opscope.trace(program, torch.ones(1, 2))
    modes.clear()
    with torch.inference_mode():
        traced.check(torch.ones(1, 2))
    assert list(modes) == [False, False]


def test_warnings_are_not_shown_again() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        warnings.warn("mine", UserWarning, stacklevel=1)
        return x * float(x.sum())

    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        before = warnings.showwarning
        opscope.trace(program, torch.ones(2), check=True)
        assert warnings.showwarning is before
    assert [str(w.message).split(":")[0] for w in shown] == ["mine", "data read"]


def test_warnings_of_other_threads_are_shown_meanwhile() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        warnings.warn("of the program", UserWarning, stacklevel=1)
        other = threading.Thread(
            target=lambda: warnings.warn("of another", UserWarning, stacklevel=1)
        )
        other.start()
        other.join()
        return x + 1

    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        traced = opscope.trace(program, torch.ones(2))
        traced.check(torch.ones(2))
    texts = [str(w.message) for w in shown]
    assert texts == ["of the program", "of another", "of another", "of another"]


def test_a_check_inside_a_trace_is_not_part_of_it() -> None:
    other = torch.ones(1)
    inner = opscope.trace(lambda t: t * 2, other)

    def program(x: torch.Tensor) -> torch.Tensor:
        assert inner.check(other).ok
        assert opscope.is_tracing()
        return x + 1

    traced = opscope.trace(program, torch.ones(1), strict=True)
    assert [node.kind for node in traced.graph.walk()] == ["aten::add.Tensor"]


def test_checks_of_several_threads_do_not_meet() -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            linear = nn.Linear(3, 3)
            for _ in range(5):
                opscope.trace(linear, torch.randn(2, 3), check=True).check(torch.randn(2, 3))
        except BaseException as error:  # noqa: BLE001  # the test fails with it
            failures.append(error)

    before = warnings.showwarning
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(interval)
    assert failures == []
    assert warnings.showwarning is before


def test_an_object_that_stands_for_no_argument_is_itself_in_each_run() -> None:
    class Missing:
        pass

    missing, nothing = Missing(), object()

    def program(x: torch.Tensor, scale: Any = missing, shift: Any = nothing) -> torch.Tensor:
        return x * (2 if scale is missing else 3) + (shift is nothing)

    x = torch.ones(2)
    assert opscope.trace(program, x, check=True).check()


def test_a_fake_trace_is_checked_with_real_inputs() -> None:
    model = network().eval()
    with pytest.raises(opscope.CheckError, match="a fake trace computes nothing"):
        opscope.trace(model, images(), fake=True, check=True)
    traced = opscope.trace(model, images(), fake=True)
    assert traced.check(images()).ok
    with pytest.raises(
        opscope.ReplayError, match="inputs that Sequential was traced with are gone"
    ):
        traced.check()
