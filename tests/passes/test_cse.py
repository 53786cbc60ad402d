"""What common subexpression elimination merges, and what it keeps apart."""

import pytest

from opscope.passes.cse import CommonSubexpressionElimination
from opscope.testing import check_pass

CSE = CommonSubexpressionElimination()


def unchanged(text: str) -> None:
    check_pass(CSE, before=text, after=text)


def test_equal_nodes_become_one() -> None:
    result = check_pass(
        CSE,
        before="""
            graph(%x : f32[2], %y : f32[2]):
              %a : f32[2] = aten::add.Tensor(%x, %y, alpha=2)
              %b : f32[2] = aten::add.Tensor(%x, %y, alpha=2)
              %c : f32[2] = aten::neg(%a)
              %d : f32[2] = aten::neg(%b)
              %e : f32[2] = aten::mul.Tensor(%c, %d)
              return (%e)
        """,
        after="""
            graph(%x : f32[2], %y : f32[2]):
              %a : f32[2] = aten::add.Tensor(%x, %y, alpha=2)
              %c : f32[2] = aten::neg(%a)
              %e : f32[2] = aten::mul.Tensor(%c, %c)
              return (%e)
        """,
    )
    assert result.stats == {"merged": 2}


@pytest.mark.parametrize(
    "other",
    [
        "aten::add.Tensor(%x, %y, alpha=2.0)",  # equal numbers of two types
        "aten::add.Tensor(%y, %x, alpha=2)",
        "aten::add.Tensor(%x, %y)",
        "aten::sub.Tensor(%x, %y, alpha=2)",
    ],
)
def test_what_differs_in_any_argument_is_kept_apart(other: str) -> None:
    unchanged(f"""
        graph(%x : f32[2], %y : f32[2]):
          %a : f32[2] = aten::add.Tensor(%x, %y, alpha=2)
          %b : f32[2] = {other}
          %c : f32[2] = aten::mul.Tensor(%a, %b)
          return (%c)
    """)


def test_random_operators_are_not_merged() -> None:
    unchanged("""
        graph(%x : f32[2]):
          %a : f32[2] = aten::rand_like(%x)
          %b : f32[2] = aten::rand_like(%x)
          %c : f32[2] = aten::add.Tensor(%a, %b)
          return (%c)
    """)


def test_a_write_to_an_operand_in_between_keeps_two_apart() -> None:
    unchanged("""
        graph(%x : f32[2, 2]):
          %a : f32[2, 2] = aten::neg(%x)
          %b : f32[2, 2] = aten::exp(%a)
          %row : f32[2] = aten::select.int(%a, 0, 0)
          %w : f32[2] = aten::add_.Tensor(%row, 1)
          %c : f32[2, 2] = aten::exp(%a)
          %d : f32[2, 2] = aten::add.Tensor(%b, %c)
          return (%d)
    """)


def test_an_input_may_share_memory_with_another() -> None:
    unchanged("""
        graph(%x : f32[2], %y : f32[2]):
          %b : f32[2] = aten::exp(%x)
          %w : f32[2] = aten::add_.Tensor(%y, 1)
          %c : f32[2] = aten::exp(%x)
          %d : f32[2] = aten::add.Tensor(%b, %c)
          return (%d)
    """)


def test_results_that_are_written_are_kept_apart() -> None:
    unchanged("""
        graph(%x : f32[2]):
          %a : f32[2] = aten::exp(%x)
          %b : f32[2] = aten::exp(%x)
          %w : f32[2] = aten::add_.Tensor(%b, 1)
          %d : f32[2] = aten::sub.Tensor(%a, %b)
          return (%d)
    """)


def test_two_results_that_are_returned_stay_two_tensors() -> None:
    unchanged("""
        graph(%x : f32[2]):
          %a : f32[2] = aten::exp(%x)
          %b : f32[2] = aten::exp(%x)
          return (%a, %b)
    """)
    unchanged("""
        graph(%x : f32[2]):
          %a : f32[2] = aten::exp(%x)
          %one : f32[1, 2] = aten::unsqueeze(%a, 0)
          %b : f32[2] = aten::exp(%x)
          %other : f32[1, 2] = aten::unsqueeze(%b, 0)
          return (%one, %other)
    """)


def test_numbers_that_are_returned_are_one() -> None:
    check_pass(
        CSE,
        before="""
            graph(%x : f32[2, 3]):
              %a : int = aten::sym_size.int(%x, 0)
              %b : int = aten::sym_size.int(%x, 0)
              return (%a, %b)
        """,
        after="""
            graph(%x : f32[2, 3]):
              %a : int = aten::sym_size.int(%x, 0)
              return (%a, %a)
        """,
    )


def test_views_of_a_parameter_are_one_where_the_objects_stay_inside() -> None:
    check_pass(
        CSE,
        before="""
            graph(%x : f32[2, 2]):
              state %w : f32[2, 2]
              %t : f32[2, 2]{strides=[1, 2]} = aten::t(%w)
              %a : f32[2, 2] = aten::mm(%x, %t)
              %t.1 : f32[2, 2]{strides=[1, 2]} = aten::t(%w)
              %b : f32[2, 2] = aten::mm(%a, %t.1)
              return (%b)
        """,
        after="""
            graph(%x : f32[2, 2]):
              state %w : f32[2, 2]
              %t : f32[2, 2]{strides=[1, 2]} = aten::t(%w)
              %a : f32[2, 2] = aten::mm(%x, %t)
              %b : f32[2, 2] = aten::mm(%a, %t)
              return (%b)
        """,
    )


