"""Numbers that optimizers hold: read at each replay, written back, and plain again after the trace."""

from __future__ import annotations

import copy
import functools
import itertools
import math
import threading
import warnings
from collections.abc import Callable, Iterator
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
from opscope.ir import StateKind
from opscope.testing import check_text
from support.replays import plain_text

_STEPS = 5
_DECIDES_BY_DATA = ("Adafactor", "LBFGS")  # of which no two steps need go one way
_OPTIONS = [
    pytest.param(info.optim_cls, options.kwargs, id=f"{info.optim_cls.__name__}-{number}")
    for info in optim_db
    if info.optim_cls.__name__ not in _DECIDES_BY_DATA
    for number, options in enumerate(all_inputs("cpu", torch.float32, info))
]
Made = tuple[torch.nn.Module, Any, Any, Callable[[torch.Tensor], torch.Tensor]]


def _held(optimizer: torch.optim.Optimizer) -> list[Any]:
    """Return the parameters, the state and the options of an optimizer: tensors, numbers and all else."""
    groups = [dict(group) for group in optimizer.param_groups]
    states = [dict(optimizer.state[p]) for group in groups for p in group["params"]]
    return pytree.tree_leaves((groups, states))  # type: ignore[no-any-return]


def _check_equal(ours: list[Any], theirs: list[Any]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert type(one) is type(other)
        if isinstance(one, torch.Tensor):
            assert torch.equal(one.detach(), other.detach())
        else:
            assert repr(one) == repr(other)


def _stepped(optimizer_class: Any, options: dict[str, Any]) -> tuple[list[torch.Tensor], Any]:
    """Return parameters and their optimizer after some steps, with the gradients for the next."""
    torch.manual_seed(0)
    parameters = [torch.randn(shape, requires_grad=True) for shape in ((4, 3), (2, 2))]
    if options.get("differentiable"):
        parameters = [parameter.clone() for parameter in parameters]
    optimizer = optimizer_class(parameters, **copy.deepcopy(options))
    for number in range(
        6 if optimizer_class is torch.optim.RAdam else 1
    ):  # it goes one way from then on
        _give_gradients(parameters, optimizer, number)
        optimizer.step()
    _give_gradients(parameters, optimizer, 10)
    return parameters, optimizer


def _give_gradients(parameters: list[torch.Tensor], optimizer: Any, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in parameters:
        gradient = torch.randn(parameter.shape, generator=generator)
        is_sparse = isinstance(optimizer, torch.optim.SparseAdam)
        parameter.grad = gradient.to_sparse(1) if is_sparse else gradient


@pytest.mark.filterwarnings("ignore")  # torch's own, of sparse tensors and gradients of results
@pytest.mark.parametrize(("optimizer_class", "options"), _OPTIONS)
def test_every_optimizer_steps_as_in_eager_while_a_scheduler_changes_its_rate(
    optimizer_class: Any, options: dict[str, Any]
) -> None:
    ours, theirs = (_stepped(optimizer_class, options) for _ in range(2))
    schedules = [lr_scheduler.ExponentialLR(each[1], 0.7) for each in (ours, theirs)]
    traced = opscope.trace(ours[1].step, warn=False)
    theirs[1].step()
    _check_equal(_held(ours[1]), _held(theirs[1]))
    for number in range(_STEPS):
        for schedule, (parameters, optimizer) in zip(schedules, (ours, theirs), strict=True):
            schedule.step()
            if not options.get("differentiable"):  # the gradient of a result is a constant
                _give_gradients(parameters, optimizer, number)
        traced()
        theirs[1].step()
        _check_equal(_held(ours[1]), _held(theirs[1]))
    assert str(opscope.parse(str(traced.graph))) == str(traced.graph)


def _training(make_optimizer: Callable[..., Any], make_schedule: Callable[..., Any]) -> Made:
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    optimizer = make_optimizer(model.parameters())
    schedule = make_schedule(optimizer)

    def train(x: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        loss = model(x).pow(2).sum()
        loss.backward()
        optimizer.step()
        schedule.step()
        return loss

    return model, optimizer, schedule, train


def _sgd(parameters: Iterator[torch.Tensor]) -> torch.optim.SGD:
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)


def _adam(parameters: Iterator[torch.Tensor]) -> torch.optim.Adam:
    return torch.optim.Adam(parameters, lr=0.1)


@pytest.mark.filterwarnings("ignore")  # SequentialLR steps before its optimizer does
@pytest.mark.parametrize("make_optimizer", [_sgd, _adam])
@pytest.mark.parametrize(
    "make_schedule",
    [
        lambda optimizer: lr_scheduler.StepLR(optimizer, 1),
        lambda optimizer: lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.95**epoch),
        lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, 20),
        lambda optimizer: lr_scheduler.OneCycleLR(optimizer, 0.2, total_steps=30),
        lambda optimizer: lr_scheduler.SequentialLR(
            optimizer,
            [lr_scheduler.ConstantLR(optimizer, total_iters=20)] * 1
            + [lr_scheduler.ExponentialLR(optimizer, 0.9)],
            [15],
        ),
    ],
    ids=["step", "lambda", "cosine", "one cycle", "sequential"],
)
def test_a_scheduler_inside_the_program_goes_on_at_each_replay(
    make_optimizer: Any, make_schedule: Any
) -> None:
    ours, theirs = (_training(make_optimizer, make_schedule) for _ in range(2))
    inputs = torch.randn(_STEPS + 2, 4, 3)
    for made in (ours, theirs):
        made[3](inputs[0])
    traced = opscope.trace(ours[3], inputs[1], allow={"stored gradient"}, strict=True)
    theirs[3](inputs[1])
    for x in inputs[2:]:
        assert torch.equal(traced(x), theirs[3](x))
        _check_equal(_held(ours[1]), _held(theirs[1]))
        assert repr(ours[2].state_dict()) == repr(theirs[2].state_dict())


