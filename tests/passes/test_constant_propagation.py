"""What constant propagation computes, and what it leaves to each run."""

from typing import Any

import pytest
import torch

from opscope.passes.base import PassResult
from opscope.passes.constant_propagation import ConstantPropagation
from opscope.testing import check_pass
from support.constants import state_tensors

NUMBERS = ConstantPropagation()


def check(before: str, after: str, max_bytes: int = 1 << 16, **state: Any) -> PassResult:
    return check_pass(ConstantPropagation(max_bytes, state_tensors(state)), before, after)


def unchanged(text: str, **state: Any) -> None:
    check(text, text, **state)


def test_numbers_become_literals_where_they_are_read() -> None:
    result = check_pass(
        NUMBERS,
        before="""
            graph(%x : f32[2, 12]):
              %n : int = aten::mul.int(3, 4)
              %m : int = aten::sub.int(%n, 8)
              %y : f32[2, 3, 4] = aten::view(%x, [-1, 3, %m])
              %s : float = aten::div.int(1, %n)
              %z : f32[2, 3, 4] = aten::mul.Tensor(%y, %s)
              return (%z)
        """,
        after="""
            graph(%x : f32[2, 12]):
              %y : f32[2, 3, 4] = aten::view(%x, [-1, 3, 4])
              %z : f32[2, 3, 4] = aten::mul.Tensor(%y, 0.08333333333333333)
              return (%z)
        """,
    )
    assert result.stats == {"computed": 3, "arguments": 4}


def test_where_only_a_value_may_stand_a_number_is_a_literal_node() -> None:
    check_pass(
        NUMBERS,
        before="""
            graph(%x : f32[2]):
              %n : int = aten::add.int(1, 2)
              %m : int = aten::mul.int(%n, 2)
              %y : f32[2] = prim::call(@f, %x, %m)
              return (%y, %n)
            function f(%x : f32[2], %n : int):
              %k : int = aten::add.int(2, 2)
              %m : int = aten::mul.int(%n, %k)
              %y : f32[2] = aten::mul.Tensor(%x, %m)
              return (%y)
        """,
        after="""
            graph(%x : f32[2]):
              %n : int = prim::literal(3)
              %m : int = prim::literal(6)
              %y : f32[2] = prim::call(@f, %x, %m)
              return (%y, %n)
            function f(%x : f32[2], %n : int):
              %m : int = aten::mul.int(%n, 4)
              %y : f32[2] = aten::mul.Tensor(%x, %m)
              return (%y)
        """,
    )


def test_guards_that_hold_go_and_others_stay() -> None:
    result = check_pass(
        NUMBERS,
        before="""
            graph(%x : f32[2]):
              %n : int = aten::add.int(1, 2)
              %ok : bool = aten::lt.int(%n, 4)
              prim::guard(%ok, True)
              %bad : bool = aten::lt.int(%n, 3)
              prim::guard(%bad, True)
              %zero : float = aten::mul.int_float(%n, -0.0)
              prim::guard(%zero, 0.0)
              %s : int = aten::sym_size.int(%x, 0)
              prim::guard(%s, 2)
              return (%x)
        """,
        after="""
            graph(%x : f32[2]):
              %bad : bool = aten::lt.int(3, 3)
              prim::guard(%bad, True)
              %zero : float = aten::mul.int_float(3, -0.0)
              prim::guard(%zero, 0.0)
              %s : int = aten::sym_size.int(%x, 0)
              prim::guard(%s, 2)
              return (%x)
        """,
    )
    assert result.stats == {"computed": 2, "arguments": 3, "guards": 1}


