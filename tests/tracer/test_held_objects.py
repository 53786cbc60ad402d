"""What a program puts into optimizers, dictionaries and other objects that it holds, a replay puts there."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler
from torch.testing._internal.common_optimizers import (
    _get_optim_inputs_including_global_cliquey_kwargs as all_inputs,
)
from torch.testing._internal.common_optimizers import optim_db
from torch.utils import _pytree as pytree

import opscope
from opscope.testing import check_text
from support.replays import plain_text

_DECIDES_BY_DATA = ("Adafactor", "LBFGS")  # of which no two steps need go one way
_OPTIONS = [
    pytest.param(info.optim_cls, options.kwargs, id=f"{info.optim_cls.__name__}-{number}")
    for info in optim_db
    if info.optim_cls.__name__ not in (*_DECIDES_BY_DATA, "SparseAdam")
    for number, options in enumerate(all_inputs("cpu", torch.float32, info))
    if not options.kwargs.get("differentiable")
]
Step = Callable[[torch.Tensor], torch.Tensor]


class Training:
    """A model in training, with clipping, a schedule, and an average of its weights in a dictionary."""

    def __init__(self, optimizer_class: Any, options: dict[str, Any]) -> None:
        torch.manual_seed(0)
        has_bias = optimizer_class is not torch.optim.Muon
        self.model = torch.nn.Linear(4, 3, bias=has_bias)
        self.optimizer = optimizer_class(self.model.parameters(), **copy.deepcopy(options))
        has_schedule = not isinstance(options.get("lr"), torch.Tensor)
        self.schedule = lr_scheduler.ExponentialLR(self.optimizer, 0.9) if has_schedule else None
        self.average: dict[str, torch.Tensor] = {}

    def step(self, x: torch.Tensor) -> torch.Tensor:
        self.optimizer.zero_grad()
        loss: torch.Tensor = self.model(x).pow(2).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 0.5)
        self.optimizer.step()
        if self.schedule is not None:
            self.schedule.step()
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                if name in self.average:
                    self.average[name] = 0.9 * self.average[name] + 0.1 * parameter
                else:
                    self.average[name] = parameter.detach().clone()
        return loss

    def held(self) -> Any:
        parameters = list(self.model.parameters())
        schedule = None if self.schedule is None else self.schedule.state_dict()
        gradients = [parameter.grad for parameter in parameters]
        return [parameters, gradients, self.optimizer.state_dict(), schedule, dict(self.average)]

    def load(self, other: Training) -> None:
        """Become what another training is, in the objects that are there."""
        self.model.load_state_dict(other.model.state_dict())
        for one, parameter in zip(self.model.parameters(), other.model.parameters(), strict=True):
            one.grad = None if parameter.grad is None else parameter.grad.clone()
        self.optimizer.load_state_dict(copy.deepcopy(other.optimizer.state_dict()))
        if self.schedule is not None and other.schedule is not None:
            self.schedule.load_state_dict(copy.deepcopy(other.schedule.state_dict()))
        self.average.clear()
        self.average.update(copy.deepcopy(other.average))


def check_equal(ours: Any, theirs: Any) -> None:
    (one, our_tree), (other, their_tree) = pytree.tree_flatten(ours), pytree.tree_flatten(theirs)
    assert our_tree == their_tree
    for a, b in zip(one, other, strict=True):
        assert type(a) is type(b)
        if isinstance(a, torch.Tensor):
            assert (a.dtype, a.stride(), a.requires_grad) == (b.dtype, b.stride(), b.requires_grad)
            assert torch.equal(a.detach(), b.detach())
        else:
            assert repr(a) == repr(b)


@pytest.mark.parametrize(("optimizer_class", "options"), _OPTIONS)
def test_replays_of_the_first_step_and_of_a_later_one_are_as_in_eager(
    optimizer_class: Any, options: dict[str, Any]
) -> None:
    ours, theirs, begun = (Training(optimizer_class, options) for _ in range(3))
    inputs = torch.randn(10, 5, 4, generator=torch.Generator().manual_seed(1))
    first = opscope.trace(ours.step, inputs[0], depth="deep", allow={"data read"}, strict=True)
    theirs.step(inputs[0])
    check_equal(ours.held(), theirs.held())
    with pytest.raises(opscope.GuardError, match="trace again as it is now"):
        first(inputs[1])
    check_equal(ours.held(), theirs.held())

    ours.load(begun)
    assert torch.equal(first(inputs[1]), begun.step(inputs[1]))
    check_equal(ours.held(), begun.held())
    for number, parameter in enumerate(ours.model.parameters()):
        state = begun.optimizer.state[list(begun.model.parameters())[number]]
        assert list(ours.optimizer.state[parameter]) == list(state)
    for x in inputs[
        2 : 7 if optimizer_class is torch.optim.RAdam else 3
    ]:  # it changes its way once
        ours.step(x)
        begun.step(x)
        check_equal(ours.held(), begun.held())

    later = opscope.trace(ours.step, inputs[3], depth="deep", allow={"data read"}, strict=True)
    begun.step(inputs[3])
    for x in inputs[4:7]:
        assert torch.equal(later(x), begun.step(x))
        check_equal(ours.held(), begun.held())
    ours.load(begun)  # new tensors in the optimizer, which a replay reads
    for x in inputs[7:]:
        assert torch.equal(later(x), begun.step(x))
        check_equal(ours.held(), begun.held())
    assert str(opscope.parse(str(later.graph))) == str(later.graph)


def test_a_first_step_shows_what_it_makes_by_the_name_of_its_parameter() -> None:
    model = torch.nn.Linear(3, 2, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9, foreach=False)
    model.weight.grad = torch.ones(2, 3)

    def train() -> torch.Tensor:
        optimizer.step()
        return model.weight

    traced = opscope.trace(train, strict=True)
    text = "\n".join(line for line in plain_text(traced).splitlines() if "profiler" not in line)
    check_text(
        opscope.parse(text.replace("  constant %ScriptObject : object\n", "")),
        """
        graph train() -> (f32[2, 3]{grad}, f32[2, 3]):
          state %model.weight : f32[2, 3]{grad}
          number %optimizer.param_groups.0.lr : float, %optimizer.param_groups.0.momentum : float,
              %optimizer.param_groups.0.weight_decay : int
          %0 : bool = aten::ne.float_int(%optimizer.param_groups.0.momentum, 0)
          prim::guard(%0, True)
          %1 : bool = aten::ne.int(%optimizer.param_groups.0.weight_decay, 0)
          prim::guard(%1, False)
          %2 : float = aten::neg.float(%optimizer.param_groups.0.lr)
          %model.weight.grad : f32[2, 3] = prim::gradient(%model.weight)
          mode no_grad
          %4 : f32[2, 3] = aten::detach(%model.weight.grad)
          %optimizer.state.model.weight.momentum_buffer : f32[2, 3] = aten::clone(%4)
          %5 : f32[2, 3]{grad} = aten::add_.Tensor(%model.weight,
              %optimizer.state.model.weight.momentum_buffer, alpha=%2)
          mode grad
          return (%5, %optimizer.state.model.weight.momentum_buffer)
        """,
    )
    assert [stored.place.name for stored in traced.stored] == ["optimizer.state.model.weight"]
    with pytest.raises(
        opscope.GuardError, match=r"optimizer\.state has no entry for model\.weight there"
    ):
        traced()
    optimizer.state.clear()
    traced()
    buffer = optimizer.state[model.weight]["momentum_buffer"]
    assert torch.equal(buffer, torch.ones(2, 3))


def test_a_later_step_needs_the_state_that_a_first_one_makes() -> None:
    training = Training(torch.optim.Adam, {})
    x = torch.ones(2, 4)
    training.step(x)
    traced = opscope.trace(training.step, x, depth="deep", strict=True)
    training.optimizer.state.clear()
    before = copy.deepcopy(training.held())
    with pytest.raises(opscope.GuardError, match=r"weight\.step was f32\[\] there, and is nothing"):
        traced(x)
    check_equal(training.held(), before)


def test_a_fake_trace_of_the_first_step_leaves_no_state_and_its_replay_makes_it() -> None:
    model = torch.nn.Linear(3, 2)
    model(torch.ones(1, 3)).sum().backward()
    twin = copy.deepcopy(model)
    for one, other in zip(model.parameters(), twin.parameters(), strict=True):
        other.grad = copy.deepcopy(one.grad)
    ours, theirs = (torch.optim.SGD(m.parameters(), 0.1, momentum=0.9) for m in (model, twin))
    traced = opscope.trace(ours.step, fake=True)
    assert not ours.state
    traced()
    theirs.step()
    ours.step()
    theirs.step()
    check_equal(
        [list(model.parameters()), ours.state_dict()],
        [list(twin.parameters()), theirs.state_dict()],
    )


def test_names_of_several_optimizers_groups_tied_weights_and_raw_tensors() -> None:
    a, b = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2, bias=False)
    b.weight = a.weight
    raw = [torch.ones(2, requires_grad=True)]
    groups = [{"params": [a.weight]}, {"params": [a.bias], "lr": 0.5}]
    first = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
    second = torch.optim.SGD([torch.zeros(2, requires_grad=True), *raw], momentum=0.9)

    def train(x: torch.Tensor) -> None:
        loss = b(a(x)).sum() + raw[0].sum() + second.param_groups[0]["params"][0].sum()
        loss.backward()
        first.step()
        second.step()

    x = torch.ones(1, 2)
    train(x)
    traced = opscope.trace(train, x, depth="deep", strict=True)
    assert [name for name in traced.graph.state if ".state." in name] == [
        "first.state.a.weight.momentum_buffer",
        "first.state.a.bias.momentum_buffer",
        "second.state.0.momentum_buffer",
        "second.state.raw.0.momentum_buffer",
    ]


def test_a_scaler_makes_its_scale_and_goes_on() -> None:
    def made() -> tuple[Any, Any, Any, Step]:
        torch.manual_seed(0)
        model = torch.nn.Linear(4, 2)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)
        scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2)

        def train(x: torch.Tensor) -> torch.Tensor:
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss: torch.Tensor = model(x).pow(2).mean()
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.3)
            scaler.step(optimizer)
            scaler.update()
            return loss

        return model, optimizer, scaler, train

    def held(training: tuple[Any, Any, Any, Step]) -> Any:
        model, optimizer, scaler, _ = training
        tensors = [*model.parameters(), scaler._scale, scaler._growth_tracker]
        return tensors, optimizer.state_dict(), scaler.state_dict()

    ours, theirs, begun = made(), made(), made()
    inputs = torch.randn(8, 3, 4)
    first = opscope.trace(ours[3], inputs[0], depth="deep", strict=True)
    assert not first.diagnostics
    theirs[3](inputs[0])
    check_equal(held(ours), held(theirs))
    ours[0].load_state_dict(begun[0].state_dict())
    ours[1].load_state_dict(begun[1].state_dict())
    with pytest.raises(opscope.GuardError, match=r"scaler\._scale is None there"):
        first(inputs[0])
    ours[2]._scale = ours[2]._growth_tracker = None
    assert torch.equal(first(inputs[1]), begun[3](inputs[1]))
    check_equal(held(ours), held(begun))
    later = opscope.trace(ours[3], inputs[2], depth="deep", strict=True)
    begun[3](inputs[2])
    for x in inputs[3:]:
        assert torch.equal(later(x), begun[3](x))
        check_equal(held(ours), held(begun))


class Cell:
    """Holds tensors in attributes, in a tuple, a list and a dictionary."""

    def __init__(self) -> None:
        self.previous = torch.zeros(2)
        self.current = torch.ones(2)
        self.pair = (torch.zeros(2), torch.ones(2))
        self.ring = [torch.zeros(2), torch.ones(2), torch.full((2,), 2.0)]
        self.named = {"old": torch.zeros(2)}
        self.lazy: torch.Tensor | None = None

    def swap(self, x: torch.Tensor) -> torch.Tensor:
        self.previous, self.current = self.current, self.current * 0.5 + self.previous + x
        return self.previous + 1

    def in_a_tuple(self, x: torch.Tensor) -> torch.Tensor:
        one, other = self.pair
        self.pair = (one * 0.5 + x, other + one)
        return one + other

    def in_a_list(self, x: torch.Tensor) -> torch.Tensor:
        self.ring[0], self.ring[1], self.ring[2] = self.ring[1], self.ring[2], x + self.ring[0]
        return self.ring[0] + self.ring[2]

    def in_a_dictionary(self, x: torch.Tensor) -> torch.Tensor:
        old = self.named.pop("old")
        self.named["old"] = old + x
        return old + 1

    def anew(self, x: torch.Tensor) -> torch.Tensor:
        self.named["all"] = made = {"x": x + 1, "more": [x * 2, 5, "five"]}  # type: ignore[assignment]
        self.named["same"] = made["x"]  # type: ignore[assignment]
        return x

    def lazily(self, x: torch.Tensor) -> torch.Tensor:
        if self.lazy is None:
            self.lazy = x.clone()
        else:
            self.lazy.mul_(0.9).add_(x)
        return self.lazy + 1

    def held(self) -> Any:
        return vars(self)


_METHODS = ["swap", "in_a_tuple", "in_a_list", "in_a_dictionary", "anew", "lazily"]


@pytest.mark.parametrize("method", _METHODS)
def test_tensors_that_are_replaced_at_each_run_go_on_at_each_replay(method: str) -> None:
    ours, theirs = Cell(), Cell()
    inputs = torch.randn(6, 2)
    for cell in (ours, theirs):
        getattr(cell, method)(inputs[0])
    traced = opscope.trace(getattr(ours, method), inputs[1], strict=True)
    getattr(theirs, method)(inputs[1])
    for x in inputs[2:]:
        assert torch.equal(traced(x), getattr(theirs, method)(x))
        check_equal(ours.held(), theirs.held())
        assert (ours.named.get("same") is None) or ours.named["same"] is ours.named["all"]["x"]  # type: ignore[call-overload]
    assert traced.check(inputs[0])
    check_equal(ours.held(), theirs.held())


@pytest.mark.parametrize(
    ("method", "text"), [("lazily", "lazy is None there"), ("anew", "named.all is not set there")]
)
def test_what_a_run_found_missing_a_replay_must_find_missing(method: str, text: str) -> None:
    cell, x = Cell(), torch.ones(2)
    traced = opscope.trace(getattr(cell, method), x, strict=True)
    with pytest.raises(opscope.GuardError, match=text):
        traced(x)
    cell.lazy = None
    cell.named = {"old": cell.named["old"]} if method == "lazily" else cell.named
    for name in ("all", "same"):
        cell.named.pop(name, None)
    twin = copy.deepcopy(cell)
    assert torch.equal(traced(x * 3), getattr(twin, method)(x * 3))
    check_equal(cell.held(), twin.held())


def test_a_tensor_of_another_type_in_a_place_that_is_read_is_refused() -> None:
    cell, x = Cell(), torch.ones(2)
    traced = opscope.trace(cell.swap, x, strict=True)
    cell.current = cell.current.double()
    with pytest.raises(
        opscope.GuardError, match=r"current was f32\[2\] there, and is f64\[2\] now"
    ):
        traced(x)


def test_a_replay_that_fails_puts_nothing_anywhere() -> None:
    cell = Cell()

    def program(x: torch.Tensor) -> torch.Tensor:
        cell.swap(x)
        return torch.linalg.cholesky(x.diag())

    traced = opscope.trace(program, torch.ones(2), strict=True)
    before = dict(cell.held())
    with pytest.raises(torch.linalg.LinAlgError):
        traced(-torch.ones(2))
    assert all(cell.held()[name] is kept for name, kept in before.items())


def test_a_program_around_a_traced_one_goes_on_as_well() -> None:
    ours, theirs = Training(torch.optim.Adam, {}), Training(torch.optim.Adam, {})
    inputs = torch.randn(6, 5, 4)
    for training in (ours, theirs):
        training.step(inputs[0])
    inner = opscope.trace(ours.step, inputs[1], depth="deep", strict=True)
    traced = opscope.trace(lambda x: inner(x) * 2, inputs[2], depth="deep", strict=True)
    for x in inputs[1:3]:
        theirs.step(x)
    for x in inputs[3:]:
        assert torch.equal(traced(x), theirs.step(x) * 2)
        check_equal(ours.held(), theirs.held())


def test_a_tensor_that_stands_in_two_places_and_is_replaced_in_one_is_told_of() -> None:
    tensor = torch.zeros(2)
    one, other = {"t": tensor}, {"t": tensor}

    def program(x: torch.Tensor) -> torch.Tensor:
        result = one["t"] + other["t"]
        one["t"] = x
        return result

    with pytest.warns(opscope.TracerWarning, match="one.t is held in more than one place"):
        opscope.trace(program, torch.ones(2))


def test_what_cannot_be_made_anew_is_told_of() -> None:
    weight = torch.ones(2, requires_grad=True)
    weight.grad = torch.ones(2)
    optimizer = torch.optim.SGD([weight], 0.1, momentum=0.9)

    class Box:
        def __init__(self, tensor: torch.Tensor) -> None:
            self.tensor = tensor

    def program() -> None:
        optimizer.state[weight] = {"box": Box(weight * 2)}
        optimizer.param_groups[0]["maximize"] = True

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = opscope.trace(program)
    assert [found.message for found in traced.diagnostics] == [
        "optimizer.state.weight is a dict now, which a replay does not put there",
        "optimizer.param_groups.0.maximize goes from False to True; a replay leaves it as it is",
    ]


def test_new_numbers_are_computed_anew() -> None:
    class Remembers(torch.optim.Optimizer):
        def __init__(self, parameters: Any) -> None:
            super().__init__(parameters, {"lr": 0.5})

        @torch.no_grad()
        def step(self, closure: Any = None) -> Any:
            for group in self.param_groups:
                for parameter in group["params"]:
                    self.state[parameter] = {"twice": group["lr"] * 2, "rates": [group["lr"], 1]}

    weight = torch.ones(2, requires_grad=True)
    optimizer = Remembers([weight])
    traced = opscope.trace(optimizer.step, strict=True)
    assert [type(optimizer.state[weight]["twice"])] == [float]
    optimizer.state.clear()
    optimizer.param_groups[0]["lr"] = 0.25
    traced()
    assert optimizer.state[weight] == {"twice": 0.5, "rates": [0.25, 1]}


@pytest.mark.parametrize("line_search", [None, "strong_wolfe"])
def test_a_step_of_lbfgs_goes_on_from_lists_of_earlier_ones(line_search: str | None) -> None:
    def made() -> tuple[torch.Tensor, torch.optim.LBFGS, Callable[[], Any]]:
        weight = torch.tensor([3.0, -2.0], requires_grad=True)
        optimizer = torch.optim.LBFGS([weight], lr=0.1, max_iter=4, line_search_fn=line_search)

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = (weight.pow(4) + weight.square() * 0.5).sum()
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        return weight, optimizer, lambda: optimizer.step(closure)

    (ours, our_optimizer, our_step), (theirs, their_optimizer, their_step) = made(), made()
    for number in range(3):
        before, state = ours.detach().clone(), copy.deepcopy(our_optimizer.state_dict())
        traced = opscope.trace(our_step, warn=False)
        assert {found.kind.value for found in traced.diagnostics} == {"data read"}
        with torch.no_grad():
            ours.copy_(before)
        our_optimizer.load_state_dict(state)
        if number == 0:
            our_optimizer.state.clear()
        assert torch.equal(traced(), their_step())
        check_equal([ours, our_optimizer.state_dict()], [theirs, their_optimizer.state_dict()])
