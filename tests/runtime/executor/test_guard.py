"""Guards: what they admit, and in which words they say what they do not."""

import operator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from opscope.runtime.executor import Kind
from opscope.runtime.executor.facts import facts_of
from opscope.runtime.executor.guard import PlanGuard
from opscope.tracer.dispatch.tensors import type_of_tensor

GRAD = {"requires_grad": True}


def guard_for(kind: Kind, *inputs: torch.Tensor, grad: bool | None = True) -> PlanGuard:
    named = [(f"x{number}", frozenset(range(x.dim()))) for number, x in enumerate(inputs)]
    found = [(n, type_of_tensor(x), x.requires_grad) for n, x in enumerate(inputs)]
    return PlanGuard(len(inputs), facts_of(named, found, kind), grad)


def refusal(guard: PlanGuard, *given: Any) -> str | None:
    """Return why inputs are not admitted, which function and words must agree about."""
    reason = guard.failing(given)
    assert guard.admits(*given) is (reason is None)
    return reason


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (torch.ones(3, 4), None),
        (torch.nn.Parameter(torch.ones(3, 4), requires_grad=False), None),
        (torch.ones(3, 7), "input 0 dim 1: profiled 4, got 7"),
        (torch.ones(3, 4, 1), "input 0 rank: profiled 2, got 3"),
        (torch.ones(4, 3).t(), "input 0 strides: profiled (4, 1), got (1, 3)"),
        (torch.ones(3, 4).double(), "input 0 dtype: profiled torch.float32, got torch.float64"),
        (torch.ones(3, 4, device="meta"), "input 0 device: profiled cpu, got meta"),
        (torch.ones(3, 4, **GRAD), "input 0 requires_grad: profiled False, got True"),
    ],
)
def test_a_static_guard_admits_what_it_was_profiled_with(
    other: torch.Tensor, reason: str | None
) -> None:
    guard = guard_for(Kind.STATIC, torch.ones(3, 4))
    for _ in range(2):
        assert refusal(guard, other) == reason
        assert refusal(guard, torch.ones(3, 4)) is None, "from now on by a quick check"


@pytest.mark.parametrize("grad", [True, False])
def test_after_a_quick_check_guards_refuse_what_they_refused(grad: bool) -> None:
    pair = torch.ones(3, 4), torch.ones(4, 5)
    with torch.set_grad_enabled(grad):
        guard = guard_for(Kind.DYNAMIC, *pair, grad=grad)
        for _ in range(3):
            assert refusal(guard, *pair) is None
            assert refusal(guard, torch.ones(5, 6), torch.ones(6, 7)) is None
            assert refusal(guard, torch.ones(5, 6), torch.ones(7, 7)) == (
                "input 1 dim 0: profiled equal to input 0 dim 1, which is 6, got 7"
            )
            assert refusal(guard, pair[0], torch.ones(4, 5, **GRAD)) == (
                "input 1 requires_grad: profiled False, got True"
            )
            assert refusal(guard, pair[0], torch.ones(5, 4).t()) == (
                "input 1 strides: profiled dense in the order (0, 1), got (1, 4)"
            )


def test_quick_checks_are_given_up_where_types_come_in_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Any] = []

    def check(*tensors: torch.Tensor, **sizes: Any) -> SimpleNamespace:
        made.append(tensors)
        return SimpleNamespace(check=lambda *others: all(map(operator.is_, tensors, others)))

    monkeypatch.setattr(torch._C._dynamo.guards, "TensorGuards", check)
    guard = guard_for(Kind.STATIC, torch.ones(3))
    for _ in range(20):
        assert guard.admits(torch.ones(3))
    assert len(made) == 8


def test_a_dynamic_guard_holds_equal_sizes_to_be_equal() -> None:
    guard = guard_for(Kind.DYNAMIC, torch.ones(3, 4), torch.ones(4, 1))
    assert guard.lines() == (
        "grad mode on", "input 0 x0 : f32[s0, s1]", "input 1 x1 : f32[s1, 1]",
    )  # fmt: skip
    assert refusal(guard, torch.ones(5, 6), torch.ones(6, 1)) is None
    assert refusal(guard, torch.ones(5, 5), torch.ones(5, 1)) is None
    assert refusal(guard, torch.ones(5, 6), torch.ones(7, 1)) == (
        "input 1 dim 0: profiled equal to input 0 dim 1, which is 6, got 7"
    )
    assert refusal(guard, torch.ones(5, 6), torch.ones(6, 2)) == "input 1 dim 1: profiled 1, got 2"


def test_a_dynamic_guard_holds_dimensions_to_their_order_in_memory() -> None:
    guard = guard_for(Kind.DYNAMIC, torch.ones(2, 3, 4).permute(0, 2, 1))
    assert guard.lines()[1] == "input 0 x0 : f32[s0, s1, s2], dense in the order (0, 2, 1)"
    assert refusal(guard, torch.ones(5, 6, 7).permute(0, 2, 1)) is None
    assert refusal(guard, torch.ones(5, 7, 6)) == (
        "input 0 strides: profiled dense in the order (0, 2, 1), got (42, 6, 1)"
    )


def test_a_dynamic_guard_admits_any_strides_where_no_order_was_found() -> None:
    guard = guard_for(Kind.DYNAMIC, torch.ones(6, 4)[::2])
    assert guard.lines()[1] == "input 0 x0 : f32[s0, s1], any strides"
    assert refusal(guard, torch.ones(5, 8)[:, ::2]) is None


def test_a_guard_is_for_one_gradient_mode() -> None:
    guard = guard_for(Kind.STATIC, torch.ones(2))
    with torch.no_grad():
        assert refusal(guard, torch.ones(2)) == "grad mode: profiled on, got off"
    assert refusal(guard_for(Kind.STATIC, torch.ones(2), grad=None), torch.ones(2)) is None


def test_sizes_that_the_program_fixes_stay_as_they_are_in_a_dynamic_guard() -> None:
    x = torch.ones(3, 4)
    facts = facts_of([("x", frozenset({0}))], [(0, type_of_tensor(x), False)], Kind.DYNAMIC)
    assert [str(fact) for fact in facts] == ["input 0 x : f32[s0, 4]"]


def test_scalars_and_empty_tensors_are_admitted_again() -> None:
    for kind in (Kind.STATIC, Kind.DYNAMIC):
        for x in (torch.tensor(1.0), torch.ones(0), torch.ones(0, 3)):
            assert refusal(guard_for(kind, x), x.clone()) is None


def test_tensors_of_other_classes_are_not_held_to_sizes() -> None:
    class Tagged(torch.Tensor):
        pass

    guard = guard_for(Kind.STATIC, torch.ones(3).as_subclass(Tagged))
    assert guard.lines() == ("grad mode on",)
    assert refusal(guard_for(Kind.STATIC, torch.ones(3)), torch.ones(3).as_subclass(Tagged)) == (
        "input 0 class: profiled torch.Tensor, got Tagged"
    )
