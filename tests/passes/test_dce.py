"""What dead code elimination takes out, and what it leaves."""

from opscope.passes.dce import DeadCodeElimination
from opscope.testing import check_pass

DCE = DeadCodeElimination()


def test_a_dead_chain_falls() -> None:
    result = check_pass(
        DCE,
        before="""
            graph(%x : f32[2], %y : f32[2]):
              %a : f32[2] = aten::neg(%x)
              %b : f32[2] = aten::exp(%a)
              %c : f32[2] = aten::add.Tensor(%x, %y)
              return (%c)
        """,
        after="""
            graph(%x : f32[2], %y : f32[2]):
              %c : f32[2] = aten::add.Tensor(%x, %y)
              return (%c)
        """,
    )
    assert result.stats == {"erased": 2}


def test_in_place_operators_on_a_tensor_that_nobody_reads_fall() -> None:
    check_pass(
        DCE,
        before="""
            graph(%x : f32[2]):
              %a : f32[2] = aten::neg(%x)
              %view : f32[2] = aten::view(%a, [2])
              %b : f32[2] = aten::add_.Tensor(%view, 1)
              %c : f32[2] = aten::relu_(%a)
              return (%x)
        """,
        after="""
            graph(%x : f32[2]):
              return (%x)
        """,
    )


def test_a_write_behind_the_last_read_falls() -> None:
    check_pass(
        DCE,
        before="""
            graph(%x : f32[2]):
              %a : f32[2] = aten::neg(%x)
              %b : f32[2] = aten::exp(%a)
              %c : f32[2] = aten::relu_(%a)
              return (%b)
        """,
        after="""
            graph(%x : f32[2]):
              %a : f32[2] = aten::neg(%x)
              %b : f32[2] = aten::exp(%a)
              return (%b)
        """,
    )


def test_a_write_through_a_view_of_what_is_read_stays() -> None:
    text = """
        graph(%x : f32[2, 2]):
          %a : f32[2, 2] = aten::neg(%x)
          %row : f32[2] = aten::select.int(%a, 0, 0)
          %written : f32[2] = aten::relu_(%row)
          %b : f32[2, 2] = aten::exp(%a)
          return (%b)
    """
    check_pass(DCE, before=text, after=text)


def test_a_write_to_what_is_returned_or_the_caller_s_stays() -> None:
    text = """
        graph(%x : f32[2]):
          buffer %count : f32[2]
          %a : f32[2] = aten::neg(%x)
          %b : f32[2] = aten::relu_(%a)
          %c : f32[2] = aten::relu_(%x)
          %view : f32[2] = aten::view(%count, [2])
          %d : f32[2] = aten::add_.Tensor(%view, 1)
          return (%a)
    """
    check_pass(DCE, before=text, after=text)


def test_statistics_that_a_schema_does_not_tell_of_are_written() -> None:
    text = """
        graph(%x : f32[2, 3]):
          buffer %mean : f32[3], %var : f32[3]
          %y : f32[2, 3] = aten::batch_norm(%x, None, None, %mean, %var, True, 0.1, 1e-05, False)
          return (%x)
    """
    check_pass(DCE, before=text, after=text)
    check_pass(
        DCE,
        before=text.replace("True, 0.1", "False, 0.1"),
        after="""
            graph(%x : f32[2, 3]):
              buffer %mean : f32[3], %var : f32[3]
              return (%x)
        """,
    )


def test_of_several_tensors_written_at_once_one_that_is_read_is_enough() -> None:
    text = """
        graph(%x : f32[2]):
          %a : f32[2] = aten::neg(%x)
          %b : f32[2] = aten::exp(%x)
          aten::_foreach_add_.Scalar([%a, %b], 1)
          return (%b)
    """
    check_pass(DCE, before=text, after=text)


def test_guards_settings_gradients_and_what_has_no_schema_stay() -> None:
    text = """
        graph(%x : f32[2, 3]):
          state %weight : f32[2]
          %size : int = aten::sym_size.int(%x, 0)
          %ok : bool = aten::eq.int(%size, 2)
          prim::guard(%ok, True)
          prim::manual_seed(0)
          %gradient : f32[2] = aten::exp(%weight)
          prim::set_gradient(%weight, %gradient)
          %unknown : f32[2] = mine::something(%weight)
          return ()
    """
    check_pass(DCE, before=text, after=text)


