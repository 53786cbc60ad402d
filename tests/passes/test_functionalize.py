"""Writes become values: the graph before and after, as text."""

# ruff: noqa: E501 - a node of a graph stands on one line

import pytest

import opscope
from opscope.testing import check_text
from support.functional import check_functionalize


def test_a_write_is_the_functional_overload() -> None:
    check_functionalize(
        before="""
            graph(%x : f32[2, 3], %w : f32[3]) -> (f32[2, 3]):
              %y : f32[2, 3] = aten::clone(%x)
              %y.1 : f32[2, 3] = aten::mul_.Tensor(%y, %w)
              %y.2 : f32[2, 3] = aten::relu_(%y.1)
              return (%y.2)
        """,
        after="""
            graph(%x : f32[2, 3], %w : f32[3]) -> (f32[2, 3]):
              %y : f32[2, 3] = aten::clone(%x)
              %y.1 : f32[2, 3] = aten::mul.Tensor(%y, %w)
              %y.2 : f32[2, 3] = aten::relu(%y.1)
              return (%y.2)
        """,
    )


def test_a_write_through_a_view_reaches_its_base() -> None:
    check_functionalize(
        before="""
            graph(%x : f32[2, 3]) -> (f32[2, 3]):
              %y : f32[2, 3] = aten::clone(%x)
              %row : f32[3] = aten::select.int(%y, 0, 1)
              %row.1 : f32[3] = aten::add_.Tensor(%row, 1)
              return (%y)
        """,
        after="""
            graph(%x : f32[2, 3]) -> (f32[2, 3]):
              %y : f32[2, 3] = aten::clone(%x)
              %row : f32[3] = aten::select.int(%y, 0, 1)
              %row.1 : f32[3] = aten::add.Tensor(%row, 1)
              %y.1 : f32[2, 3] = aten::select_scatter(%y, %row.1, 0, 1)
              return (%y.1)
        """,
    )


def test_a_view_is_made_anew_after_a_write_to_its_base() -> None:
    check_functionalize(
        before="""
            graph(%x : f32[2, 3]) -> (f32[3]):
              %y : f32[2, 3] = aten::clone(%x)
              %row : f32[3] = aten::select.int(%y, 0, 1)
              %before : f32[3] = aten::neg(%row)
              %y.1 : f32[2, 3] = aten::add_.Tensor(%y, 1)
              %after : f32[3] = aten::sub.Tensor(%row, %before)
              return (%after)
        """,
        after="""
            graph(%x : f32[2, 3]) -> (f32[3]):
              %y : f32[2, 3] = aten::clone(%x)
              %row : f32[3] = aten::select.int(%y, 0, 1)
              %before : f32[3] = aten::neg(%row)
              %y.1 : f32[2, 3] = aten::add.Tensor(%y, 1)
              %row.1 : f32[3] = aten::select.int(%y.1, 0, 1)
              %after : f32[3] = aten::sub.Tensor(%row.1, %before)
              return (%after)
        """,
    )


def test_views_of_views_are_undone_one_by_one() -> None:
    check_functionalize(
        before="""
            graph(%x : f32[2, 3]) -> (f32[2, 3]):
              %y : f32[2, 3] = aten::clone(%x)
              %t : f32[3, 2]{strides=[1, 3]} = aten::t(%y)
              %row : f32[2]{strides=[3]} = aten::select.int(%t, 0, 1)
              %flat : f32[1, 2]{strides=[6, 3]} = aten::unsqueeze(%row, 0)
              %flat.1 : f32[1, 2]{strides=[6, 3]} = aten::zero_(%flat)
              return (%y)
        """,
        after="""
            graph(%x : f32[2, 3]) -> (f32[2, 3]):
              %y : f32[2, 3] = aten::clone(%x)
              %t : f32[3, 2]{strides=[1, 3]} = aten::t(%y)
              %row : f32[2]{strides=[3]} = aten::select.int(%t, 0, 1)
              %flat : f32[1, 2]{strides=[6, 3]} = aten::unsqueeze(%row, 0)
              %flat.1 : f32[1, 2] = aten::zero(%flat)
              %row.1 : f32[2] = aten::reshape(%flat.1, [2])
              %t.1 : f32[3, 2]{strides=[1, 3]} = aten::select_scatter(%t, %row.1, 0, 1)
              %y.1 : f32[2, 3] = aten::t(%t.1)
              return (%y.1)
        """,
    )


