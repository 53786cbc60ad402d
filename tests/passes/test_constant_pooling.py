"""Which constants become one, and which stay apart."""

from typing import Any

import pytest
import torch

from opscope.passes.base import PassResult
from opscope.passes.constant_pooling import ConstantPooling
from opscope.testing import check_pass
from support.constants import state_tensors

LITERALS = ConstantPooling()


def check(before: str, after: str, **state: Any) -> PassResult:
    return check_pass(ConstantPooling(state_tensors(state)), before, after)


BOTH = """
    graph(%x : f32[2]):
      constant %a : f32[2], %b : f32[2]
      %0 : f32[2] = aten::add.Tensor(%x, %a)
      %1 : f32[2] = aten::mul.Tensor(%0, %b)
      return (%1)
"""


def test_tensors_of_equal_contents_are_one() -> None:
    result = check(
        before=BOTH,
        after="""
            graph(%x : f32[2]):
              constant %a : f32[2]
              %0 : f32[2] = aten::add.Tensor(%x, %a)
              %1 : f32[2] = aten::mul.Tensor(%0, %a)
              return (%1)
        """,
        a=torch.tensor([1.0, torch.nan]),
        b=torch.tensor([1.0, torch.nan]),
    )
    assert result.stats == {"constants": 1}


@pytest.mark.parametrize(
    "other",
    [
        torch.tensor([1.0, 2.5]),
        torch.tensor([0.0, 1.0, 2.0])[1:],  # another place in another storage
        torch.tensor([1.0, 2.0, 9.0])[:2],  # which as_strided can see
        torch.ones(2).mul_(torch.tensor([1.0, 2.0])).expand(1, 2)[0],
    ],
)
def test_tensors_that_somebody_can_tell_apart_stay_two(other: torch.Tensor) -> None:
    check(BOTH, BOTH, a=torch.tensor([1.0, 2.0]), b=other)


def test_zeros_of_two_signs_stay_two() -> None:
    check(BOTH, BOTH, a=torch.tensor([0.0, 1.0]), b=torch.tensor([-0.0, 1.0]))


@pytest.mark.parametrize(
    "line",
    [
        "%r : f32[2] = aten::add_.Tensor(%b, 1)",
        "%r : f32[2] = my::keep(%b)",
        "%r : bool = prim::is_leaf(%b)",
        "%r : f32[2] = aten::view(%b, [2])",
    ],
)
def test_what_is_written_kept_asked_about_or_returned_stays(line: str) -> None:
    text = f"""
        graph(%x : f32[2]):
          constant %a : f32[2], %b : f32[2]
          %0 : f32[2] = aten::add.Tensor(%x, %a)
          {line}
          %1 : f32[2] = aten::mul.Tensor(%0, %b)
          return (%1, %r)
    """
    check(text, text, a=torch.ones(2), b=torch.ones(2))


def test_types_keep_tensors_apart() -> None:
    text = """
        graph(%x : f32[2]):
          constant %a : f32[2], %b : i32[2]
          %0 : f32[2] = aten::add.Tensor(%x, %a)
          %1 : f32[2] = aten::mul.Tensor(%0, %b)
          return (%1)
    """
    check(text, text, a=torch.zeros(2), b=torch.zeros(2, dtype=torch.int32))


def test_buffers_and_what_others_have_stay() -> None:
    check_pass(
        ConstantPooling(state_tensors({"a": torch.ones(2), "b": torch.ones(2)}, private=False)),
        BOTH,
        BOTH,
    )
    text = BOTH.replace("constant", "buffer")
    check(text, text, a=torch.ones(2), b=torch.ones(2))


def test_equal_literals_are_one_where_all_see_it() -> None:
    result = check_pass(
        LITERALS,
        before="""
            graph(%c : bool[], %x : f32[2]):
              %a : f32[2] = aten::neg(%x)
              [%y : f32[2]] = higher_order::cond(%c, [])
                block0():
                  %n : int = prim::literal(3)
                  %b : f32[2] = prim::call(@f, %x, %n)
                  -> (%b)
                block1():
                  %m : int = prim::literal(3)
                  %d : f32[2] = prim::call(@f, %x, %m)
                  -> (%d)
              %k : int = prim::literal(3)
              %one : float = prim::literal(3.0)
              return (%y, %k, %one)
            function f(%x : f32[2], %n : int):
              %y : f32[2] = aten::mul.Tensor(%x, %n)
              return (%y)
        """,
        after="""
            graph(%c : bool[], %x : f32[2]):
              %n : int = prim::literal(3)
              %a : f32[2] = aten::neg(%x)
              [%y : f32[2]] = higher_order::cond(%c, [])
                block0():
                  %b : f32[2] = prim::call(@f, %x, %n)
                  -> (%b)
                block1():
                  %d : f32[2] = prim::call(@f, %x, %n)
                  -> (%d)
              %one : float = prim::literal(3.0)
              return (%y, %n, %one)
            function f(%x : f32[2], %n : int):
              %y : f32[2] = aten::mul.Tensor(%x, %n)
              return (%y)
        """,
    )
    assert result.stats == {"literals": 2}


def test_a_literal_that_a_block_returns_stays_in_it() -> None:
    text = """
        graph(%c : bool[], %x : f32[2]):
          %k : int = prim::literal(3)
          [%y : int] = higher_order::cond(%c, [])
            block0():
              %n : int = prim::literal(3)
              -> (%n)
            block1():
              %m : int = prim::literal(3)
              -> (%m)
          return (%y, %k)
    """
    check_pass(LITERALS, text, text)