def test_a_collective_stays_since_others_wait_for_it() -> None:
    text = """
        graph(%x : f32[2]):
          %sum : f32[2] = _c10d_functional::all_reduce(%x, "sum", "0")
          return (%x)
    """
    check_pass(DCE, before=text, after=text)


def test_dead_random_operators_stay_unless_told_otherwise() -> None:
    before = """
        graph(%x : f32[2]):
          %dead : f32[2] = aten::rand_like(%x)
          %y : f32[2] = aten::rand_like(%x)
          return (%y)
    """
    check_pass(DCE, before=before, after=before)
    check_pass(
        DeadCodeElimination(drop_random=True),
        before=before,
        after="""
            graph(%x : f32[2]):
              %y : f32[2] = aten::rand_like(%x)
              return (%y)
        """,
    )


def test_inside_blocks_what_nothing_reads_falls() -> None:
    check_pass(
        DCE,
        before="""
            graph(%c : bool[], %x : f32[2]):
              [%y : f32[2]] = higher_order::cond(%c, [%x])
                block0(%a : f32[2]):
                  %b : f32[2] = aten::neg(%a)
                  %dead : f32[2] = aten::exp(%b)
                  -> (%b)
                block1(%a : f32[2]):
                  -> (%a)
              return (%y)
        """,
        after="""
            graph(%c : bool[], %x : f32[2]):
              [%y : f32[2]] = higher_order::cond(%c, [%x])
                block0(%a : f32[2]):
                  %b : f32[2] = aten::neg(%a)
                  -> (%b)
                block1(%a : f32[2]):
                  -> (%a)
              return (%y)
        """,
    )


def test_a_node_with_blocks_that_do_nothing_else_falls_as_a_whole() -> None:
    result = check_pass(
        DCE,
        before="""
            graph(%c : bool[], %x : f32[2]):
              [%y : f32[2]] = higher_order::cond(%c, [%x])
                block0(%a : f32[2]):
                  %b : f32[2] = aten::neg(%a)
                  -> (%b)
                block1(%a : f32[2]):
                  -> (%a)
              return (%x)
        """,
        after="""
            graph(%c : bool[], %x : f32[2]):
              return (%x)
        """,
    )
    assert result.stats == {"erased": 2}


def test_a_write_behind_the_last_read_in_a_loop_is_read_the_next_time() -> None:
    text = """
        graph(%c : bool[], %x : f32[2]):
          %kept : f32[2] = aten::neg(%x)
          [%y : f32[2]] = higher_order::while_loop([%x])
            block0(%a : f32[2]):
              %b : bool[] = aten::lt.Tensor(%a, %kept)
              -> (%b)
            block1(%a : f32[2]):
              %b : f32[2] = aten::add.Tensor(%a, %kept)
              %w : f32[2] = aten::add_.Tensor(%kept, 1)
              -> (%b)
          return (%y)
    """
    check_pass(DCE, before=text, after=text)


def test_what_gives_nothing_and_writes_nothing_checks_something() -> None:
    text = """
        graph(%x : f32[2]):
          %sum : f32[] = aten::sum(%x)
          %ok : bool[] = aten::gt.Scalar(%sum, 0)
          aten::_assert_async(%ok)
          return (%x)
    """
    check_pass(DCE, before=text, after=text)


def test_writes_to_what_others_hold_stay() -> None:
    text = """
        graph(%x : f32[2]):
          state %w : f32[2]{grad}
          %g : f32[2] = prim::gradient(%w)
          %0 : f32[2] = aten::mul_.Tensor(%g, 0.5)
          %y : f32[2] = aten::neg(%x)
          prim::set_gradient(%x, %y)
          %1 : f32[2] = aten::mul_.Tensor(%y, 0.5)
          %z : f32[2] = aten::neg(%x)
          my::keep(%z)
          %2 : f32[2] = aten::mul_.Tensor(%z, 0.5)
          return ()
    """
    assert not check_pass(DCE, before=text, after=text).changed