def test_what_fails_goes_on_to_fail() -> None:
    text = """
        graph(%x : f32[2]):
          %n : int = aten::floordiv.int(1, 0)
          %y : f32[2] = aten::add.Tensor(%x, %n)
          return (%y)
    """
    check_pass(NUMBERS, before=text, after=text)
    check(
        before="""
            graph(%x : f32[3]):
              %a : i64[3] = aten::arange(3, device=device.cpu)
              %b : i64[2] = aten::reshape(%a, [2])
              %y : f32[3] = aten::add.Tensor(%x, %b)
              return (%y)
        """,
        after="""
            graph(%x : f32[3]):
              constant %a : i64[3]
              %b : i64[2] = aten::reshape(%a, [2])
              %y : f32[3] = aten::add.Tensor(%x, %b)
              return (%y)
        """,
    )


def test_numbers_in_blocks_are_computed_and_those_blocks_are_given_stay() -> None:
    check_pass(
        NUMBERS,
        before="""
            graph(%c : bool[], %x : f32[2]):
              %n : int = aten::add.int(1, 2)
              [%y : f32[2]] = higher_order::cond(%c, [])
                block0():
                  %m : int = aten::mul.int(%n, 2)
                  %b : f32[2] = aten::mul.Tensor(%x, %m)
                  -> (%b)
                block1():
                  -> (%x)
              return (%y)
        """,
        after="""
            graph(%c : bool[], %x : f32[2]):
              [%y : f32[2]] = higher_order::cond(%c, [])
                block0():
                  %b : f32[2] = aten::mul.Tensor(%x, 6)
                  -> (%b)
                block1():
                  -> (%x)
              return (%y)
        """,
    )


def test_tensors_become_constants_and_those_that_nothing_reads_go() -> None:
    result = check(
        before="""
            graph(%x : f32[3]):
              constant %constant : f32[3]
              %a : f32[3] = aten::clone(%constant)
              %b : i64[3] = aten::arange(3, device=device.cpu)
              %scale : f32[3] = aten::mul.Tensor(%a, %b)
              %y : f32[3] = aten::mul.Tensor(%x, %scale)
              return (%y)
        """,
        after="""
            graph(%x : f32[3]):
              constant %scale : f32[3]
              %y : f32[3] = aten::mul.Tensor(%x, %scale)
              return (%y)
        """,
        constant=torch.tensor([1.0, 2.0, 3.0]),
    )
    assert result.stats == {"computed": 3, "constants": 1, "bytes": 12, "dropped": 1}


def test_without_tensors_only_numbers_are_computed() -> None:
    text = """
        graph(%x : f32[3]):
          %a : f32[3] = aten::ones([3], device=device.cpu)
          %y : f32[3] = aten::mul.Tensor(%x, %a)
          return (%y)
    """
    check_pass(NUMBERS, before=text, after=text)


def test_data_of_constants_become_numbers() -> None:
    check(
        before="""
            graph(%x : f32[3]):
              constant %constant : f32[]
              %n : float = aten::item(%constant)
              %ok : bool = aten::lt.float(%n, 4.0)
              prim::guard(%ok, True)
              %y : f32[3] = aten::mul.Tensor(%x, %n)
              return (%y)
        """,
        after="""
            graph(%x : f32[3]):
              %y : f32[3] = aten::mul.Tensor(%x, 2.5)
              return (%y)
        """,
        constant=torch.tensor(2.5),
    )


def test_several_results_and_views_are_computed() -> None:
    check(
        before="""
            graph(%x : f32[2]):
              %a : f32[2, 2] = aten::full([2, 2], 3.0, dtype=f32, device=device.cpu)
              [%b : f32[2], %c : f32[2]] = aten::unbind.int(%a)
              [%v : f32[], %i : i64[]] = aten::max.dim(%b, 0)
              %t : f32[2, 2]{strides=[1, 2]} = aten::t(%a)
              %y : f32[2] = aten::mul.Tensor(%x, %v)
              %z : f32[2] = aten::add.Tensor(%y, %c)
              %w : f32[2, 2] = aten::add.Tensor(%z, %t)
              return (%w)
        """,
        after="""
            graph(%x : f32[2]):
              constant %c : f32[2], %v : f32[], %t : f32[2, 2]{strides=[1, 2]}
              %y : f32[2] = aten::mul.Tensor(%x, %v)
              %z : f32[2] = aten::add.Tensor(%y, %c)
              %w : f32[2, 2] = aten::add.Tensor(%z, %t)
              return (%w)
        """,
    )


