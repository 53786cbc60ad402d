"""Seeds and defaults that a program sets are set again by a replay; what is left changed is reported."""

import random
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch
from torch.utils.checkpoint import checkpoint

import opscope
from support.replays import check_replay, plain_text

X = torch.ones(3)


def test_a_seed_is_a_node() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(3)
        return x + torch.rand(3)

    traced = check_replay(program, X)
    assert "prim::manual_seed(3)" in plain_text(traced)
    assert torch.equal(traced(X), traced(X))


def test_a_forked_random_state_is_put_back_by_a_replay() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(3)
            noise = torch.rand(3)
        return x + noise + torch.rand(3)

    traced = check_replay(program, X)
    assert not torch.equal(traced(X), traced(X))


def test_a_random_state_that_is_kept_and_set_again() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        state = torch.get_rng_state()
        first = torch.rand(3)
        torch.set_rng_state(state)
        return x + first - torch.rand(3)

    assert torch.equal(check_replay(program, X)(X), X)


def test_recomputation_draws_the_same_numbers_again() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        def block(t: torch.Tensor) -> torch.Tensor:
            return t * torch.rand(3)

        y: Any = checkpoint(block, x, use_reentrant=False)
        (gradient,) = torch.autograd.grad(y.sum(), x)
        return gradient - y.detach()  # both are the random numbers

    traced = check_replay(program, X.clone().requires_grad_())
    assert torch.equal(traced(X.clone().requires_grad_()), torch.zeros(3))


def test_a_generator_that_the_program_seeds_is_seeded_by_a_replay() -> None:
    def program(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        generator = torch.Generator().manual_seed(4)
        first = x + torch.rand(3, generator=generator)
        second = x + torch.rand(3, generator=generator)
        generator.manual_seed(5)
        return first, second, torch.rand(3, generator=generator)

    traced = check_replay(program, X)
    seeds = [n.args[1] for n in traced.graph.walk() if n.kind == "prim::seed_generator"]
    assert seeds == [4, 5]


def test_a_generator_from_outside_goes_on_from_where_it_is() -> None:
    generator = torch.Generator().manual_seed(3)
    expected = [torch.rand(3, generator=generator) for _ in range(3)]
    generator.manual_seed(3)
    traced = opscope.trace(lambda x, g: x * 0 + torch.rand(3, generator=g), (X, generator))
    assert torch.equal(traced(X, generator), expected[1])
    assert torch.equal(traced(X, generator), expected[2])


def test_a_generator_that_nobody_leads_to_is_reported() -> None:
    def make() -> Any:
        class Source:
            def __init__(self) -> None:
                self.generator = torch.Generator().manual_seed(3)
                torch.rand(1, generator=self.generator)

        sources = {"one": Source()}
        return lambda x: x + torch.rand(3, generator=sources["one"].generator)

    with pytest.warns(opscope.TracerWarning, match="a generator that no argument, attribute"):
        opscope.trace(make(), X)


def test_a_default_dtype_is_a_node() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        torch.set_default_dtype(torch.float64)
        try:
            return x + torch.ones(3)
        finally:
            torch.set_default_dtype(torch.float32)

    check_replay(program, X)
    assert torch.get_default_dtype() is torch.float32


def test_settings_that_a_program_leaves_changed_are_reported() -> None:
    threads = torch.get_num_threads()

    def program(x: torch.Tensor) -> torch.Tensor:
        torch.set_grad_enabled(False)
        torch.set_num_threads(threads + 1)
        return x + 1

    try:
        traced = opscope.trace(program, X, warn=False)
    finally:
        torch.set_grad_enabled(True)
        torch.set_num_threads(threads)
    assert [(found.kind.value, found.value) for found in traced.diagnostics] == [
        ("untracked effect", "True -> False"),
        ("untracked effect", f"{threads} -> {threads + 1}"),
    ]


@pytest.mark.parametrize("register", ["register_hook", "register_post_accumulate_grad_hook"])
def test_a_hook_on_a_tensor_is_reported(register: str) -> None:
    def double(gradient: torch.Tensor) -> None:
        return None

    def program(x: torch.Tensor) -> torch.Tensor:
        getattr(x, register)(double)
        return x + 1

    with pytest.warns(opscope.TracerWarning, match=rf"{register}\(\) hangs .*double on a tensor"):
        opscope.trace(program, X.clone().requires_grad_())


@pytest.mark.parametrize("register", ["register_hook", "register_prehook"])
def test_a_hook_on_autograds_graph_is_reported(register: str) -> None:
    def double(*gradients: Any) -> Any:
        return None

    def program(x: torch.Tensor) -> torch.Tensor:
        y = x + 1
        getattr(y.grad_fn, register)(double)
        return y

    with pytest.warns(opscope.TracerWarning, match="double is hung on autograd's graph") as caught:
        opscope.trace(program, X.clone().requires_grad_())
    assert caught[0].filename == __file__


def test_a_backward_hook_of_a_module_is_reported() -> None:
    model = torch.nn.ReLU()
    model.register_full_backward_hook(lambda module, inputs, outputs: None)
    with pytest.warns(opscope.TracerWarning, match="is hung on autograd's graph"):
        opscope.trace(model, X.clone().requires_grad_())
    opscope.trace(model, X)  # without gradients there is no graph to hang it on


def test_hooks_that_a_backward_inside_has_used_up_are_not_reported() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.SiLU())
    model[1].register_full_backward_hook(lambda module, inputs, outputs: (inputs[0] * 2,))

    def program(x: torch.Tensor) -> torch.Tensor:
        with torch.autograd.graph.save_on_cpu():
            y = model(x)
        y.register_hook(lambda gradient: gradient * 3)
        (gradient,) = torch.autograd.grad(y.sum(), x)
        return gradient

    traced = opscope.trace(program, torch.ones(2, 3, requires_grad=True), strict=True)
    x = torch.randn(2, 3, requires_grad=True)
    assert torch.equal(traced(x), program(x))
    with pytest.warns(opscope.TracerWarning) as caught:
        opscope.trace(lambda x: model(x), torch.ones(2, 3, requires_grad=True))
    assert len(caught) == 1


