"""What a replay runs and what a parsed graph says of it go together."""

from functools import partial

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import opscope
from opscope.ir import CALL, Effect
from opscope.ir.own_operators import OWN_OPERATORS, SET_ATTRIBUTES, WRAP
from opscope.runtime.operators import call_plainly, callable_of


def test_each_operator_of_ours_can_be_run() -> None:
    for name in OWN_OPERATORS:
        assert name == CALL or callable(callable_of(name))


def test_a_parsed_graph_knows_what_our_operators_do() -> None:
    text = """\
graph made(%part : f32[2]) -> (f32[2]):
  %whole : f32[2] = prim::wrap(None, ["part"], [%part], None, [2], [1])
  %named : f32[2] = prim::set_attributes(%whole, ["name"], ["whole"])
  prim::wait(%named)
  return (%named)
"""
    wrap, set_attributes, wait = opscope.parse(text).nodes()
    assert wrap.operator is WRAP
    assert set_attributes.operator is SET_ATTRIBUTES
    assert wait.operator.effects == Effect.WRITES


def test_a_plain_call_leaves_modes_that_a_failure_left_and_knows_no_hooks() -> None:
    class Hooked(torch.Tensor):
        @classmethod
        def __torch_function__(cls, *args: object, **kwargs: object) -> object:
            raise AssertionError("hooks are off")

    class Passing(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            return func(*args, **(kwargs or {}))

    def program(x: torch.Tensor, *, fails: bool = False) -> torch.Tensor:
        if fails:
            Passing().__enter__()
        return x.view(-1 if not fails else 7)

    x = torch.ones(2, 3).as_subclass(Hooked)
    assert call_plainly(program, x).numel() == 6
    with Passing():
        before = torch._C._len_torch_dispatch_stack()
        with pytest.raises(RuntimeError, match="invalid for input of size"):
            call_plainly(partial(program, fails=True), x)
        assert torch._C._len_torch_dispatch_stack() == before
