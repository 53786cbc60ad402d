"""Tensors that a program keeps anywhere are named state, and those that need gradients get them."""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import opscope
from support.exactness import check_exact

constants = types.ModuleType("constants")
constants.TABLE = torch.randn(3)  # type: ignore[attr-defined]
WEIGHT = torch.randn(3, requires_grad=True)
NEST: dict[str, Any] = {"a": [torch.randn(3), {"b": torch.randn(3)}], "t": (torch.randn(3),)}


DEFAULTS = torch.randn(2, 3).unbind()


@dataclasses.dataclass
class Settings:
    scale: torch.Tensor
    more: dict[str, torch.Tensor]


SETTINGS = Settings(torch.randn(3), {"q": torch.randn(3)})


def helper(
    x: torch.Tensor, w: torch.Tensor = DEFAULTS[0], *, k: torch.Tensor = DEFAULTS[1]
) -> torch.Tensor:
    return x * w + k


class Scaler:
    table = torch.randn(3)

    def __init__(self) -> None:
        self.plain = torch.randn(3)
        self.items = [torch.randn(3)]
        self.named = {"x": torch.randn(3, requires_grad=True)}
        self.other = types.SimpleNamespace(z=torch.randn(3))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.plain + self.items[0] + self.named["x"] + self.table + self.other.z

    def scale(self, x: torch.Tensor) -> torch.Tensor:
        return self(x) + 1


class Slotted:
    __slots__ = ("held", "never_set")

    def __init__(self) -> None:
        self.held = torch.randn(3)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.held


class Layer(nn.Module):
    table = torch.randn(3)

    def __init__(self) -> None:
        super().__init__()
        self.items = [torch.randn(3, requires_grad=True)]
        self.settings = SETTINGS
        self._hidden = torch.randn(3)
        self.deep = {"k": {"deeper": torch.randn(3)}}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x * self.items[0] + self.settings.scale + self.table
        return y + self._hidden + self.deep["k"]["deeper"]


def decorate(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    extra = torch.randn(3)

    @functools.wraps(function)
    def decorated(x: torch.Tensor) -> torch.Tensor:
        return function(x) + extra

    return decorated


@decorate
def decorated(x: torch.Tensor) -> torch.Tensor:
    return x * WEIGHT


def closing() -> Callable[[torch.Tensor], torch.Tensor]:
    cell = torch.randn(3, requires_grad=True)
    items: list[Any] = [torch.randn(3), [torch.randn(3)]]
    functions = [lambda x: x * cell]

    def program(x: torch.Tensor) -> torch.Tensor:
        return functions[0](x) + items[0] + items[1][0]

    return program


SCALER = Scaler()
NORMAL = torch.distributions.Normal(torch.randn(3), torch.ones(3), validate_args=False)
GRADIENT_SCALER = torch.amp.GradScaler("cpu", init_scale=4.0)  # type: ignore[attr-defined]
GRADIENT_SCALER.scale(torch.ones(1))  # makes its tensors

PROGRAMS: dict[str, tuple[Callable[..., Any], list[str]]] = {
    "global": (lambda x: x * WEIGHT, ["WEIGHT"]),
    "global of another module": (lambda x: x * constants.TABLE, ["constants.TABLE"]),
    "containers": (
        lambda x: x * NEST["a"][0] + NEST["a"][1]["b"] + NEST["t"][0],
        ["NEST.a.0", "NEST.a.1.b", "NEST.t.0"],
    ),
    "default arguments": (lambda x: helper(x), ["helper.w", "helper.k"]),
    "callable": (SCALER, ["plain", "items.0", "named.x", "table", "other.z"]),
    "method": (SCALER.scale, ["plain", "items.0", "named.x", "table", "other.z"]),
    "object": (
        lambda x: SCALER(x),
        ["SCALER.plain", "SCALER.items.0", "SCALER.named.x", "SCALER.table", "SCALER.other.z"],
    ),
    "dataclass": (
        lambda x: x * SETTINGS.scale + SETTINGS.more["q"],
        ["SETTINGS.scale", "SETTINGS.more.q"],
    ),
    "slots": (Slotted(), ["held"]),
    "module": (Layer(), ["items.0", "settings.scale", "table", "_hidden", "deep.k.deeper"]),
    "decorator": (decorated, ["WEIGHT", "extra"]),
    "closure": (closing(), ["cell", "items.0", "items.1.0"]),
    "distribution": (lambda x: NORMAL.log_prob(x), ["NORMAL.scale", "NORMAL.loc"]),
    "scaler of gradients": (lambda x: GRADIENT_SCALER.scale(x), ["GRADIENT_SCALER._scale"]),
    "partial": (
        functools.partial(lambda a, x, k: a["w"] * x + k, {"w": WEIGHT}, k=torch.ones(3)),
        ["partial.0.w"],
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_tensors_are_named_by_the_way_to_them(name: str) -> None:
    program, names = PROGRAMS[name]
    traced = check_exact(program, lambda: (torch.randn(3),))
    assert list(traced.state) == names


def test_gradients_reach_tensors_that_are_no_parameters() -> None:
    x = torch.randn(3)
    traced = opscope.trace(lambda x: (x * WEIGHT + SCALER.named["x"]).sum(), x)
    WEIGHT.grad = None
    traced(x).backward()
    assert WEIGHT.grad is not None
    assert torch.equal(WEIGHT.grad, x)
    assert "constant %WEIGHT : f32[3]{grad}" in str(traced)


def test_a_tensor_that_a_module_registers_keeps_its_registered_name() -> None:
    class Holder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.all_weights_too: list[torch.Tensor] = []
            self.fc = nn.Linear(3, 3)
            self.all_weights_too.append(self.fc.weight)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.linear(x, self.all_weights_too[0])

    traced = check_exact(Holder(), lambda: (torch.randn(2, 3),))
    assert str(traced).splitlines()[1].strip() == "state %fc.weight : f32[3, 3]{grad}"


def test_what_the_run_puts_there_is_reported() -> None:
    kept: dict[str, torch.Tensor] = {}

    def program(x: torch.Tensor) -> torch.Tensor:
        state = opscope.get_tracing_state()
        opscope.set_tracing_state(None)
        kept["made"] = torch.zeros(3)
        opscope.set_tracing_state(state)
        return x * kept["made"]

    with pytest.warns(opscope.TracerWarning, match="made while the trace was paused"):
        opscope.trace(program, torch.ones(3))


def test_loops_among_objects_end_the_search() -> None:
    class Ring:
        def __init__(self) -> None:
            self.me: Any = self
            self.items: list[Any] = []
            self.items.append(self.items)
            self.tensor = torch.ones(3)

    ring = Ring()
    traced = opscope.trace(lambda x: x * ring.tensor, torch.ones(3))
    assert list(traced.state) == ["ring.tensor"]
