"""Everything that can be called can be traced: values, names of state, arguments, hooks in order."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import opscope
from support.replays import check_replay, plain_text


class Model(nn.Module):
    factor = torch.full((4,), 3.0)

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor, *, scale: float = 1.0, **extra: Any) -> torch.Tensor:
        return self.fc(x) * scale + extra.get("bias", 0)

    def encode(self, x: torch.Tensor, y: Any = None) -> torch.Tensor:
        return self.fc(x) if y is None else self.fc(x) - y

    def __getitem__(self, position: int) -> torch.Tensor:
        return self.fc.weight[position]

    shifted = functools.partialmethod(encode, y=2.0)

    @staticmethod
    def plain(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    @classmethod
    def scaled(cls, x: torch.Tensor) -> torch.Tensor:
        return x * cls.factor


class Holder:
    """A callable that is no module and holds one."""

    def __init__(self) -> None:
        self.model = model
        self.weight = torch.full((4,), 2.0)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x) * self.weight

    def minus(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x) - self.weight


class Slots:
    __slots__ = ("model", "weight")

    def __init__(self) -> None:
        self.model = model
        self.weight = torch.full((4,), 2.0)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x) * self.weight


torch.manual_seed(0)
model = Model()
given = torch.randn(3, 4)
offset = torch.ones(4)


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs) + offset

    return wrapper


def with_defaults(x: torch.Tensor, shift: Any = offset, *, net: nn.Module = model) -> Any:
    return net(x) + shift


@logged
def decorated(x: torch.Tensor) -> torch.Tensor:
    return model(x)


FC = ["fc.weight", "fc.bias"]
CALLABLES: dict[str, tuple[Callable[..., Any], str, list[str]]] = {
    "a module": (model, "Model", FC),
    "a method": (model.encode, "encode", FC),
    "forward": (model.forward, "Model", FC),
    "a static method": (model.plain, "plain", []),
    "a class method": (Model.scaled, "scaled", ["factor"]),
    "a partial method": (model.shifted, "encode", FC),
    "a partial": (functools.partial(torch.add, offset, alpha=2), "add", ["partial.0"]),
    "a partial of a partial": (
        functools.partial(functools.partial(model.encode), y=offset),
        "encode",
        FC,
    ),
    "a partial of a module": (functools.partial(model, scale=3.0), "Model", FC),
    "a lambda": (lambda x: model(x) + offset, "function", ["model.fc.weight", "model.fc.bias", "offset"]),
    "a function of torch": (torch.relu, "relu", []),
    "a method of tensors": (torch.Tensor.relu, "relu", []),
    "a method of a tensor": (offset.add, "add", ["self"]),
    "a functional": (nn.functional.gelu, "gelu", []),
    "an operator's overload": (torch.ops.aten.sin.default, "sin.default", []),
    "an operator": (torch.ops.aten.sin, "sin", []),
    "an object": (Holder(), "Holder", ["model.fc.weight", "model.fc.bias", "weight"]),
    "an object with slots": (Slots(), "Slots", ["model.fc.weight", "model.fc.bias", "weight"]),
    "a method of an object": (Holder().minus, "minus", ["model.fc.weight", "model.fc.bias", "weight"]),
    "a decorated function": (decorated, "decorated", ["model.fc.weight", "model.fc.bias", "offset"]),
    "a decorated method": (logged(model.encode), "encode", [*FC, "offset"]),
    "a function under no_grad": (
        torch.no_grad()(lambda x: model(x)),
        "function",
        ["model.fc.weight", "model.fc.bias"],
    ),
    "a cached function": (functools.lru_cache(lambda x: x * 2), "function", []),
    "a method caller": (operator.methodcaller("mul", 2), "methodcaller", []),
    "a class": (nn.Parameter, "Parameter", ["Parameter"]),
    "a scripted module": (torch.jit.script(nn.Linear(4, 4)), "RecursiveScriptModule", ["forward"]),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
@pytest.mark.parametrize("kind", CALLABLES)
def test_callables(kind: str) -> None:
    function, name, state = CALLABLES[kind]
    traced = check_replay(function, given)
    assert (traced.graph.name, list(traced.graph.state)) == (name, state)
    assert not traced.diagnostics


def test_modules_among_defaults_are_named_by_the_parameter_and_tensors_are_inputs() -> None:
    traced = check_replay(with_defaults, given)
    assert list(traced.graph.state) == ["net.fc.weight", "net.fc.bias"]
    assert [value.name for value in traced.graph.inputs] == ["x", "shift"]


def test_keyword_only_and_free_keyword_arguments() -> None:
    bias = torch.randn(4)
    traced = check_replay(model, given, kwargs={"scale": 2.0, "bias": bias})
    assert traced.inputs.names == ("x", "extra['bias']")
    other = torch.randn(4)
    assert torch.equal(traced(given, bias=other, scale=2.0), model(given, scale=2.0, bias=other))
    with pytest.raises(opscope.InputError, match=r"scale was 2\.0"):
        traced(given, scale=3.0, bias=bias)
    with pytest.raises(opscope.InputError, match="'bias' is missing"):
        traced(given, scale=2.0)


def test_positional_and_named_are_the_same_arguments() -> None:
    def program(x: torch.Tensor, *more: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        return x + sum(more) * last

    traced = check_replay(program, given, offset, offset * 2, kwargs={"last": offset * 3})
    assert traced.inputs.names == ("x", "more[0]", "more[1]", "last")
    encode = opscope.trace(model.encode, (given, offset))
    assert torch.equal(encode(y=offset, x=given), model.encode(given, offset))


def test_a_call_that_a_class_overrides() -> None:
    class Calling(Model):
        def __call__(self, x: torch.Tensor, added: torch.Tensor) -> Any:
            return super().__call__(x) + added

    traced = check_replay(Calling(), given, offset)
    assert list(traced.graph.state) == FC


def test_a_forward_that_an_instance_overrides() -> None:
    changed = Model()
    changed.forward = lambda x: changed.encode(x) * 5  # type: ignore[method-assign]
    check_replay(changed, given)


def _noted(node: opscope.Node) -> str:
    return node.operator.base_name.removeprefix("aten::")


def test_hooks_run_and_are_recorded_in_order() -> None:
    class Hooked(nn.Module):
        def forward(self, x: torch.Tensor, power: torch.Tensor) -> torch.Tensor:
            return x**power

    module = Hooked()
    module.register_forward_pre_hook(lambda m, args: (args[0].sin(), *args[1:]))
    module.register_forward_pre_hook(
        lambda m, args, kwargs: ((args[0].cos(),), {"power": kwargs["power"] + 1}),
        with_kwargs=True,
    )
    module.register_forward_pre_hook(lambda m, args: (args[0].tan(), *args[1:]), prepend=True)
    module.register_forward_hook(lambda m, args, result: result.exp())
    module.register_forward_hook(
        lambda m, args, kwargs, result: result * kwargs["power"], with_kwargs=True
    )
    module.register_forward_hook(lambda m, args, result: result.abs(), always_call=True)
    module.register_forward_hook(lambda m, args, result: result.neg(), prepend=True)
    traced = check_replay(module, given, kwargs={"power": torch.tensor(2.0)})
    assert [_noted(node) for node in traced.graph.walk()] == [
        "tan", "sin", "cos", "add", "pow", "neg", "exp", "mul", "abs",
    ]  # fmt: skip


def test_global_hooks_are_part_of_the_program() -> None:
    handles = [
        nn.modules.module.register_module_forward_pre_hook(lambda m, args: (args[0].sin(),)),
        nn.modules.module.register_module_forward_hook(lambda m, args, result: result.cos()),
    ]
    try:
        traced = opscope.trace(nn.ReLU(), given)
    finally:
        for handle in handles:
            handle.remove()
    assert [_noted(node) for node in traced.graph.walk()] == ["sin", "relu", "cos"]


def test_a_hook_that_is_always_called_runs_when_forward_raises() -> None:
    seen: list[str] = []

    class Failing(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise ValueError("not today")

    failing = Failing()
    failing.register_forward_hook(lambda *_: seen.append("called"), always_call=True)

    def program(x: torch.Tensor) -> torch.Tensor:
        with pytest.raises(ValueError, match="not today"):
            failing(x)
        return x * 2

    traced = opscope.trace(program, given)
    assert seen == ["called"]
    assert plain_text(traced).count("aten::") == 1


def test_hooks_of_inner_modules_stand_in_the_scope_of_their_module() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    module[0].register_forward_hook(lambda m, args, result: result.sin())
    module[1].register_forward_pre_hook(lambda m, args: (args[0].cos(),))
    traced = check_replay(module, given)
    assert [(_noted(node), node.scope.path) for node in traced.graph.walk()] == [
        ("linear", "0"), ("sin", "0"), ("cos", "1"), ("relu", "1"),
    ]  # fmt: skip


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(opscope.CaptureError, match="not Tensor"):
        opscope.trace(given, given)
    with pytest.raises(TypeError, match="missing"):
        opscope.trace(lambda x, y: x, given)