def test_a_guard_is_checked_once() -> None:
    check_pass(
        CSE,
        before="""
            graph(%x : f32[2]):
              %n : int = aten::sym_size.int(%x, 0)
              %ok : bool = aten::eq.int(%n, 2)
              prim::guard(%ok, True)
              %again : bool = aten::eq.int(%n, 2)
              prim::guard(%again, True)
              return (%x)
        """,
        after="""
            graph(%x : f32[2]):
              %n : int = aten::sym_size.int(%x, 0)
              %ok : bool = aten::eq.int(%n, 2)
              prim::guard(%ok, True)
              return (%x)
        """,
    )


def test_a_block_uses_what_was_computed_around_it() -> None:
    check_pass(
        CSE,
        before="""
            graph(%c : bool[], %x : f32[2]):
              %a : f32[2] = aten::exp(%x)
              [%y : f32[2]] = higher_order::cond(%c, [])
                block0():
                  %b : f32[2] = aten::exp(%x)
                  %d : f32[2] = aten::neg(%b)
                  -> (%d)
                block1():
                  %b : f32[2] = aten::sin(%x)
                  -> (%b)
              %e : f32[2] = aten::sin(%x)
              %f : f32[2] = aten::add.Tensor(%a, %e)
              %g : f32[2] = aten::add.Tensor(%f, %y)
              return (%g)
        """,
        after="""
            graph(%c : bool[], %x : f32[2]):
              %a : f32[2] = aten::exp(%x)
              [%y : f32[2]] = higher_order::cond(%c, [])
                block0():
                  %d : f32[2] = aten::neg(%a)
                  -> (%d)
                block1():
                  %b : f32[2] = aten::sin(%x)
                  -> (%b)
              %e : f32[2] = aten::sin(%x)
              %f : f32[2] = aten::add.Tensor(%a, %e)
              %g : f32[2] = aten::add.Tensor(%f, %y)
              return (%g)
        """,
    )


def test_gradients_are_read_each_time() -> None:
    unchanged("""
        graph(%x : f32[2]):
          state %w : f32[2]
          %a : f32[2] = prim::gradient(%w)
          prim::set_gradient(%w, %x)
          %b : f32[2] = prim::gradient(%w)
          %c : f32[2] = aten::add.Tensor(%a, %b)
          return (%c)
    """)


def test_modes_keep_nodes_apart() -> None:
    unchanged("""
        graph(%x : f32[2]):
          %a : f32[2] = aten::exp(%x)
          mode no_grad
          %b : f32[2] = aten::exp(%x)
          mode grad
          %c : f32[2] = aten::add.Tensor(%a, %b)
          return (%c)
    """)


def test_what_an_operator_hands_on_as_a_result_stays_apart_from_another_result() -> None:
    text = """
        graph(%x : f32[4]):
          %a : f32[4, 1] = aten::unsqueeze(%x, 1)
          %b : f32[4, 1] = aten::contiguous(%a)
          %c : f32[4, 1] = aten::unsqueeze(%x, 1)
          return (%b, %c)
    """
    check_pass(CommonSubexpressionElimination(), text, text)


FOLLOWED = """
    graph(%x : f32[2, 3], %w : f32[3, 2]{grad}):
      %a : f32[2, 2]{grad} = aten::mm(%x, %w)
      %b : f32[2, 2]{grad} = aten::mm(%x, %w)
      %n : int = aten::sym_size.int(%a, 0)
      %m : int = aten::sym_size.int(%a, 0)
      %c : f32[2, 2]{grad} = aten::mul.Tensor(%b, %n)
      %d : f32[2, 2]{grad} = aten::add.Tensor(%c, %m)
      return (%a, %d)
"""


def test_what_autograd_followed_is_kept_apart_for_gradients_to_be_added_up_as_before() -> None:
    check_pass(
        CSE,
        before=FOLLOWED,
        after="""
            graph(%x : f32[2, 3], %w : f32[3, 2]{grad}):
              %a : f32[2, 2]{grad} = aten::mm(%x, %w)
              %b : f32[2, 2]{grad} = aten::mm(%x, %w)
              %n : int = aten::sym_size.int(%a, 0)
              %c : f32[2, 2]{grad} = aten::mul.Tensor(%b, %n)
              %d : f32[2, 2]{grad} = aten::add.Tensor(%c, %n)
              return (%a, %d)
        """,
    )


def test_where_no_gradients_are_taken_what_was_followed_is_merged_on_demand() -> None:
    check_pass(
        CommonSubexpressionElimination(reorder_gradients=True),
        before=FOLLOWED,
        after="""
            graph(%x : f32[2, 3], %w : f32[3, 2]{grad}):
              %a : f32[2, 2]{grad} = aten::mm(%x, %w)
              %n : int = aten::sym_size.int(%a, 0)
              %c : f32[2, 2]{grad} = aten::mul.Tensor(%a, %n)
              %d : f32[2, 2]{grad} = aten::add.Tensor(%c, %n)
              return (%a, %d)
        """,
    )