def test_hooks_on_saved_tensors_are_reported_and_checkpoints_are_not() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        with torch.autograd.graph.save_on_cpu():
            return x * x

    with pytest.warns(opscope.TracerWarning, match="save_on_cpu changes what autograd saves"):
        opscope.trace(program, X.clone().requires_grad_())
    opscope.trace(
        lambda x: checkpoint(torch.sin, x, use_reentrant=False), X.clone().requires_grad_()
    )


def test_torchs_functions_are_put_back() -> None:
    seen = (torch.manual_seed, torch.random.get_rng_state, torch.nn.Module.__setattr__)
    opscope.trace(lambda x: x + 1, X)
    assert seen == (torch.manual_seed, torch.random.get_rng_state, torch.nn.Module.__setattr__)


@pytest.mark.parametrize(
    ("draw", "source"),
    [
        (random.random, "Python's random"),
        (lambda: random.seed(3), "Python's random"),
        (lambda: numpy.random.rand(), "numpy.random"),
        (lambda: numpy.random.seed(3), "numpy.random"),
    ],
)
def test_random_numbers_that_are_not_torchs_are_told(draw: Callable[[], Any], source: str) -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        draw()
        return x + torch.rand(2)

    with pytest.warns(opscope.TracerWarning, match=f"draws random numbers from {source}"):
        opscope.trace(program, torch.ones(2))


