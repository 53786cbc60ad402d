"""What is folded of arithmetic on sizes, and what stays."""

import pytest

from opscope.passes.fold_shapes import FoldShapes
from opscope.testing import check_pass

FOLD = FoldShapes()


def unchanged(text: str) -> None:
    check_pass(FOLD, before=text, after=text)


def folded_to(lines: str, result: str, after: str) -> None:
    """Check what becomes of lines that compute ``result`` from %n and %m, two sizes of %x."""
    reads = """
          %n : int = aten::sym_size.int(%x, 0)
          %m : int = aten::sym_size.int(%x, 1)"""
    text = f"""
        graph(%x : f32[4, 6], %k : int):{reads}
          LINES
          return (RESULT, %n, %m)
    """
    before = text.replace("LINES", lines).replace("RESULT", result)
    body, _, returned = after.rpartition(" -> ")
    expected = text.replace("LINES\n", f"{body}\n" if body else "\n").replace("RESULT", returned)
    check_pass(FOLD, before=before, after=expected)


@pytest.mark.parametrize(
    ("lines", "after"),
    [
        ("%r : int = aten::add.int(%n, 0)", " -> %n"),
        ("%r : int = aten::mul.int(1, %n)", " -> %n"),
        ("%a : int = aten::mul.int(%n, 4)\n%r : int = aten::floordiv.int(%a, 4)", " -> %n"),
        ("%a : int = aten::sub.int(%n, %m)\n%r : int = aten::add.int(%m, %a)", " -> %n"),
        ("%a : int = aten::neg.int(%n)\n%r : int = aten::neg.int(%a)", " -> %n"),
        ("%r : int = aten::Int.int(%n)", " -> %n"),
        ("%r : int = prim::min.int(%n, %n)", " -> %n"),
        ("%r : int = prim::max.int(%n, 0)", " -> %n"),
        ("%r : int = prim::abs.int(%n)", " -> %n"),
        ("%a : int = aten::add.int(%n, 3)\n%r : int = prim::min.int(%a, %n)", " -> %n"),
        ("%r : int = aten::sub.int(%n, %n)", "%r : int = prim::literal(0) -> %r"),
        ("%r : int = aten::mul.int(%n, 0)", "%r : int = prim::literal(0) -> %r"),
        (
            "%a : int = aten::mul.int(%n, 6)\n%b : int = aten::add.int(%a, 5)\n"
            "%r : int = aten::remainder.int(%b, 3)",
            "%r : int = prim::literal(2) -> %r",
        ),
        (
            "%a : int = aten::add.int(%n, 1)\n%r : int = aten::add.int(%a, 1)",
            "%r : int = aten::add.int(%n, 2) -> %r",
        ),
        (
            "%a : int = aten::mul.int(%n, 4)\n%b : int = aten::add.int(%a, 8)\n"
            "%r : int = aten::floordiv.int(%b, 4)",
            "%r : int = aten::add.int(%n, 2) -> %r",
        ),
        (
            "%a : int = aten::mul.int(%n, 8)\n%r : int = aten::floordiv.int(%a, 4)",
            "%r : int = aten::mul.int(%n, 2) -> %r",
        ),
        ("%r : int = aten::mul.int(%n, %m)", "%r : int = aten::mul.int(%n, %m) -> %r"),
        ("%r : int = aten::floordiv.int(%n, 4)", "%r : int = aten::floordiv.int(%n, 4) -> %r"),
        ("%r : int = aten::floordiv.int(%n, %n)", "%r : int = aten::floordiv.int(%n, %n) -> %r"),
        ("%r : int = prim::min.int(%n, %m)", "%r : int = prim::min.int(%n, %m) -> %r"),
        ("%r : int = prim::max.int(%k, 0)", "%r : int = prim::max.int(%k, 0) -> %r"),
        ("%r : float = aten::div.int(%n, 1)", "%r : float = aten::div.int(%n, 1) -> %r"),
    ],
)
def test_arithmetic_has_one_form(lines: str, after: str) -> None:
    folded_to(lines, "%r", after)