def test_parts_of_a_tensor_are_slices_of_it() -> None:
    check_functionalize(
        before="""
            graph(%x : f32[4]) -> (f32[4], f32[2]):
              %y : f32[4] = aten::clone(%x)
              [%a : f32[2], %b : f32[2]] = aten::chunk(%y, 2)
              %b.1 : f32[2] = aten::add_.Tensor(%b, 1)
              %sum : f32[2] = aten::add.Tensor(%a, %b.1)
              return (%y, %sum)
        """,
        after="""
            graph(%x : f32[4]) -> (f32[4], f32[2]):
              %y : f32[4] = aten::clone(%x)
              [%a : f32[2], %b : f32[2]] = aten::chunk(%y, 2)
              %b.1 : f32[2] = aten::add.Tensor(%b, 1)
              %y.1 : f32[4] = aten::slice_scatter(%y, %b.1, 0, 2, 4, 1)
              [%a.1 : f32[2], %0 : f32[2]] = aten::chunk(%y.1, 2)
              %sum : f32[2] = aten::add.Tensor(%a.1, %b.1)
              return (%y.1, %sum)
        """,
    )


def test_new_contents_of_inputs_and_state_are_outputs() -> None:
    mutations = check_functionalize(
        before="""
            graph(%x : f32[3], %y : f32[3]) -> (f32[3]):
              buffer %count : f32[3]
              %x.1 : f32[3] = aten::add_.Tensor(%x, %y)
              %count.1 : f32[3] = aten::add_.Tensor(%count, 1)
              %0 : f32[3] = aten::mul.Tensor(%x.1, 2)
              return (%0)
        """,
        after="""
            graph(%x : f32[3], %y : f32[3]) -> (f32[3], f32[3], f32[3]):
              buffer %count : f32[3]
              %x.1 : f32[3] = aten::add.Tensor(%x, %y)
              %count.1 : f32[3] = aten::add.Tensor(%count, 1)
              %0 : f32[3] = aten::mul.Tensor(%x.1, 2)
              return (%0, %x.1, %count.1)
        """,
    )
    assert [(m.output, m.name, m.input, m.state) for m in mutations] == [
        (1, "x", 0, None),
        (2, "count", None, "count"),
    ]


def test_out_arguments_that_are_overwritten_are_not_needed() -> None:
    check_functionalize(
        before="""
            graph(%x : f32[3]) -> (f32[3]):
              %out : f32[3] = aten::empty.memory_format([3])
              %out.1 : f32[3] = aten::exp.out(%x, out=%out)
              return (%out)
        """,
        after="""
            graph(%x : f32[3]) -> (f32[3]):
              %out.1 : f32[3] = aten::exp(%x)
              return (%out.1)
        """,
    )


def test_several_out_arguments_are_written_to_copies() -> None:
    check_functionalize(
        before="""
            graph(%x : f32[2, 3]) -> (f32[2], i64[2]):
              %v : f32[2] = aten::empty.memory_format([2])
              %i : i64[2] = aten::empty.memory_format([2], dtype=i64)
              %0 : f32[2], %1 : i64[2] = aten::max.dim_max(%x, 1, max=%v, max_values=%i)
              return (%v, %i)
        """,
        after="""
            graph(%x : f32[2, 3]) -> (f32[2], i64[2]):
              %v : f32[2] = aten::empty.memory_format([2])
              %i : i64[2] = aten::empty.memory_format([2], dtype=i64)
              %v.1 : f32[2], %i.1 : i64[2] = prim::outplace("aten::max.dim_max", ["max", "max_values"], %x, 1, max=%v, max_values=%i)
              return (%v.1, %i.1)
        """,
    )


