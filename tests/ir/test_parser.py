"""The parser: that it inverts the printer, what it forgives, and how it complains."""

import math
import re
from textwrap import dedent

import pytest
from hypothesis import example, given

from opscope.errors import ParseError
from opscope.ir import (
    Autocast,
    DType,
    Graph,
    Literal,
    Modes,
    Operator,
    ScopeKind,
    SourceRange,
    StateKind,
    Type,
    literal_text,
    parse,
    parse_type,
    unknown_operator,
    verify,
)
from support.ir_text import node_named
from support.random_graphs import graphs, literals, property_settings, types


@property_settings
@given(graphs())
def test_what_is_read_prints_as_it_was(graph: Graph) -> None:
    text = str(graph)
    again = parse(text)
    verify(again)
    assert str(again) == text


@property_settings
@given(graphs())
def test_scopes_are_read_back_with_their_parents(graph: Graph) -> None:
    again = parse(str(graph))
    for node, twin in zip(graph.walk(), again.walk(), strict=True):
        assert [_facts(scope) for scope in node.scope.chain()] == [
            _facts(scope) for scope in twin.scope.chain()
        ]


def _facts(scope: object) -> tuple[object, ...]:
    return tuple(getattr(scope, fact) for fact in ("kind", "name", "class_name", "call", "address"))


@property_settings
@given(graphs())
def test_sources_and_modes_are_read_back(graph: Graph) -> None:
    again = parse(str(graph))
    assert again.modes == graph.modes
    for node, twin in zip(graph.walk(), again.walk(), strict=True):
        assert node.modes == twin.modes
        assert str(node.source) == str(twin.source)
        if node.source is not None and twin.source is not None:
            assert node.source.file == twin.source.file


@given(literals)
@example(-0.0)
@example(-math.inf)
@example(complex(-0.0, math.nan))
@example('\ud800\n"\\')
@example(10**40)
def test_literals_are_read_back(literal: Literal) -> None:
    (node,) = parse(
        f"graph():\n f({literal_text(literal)}, x=[{literal_text(literal)}])\n return ()"
    ).block
    assert repr(node.args[0]) == repr(literal)
    assert repr(node.kwargs["x"]) == repr((literal,))


@given(types)
def test_types_are_read_back(type_: Type) -> None:
    assert parse_type(str(type_)) == type_


def test_hand_written_text_may_be_indented_and_leave_things_out() -> None:
    graph = parse(
        """
        # A comment on a line of its own.

        graph(  %x:f32[2,3],
                # inputs may be commented too
                %y : int ) :   # and so may the header
            state %w : f32[3],
                  %b : f32[3]   # and state

            %a : f32[2] = aten::linear(%x , %w,
                                       %b, alpha = 2)   # free words: nothing is read from them
          # less indented than it might be
            return ( %a )
        """
    )
    assert str(graph) == dedent(
        """\
        graph graph(%x : f32[2, 3], %y : int) -> (f32[2]):
          state %w : f32[3], %b : f32[3]
          %a : f32[2] = aten::linear(%x, %w, %b, alpha=2)
          return (%a)
        """
    )


def test_line_ends_of_windows_are_read() -> None:
    text = "graph(%x : int):\n  %a : int = f(%x)    # net.py:3 fc (Linear)\n  return (%a)\n"
    assert str(parse(text.replace("\n", "\r\n"))) == str(parse(text))


def test_numbers_as_names_mean_that_there_is_no_name() -> None:
    graph = parse("graph(%7 : int, %x : int):\n %3 : int = f(%7)\n return (%3)")
    assert [value.name for value in graph.values()] == [None, "x", None]
    assert str(graph).splitlines()[1] == "  %1 : int = f(%0)"


def test_operators_are_asked_for_once_per_name() -> None:
    asked = []

    def table(name: str) -> Operator:
        asked.append(name)
        return unknown_operator(name)

    parse(
        "graph():\n a::f()\n a::g.out()\n a::f()\n return ()\nfunction h():\n a::f()\n return ()",
        table,
    )
    assert asked == ["a::f", "a::g.out"]