RETURNED = """
    graph(%x : f32[3]):
      %a : f32[3] = aten::ones([3], device=device.cpu)
      return (%a)
"""
VIEW_RETURNED = """
    graph(%x : f32[3]):
      %a : f32[1, 3] = aten::ones([1, 3], device=device.cpu)
      %b : f32[3] = aten::select.int(%a, 0, 0)
      return (%b)
"""
WRITTEN = """
    graph(%x : f32[3]):
      %a : f32[3] = aten::zeros([3], device=device.cpu)
      %w : f32[3] = aten::add_.Tensor(%a, %x)
      %y : f32[3] = aten::mul.Tensor(%w, 2)
      return (%y)
"""
WRITTEN_THROUGH_A_VIEW = """
    graph(%x : f32[3]):
      %a : f32[1, 3] = aten::zeros([1, 3], device=device.cpu)
      %b : f32[3] = aten::select.int(%a, 0, 0)
      %w : f32[3] = aten::add_.Tensor(%b, %x)
      %y : f32[1, 3] = aten::mul.Tensor(%a, 2)
      return (%y)
"""
GIVEN_AWAY = """
    graph(%x : f32[3]):
      %a : f32[3] = aten::zeros([3], device=device.cpu)
      %y : f32[3] = my::keep(%x, %a)
      return (%y)
"""
A_GRADIENT = """
    graph(%x : f32[3]):
      state %w : f32[3]{grad}
      %a : f32[3] = aten::zeros([3], device=device.cpu)
      prim::set_gradient(%w, %a)
      return (%x)
"""
RANDOM = """
    graph(%x : f32[3]):
      %a : f32[3] = aten::rand([3], device=device.cpu)
      %y : f32[3] = aten::mul.Tensor(%x, %a)
      return (%y)
"""
WHAT_WAS_IN_MEMORY = """
    graph(%x : f32[3]):
      %a : f32[3] = aten::empty.memory_format([3], device=device.cpu)
      %y : f32[3] = aten::mul.Tensor(%x, %a)
      return (%y)
"""
FOLLOWED = """
    graph(%x : f32[3]):
      %a : f32[3] = aten::zeros([3], device=device.cpu)
      %b : f32[3]{grad} = aten::requires_grad_(%a)
      %y : f32[3]{grad} = aten::mul.Tensor(%x, %b)
      return (%y)
"""
A_BLOCK_RETURNS = """
    graph(%c : bool[], %x : f32[3]):
      [%y : f32[3]] = higher_order::cond(%c, [])
        block0():
          %a : f32[3] = aten::ones([3], device=device.cpu)
          -> (%a)
        block1():
          -> (%x)
      %z : f32[3] = aten::neg(%y)
      return (%z)
"""
OF_ANOTHER_TYPE = """
    graph(%x : f64[3]):
      %a : f64[3] = aten::ones([3], device=device.cpu)
      %y : f64[3] = aten::mul.Tensor(%x, %a)
      return (%y)
"""
AUTOCAST_DECIDES = """
    graph(%x : f32[2, 2]):
      constant %constant : f32[2, 2]
      %a : f32[2, 2] = aten::mm(%constant, %constant)
      %y : f32[2, 2] = aten::mul.Tensor(%x, %a)
      return (%y)
"""


@pytest.mark.parametrize(
    "text",
    [
        RETURNED,
        VIEW_RETURNED,
        WRITTEN,
        WRITTEN_THROUGH_A_VIEW,
        GIVEN_AWAY,
        A_GRADIENT,
        RANDOM,
        WHAT_WAS_IN_MEMORY,
        FOLLOWED,
        A_BLOCK_RETURNS,
        OF_ANOTHER_TYPE,
        AUTOCAST_DECIDES,
    ],
)
def test_each_run_computes_what_is_not_the_same_for_all(text: str) -> None:
    unchanged(text, constant=torch.ones(2, 2), w=torch.ones(3))


