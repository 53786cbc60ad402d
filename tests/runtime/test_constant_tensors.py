"""Constants of traced programs: computed once, and the same for whoever replays the program."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import opscope
from support.functional import assert_same
from support.replays import tensors_of

PASSES = "constant_propagation,constant_pooling"
X = torch.arange(6.0).view(2, 3)


def folded(function: Callable[..., Any], left: str, **options: Any) -> opscope.TracedProgram:
    """Trace a function of X and fold its constants: these operators are left, and replays are exact."""
    traced = opscope.trace(function, X.clone(), **options)
    traced.apply(PASSES, verify_each=True)
    names = [node.operator.base_name.partition("::")[2] for node in traced.graph.walk()]
    assert names == left.split(), str(traced.graph)
    for _ in range(2):
        ours, theirs = X.clone(), X.clone()
        actual, expected = traced(ours), function(theirs)
        pairs = zip(tensors_of([actual, ours]), tensors_of([expected, theirs]), strict=True)
        for one, other in pairs:
            assert_same(one, other)
        for result in tensors_of(actual):
            result.zero_()  # it is the caller's
    assert traced.state.keys() == traced.graph.state.keys()
    return traced


def masked(x: torch.Tensor) -> torch.Tensor:
    mask = torch.tril(torch.ones(3, 3)) == 0
    return (x[:, None] * torch.ones(3, 1)).masked_fill(mask, -1.0) + torch.tensor(2.0)


def test_what_a_program_makes_of_nothing_is_made_once() -> None:
    traced = folded(masked, "unsqueeze mul masked_fill add")
    kinds = {name: entry.kind.name for name, entry in traced.graph.state.items()}
    assert set(kinds.values()) == {"CONSTANT"}
    assert traced.check(X)
    assert not traced.apply(PASSES).changed


def test_a_replay_is_held_to_the_default_dtype_that_constants_were_computed_with() -> None:
    traced = folded(lambda x: x * torch.ones(3), "mul")
    texts = [circumstance.text for circumstance in traced.circumstances]
    assert texts == ["torch.get_default_dtype() is torch.float32"]
    traced.apply(PASSES)
    assert len(traced.circumstances) == 1
    torch.set_default_dtype(torch.float64)
    try:
        with pytest.raises(opscope.GuardError, match="a pass has computed constants of the graph"):
            traced(X)
    finally:
        torch.set_default_dtype(torch.float32)
    traced = folded(lambda x: x * torch.ones(3, dtype=torch.float32), "mul")
    assert not traced.circumstances


def test_a_program_that_sets_the_default_dtype_makes_its_constants_itself() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        torch.set_default_dtype(torch.float64)
        made = torch.ones(3)
        torch.set_default_dtype(torch.float32)
        return x * made

    folded(program, "set_default_dtype ones set_default_dtype mul")


def test_modes_of_the_program_and_of_its_caller_are_kept() -> None:
    def program(x: torch.Tensor) -> list[torch.Tensor]:
        weight = torch.ones(3, 3) / 3
        with torch.inference_mode():
            inside = torch.ones(3) / 3 + weight
        with torch.autocast("cpu", torch.bfloat16):
            low = weight @ weight
        return [x @ (weight @ weight), x + inside.sum(), x @ low.float()]

    traced = folded(program, "matmul matmul add matmul")
    modes: list[Callable[[], Any]] = [
        lambda: torch.autocast("cpu", torch.bfloat16),
        lambda: torch.autocast("cpu", torch.float16),
        torch.inference_mode,
        torch.no_grad,
    ]
    for mode in modes:
        with mode():
            for one, other in zip(traced(X), program(X), strict=True):
                assert one.is_inference() is other.is_inference()
                with torch.inference_mode(False):
                    assert torch.equal(one, other)
                    assert one.dtype == other.dtype


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_passes_may_run_in_any_modes(mode: Callable[[], Any]) -> None:
    weight = torch.randn(3, requires_grad=True)

    def program(x: torch.Tensor) -> torch.Tensor:
        return (x * weight * torch.ones(3)).sum()

    traced = opscope.trace(program, X)
    with mode(), torch.autocast("cpu", torch.bfloat16):
        traced.apply(PASSES)
    assert not traced.graph.nodes(op="aten::ones")
    traced(X).backward()
    assert weight.grad is not None
    assert torch.equal(weight.grad, X.sum(0))


def test_passes_may_run_while_another_program_is_traced() -> None:
    traced = opscope.trace(masked, X)

    def outer(x: torch.Tensor) -> torch.Tensor:
        traced.apply(PASSES)
        return x + 1

    assert [node.kind for node in opscope.trace(outer, X).graph.block] == ["aten::add.Tensor"]


class Tables(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = torch.tensor([1.0, 2.0, 3.0])
        self.register_buffer("buffer", torch.ones(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * (self.table + 1) + self.get_buffer("buffer") * 2

    def twice(self, x: torch.Tensor) -> torch.Tensor:
        return x * (self.table * 2) * torch.tensor([4.0, 5.0, 6.0])


def test_what_a_program_refers_to_may_change() -> None:
    model = Tables()
    traced = opscope.trace(model, X)
    traced.apply(PASSES)
    for held in (model.table, model.get_buffer("buffer")):
        held.mul_(3)
        assert torch.equal(traced(X), model(X))


def test_constants_of_methods_of_one_module_do_not_mix() -> None:
    model = Tables()
    module = opscope.trace_module(model, {"forward": X, "twice": X})
    for name in ("forward", "twice"):
        module[name].apply(PASSES)
        for _ in range(2):
            assert torch.equal(module[name](X), getattr(model, name)(X))
            model.table.mul_(2)


def test_a_trace_without_data_has_constants_as_well() -> None:
    traced = opscope.trace(masked, X, fake=True)
    traced.apply(PASSES)
    assert torch.equal(traced(X), masked(X))


def test_functional_graphs_fold_what_was_written() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        mask = torch.zeros(2, 3)
        mask[0] = 1
        x.mul_(mask)
        return x + mask

    folded(program, "mul add", force_outplace=True)


def test_in_blocks_and_transforms_constants_are_computed_too() -> None:
    def program(x: torch.Tensor) -> Any:
        def scaled(y: torch.Tensor) -> torch.Tensor:
            return y * (torch.ones(3) * 2)

        def moved(y: torch.Tensor) -> torch.Tensor:
            return y + torch.arange(3.0) * 2

        return [
            torch.cond(x.sum() > 0, scaled, moved, (x,)),
            torch.func.vmap(moved)(x),
            torch.func.grad(lambda y: scaled(y).sum())(x),
        ]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = opscope.trace(program, X)
        before = len(list(traced.graph.walk()))
        traced.apply(PASSES, verify_each=True)
        assert len(list(traced.graph.walk())) <= before - 7
        for x in (X, -X):
            for one, other in zip(traced(x), program(x), strict=True):
                assert_same(one, other)