def test_equal_expressions_are_computed_once() -> None:
    result = check_pass(
        FOLD,
        before="""
            graph(%x : f32[4, 6]):
              %n : int = aten::sym_size.int(%x, 0)
              %m : int = aten::sym_size.int(%x, -1)
              %a : int = aten::mul.int(%n, %m)
              %b : int = aten::mul.int(%m, %n)
              %c : int = aten::sym_numel(%x)
              %m.1 : int = aten::sym_size.int(%x, 1)
              %d : int = aten::add.int(%b, %m.1)
              %y : f32[24] = aten::view(%x, [%a])
              %z : f32[24] = aten::view(%y, [%c])
              return (%z, %b, %d)
        """,
        after="""
            graph(%x : f32[4, 6]):
              %n : int = aten::sym_size.int(%x, 0)
              %m : int = aten::sym_size.int(%x, -1)
              %a : int = aten::mul.int(%n, %m)
              %d : int = aten::add.int(%a, %m)
              %y : f32[24] = aten::view(%x, [%a])
              %z : f32[24] = aten::view(%y, [%a])
              return (%z, %a, %d)
        """,
    )
    assert result.stats == {"merged": 3}


def test_sizes_that_operators_promise_are_known() -> None:
    check_pass(
        FOLD,
        before="""
            graph(%x : f32[4, 6]):
              state %w : f32[5, 6]
              %n : int = aten::sym_size.int(%x, 0)
              %h : f32[4, 5] = aten::linear(%x, %w)
              %a : int = aten::sym_size.int(%h, 0)
              %b : int = aten::sym_size.int(%h, 1)
              %c : int = aten::sym_size.int(%w, 0)
              %v : f32[4, 5, 1] = aten::view(%h, [%a, %b, 1])
              %t : f32[5, 4, 1]{strides=[1, 5, 1]} = aten::transpose.int(%v, 0, 1)
              %d : int = aten::sym_size.int(%t, 1)
              %e : int = aten::sym_numel(%v)
              %p : f32[4, 5] = aten::view(%t, [%d, %c])
              return (%p, %e)
        """,
        after="""
            graph(%x : f32[4, 6]):
              state %w : f32[5, 6]
              %n : int = aten::sym_size.int(%x, 0)
              %h : f32[4, 5] = aten::linear(%x, %w)
              %v : f32[4, 5, 1] = aten::view(%h, [%n, 5, 1])
              %t : f32[5, 4, 1]{strides=[1, 5, 1]} = aten::transpose.int(%v, 0, 1)
              %e : int = aten::mul.int(%n, 5)
              %p : f32[4, 5] = aten::view(%t, [%n, 5])
              return (%p, %e)
        """,
    )


def test_the_sizes_of_the_traced_run_are_not_believed() -> None:
    unchanged("""
        graph(%x : f32[4, 6]):
          %n : int = aten::sym_size.int(%x, 0)
          %h : f32[2, 6] = aten::slice.Tensor(%x, 0, 0, %n, 2)
          %a : int = aten::sym_size.int(%h, 0)
          %b : f32[1, 6] = aten::unique_dim(%h, 0)
          %c : int = aten::sym_size.int(%b, 0)
          %s : f32[6] = aten::squeeze(%b)
          %d : int = aten::sym_size.int(%s, -1)
          %r : int = aten::dim(%s)
          return (%n, %a, %c, %d, %r)
    """)


def test_what_guards_have_checked_is_known_behind_them() -> None:
    result = check_pass(
        FOLD,
        before="""
            graph(%x : f32[4, 6]):
              %n : int = aten::sym_size.int(%x, 0)
              %y : f32[4, 6] = aten::add.Tensor(%x, %n)
              %ok : bool = aten::le.int(%n, 64)
              prim::guard(%ok, True)
              %again : bool = aten::gt.int(%n, 100)
              prim::guard(%again, False)
              %twice : int = aten::mul.int(%n, 2)
              %small : bool = aten::lt.int(%twice, 130)
              prim::guard(%small, True)
              %m : int = aten::sym_size.int(%x, 1)
              prim::guard(%m, 6)
              %is_six : bool = aten::ne.int(%m, 6)
              prim::guard(%is_six, False)
              %three : int = aten::floordiv.int(%m, 2)
              %z : f32[4, 2, 3] = aten::view(%y, [%n, 2, %three])
              %w : f32[4, 6] = aten::view(%z, [%n, %m])
              return (%w)
        """,
        after="""
            graph(%x : f32[4, 6]):
              %n : int = aten::sym_size.int(%x, 0)
              %y : f32[4, 6] = aten::add.Tensor(%x, %n)
              %ok : bool = aten::le.int(%n, 64)
              prim::guard(%ok, True)
              %m : int = aten::sym_size.int(%x, 1)
              prim::guard(%m, 6)
              %z : f32[4, 2, 3] = aten::view(%y, [%n, 2, 3])
              %w : f32[4, 6] = aten::view(%z, [%n, 6])
              return (%w)
        """,
    )
    assert result.stats["guards"] == 3


