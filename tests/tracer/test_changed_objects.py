"""What modules, arguments and variables hold after a run and did not before is reported, with the line."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy
import pytest
import torch
from torch import nn

import opscope

X = torch.ones(2)


class Net(nn.Module):
    """A module with one of everything that a program may change; ``change`` says what it changes."""

    def __init__(self, change: Callable[[Any, torch.Tensor], Any]) -> None:
        super().__init__()
        self.count = 0
        self.last: torch.Tensor | None = None
        self.rate = float("nan")
        self.history: list[torch.Tensor] = []
        self.cache: dict[str, Any] = {"a": 1}
        self.seen: set[int] = set()
        self.register_buffer("total", torch.zeros(2))
        self.child = nn.Identity()
        self.table = torch.zeros(2)
        self.change = change

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.change(self, x)
        return x + self.total


def set_item(whole: Any, key: Any, value: Any) -> None:
    whole[key] = value


CHANGES: dict[str, tuple[Callable[[Any, torch.Tensor], Any], str, str]] = {
    "counter": (lambda m, x: setattr(m, "count", m.count + 1), "count goes from 0 to 1", "0 -> 1"),
    "tensor": (
        lambda m, x: setattr(m, "last", x * 2),
        "last goes from None to a tensor f32[2]",
        "",
    ),
    "new": (lambda m, x: setattr(m, "fresh", x * 2), "fresh is new: a tensor f32[2]", ""),
    "gone": (lambda m, x: delattr(m, "count"), "count is gone", "0 -> nothing"),
    "list": (lambda m, x: m.history.append(x), "history goes from 0 to 1 item", "0 -> 1"),
    "dict": (lambda m, x: set_item(m.cache, "k", x), "cache goes from 1 to 2 items", "1 -> 2"),
    "item": (lambda m, x: set_item(m.cache, "a", 2), "cache['a'] goes from 1 to 2", "1 -> 2"),
    "set": (lambda m, x: m.seen.add(3), "seen goes from 0 to 1 item", "0 -> 1"),
    "buffer": (
        lambda m, x: setattr(m, "total", m.total + 1),
        "total is another tensor now: a tensor f32[2]",
        "a tensor -> a tensor f32[2]",
    ),
    "plain tensor": (
        lambda m, x: setattr(m, "table", m.table + 1),
        "table is another tensor now",
        "",
    ),
    "child": (
        lambda m, x: setattr(m, "child", nn.Identity()),
        "child is another object now: a Identity",
        "",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_attribute_is_reported(name: str) -> None:
    change, text, value = CHANGES[name]
    traced = opscope.trace(Net(change), X, warn=False)
    found = traced.diagnostics[0]
    assert found.kind is opscope.DiagnosticKind.CHANGED_OBJECT
    assert found.severity is opscope.Severity.WARNING
    assert found.message.startswith(text)
    assert value in found.value


def test_the_line_that_set_the_attribute_is_shown_and_the_node_that_made_its_value() -> None:
    class Keeps(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.last = x * 2
            return x + 1

    with pytest.warns(opscope.TracerWarning, match=r"0\.last is new"):
        traced = opscope.trace(nn.Sequential(Keeps()), X)
    (found,) = traced.diagnostics
    assert found.source is not None
    assert found.source.text.strip() == "self.last = x * 2"
    assert found.scope == "0"
    assert [node.kind for node in found.nodes] == ["aten::mul.Tensor"]


def test_what_did_not_change_is_not_reported() -> None:
    def change(net: Net, x: torch.Tensor) -> None:
        net.count = 0
        net.rate = float("nan")
        net.history.append(x)
        net.history.pop()
        net.total.add_(1)

    assert opscope.trace(Net(change), X).diagnostics == ()


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_what_torch_itself_sets_at_every_run_is_information() -> None:
    linear = nn.utils.weight_norm(nn.Linear(2, 2))  # type: ignore[no-untyped-call]
    traced = opscope.trace(linear, X)
    assert {found.severity for found in traced.diagnostics} <= {opscope.Severity.INFO}
    assert torch.equal(traced(X), linear(X))


@dataclass
class Config:
    scale: float = 1.0
    steps: list[int] = field(default_factory=list)
    inner: Any = None


ARGUMENT_CHANGES: dict[str, tuple[Any, Callable[[Any], Any], str]] = {
    "array": (
        numpy.zeros(2),
        lambda a: a.__iadd__(1),
        "a holds other numbers now: array([1., 1.])",
    ),
    "attribute": (Config(), lambda a: setattr(a, "scale", 2.0), "a.scale goes from 1.0 to 2.0"),
    "list in an object": (Config(), lambda a: a.steps.append(1), "a.steps goes from 0 to 1 item"),
    "nested": (
        Config(inner=[{"k": 1}]),
        lambda a: set_item(a.inner[0], "k", 2),
        "a.inner[0]['k'] goes from 1 to 2",
    ),
    "set": (set(), lambda a: a.add(torch.ones(1)), "a goes from 0 to 1 item"),
    "module": (nn.Linear(2, 2), lambda a: setattr(a, "seen", 1), "a.seen is new: 1"),
}


@pytest.mark.parametrize("name", ARGUMENT_CHANGES)
def test_a_changed_argument_is_reported(name: str) -> None:
    argument, change, text = ARGUMENT_CHANGES[name]

    def program(a: Any, x: torch.Tensor) -> torch.Tensor:
        change(a)
        return x + 1

    with pytest.warns(opscope.TracerWarning, match="changed a container or an object among its"):
        traced = opscope.trace(program, (argument, X))
    assert text in traced.diagnostics[0].message


calls = 0


def test_a_counted_variable_is_a_warning_and_a_collecting_list_is_information() -> None:
    collected: list[int] = []
    local = 0

    def program(x: torch.Tensor) -> torch.Tensor:
        global calls  # noqa: PLW0603  # that is what the test is about
        nonlocal local
        calls += 1
        local += 1
        collected.append(1)
        return x + calls

    severities = {
        found.message.partition(";")[0]: found.severity
        for found in opscope.trace(program, X, warn=False).diagnostics
    }
    assert severities == {
        "the variable local goes from 0 to 1": opscope.Severity.WARNING,
        "the variable calls goes from 0 to 1": opscope.Severity.WARNING,
        "the variable collected goes from 0 to 1 item": opscope.Severity.INFO,
    }


def test_a_list_that_grows_and_is_read_is_a_warning() -> None:
    cache = [torch.zeros(2)]
    read: dict[str, Any] = {"first": torch.zeros(2)}
    collected = [torch.zeros(2)]

    def program(x: torch.Tensor) -> torch.Tensor:
        cache.append(x * 2)
        collected.append(x * 3)
        read[f"more {len(read)}"] = "no tensor, which would be put there at a replay as well"
        return torch.stack(cache).sum(0) + read["first"]

    severities = {
        found.message.partition(";")[0]: found.severity
        for found in opscope.trace(program, X, warn=False).diagnostics
    }
    assert severities == {
        "the variable cache goes from 1 to 2 items": opscope.Severity.WARNING,
        "the variable read goes from 1 to 2 items": opscope.Severity.WARNING,
        "the variable collected goes from 1 to 2 items": opscope.Severity.INFO,
    }


class Average:
    """Goes with each step: as an object in a closure, in a module, behind a function."""

    start = torch.zeros(2)

    def __init__(self) -> None:
        self.value = torch.zeros(2)
        self.count = 0
        self.history = {"last": [torch.zeros(2)]}

    def update(self, x: torch.Tensor) -> torch.Tensor:
        self.value = self.value * 0.9 + x
        return self.value


def in_an_object() -> Callable[[torch.Tensor], torch.Tensor]:
    average = Average()
    return lambda x: average.update(x)


def in_an_object_of_a_module() -> Callable[[torch.Tensor], torch.Tensor]:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.average = Average()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.average.update(x)

    return Model()


def in_a_container_of_an_object() -> Callable[[torch.Tensor], torch.Tensor]:
    average = Average()

    def program(x: torch.Tensor) -> torch.Tensor:
        average.history["last"][0] = x + 1
        return x

    return program


def behind_a_function() -> Callable[[torch.Tensor], torch.Tensor]:
    def make() -> Callable[[torch.Tensor], torch.Tensor]:
        value = torch.zeros(2)

        def update(x: torch.Tensor) -> torch.Tensor:
            nonlocal value
            value = value * 0.9 + x
            return value

        return update

    update = make()
    return lambda x: update(x) + 1


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (in_an_object, "average.value"),
        (in_an_object_of_a_module, "average.value"),
        (in_a_container_of_an_object, "average.history.last.0"),
    ],
)
def test_a_tensor_replaced_further_away_is_replaced_at_each_replay(make: Any, path: str) -> None:
    ours, theirs = make(), make()
    traced = opscope.trace(ours, torch.ones(2), strict=True)
    theirs(torch.ones(2))
    assert [stored.place.name for stored in traced.stored] == [path]
    for x in torch.randn(3, 2):
        assert torch.equal(traced(x), theirs(x))


def test_a_variable_that_is_another_tensor_is_reported() -> None:
    with pytest.warns(opscope.TracerWarning) as caught:
        opscope.trace(behind_a_function(), torch.ones(2))
    assert len(caught) == 1
    assert "the variable value is another tensor now" in str(caught[0].message)


def test_a_number_that_an_object_counts_is_reported() -> None:
    average = Average()

    def program(x: torch.Tensor) -> torch.Tensor:
        average.count += 1
        return x / average.count

    with pytest.warns(opscope.TracerWarning, match=r"average\.count goes from 0 to 1"):
        opscope.trace(program, torch.ones(2))


def test_modules_that_turn_up_while_the_program_runs_are_watched() -> None:
    def make() -> Any:
        holder = {"inner": {"net": nn.Linear(2, 1)}}

        def step(x: torch.Tensor) -> torch.Tensor:
            holder["inner"]["net"](x).sum().backward()
            return x + 1

        return step

    traced = opscope.trace(make(), X)
    stored = [node.inputs[0].name for node in traced.graph.nodes(op="prim::set_gradient")]
    assert stored == ["holder.inner.net.weight", "holder.inner.net.bias"]


def test_a_lazy_module_is_traced() -> None:
    lazy = nn.LazyLinear(3)
    traced = opscope.trace(lazy, X, warn=False)
    assert torch.equal(traced(X), lazy(X))


def test_a_module_among_the_outputs_is_returned_as_it_is() -> None:
    linear = nn.Linear(2, 2)
    (found,) = opscope.trace(lambda x: (linear(x), linear), X).diagnostics
    assert found.severity is opscope.Severity.INFO
    with pytest.warns(opscope.TracerWarning, match="the program returns a module, Linear"):
        opscope.trace(lambda x: (x + 1, nn.Linear(2, 2)), X)


def test_what_changed_in_one_argument_is_one_diagnostic_at_the_line_of_the_first_change() -> None:
    def step(x: torch.Tensor, seen: dict[str, Config]) -> torch.Tensor:
        for config in seen.values():
            config.scale = 2.0
            config.inner = x
        seen["second"].inner = None
        return x + 1

    arguments = (torch.ones(2), {"first": Config(), "second": Config()})
    (found,) = opscope.trace(step, arguments, warn=False).diagnostics
    assert "seen['first'].scale goes from 1.0 to 2.0, and 2 more;" in found.message


def test_numbers_that_a_class_counts_in_are_reported() -> None:
    class Counter(nn.Module):
        calls = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            Counter.calls += 1
            return x * Counter.calls

    with pytest.warns(opscope.TracerWarning, match=r"Counter\.calls goes from 0 to 1"):
        opscope.trace(Counter(), X)