def test_lists_are_written_as_lists() -> None:
    check_functionalize(
        before="""
            graph(%x : f32[3], %y : f32[3]) -> (f32[3], f32[3]):
              %a : f32[3] = aten::clone(%x)
              %b : f32[3] = aten::clone(%y)
              aten::_foreach_mul_.Scalar([%a, %b], 2)
              return (%a, %b)
        """,
        after="""
            graph(%x : f32[3], %y : f32[3]) -> (f32[3], f32[3]):
              %a : f32[3] = aten::clone(%x)
              %b : f32[3] = aten::clone(%y)
              [%a.1 : f32[3], %b.1 : f32[3]] = aten::_foreach_mul.Scalar([%a, %b], 2)
              return (%a.1, %b.1)
        """,
    )


def test_a_copy_of_the_same_type_is_a_clone() -> None:
    check_functionalize(
        before="""
            graph(%x : f32[3], %w : f64[3]) -> (f32[3], f32[3]):
              %a : f32[3] = aten::zeros([3])
              %a.1 : f32[3] = aten::copy_(%a, %x)
              %b : f32[3] = aten::zeros([3])
              %b.1 : f32[3] = aten::copy_(%b, %w)
              return (%a, %b)
        """,
        after="""
            graph(%x : f32[3], %w : f64[3]) -> (f32[3], f32[3]):
              %a.1 : f32[3] = aten::clone(%x)
              %b.1 : f32[3] = aten::to.dtype(%w, f32)
              return (%a.1, %b.1)
        """,
    )


def test_a_write_that_autograd_does_not_follow_leaves_the_history_alone() -> None:
    check_functionalize(
        before="""
            graph(%x : f32[3]{grad}) -> (f32[3]{grad}):
              %y : f32[3]{grad} = aten::exp(%x)
              mode no_grad
              %y.1 : f32[3]{grad} = aten::mul_.Tensor(%y, 2)
              mode grad
              %0 : f32[3]{grad} = aten::neg(%y.1)
              return (%0)
        """,
        after="""
            graph(%x : f32[3]{grad}) -> (f32[3]{grad}):
              %y : f32[3]{grad} = aten::exp(%x)
              mode no_grad
              %y.1 : f32[3] = aten::mul.Tensor(%y, 2)
              mode grad
              %y.1.1 : f32[3]{grad} = prim::keep_history(%y.1, %y)
              %0 : f32[3]{grad} = aten::neg(%y.1.1)
              return (%0)
        """,
    )


def test_histories_that_nothing_asks_for_are_left_out() -> None:
    check_functionalize(
        before="""
            graph(%g : f32[3]) -> ():
              state %p : f32[3]{grad}
              ambient no_grad
              %p.1 : f32[3]{grad} = aten::mul_.Tensor(%p, 0.9)
              %p.2 : f32[3]{grad} = aten::add_.Tensor(%p.1, %g)
              return ()
        """,
        after="""
            graph(%g : f32[3]) -> (f32[3]):
              state %p : f32[3]{grad}
              ambient no_grad
              %p.1 : f32[3] = aten::mul.Tensor(%p, 0.9)
              %p.2 : f32[3] = aten::add.Tensor(%p.1, %g)
              return (%p.2)
        """,
    )


def test_running_statistics_that_the_schema_hides_are_outputs() -> None:
    mutations = check_functionalize(
        before="""
            graph(%x : f32[4, 3]) -> (f32[4, 3]):
              buffer %mean : f32[3], %var : f32[3]
              %y : f32[4, 3] = aten::batch_norm(%x, None, None, %mean, %var, True, 0.1, 1e-05, True)
              return (%y)
        """,
        after="""
            graph(%x : f32[4, 3]) -> (f32[4, 3], f32[3], f32[3]):
              buffer %mean : f32[3], %var : f32[3]
              %y : f32[4, 3], %mean.1 : f32[3], %var.1 : f32[3] = prim::outplace("aten::batch_norm", ["running_mean", "running_var"], %x, None, None, %mean, %var, True, 0.1, 1e-05, True)
              return (%y, %mean.1, %var.1)
        """,
    )
    assert [m.state for m in mutations] == ["mean", "var"]