def test_guards_that_always_hold_go_and_those_that_can_fail_stay() -> None:
    check_pass(
        FOLD,
        before="""
            graph(%x : f32[4, 6], %k : int):
              %n : int = aten::sym_size.int(%x, 0)
              %a : bool = aten::ge.int(%n, 0)
              prim::guard(%a, True)
              %b : bool = aten::ge.int(%k, 0)
              prim::guard(%b, True)
              %c : bool = aten::gt.int(%n, 0)
              prim::guard(%c, True)
              %d : bool = aten::eq.int(%n, 0)
              prim::guard(%d, False)
              %e : bool = aten::lt.int(%n, 0)
              prim::guard(%e, True)
              return (%x)
        """,
        after="""
            graph(%x : f32[4, 6], %k : int):
              %n : int = aten::sym_size.int(%x, 0)
              %b : bool = aten::ge.int(%k, 0)
              prim::guard(%b, True)
              %c : bool = aten::gt.int(%n, 0)
              prim::guard(%c, True)
              %e : bool = aten::lt.int(%n, 0)
              prim::guard(%e, True)
              return (%x)
        """,
    )


def test_equal_conditions_are_asked_once() -> None:
    check_pass(
        FOLD,
        before="""
            graph(%x : f32[4, 6]):
              %n : int = aten::sym_size.int(%x, 0)
              %m : int = aten::sym_size.int(%x, 1)
              %a : bool = aten::gt.int(%n, %m)
              %b : bool = aten::lt.int(%m, %n)
              %c : bool = aten::le.int(%n, %m)
              %d : bool = aten::__not__.bool(%c)
              %e : bool = aten::eq.int(%n, %m)
              %f : bool = aten::eq.int(%m, %n)
              return (%a, %b, %c, %d, %e, %f)
        """,
        after="""
            graph(%x : f32[4, 6]):
              %n : int = aten::sym_size.int(%x, 0)
              %m : int = aten::sym_size.int(%x, 1)
              %a : bool = aten::gt.int(%n, %m)
              %c : bool = aten::le.int(%n, %m)
              %e : bool = aten::eq.int(%n, %m)
              return (%a, %a, %c, %a, %e, %e)
        """,
    )


def test_what_a_guard_in_a_block_has_checked_is_known_in_the_block() -> None:
    check_pass(
        FOLD,
        before="""
            graph(%c : bool[], %x : f32[4, 6]):
              %n : int = aten::sym_size.int(%x, 0)
              [%y : f32[4, 6]] = higher_order::cond(%c, [])
                block0():
                  prim::guard(%n, 4)
                  %m : int = aten::sym_size.int(%x, 0)
                  %a : int = aten::mul.int(%m, 2)
                  %b : f32[4, 6] = aten::mul.Tensor(%x, %a)
                  -> (%b)
                block1():
                  %d : int = aten::remainder.int(%n, 8)
                  %e : f32[4, 6] = aten::mul.Tensor(%x, %d)
                  -> (%e)
              %f : int = aten::mul.int(%n, 2)
              %g : int = aten::remainder.int(%n, 8)
              %z : f32[4, 6] = aten::mul.Tensor(%y, %f)
              %w : f32[4, 6] = aten::mul.Tensor(%z, %g)
              return (%w)
        """,
        after="""
            graph(%c : bool[], %x : f32[4, 6]):
              %n : int = aten::sym_size.int(%x, 0)
              [%y : f32[4, 6]] = higher_order::cond(%c, [])
                block0():
                  prim::guard(%n, 4)
                  %b : f32[4, 6] = aten::mul.Tensor(%x, 8)
                  -> (%b)
                block1():
                  %d : int = aten::remainder.int(%n, 8)
                  %e : f32[4, 6] = aten::mul.Tensor(%x, %d)
                  -> (%e)
              %f : int = aten::mul.int(%n, 2)
              %g : int = aten::remainder.int(%n, 8)
              %z : f32[4, 6] = aten::mul.Tensor(%y, %f)
              %w : f32[4, 6] = aten::mul.Tensor(%z, %g)
              return (%w)
        """,
    )