def test_hooks_that_stay_on_modules_are_told() -> None:
    class Hooked(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = torch.nn.ReLU()

        def forward(self, x: torch.Tensor) -> Any:
            handle = self.inner.register_forward_pre_hook(lambda module, inputs: None)
            self.inner.register_forward_hook(lambda module, inputs, output: output * 2)
            torch.nn.ReLU().register_forward_hook(lambda module, inputs, output: None)
            y = self.inner(x)
            handle.remove()
            return y

    with pytest.warns(opscope.TracerWarning) as warned:
        traced = opscope.trace(Hooked(), torch.ones(2))
    (found,) = traced.diagnostics
    assert len(warned) == 1
    assert found.message.startswith("register_forward_hook() leaves a hook on inner (ReLU)")
    assert torch.equal(traced(torch.ones(2)), torch.full((2,), 2.0))


def test_a_seed_set_by_a_method_of_the_default_generator_is_told() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        torch.default_generator.manual_seed(torch.initial_seed() + 1)
        return x + torch.rand(2)

    with pytest.warns(opscope.TracerWarning, match="has seeded torch's default generator by a"):
        opscope.trace(program, torch.ones(2))


def test_a_seed_that_is_recorded_is_not_told() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(4321)
            x = x + torch.rand(2)
        return x + torch.rand(2)

    assert opscope.trace(program, torch.ones(2)).diagnostics == ()


SEEDS: tuple[Callable[[], Any], ...] = (
    lambda: torch.default_generator.manual_seed(7),
    lambda: torch.default_generator.seed(),
)


@pytest.mark.parametrize("reseed", SEEDS)
@pytest.mark.parametrize("draws_before", [0, 1, 700])
def test_a_seed_by_a_method_is_told_even_if_it_is_the_one_that_there_was(
    reseed: Callable[[], Any], draws_before: int
) -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        if draws_before:
            x = x + torch.rand(draws_before).sum()
        reseed()
        return x + torch.rand(3)

    torch.manual_seed(7)
    with pytest.warns(opscope.TracerWarning, match="has seeded torch's default generator") as told:
        opscope.trace(program, X)
    assert len(told) == 1
    assert told[0].filename == __file__
    assert "torch.rand(3)" in str(told[0].message)


def test_a_seed_by_a_method_is_told_though_nothing_is_drawn_afterwards() -> None:
    torch.manual_seed(7)
    with pytest.warns(opscope.TracerWarning, match="has seeded torch's default generator"):
        opscope.trace(lambda x: (x, torch.default_generator.manual_seed(7))[0], X)


OFF: tuple[Callable[[torch.Tensor], torch.Tensor], ...] = (
    lambda x: torch.dropout(x, 0.5, False),
    lambda x: torch.nn.functional.rrelu(x, training=False),
    lambda x: torch.nn.functional.scaled_dot_product_attention(x, x, x),
)


@pytest.mark.parametrize("draw_nothing", OFF)
def test_a_seed_by_a_method_is_told_where_numbers_are_drawn_and_not_where_dropout_is_off(
    draw_nothing: Callable[[torch.Tensor], torch.Tensor],
) -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        torch.default_generator.manual_seed(7)
        x = draw_nothing(x)
        return torch.dropout(x, 0.5, True)

    torch.manual_seed(7)
    with pytest.warns(opscope.TracerWarning, match="has seeded torch's default generator") as told:
        opscope.trace(program, torch.ones(1, 2, 2))
    assert len(told) == 1
    assert "torch.dropout(x, 0.5, True)" in str(told[0].message)


def test_a_fresh_seed_draws_as_ever_in_a_trace_and_is_untouched_after_it() -> None:
    torch.manual_seed(7)
    fresh = torch.get_rng_state()
    expected = torch.rand(1300)
    seen: list[torch.Tensor] = []

    def program(x: torch.Tensor) -> torch.Tensor:
        seen.append(torch.get_rng_state())
        return x + 0 * torch.randn(2)[0]

    torch.manual_seed(7)
    opscope.trace(lambda x: x + 1, X, strict=True)
    assert torch.equal(torch.get_rng_state(), fresh)
    traced: list[torch.Tensor] = []
    opscope.trace(lambda x: (x, traced.append(torch.rand(1300)))[0], X, warn=False)
    assert torch.equal(traced[0], expected)
    torch.manual_seed(7)
    opscope.trace(program, X, warn=False)
    assert torch.equal(seen[0], fresh)


def test_seeds_of_the_program_are_not_told_in_traces_inside_traces() -> None:
    def inner(x: torch.Tensor) -> torch.Tensor:
        return x + torch.rand(3)

    def program(x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(3)
        opscope.trace(lambda t: t + 1, X, strict=True)
        opscope.trace(inner, X, strict=True)
        torch.manual_seed(3)
        with torch.random.fork_rng():
            torch.manual_seed(3)
        return x + torch.rand(3)

    torch.manual_seed(3)
    found = opscope.trace(program, X, warn=False).diagnostics
    assert not [one for one in found if "seeded" in one.message]