def test_statistics_that_are_only_read_are_no_writes() -> None:
    text = """
        graph(%x : f32[4, 3]) -> (f32[4, 3]):
          buffer %mean : f32[3], %var : f32[3]
          %y : f32[4, 3] = aten::batch_norm(%x, None, None, %mean, %var, False, 0.1, 1e-05, True)
          return (%y)
    """
    assert check_functionalize(text, text) == ()


def test_random_draws_keep_their_kernel() -> None:
    check_functionalize(
        before="""
            graph() -> (f32[4, 3]):
              %y : f32[4, 3] = aten::zeros([4, 3])
              %y.1 : f32[4, 3] = aten::uniform_(%y)
              %column : f32[4]{strides=[3]} = aten::select.int(%y.1, 1, 0)
              %column.1 : f32[4]{strides=[3]} = aten::normal_(%column)
              return (%y)
        """,
        after="""
            graph() -> (f32[4, 3]):
              %y : f32[4, 3] = aten::zeros([4, 3])
              %y.1 : f32[4, 3] = aten::uniform(%y)
              %column : f32[4]{strides=[3]} = aten::select.int(%y.1, 1, 0)
              %column.1 : f32[4]{strides=[3]} = prim::outplace("aten::normal_", ["self"], %column)
              %y.1.1 : f32[4, 3] = aten::select_scatter(%y.1, %column.1, 1, 0)
              return (%y.1.1)
        """,
    )


def test_geometry_changed_in_place_is_a_view() -> None:
    check_functionalize(
        before="""
            graph(%x : f32[3]) -> (f32[2]):
              %y : f32[3] = aten::clone(%x)
              %0 : f32[1, 3] = aten::unsqueeze_(%y, 0)
              %1 : f32[1, 3] = aten::add_.Tensor(%0, 1)
              %2 : f32[2] = aten::resize_(%1, [2])
              return (%2)
        """,
        after="""
            graph(%x : f32[3]) -> (f32[2]):
              %y : f32[3] = aten::clone(%x)
              %0 : f32[1, 3] = aten::unsqueeze(%y, 0)
              %1 : f32[1, 3] = aten::add.Tensor(%0, 1)
              %2 : f32[2] = aten::as_strided(%1, [2], [1])
              return (%2)
        """,
    )


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("%a : f32[3] = aten::set_.source_Tensor(%y, %x)", "gives a tensor other memory"),
        ("%a : f32[9] = aten::resize_(%y, [9])", "may reach memory that no value"),
        ("%a : f32[1, 3] = aten::unsqueeze_(%x, 0)", "sizes or strides of x itself"),
        ("aten::_foreach_add_.Scalar([%y, %y], 1)", "have elements in common"),
        ("%a : f32[3] = my::unknown_(%y)", "nothing says what it writes"),
    ],
)
def test_what_has_no_value_is_refused_and_the_graph_stays(lines: str, reason: str) -> None:
    text = f"""
        graph(%x : f32[3]) -> (f32[3]):
          %y : f32[3] = aten::clone(%x)
          %b : f32[3] = aten::add_.Tensor(%y, 1)
          {lines}
          return (%y)
    """
    graph = opscope.parse(text)
    with pytest.raises(opscope.PassError, match=reason):
        opscope.functionalize(graph)
    check_text(graph, text)


def test_a_write_where_elements_are_one_is_refused() -> None:
    graph = opscope.parse(
        """
        graph(%x : f32[1]) -> (f32[1]):
          %y : f32[1] = aten::clone(%x)
          %e : f32[3]{strides=[0]} = aten::expand(%y, [3])
          %e.1 : f32[3]{strides=[0]} = aten::zero_(%e)
          return (%y)
        """
    )
    with pytest.raises(opscope.PassError, match="several elements are one"):
        opscope.functionalize(graph)


def test_an_operator_that_reads_what_it_writes_is_refused() -> None:
    graph = opscope.parse(
        """
        graph(%x : f32[3, 3]) -> (f32[3, 3]):
          %y : f32[3, 3] = aten::clone(%x)
          %y.1 : f32[3, 3] = aten::addmm_(%y, %y, %y)
          return (%y)
        """
    )
    with pytest.raises(opscope.PassError, match="reads elements that it writes"):
        opscope.functionalize(graph)