def test_autocast_of_the_program_is_what_it_is_for_all() -> None:
    check(
        before="""
            graph(%x : f32[2, 2]):
              constant %constant : f32[2, 2]
              mode grad, autocast(cpu, bf16)
              %a : bf16[2, 2] = aten::mm(%constant, %constant)
              mode grad
              %y : f32[2, 2] = aten::mul.Tensor(%x, %a)
              return (%y)
        """,
        after="""
            graph(%x : f32[2, 2]):
              constant %a : bf16[2, 2]
              %y : f32[2, 2] = aten::mul.Tensor(%x, %a)
              return (%y)
        """,
        constant=torch.ones(2, 2),
    )


@pytest.mark.parametrize(
    "write",
    ["aten::add_.Tensor(%constant, 1)", "aten::mul_.Tensor(%view, 2)"],
)
def test_a_constant_that_is_written_is_none(write: str) -> None:
    unchanged(
        f"""
            graph(%x : f32[3]):
              constant %constant : f32[3]
              %view : f32[3] = aten::view(%constant, [3])
              %w : f32[3] = {write}
              %a : f32[3] = aten::neg(%constant)
              %y : f32[3] = aten::mul.Tensor(%x, %a)
              return (%y)
        """,
        constant=torch.ones(3),
    )


def test_a_constant_that_others_have_is_none() -> None:
    text = """
        graph(%x : f32[3]):
          constant %table : f32[3]
          %a : f32[3] = aten::neg(%table)
          %y : f32[3] = aten::mul.Tensor(%x, %a)
          return (%y)
    """
    tensors = state_tensors({"table": torch.ones(3)}, private=False)
    check_pass(ConstantPropagation(tensors=tensors), text, text)
    unchanged(
        """
            graph(%x : f32[3]):
              constant %table : f32[3]
              %a : f32[3] = aten::neg(%table)
              %y : f32[3] = prim::call(@f, %x)
              %z : f32[3] = aten::mul.Tensor(%y, %a)
              return (%z)
            function f(%x : f32[3]):
              constant %table : f32[3]
              %w : f32[3] = aten::add_.Tensor(%table, %x)
              return (%w)
        """,
        table=torch.ones(3),
    )


def test_no_constant_is_larger_than_allowed() -> None:
    text = """
        graph(%x : f32[3]):
          %a : f32[3] = aten::ones([3], device=device.cpu)
          %b : f32[4, 3] = aten::repeat(%a, [4, 1])
          %y : f32[4, 3] = aten::mul.Tensor(%x, %b)
          return (%y)
    """
    check(text, text, max_bytes=8)
    check(
        text,
        """
            graph(%x : f32[3]):
              constant %a : f32[3]
              %b : f32[4, 3] = aten::repeat(%a, [4, 1])
              %y : f32[4, 3] = aten::mul.Tensor(%x, %b)
              return (%y)
        """,
        max_bytes=16,
    )


def test_new_names_are_free() -> None:
    check(
        before="""
            graph(%x : f32[2]):
              state %a : f32[2]
              %0 : f32[2] = aten::ones([2], device=device.cpu)
              %1 : f32[2] = aten::zeros([2], device=device.cpu)
              %y : f32[2] = aten::addcmul(%a, %0, %x)
              %z : f32[2] = aten::add.Tensor(%y, %1)
              return (%z)
        """,
        after="""
            graph(%x : f32[2]):
              state %a : f32[2]
              constant %constant : f32[2], %constant.2 : f32[2]
              %y : f32[2] = aten::addcmul(%a, %constant, %x)
              %z : f32[2] = aten::add.Tensor(%y, %constant.2)
              return (%z)
        """,
        a=torch.ones(2),
        **{"constant.1": "what another part of the program keeps"},
    )