def test_equal_types_and_stacks_are_one_object() -> None:
    graph = parse(
        """
        graph(%x : list[f32[2]], %y : list[f32[2]], %i : f32[2], %j : f32[2]):
          f()     # net.py:3
          g()     # net.py:3 fc (Linear)
          return ()
        """
    )
    first, second, third, fourth = (value.type for value in graph.inputs)
    assert (first == second, third is fourth) == (True, True)
    f, g = graph.block
    assert f.stack is g.stack


def test_a_type_is_not_taken_for_another_that_starts_like_it() -> None:
    text = 'graph(%a : bool, %b : bool["n m"], %c : tensor, %d : tensor["n m"]{grad}):\n return ()'
    graph = parse(text)
    assert [str(value.type) for value in graph.inputs] == [
        "bool",
        'bool["n m"]',
        "tensor",
        'tensor["n m"]{grad}',
    ]


def test_state_is_read_with_kinds_and_tied_names() -> None:
    graph = parse(
        """
        graph():
          state %a.weight = %b.weight : f32[2], %"odd name" : f32[3]
          buffer %mean : f32[]
          constant %0 : int
          f(%b.weight, %0)
          return (%a.weight)
        """
    )
    assert [(entry.names, entry.kind) for entry in graph.state.values()] == [
        (("a.weight", "b.weight"), StateKind.PARAMETER),
        (("odd name",), StateKind.PARAMETER),
        (("mean",), StateKind.BUFFER),
        (("0",), StateKind.CONSTANT),
    ]
    (node,) = graph.block
    assert node.inputs == (graph.outputs[0], graph.state["0"].value)


def test_modes_hold_from_their_line_on() -> None:
    graph = parse(
        """
        graph():
          ambient no_grad
          f1()
          mode grad, autocast(cuda, f16), autocast(cpu, bf16, uncached)
          f2()
            block0():
              f3()
              mode inference, fixed(grad, inference)
              f4()
              -> ()
          f5()
          return ()
        """
    )
    mixed = Modes(autocast=(Autocast("cuda", DType.F16), Autocast("cpu", DType.BF16, caches=False)))
    inference = Modes(grad=False, inference=True, fixed=("grad", "inference"))
    assert graph.modes == Modes(grad=False)
    assert [node.modes for node in graph.walk()] == [
        graph.modes,
        mixed,
        mixed,
        inference,
        inference,
    ]


@pytest.mark.parametrize(
    ("comment", "source", "address"),
    [
        ("net.py:12", SourceRange("net.py", 12), ""),
        ("net.py:12:15 fc (Linear)", SourceRange("net.py", 12, 15), "fc"),
        ("C:/my/net.py:12:15", SourceRange("C:/my/net.py", 12, 15), ""),
        ('"a b:3":12 fc', SourceRange("a b:3", 12), "fc"),
        ("? fc", None, "fc"),
        ("?", None, ""),
        ("the sum of both", None, ""),
        ("see net.py:12", None, ""),
        ("net.py:12 of the second layer", None, ""),
        ("net.py:12 a)b", None, ""),
        ("", None, ""),
    ],
)
def test_comments_tell_source_and_scope_or_nothing(
    comment: str, source: SourceRange | None, address: str
) -> None:
    (node,) = parse(f"graph():\n f()  # {comment}\n return ()").block
    assert (node.source, node.scope.address) == (source, address)


def test_one_address_is_one_scope() -> None:
    graph = parse(
        """
        graph():
          f1()     # ? layers.0 (Block)
          f2()     # ? layers.0/attend()
          f3()     # ? layers.0/attend()#2
          f4()     # ? layers.0/attend()
          f5()     # ? layers.0#2.fc (Linear)
          return ()
        """
    )
    first, attend, again, same, linear = (node.scope for node in graph.block)
    assert attend.parent is first
    assert (attend.kind, attend.name, attend.call) == (ScopeKind.FUNCTION, "attend", 1)
    assert (again.call, again.parent, same) == (2, first, attend)
    assert linear.parent is not None
    assert (linear.parent.address, linear.parent.call, linear.name) == ("layers.0#2", 2, "fc")