def test_inputs_that_share_memory_must_be_known_to() -> None:
    graph = opscope.parse(
        """
        graph(%x : f32[3], %y : f32[3]) -> (f32[3]):
          %x.1 : f32[3] = aten::add_.Tensor(%x, 1)
          %0 : f32[3] = aten::neg(%y)
          return (%0)
        """
    )
    x, y = graph.inputs
    with pytest.raises(opscope.PassError, match="input x and input y share memory"):
        opscope.functionalize(graph, {x: 1, y: 1})
    opscope.functionalize(graph, {x: 1, y: 2})


def test_blocks_read_the_present_contents() -> None:
    check_functionalize(
        before="""
            graph(%x : f32[2, 3], %c : bool) -> (f32[3]):
              %y : f32[2, 3] = aten::clone(%x)
              %row : f32[3] = aten::select.int(%y, 0, 1)
              %y.1 : f32[2, 3] = aten::add_.Tensor(%y, 1)
              %0 : f32[3] = aten::neg(%x)
                block0():
                  %1 : f32[3] = aten::exp(%row)
                  -> (%1)
              return (%0)
        """,
        after="""
            graph(%x : f32[2, 3], %c : bool) -> (f32[3]):
              %y : f32[2, 3] = aten::clone(%x)
              %y.1 : f32[2, 3] = aten::add.Tensor(%y, 1)
              %row : f32[3] = aten::select.int(%y.1, 0, 1)
              %0 : f32[3] = aten::neg(%x)
                block0():
                  %1 : f32[3] = aten::exp(%row)
                  -> (%1)
              return (%0)
        """,
    )


def test_writes_inside_blocks_are_refused() -> None:
    graph = opscope.parse(
        """
        graph(%x : f32[3]) -> (f32[3]):
          %y : f32[3] = aten::add_.Tensor(%x, 1)
          %0 : f32[3] = aten::neg(%x)
            block0():
              %1 : f32[3] = aten::add_.Tensor(%y, 1)
              -> (%1)
          return (%0)
        """
    )
    with pytest.raises(opscope.PassError, match="writes inside a function or block"):
        opscope.functionalize(graph)


def test_operators_that_hand_an_operand_through_without_saying_so() -> None:
    check_functionalize(
        before="""
            graph(%x : f32[3], %s : f32[]) -> (f32[3], f32[1]):
              %y : f32[3] = aten::clone(%x)
              %same : f32[3] = aten::dropout(%y, 0.5, False)
              %same.1 : f32[3] = aten::add_.Tensor(%same, 1)
              %t : f32[] = aten::clone(%s)
              %one : f32[1] = aten::atleast_1d(%t)
              %t.1 : f32[] = aten::mul_.Tensor(%t, 2)
              return (%y, %one)
        """,
        after="""
            graph(%x : f32[3], %s : f32[]) -> (f32[3], f32[1]):
              %y : f32[3] = aten::clone(%x)
              %same : f32[3] = aten::dropout(%y, 0.5, False)
              %same.1 : f32[3] = aten::add.Tensor(%same, 1)
              %t : f32[] = aten::clone(%s)
              %t.1 : f32[] = aten::mul.Tensor(%t, 2)
              %one : f32[1] = aten::atleast_1d(%t.1)
              return (%same.1, %one)
        """,
    )


def test_a_tuple_that_may_hide_written_memory_is_refused() -> None:
    graph = opscope.parse("""
        graph(%x : f32[2]) -> (f32[2]):
          %y : f32[2] = aten::clone(%x)
          %t : tuple[f32[2]] = prim::TupleConstruct(%y)
          %z : f32[2] = prim::TupleUnpack(%t)
          %w : f32[2] = aten::relu_(%z)
          return (%y)
    """)
    with pytest.raises(opscope.PassError, match="run the pass lower_all_tuples before"):
        opscope.functionalize(graph)