def test_a_rate_that_falls_every_few_steps_is_a_guard_of_the_schedule() -> None:
    _, _, _, train = _training(_sgd, lambda optimizer: lr_scheduler.StepLR(optimizer, 3))
    x = torch.ones(4, 3)
    train(x)
    traced = opscope.trace(train, x, warn=False)
    with pytest.raises(
        opscope.GuardError, match=r"\(schedule.last_epoch \+ 1\) % schedule.step_size != 0 does not"
    ):
        traced(x)


class _Counting(torch.optim.Optimizer):
    """Counts its steps, and the steps of each parameter, in Python."""

    def __init__(self, parameters: Any, **options: Any) -> None:
        super().__init__(parameters, {"lr": 0.5, "pair": (2.0, 3.0), **options})
        self.count = 1
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter] = {"step": 0}

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Take a step down, whatever the gradient."""
        self.count += 1
        for group in self.param_groups:
            first, second = group["pair"]
            group["pair"] = (first + 1, second)
            for parameter in group["params"]:
                self.state[parameter]["step"] += 1
                parameter.sub_(group["lr"] * first / self.count)


def _counting(**options: Any) -> tuple[torch.Tensor, _Counting]:
    weight = torch.zeros(2, requires_grad=True)
    return weight, _Counting([weight], **options)


def test_what_is_read_is_state_and_what_is_stored_is_written_at_the_end() -> None:
    weight, optimizer = _counting()
    pair = optimizer.param_groups[0]["pair"]
    traced = opscope.trace(optimizer.step, strict=True)
    check_text(
        opscope.parse(plain_text(traced)),
        """
        graph step() -> ():
          state %param_groups.0.params.0 : f32[2]{grad}
          number %state.0.step : int, %param_groups.0.lr : float, %param_groups.0.pair.0 : float,
              %count : int
          %0 : float = aten::mul.float(%param_groups.0.lr, %param_groups.0.pair.0)
          %1 : int = aten::add.int(%count, 1)
          %2 : float = aten::div.float_int(%0, %1)
          %3 : int = aten::add.int(%state.0.step, 1)
          %4 : float = aten::add.float_int(%param_groups.0.pair.0, 1)
          mode no_grad
          %6 : f32[2]{grad} = aten::sub_.Tensor(%param_groups.0.params.0, %2)
          mode grad
          prim::set_number(%state.0.step, %3)
          prim::set_number(%param_groups.0.pair.0, %4)
          prim::set_number(%count, %1)
          return ()
        """,
    )
    assert {e.name for e in traced.graph.state.values() if e.kind is StateKind.NUMBER} == {
        "state.0.step", "param_groups.0.lr", "param_groups.0.pair.0", "count"
    }  # fmt: skip
    assert optimizer.param_groups[0]["pair"] == (3.0, 3.0)
    assert pair == (2.0, 3.0)
    _, other = _counting()
    other.step()
    for rate in (0.5, 0.125):
        optimizer.param_groups[0]["lr"] = other.param_groups[0]["lr"] = rate
        traced()
        other.step()
        _check_equal(_held(optimizer), _held(other))
        assert optimizer.count == other.count
    assert weight[0].item() != 0


def test_a_functional_graph_returns_the_numbers_that_it_would_store() -> None:
    _, optimizer = _counting()
    _, other = _counting()
    traced = opscope.trace(optimizer.step, force_outplace=True)
    assert [mutation.name for mutation in traced.mutations] == [
        "param_groups.0.params.0", "state.0.step", "param_groups.0.pair.0", "count"
    ]  # fmt: skip
    assert not traced.graph.nodes(op="prim::set_number")
    traced()
    other.step()
    other.step()
    _check_equal(_held(optimizer), _held(other))


def test_branches_are_guards_that_name_the_number() -> None:
    weight = torch.ones(2, requires_grad=True)
    weight.grad = torch.ones(2)
    optimizer = torch.optim.SGD([weight], lr=0.1, weight_decay=0.5)
    traced = opscope.trace(optimizer.step)
    assert [guard.text for guard in traced.guards] == [
        "param_groups.0.momentum == 0",
        "param_groups.0.weight_decay != 0",
    ]
    optimizer.param_groups[0]["weight_decay"] = 0.25
    traced()
    optimizer.param_groups[0]["weight_decay"] = 0.0
    before = weight.detach().clone()
    with pytest.raises(opscope.GuardError, match=r"param_groups.0.weight_decay != 0 does"):
        traced()
    assert torch.equal(weight, before)


@pytest.mark.parametrize("number", [0.1, 0.0, -0.0, math.inf, math.nan])
def test_a_use_that_needs_a_plain_number_holds_it(number: float) -> None:
    _, optimizer = _counting(plain=number)

    def program(x: torch.Tensor) -> torch.Tensor:
        return x * float(optimizer.param_groups[0]["plain"])

    x = torch.ones(2)
    traced = opscope.trace(program, x)
    for other in (0.1, 0.0, -0.0, math.inf, math.nan):
        optimizer.param_groups[0]["plain"] = other
        if repr(other) == repr(number):
            assert repr(traced(x)) == repr(program(x))
        else:
            with pytest.raises(opscope.GuardError, match=r"optimizer.param_groups.0.plain == "):
                traced(x)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda o: o.param_groups[0].update(lr=1), "lr was of class float there, and is 1, of class int"),
        (lambda o: o.param_groups[0].update(lr=torch.ones(())), r"is tensor\(1.\), of class Tensor"),
        (lambda o: o.param_groups[0].pop("lr"), "lr was of class float there, and is nothing now"),
        (lambda o: o.param_groups[0].update(maximize=True), "param_groups.0.maximize is False there"),
        (lambda o: o.add_param_group({"params": [torch.ones(1)]}), "the groups of SGD have 1 parameters"),
        (lambda o: o.state.clear(), r"momentum_buffer was f32\[2\] there, and is nothing now"),
    ],
)  # fmt: skip
def test_other_options_are_refused(change: Callable[[Any], None], message: str) -> None:
    weight = torch.ones(2, requires_grad=True)
    weight.grad = torch.ones(2)
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.5)
    optimizer.step()
    traced = opscope.trace(optimizer.step)
    change(optimizer)
    with pytest.raises(opscope.GuardError, match=message):
        traced()


def test_numbers_that_go_through_a_backward_inside_are_held() -> None:
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)

    def train(x: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        loss = model(x).sum() * optimizer.param_groups[0]["lr"]
        loss.backward()
        optimizer.step()
        return loss

    traced = opscope.trace(train, torch.ones(1, 2), warn=False)
    optimizer.param_groups[0]["lr"] = 0.25
    with pytest.raises(opscope.GuardError, match=r"optimizer.param_groups.0.lr == 0.5"):
        traced(torch.ones(1, 2))


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_after_the_trace_all_numbers_are_plain(error: type[BaseException] | None) -> None:
    _, optimizer = _counting(own=[1.5, 2.5], kept=0.25)
    group = optimizer.param_groups[0]
    kept, own = group["kept"], group["own"]
    seen: list[Any] = []

    def program() -> None:
        optimizer.step()
        group["new"] = group["lr"] * 2
        group["own"][0] = group["lr"] + 1
        seen.append((group["lr"], group["kept"]))
        if error is not None:
            raise error

    try:
        opscope.trace(program, warn=False)
    except (ValueError, KeyboardInterrupt) as raised:
        assert type(raised) is error  # noqa: PT017  # not every case raises
    assert group["kept"] is kept
    assert group["own"] is own
    leaves = pytree.tree_leaves((optimizer.state_dict(), optimizer.defaults, seen, optimizer.count))
    classes = {type(leaf) for leaf in leaves if isinstance(leaf, int | float)}
    assert classes <= {int, float, bool}
    assert (group["new"], own, group["pair"], optimizer.count) == (1.0, [1.5, 2.5], (3.0, 3.0), 2)


def test_a_trace_inside_another_and_a_call_of_a_traced_program_step_as_in_eager() -> None:
    (_, ours), (_, theirs) = _counting(), _counting()
    inner = opscope.trace(ours.step)
    theirs.step()

    def program() -> None:
        inner()
        ours.param_groups[0]["lr"] *= 0.5

    traced = opscope.trace(program)
    for _ in range(3):
        theirs.step()
        theirs.param_groups[0]["lr"] *= 0.5
        _check_equal(_held(ours), _held(theirs))
        traced()
    programs: list[opscope.TracedProgram] = []
    outer = opscope.trace(lambda: programs.append(opscope.trace(ours.step)), warn=False)
    theirs.step()
    theirs.param_groups[0]["lr"] *= 0.5
    for step in (theirs.step, theirs.step):
        step()
        _check_equal(_held(ours), _held(theirs))
        programs[0]()
    with pytest.raises(opscope.GuardError, match=r"ours.state.0.step == 5 does not"):
        outer()


def test_a_program_that_only_calls_a_traced_step_reads_its_numbers_anew() -> None:
    ours, theirs = (
        _training(_adam, lambda optimizer: lr_scheduler.ExponentialLR(optimizer, 0.9))
        for _ in range(2)
    )
    x = torch.randn(4, 3)
    for made in (ours, theirs):
        made[3](x)
    inner = opscope.trace(ours[3], x, strict=True)
    theirs[3](x)
    traced = opscope.trace(lambda x: inner(x) * 2, x, strict=True)
    theirs[3](x)
    names = set(traced.state)
    assert {"inner.optimizer.param_groups.0.lr", "inner.schedule.gamma"} <= names
    assert {"inner.model.weight", "inner.optimizer.state.inner.model.weight.exp_avg"} <= names
    for _ in range(2):
        for made in (ours, theirs):
            made[1].param_groups[0]["lr"] *= 0.5
        assert torch.equal(traced(x), theirs[3](x) * 2)
        _check_equal(_held(ours[1]), _held(theirs[1]))
        assert repr(ours[2].state_dict()) == repr(theirs[2].state_dict())


def test_threads_trace_optimizers_of_their_own_and_none_of_another() -> None:
    _, shared = _counting()
    started, may_end = threading.Event(), threading.Event()

    def slow() -> None:
        started.set()
        may_end.wait(60)
        shared.step()

    thread = threading.Thread(target=functools.partial(opscope.trace, slow, warn=False))
    thread.start()
    try:
        started.wait(60)
        with pytest.raises(
            opscope.CaptureError, match="is followed by a trace that runs on another"
        ):
            opscope.trace(shared.step)
        _, own = _counting()
        opscope.trace(own.step)()
    finally:
        may_end.set()
        thread.join()
    assert own.count == 3
    assert (shared.count, type(shared.count)) == (2, int)


def test_an_optimizer_that_no_name_leads_to_is_found_at_its_step() -> None:
    _, hidden = _counting()
    found = iter([hidden] * 5)

    def program() -> None:
        next(found).step()

    traced = opscope.trace(program, warn=False)
    hidden.param_groups[0]["lr"] = 0.0
    before = hidden.param_groups[0]["params"][0].detach().clone()
    traced()
    assert torch.equal(hidden.param_groups[0]["params"][0], before)


def test_a_number_that_is_only_returned_is_read_at_each_replay() -> None:
    _, optimizer = _counting()
    traced = opscope.trace(lambda: optimizer.param_groups[0]["lr"], strict=True)
    optimizer.param_groups[0]["lr"] = 0.25
    assert traced() == 0.25


def test_an_optimizer_that_the_program_makes_is_no_state() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        optimizer = torch.optim.SGD([x], lr=0.1)
        x.grad = torch.ones(2)
        optimizer.step()
        return x.detach().clone()

    traced = opscope.trace(program, torch.zeros(2), warn=False)
    assert not any(e.kind is StateKind.NUMBER for e in traced.graph.state.values())
    assert torch.equal(traced(torch.zeros(2)), torch.full((2,), -0.1))


def test_optimizers_among_the_arguments_are_compared_and_no_state() -> None:
    weight = torch.ones(2, requires_grad=True)
    weight.grad = torch.ones(2)
    optimizer = torch.optim.SGD([weight], lr=0.1)
    traced = opscope.trace(lambda given: given.step(), (optimizer,), warn=False)
    assert not traced.graph.state
    optimizer.param_groups[0]["lr"] = 0.2
    with pytest.raises(opscope.InputError, match=r"'lr'.* was 0.1 when the program was traced"):
        traced(optimizer)


def test_lbfgs_steps_once_and_is_refused_after_that() -> None:
    weight = torch.tensor([3.0, -2.0], requires_grad=True)
    optimizer = torch.optim.LBFGS([weight], lr=0.01, max_iter=4)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    traced = opscope.trace(functools.partial(optimizer.step, closure), warn=False)
    with pytest.raises(
        opscope.GuardError, match=r"state\.weight\.al\.3 is None there, and not now"
    ):
        traced()


def test_the_check_compares_and_restores_numbers() -> None:
    _, optimizer = _counting()
    traced = opscope.trace(optimizer.step)
    before = _held(optimizer)
    assert traced.check(())
    _check_equal(_held(optimizer), before)
    for node in traced.graph.nodes(op="prim::set_number"):
        if node.inputs[0].name == "count":
            node.erase()
    del traced._compiled
    with pytest.raises(opscope.CheckError, match="count"):
        traced.check(())


def test_scalers_and_averages_go_along() -> None:
    def made() -> Made:
        torch.manual_seed(0)
        model = torch.nn.Linear(3, 2)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
        scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2)
        average = torch.optim.swa_utils.AveragedModel(
            model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)
        )

        def train(x: torch.Tensor) -> torch.Tensor:
            optimizer.zero_grad()
            loss = model(x).pow(2).sum()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            average.update_parameters(model)
            return loss

        return model, optimizer, average, train

    ours, theirs = made(), made()
    inputs = torch.randn(6, 4, 3)
    for each in (ours, theirs):
        each[3](inputs[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = opscope.trace(ours[3], inputs[1], warn=False)
    theirs[3](inputs[1])
    for number, x in enumerate(inputs[2:]):
        for each in (ours, theirs):
            each[1].param_groups[0]["lr"] = 0.1 / (number + 1)
        assert torch.equal(traced(x), theirs[3](x))
        _check_equal(_held(ours[1]), _held(theirs[1]))
        pairs = itertools.zip_longest(ours[2].parameters(), theirs[2].parameters())
        assert all(torch.equal(one, other) for one, other in pairs)