def test_a_name_may_be_used_again_in_another_block() -> None:
    graph = parse(
        """
        graph(%x : int):
          %r : int = prim::If(%x)
            block0():
              %t : int = f(%x)
              -> (%t)
            block1():
              %t : int = g(%x)
              -> (%t)
          %t : int = h(%r)
          return (%t)
        """
    )
    assert str(graph) == dedent(
        """\
        graph graph(%x : int) -> (int):
          %r : int = prim::If(%x)
            block0():
              %t : int = f(%x)
              -> (%t)
            block1():
              %t.1 : int = g(%x)
              -> (%t.1)
          %t.2 : int = h(%r)
          return (%t.2)
        """
    )
    assert node_named(graph, "t.2").inputs == (node_named(graph, "r").output,)


def test_an_error_points_at_its_place() -> None:
    with pytest.raises(ParseError) as raised:
        parse("graph(%x : f32[2]):\n    %y : floats = aten::neg(%x)\n    return (%y)\n")
    assert str(raised.value) == (
        "line 2, column 10: floats is not a type\n"
        "  in   %y : floats = aten::neg(%x)\n"
        "            ^^^^^^\n"
        "  write a type as f32[2, 3], f32[*], tensor, int, list[int], tuple[int, str],"
        " dict[str, int] or record Name[field: int]"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'expected "graph", found the end of the text'),
        ("program(%x : int):", 'expected "graph", found program'),
        ("graph(%x):", 'expected ":" between a value and its type, found )'),
        ("graph(%x : int, %x : int):\n return ()", "%x is defined already"),
        ("graph(%x : int) -> (str):\n return (%x)", "promises (str), and this returns (int)"),
        ("graph():\n f()", "expected an operator and its arguments, found the end of the text"),
        ("graph():\n -> ()", 'a graph ends with "return", not with "->"'),
        ("graph():\n f()\n  block0():\n   return ()", 'a block ends with "->", not with "return"'),
        ("graph():\n block0():\n  -> ()\n return ()", "block0 does not follow a node"),
        ("graph():\n f()\n  block1():\n   -> ()\n return ()", "block1 does not follow f"),
        ("graph():\n f()\n  block0():\n -> ()\n  block0():", "block0 does not follow block0"),
        ("graph():\n return () f()", "expected the end of the line, found f"),
        ("graph():\n return ()\n f()", 'expected "function" or the end of the text, found f'),
        ("graph():\n return ()\nfunction f():\n return ()\nfunction f():", "function f is defined already"),
        ("graph():\n f(@g)\n return ()", "@g names a function that the text does not define"),
        ("graph():\n %a : int f()\n return ()", 'expected "," or "=" after a result, found f'),
        ("graph():\n %a : int = 1\n return ()", "expected an operator and its arguments, found 1"),
        ("graph():\n %a : int = f()\n %a : int = f()\n return ()", "%a is defined already"),
        ("graph():\n state %w : int\n buffer %w : int\n return ()", "%w is defined already"),
        ("graph():\n state %w = %w : int\n return ()", "%w is defined already"),
        ("graph():\n f(%nobody)\n return ()", "%nobody is not defined"),
        ("graph():\n f(%a)\n %a : int = g()\n return ()", "%a is used before it is defined"),
        ("graph():\n %a : int = f(%a)\n return ()", "%a is not visible here"),
        ("graph():\n f(1, x=2, 3)\n return ()", "an argument without a name stands after x="),
        ("graph():\n f(x=1, x=2)\n return ()", "x is given twice"),
        ("graph():\n f(1 2)\n return ()", 'expected "," or ")" after an argument, found 2'),
        ("graph():\n f([1, 2)\n return ()", 'expected "," or "]" after an item, found )'),
        ("graph():\n f(word)\n return ()", "word is not a literal"),
        ("graph():\n f(1.2.3)\n return ()", "1 is not a literal"),
        ('graph():\n f("\\x")\n return ()', '"\\x" is not a JSON string'),
        ("graph():\n f(layout.strided:1)\n return ()", "layout.strided:1 has an index, which only devices"),
        ("graph(%x : f32):\n return ()", 'expected "[" after f32, found )'),
        ("graph(%x : list[int, int]):\n return ()", "list has 2 parts, not 1"),
        ("graph(%x : f32[2]{size=3}):\n return ()", "size is no fact about a tensor"),
        ("graph():\n mode fast\n return ()", "fast is not a mode"),
        ("graph():\n mode grad, fixed()\n return ()", "expected a mode or a kind of device, found )"),
        ("graph():\n ambient autocast(cuda, int)\n return ()", "int is not an element type"),
        ("graph():\n mode autocast(cuda, f16, cached)\n return ()", 'expected "uncached", found cached'),
        ("graph():\n scope (Linear)\n return ()", "expected the address of a scope, found ("),
        ("graph():\n f()  # ? a<root>\n return ()", "a<root> is not the address of a scope"),
        ("graph():\n f()  # ? a%41\n return ()", "scope a%41 is written aA"),
        ("graph():\n f()  # ? a (A)\n f()  # ? a (B)", "scope a is of class B here but was given A"),
        ("graph():\n scope a.b\n scope a.b at top\n scope a.b in a", "scope a.b does not stand in a"),
    ],
)  # fmt: skip
def test_faults_are_named(text: str, message: str) -> None:
    with pytest.raises(ParseError) as raised:
        parse(text)
    first, line, marks, advice = str(raised.value).split("\n")
    assert message in first
    assert line.startswith("  in   ")
    assert set(marks.strip()) == {"^"}
    assert advice.strip()