def test_a_division_that_may_fail_is_no_one() -> None:
    check_pass(
        FOLD,
        before="""
            graph(%x : f32[4, 6]):
              %n : int = aten::sym_size.int(%x, 0)
              %a : int = aten::mul.int(%n, 8)
              %b : int = aten::floordiv.int(%a, %n)
              %y : f32[4, 6] = aten::mul.Tensor(%x, %b)
              %ok : bool = aten::ge.int(%n, 1)
              prim::guard(%ok, True)
              %c : int = aten::floordiv.int(%a, %n)
              %z : f32[4, 6] = aten::mul.Tensor(%y, %c)
              return (%z)
        """,
        after="""
            graph(%x : f32[4, 6]):
              %n : int = aten::sym_size.int(%x, 0)
              %a : int = aten::mul.int(%n, 8)
              %b : int = aten::floordiv.int(%a, %n)
              %y : f32[4, 6] = aten::mul.Tensor(%x, %b)
              %ok : bool = aten::ge.int(%n, 1)
              prim::guard(%ok, True)
              %z : f32[4, 6] = aten::mul.Tensor(%y, 8)
              return (%z)
        """,
    )


@pytest.mark.parametrize(
    "line",
    [
        "%w : f32[2, 6] = aten::resize_(%h, [2, 6])",
        "%w : f32[4, 6] = aten::add.out(%x, 1, out=%h)",
        "%w : f32[4, 6] = my::grow(%h)",
        "%w : f32[4, 6] = prim::set_data(%h, %x)",
        "%v : f32[6] = aten::select.int(%h, 0, 0)\n%w : f32[6] = aten::resize_(%v, [6])",
    ],
)
def test_sizes_are_read_again_where_a_tensor_may_have_got_others(line: str) -> None:
    unchanged(f"""
        graph(%x : f32[4, 6]):
          %h : f32[4, 6] = aten::neg(%x)
          %n : int = aten::sym_size.int(%h, 0)
          {line}
          %m : int = aten::sym_size.int(%h, 0)
          %k : int = aten::sub.int(%n, %m)
          return (%n, %m, %k)
    """)


def test_calls_of_functions_that_reshape_nothing_change_no_sizes() -> None:
    text = """
        graph(%x : f32[4, 6]):
          %n : int = aten::sym_size.int(%x, 0)
          %y : f32[4, 6] = prim::call(@f, %x)
          %m : int = aten::sym_size.int(%x, 0)
          %k : int = aten::sub.int(%n, %m)
          return (%y, %k)
        function f(%x : f32[4, 6]):
          %w : f32[4, 6] = LINE
          %y : f32[4, 6] = prim::call(@g, %w)
          return (%y)
        function g(%x : f32[4, 6]):
          %y : f32[4, 6] = aten::neg(%x)
          return (%y)
    """
    unchanged(text.replace("LINE", "aten::resize_(%x, [4, 6])"))
    check_pass(
        FOLD,
        before=text.replace("LINE", "aten::relu_(%x)"),
        after="""
            graph(%x : f32[4, 6]):
              %y : f32[4, 6] = prim::call(@f, %x)
              %k : int = prim::literal(0)
              return (%y, %k)
            function f(%x : f32[4, 6]):
              %w : f32[4, 6] = aten::relu_(%x)
              %y : f32[4, 6] = prim::call(@g, %w)
              return (%y)
            function g(%x : f32[4, 6]):
              %y : f32[4, 6] = aten::neg(%x)
              return (%y)
        """,
    )


def test_sizes_that_are_no_numbers_are_read() -> None:
    unchanged("""
        graph(%x : f32[2, j0, 3]{layout=jagged}):
          %n : int = aten::sym_size.int(%x, 0)
          %m : int = aten::sym_numel(%x)
          %ok : bool = aten::ge.int(%m, 0)
          prim::guard(%ok, True)
          return (%n, %m)
    """)


@pytest.mark.parametrize(
    "call", ["aten::add.int({}, %k{})", "aten::mul.int({0}, {0})", "aten::mul.int({0}, %k0)"]
)
def test_expressions_stay_small_however_long_they_are(call: str) -> None:
    count = 200
    inputs = ", ".join(f"%k{number} : int" for number in range(count))
    lines, result = [], "%k0"
    for number in range(1, count):
        lines.append(f"%r{number} : int = {call.format(result, number)}")
        result = f"%r{number}"
    text = "\n".join((f"graph({inputs}):", *lines, f"return ({result})"))
    unchanged(text)
