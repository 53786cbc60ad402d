"""Tuples that are made and taken apart again."""

from opscope.passes.lower_simple_tuples import LowerSimpleTuples
from opscope.testing import check_pass


def test_parts_are_read_in_the_place_of_what_a_tuple_is_taken_apart_into() -> None:
    result = check_pass(
        LowerSimpleTuples(),
        before="""
            graph(%x : f32[2], %y : f32[2]) -> (f32[2]):
              %t : tuple[f32[2], f32[2]] = prim::TupleConstruct(%x, %y)
              %a : f32[2], %b : f32[2] = prim::TupleUnpack(%t)
              %c : f32[2] = aten::add.Tensor(%a, %b)
              return (%c)
        """,
        after="""
            graph(%x : f32[2], %y : f32[2]) -> (f32[2]):
              %c : f32[2] = aten::add.Tensor(%x, %y)
              return (%c)
        """,
    )
    assert result.stats == {"lowered": 2, "erased": 2}


def test_nested_tuples_indices_and_slices_are_followed() -> None:
    check_pass(
        LowerSimpleTuples(),
        before="""
            graph(%x : f32[2], %y : f32[3], %z : f32[4]) -> (f32[4], f32[2], tuple[f32[3], f32[4]]):
              %t : tuple[f32[2], f32[3], f32[4]] = prim::TupleConstruct(%x, %y, %z)
              %u : tuple[tuple[f32[2], f32[3], f32[4]], int] = prim::TupleConstruct(%t, 3)
              %i : tuple[f32[2], f32[3], f32[4]], %n : int = prim::TupleUnpack(%u)
              %last : f32[4] = prim::TupleIndex(%i, -1)
              %s : tuple[f32[2], f32[3]] = prim::TupleSlice(%i, 0, 2)
              %first : f32[2] = prim::TupleIndex(%s, 0)
              %rest : tuple[f32[3], f32[4]] = prim::TupleSlice(%i, 1, None)
              return (%last, %first, %rest)
        """,
        after="""
            graph(%x : f32[2], %y : f32[3], %z : f32[4]) -> (f32[4], f32[2], tuple[f32[3], f32[4]]):
              %n : int = prim::literal(3)
              %rest : tuple[f32[3], f32[4]] = prim::TupleConstruct(%y, %z)
              return (%z, %x, %rest)
        """,
    )


def test_a_literal_part_becomes_a_value() -> None:
    check_pass(
        LowerSimpleTuples(),
        before="""
            graph(%x : f32[2]) -> (f32[2], int):
              %t : tuple[f32[2], int] = prim::TupleConstruct(%x, 3)
              %n : int = prim::TupleIndex(%t, 1)
              %y : f32[2] = aten::mul.Scalar(%x, %n)
              return (%y, %n)
        """,
        after="""
            graph(%x : f32[2]) -> (f32[2], int):
              %n : int = prim::literal(3)
              %y : f32[2] = aten::mul.Scalar(%x, %n)
              return (%y, %n)
        """,
    )


def test_a_tuple_of_all_that_one_was_taken_apart_into_is_that_one() -> None:
    check_pass(
        LowerSimpleTuples(),
        before="""
            graph(%t : tuple[f32[2], int]) -> (tuple[f32[2], int], tuple[int, f32[2]]):
              %a : f32[2], %n : int = prim::TupleUnpack(%t)
              %same : tuple[f32[2], int] = prim::TupleConstruct(%a, %n)
              %other : tuple[int, f32[2]] = prim::TupleConstruct(%n, %a)
              return (%same, %other)
        """,
        after="""
            graph(%t : tuple[f32[2], int]) -> (tuple[f32[2], int], tuple[int, f32[2]]):
              %a : f32[2], %n : int = prim::TupleUnpack(%t)
              %other : tuple[int, f32[2]] = prim::TupleConstruct(%n, %a)
              return (%t, %other)
        """,
    )


def test_an_index_that_is_computed_or_beyond_the_end_stays() -> None:
    text = """
        graph(%x : f32[2], %n : int) -> (f32[2], f32[2]):
          %t : tuple[f32[2], f32[2]] = prim::TupleConstruct(%x, %x)
          %a : f32[2] = prim::TupleIndex(%t, %n)
          %b : f32[2] = prim::TupleIndex(%t, 2)
          return (%a, %b)
    """
    assert not check_pass(LowerSimpleTuples(), before=text, after=text).changed


def test_blocks_and_functions_are_gone_through_and_their_borders_stay() -> None:
    check_pass(
        LowerSimpleTuples(),
        before="""
            graph(%c : bool[], %x : f32[2]) -> (f32[2]):
              %t : tuple[f32[2], f32[2]] = prim::TupleConstruct(%x, %x)
              %r : tuple[f32[2], f32[2]] = prim::If(%c)
                block0():
                  %a : f32[2], %b : f32[2] = prim::TupleUnpack(%t)
                  %u : tuple[f32[2], f32[2]] = prim::TupleConstruct(%b, %a)
                  -> (%u)
                block1():
                  -> (%t)
              %p : f32[2], %q : f32[2] = prim::TupleUnpack(%r)
              %y : f32[2] = prim::call(@f, %p)
              return (%y)

            function f(%x : f32[2]) -> (f32[2]):
              %t : tuple[f32[2]] = prim::TupleConstruct(%x)
              %a : f32[2] = prim::TupleUnpack(%t)
              return (%a)
        """,
        after="""
            graph(%c : bool[], %x : f32[2]) -> (f32[2]):
              %t : tuple[f32[2], f32[2]] = prim::TupleConstruct(%x, %x)
              %r : tuple[f32[2], f32[2]] = prim::If(%c)
                block0():
                  %u : tuple[f32[2], f32[2]] = prim::TupleConstruct(%x, %x)
                  -> (%u)
                block1():
                  -> (%t)
              %p : f32[2], %q : f32[2] = prim::TupleUnpack(%r)
              %y : f32[2] = prim::call(@f, %p)
              return (%y)

            function f(%x : f32[2]) -> (f32[2]):
              return (%x)
        """,
    )