def test_a_value_that_is_out_of_reach_is_said_to_be_so() -> None:
    with pytest.raises(ParseError) as raised:
        parse(
            """
            graph():
              f()
                block0():
                  %t : int = g()
                  -> (%t)
              return (%t)
            """
        )
    assert str(raised.value) == (
        "line 7, column 23: %t is not visible here\n"
        "  in   return (%t)\n"
        "               ^^\n"
        "  it is defined in line 5, in another block or graph"
    )


def test_results_are_not_visible_in_the_blocks_of_their_node() -> None:
    with pytest.raises(ParseError, match="%t is not visible here"):
        parse("graph():\n %t : int = f()\n  block0():\n   -> (%t)\n return (%t)")


def test_nesting_without_end_is_an_error_of_the_text() -> None:
    with pytest.raises(ParseError, match="nests types, lists, scopes or blocks too deeply"):
        parse(f"graph(%x : {'list[' * 100_000}")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("%z : f32[2] = aten::add(%a b, 1)", "%a is not"),
        ("%z : f32[2] = aten::add(%x, %a:b)", "%a is not"),
        ("%z : f32[2] = aten::add(%x,  %w)", "%w is not defined"),
        ("%z : f32[2] = aten::add(%x, )", "expected an argument"),
        ("%z : f32[2] = aten::add(alpha=1, alpha=1)", "alpha is given twice"),
        ("%z : f32[2] = aten::add(alpha=1, %x)", "an argument without a name stands after alpha="),
        ("%z : f32[2] = aten::add(%x, [1, 2], 1]", "expected"),
        ("%y : f32[2] = aten::add(%x, 1)", "%y is defined already"),
    ],
)
def test_a_line_of_known_words_is_read_as_strictly_as_one_of_new_ones(
    line: str, message: str
) -> None:
    known = """
        graph(%x : f32[2], %"a b" : f32[2], %"a:b" : f32[2]):
          %y : f32[2] = aten::add(%x, [1, 2], alpha=1)
          %"y:0" : f32[2] = aten::add(%"a b", 1)
    """
    with pytest.raises(ParseError, match=re.escape(message)):
        parse(f"{known}          {line}\n          return (%x)")


def test_known_words_stand_for_what_they_stood_for() -> None:
    graph = parse("""
        graph(%x : f32[2]):
          %a : f32[2] = aten::add(%x, [1, 2], 1, True, 1.0, alpha=-1)
          %b : f32[2] = aten::add(%a, [1, 2], 1, True, 1.0, alpha=-1)
          %c : f32[2] = aten::add(1)
          return (%b)
    """)
    first, second, third = graph.nodes()
    assert second.args[1:] == first.args[1:] == ((1, 2), 1, True, 1.0)
    assert [type(arg) for arg in second.args[2:]] == [int, bool, float]
    assert second.kwargs == {"alpha": -1}
    assert second.inputs == (first.output,)
    assert third.inputs == ()
