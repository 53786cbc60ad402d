"""Whether a program names a backward pass, told from its code alone."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from torch import autograd, nn
from torch.autograd import grad as gradient_of
from torch.autograd.functional import jacobian

from opscope.tracer.program.foresight import may_run_backward

LINEAR = nn.Linear(2, 2)


def step(x: torch.Tensor) -> None:
    LINEAR(x).sum().backward()


class Trainer:
    def __init__(self) -> None:
        self.model = LINEAR
        self.accelerator = Accelerator()

    def train(self, x: torch.Tensor) -> None:
        self._inner(x)

    def _inner(self, x: torch.Tensor) -> None:
        self.accelerator.run(self.model(x).sum())

    def evaluate(self, x: torch.Tensor) -> Any:
        return self.model(x)


class Accelerator:
    def run(self, loss: torch.Tensor) -> None:
        loss.backward()  # type: ignore[no-untyped-call]


class Callable_(Trainer):
    def __call__(self, x: torch.Tensor) -> None:
        self.train(x)


class Energy(nn.Module):
    def forward(self, x: torch.Tensor) -> Any:
        return torch.autograd.grad(LINEAR(x).sum(), x)


class Loop(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.steps = 2

    @property
    def twice(self) -> Any:
        return step

    def forward(self, x: torch.Tensor) -> Any:
        return self.twice(x)


def decorated(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


def closes_over(called: Any) -> Any:
    return lambda x: called(x)


class Doubled(autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        (first,) = gradients
        return torch.autograd.grad(first, first)[0]


def with_a_function_of_its_own(x: torch.Tensor) -> Any:
    class Own(autograd.Function):
        @staticmethod
        def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
            return gradients

    return Own.apply(x), Doubled.apply(x)  # type: ignore[no-untyped-call]


PROGRAMS: dict[str, tuple[Any, bool]] = {
    "a method of a tensor": (step, True),
    "autograd.grad": (lambda x: torch.autograd.grad(x, x), True),
    "by the name of a module": (lambda x: autograd.grad(x, x), True),
    "by its own name": (lambda x: gradient_of(x, x), True),
    "a function of autograd.functional": (lambda x: jacobian(torch.sin, x), True),
    "by the names of modules": (lambda x: torch.autograd.functional.hvp(torch.sin, x), True),
    "a call of another": (lambda x: step(x), True),
    "a closure": (closes_over(step), True),
    "a list": (closes_over([step]), True),
    "a decorated function": (decorated(step), True),
    "a function under no_grad": (torch.no_grad()(step), True),
    "a compiled function": (torch.compile(step), True),
    "a cached function": (functools.lru_cache(step), True),
    "a partial": (functools.partial(step, 1), True),
    "an argument of a partial": (functools.partial(map, step), True),
    "a method that calls others": (Trainer().train, True),
    "an object with a call": (Callable_(), True),
    "a module": (Energy(), True),
    "a module inside others": (nn.Sequential(nn.Linear(2, 2), nn.ModuleList([Energy()])), True),
    "a property": (Loop(), True),
    "another method of the object": (Trainer().evaluate, False),
    "the gradient of a tensor": (lambda x: x.grad, False),
    "a custom function": (with_a_function_of_its_own, False),
    "a module of torch": (nn.Transformer(4, 2, 1, 1, 4, batch_first=True), False),
    "a closure over a module": (closes_over(LINEAR), False),
    "a function of torch": (torch.sin, False),
    "a class": (Trainer, False),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name: str) -> None:
    program, expected = PROGRAMS[name]
    assert may_run_backward(program) is expected


def test_transforms_of_functions_run_no_backward_pass() -> None:
    namespace: dict[str, Any] = {"torch": torch}  # without the names of this file
    exec("def program(x): return torch.func.vmap(torch.func.grad(torch.sin))(x)", namespace)
    assert not may_run_backward(namespace["program"])


def test_arguments_are_part_of_the_program() -> None:
    assert may_run_backward(lambda f, x: f(x), (step,))
    assert may_run_backward(lambda trainer, x: trainer.train(x), (Trainer(),))
    assert not may_run_backward(lambda trainer, x: trainer.evaluate(x), (Trainer(),))


class Touchy:
    """An object that nobody may ask for anything."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"asked for {name}")

    @property
    def asked(self) -> Any:
        raise AssertionError("asked for a property")


def test_no_object_is_asked_for_anything() -> None:
    touchy = Touchy()
    chain: Any = None
    for _ in range(3_000):
        chain = [chain]
    assert not may_run_backward(lambda: (touchy.asked, chain), (touchy,))


def test_what_is_called_is_the_users_own_whatever_package_it_is_in() -> None:
    namespace: dict[str, Any] = {"torch": torch, "__name__": "opscope.cli.demo_train"}
    exec("def step(x): x.sum().backward()\ndef program(x): return step(x)", namespace)
    assert may_run_backward(namespace["program"])
    assert may_run_backward(functools.partial(namespace["program"], 1))
    assert not may_run_backward(lambda x: namespace["program"](x))
