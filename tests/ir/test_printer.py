"""The printer: what text shows and when."""

import re
from textwrap import dedent

import pytest

from opscope.ir import (
    CPU,
    Device,
    DType,
    Frame,
    FunctionRef,
    Graph,
    Layout,
    Literal,
    MemoryFormat,
    Modes,
    ScalarType,
    Scope,
    ScopeKind,
    SourceRange,
    TensorType,
    literal_text,
    parse,
    print_node,
    provenance,
    unknown_operator,
)
from support.ir_text import node_named

F = unknown_operator("f")
INT = ScalarType.INT


def check_print(graph: Graph, expected: str) -> None:
    """Check a graph's text, but for the blanks before comments."""
    assert re.sub(r" +  # ", "  # ", str(graph)) == dedent(expected).lstrip("\n")


def test_everything_that_text_shows() -> None:
    text = """
        graph Net(%x : f32[2, 16]) -> (f32[2, 4]):
          state %fc.weight = %tied.weight : f32[4, 16], %fc.bias : f32[4]
          buffer %mean : f32[4]
          constant %c0 : i64[]
          ambient no_grad
          scope encoder (Encoder)
          %h : f32[2, 4] = aten::linear(%x, %fc.weight, %fc.bias)  # net.py:12:15 encoder.fc (Linear)
          mode grad, autocast(cpu, bf16)
          [%a : f32[2, 2], %b : f32[2, 2]] = aten::split.Tensor(%h, 2, dim=1)  # ? encoder/halve()
          %0 : f32[2, 2] = prim::call(@half, %a)
          prim::If(%c0)
            block0(%i : int):
              aten::print("done", %i)  # net.py:14
              -> (%i)
          return (%h)

        function half(%x : f32[2, 2]) -> (f32[2, 2]):
          return (%x)
    """
    check_print(parse(text), text)


def test_comments_stand_in_one_column_unless_the_statement_is_longer() -> None:
    graph = Graph()
    stack = Frame.resolved(SourceRange("net.py", 3))
    graph.append(F, stack=stack)
    graph.append(F, ("x" * 80,), stack=stack)
    _, short, long, _ = str(graph).splitlines()
    assert short == f"  f(){' ' * 69}# net.py:3"
    assert long == f'  f("{"x" * 80}")  # net.py:3'


def test_long_lists_go_on_on_new_lines() -> None:
    graph = Graph()
    inputs = [graph.add_input(INT, letter * 30) for letter in "abc"]
    for letter in "de":
        graph.add_state(letter * 50, INT)
    graph.set_outputs(inputs)
    a, b, c, d, e = "a" * 30, "b" * 30, "c" * 30, "d" * 50, "e" * 50
    check_print(
        graph,
        f"""
        graph graph(%{a} : int, %{b} : int,
              %{c} : int) -> (int, int, int):
          state %{d} : int,
              %{e} : int
          return (%{a}, %{b},
              %{c})
        """,
    )


@pytest.mark.parametrize(
    ("literal", "text"),
    [
        (None, "None"),
        (True, "True"),
        (-3, "-3"),
        (2.0, "2.0"),
        (1e-05, "1e-05"),
        (float("-inf"), "-inf"),
        (complex(1, -0.0), "complex(1.0, -0.0)"),
        ('a "b"\n', '"a \\"b\\"\\n"'),
        (DType.BF16, "bf16"),
        (CPU, "device.cpu"),
        (Device("cuda", 1), "device.cuda:1"),
        (Layout("sparse_coo"), "layout.sparse_coo"),
        (MemoryFormat("channels_last"), "memory.channels_last"),
        (FunctionRef("f"), "@f"),
        (FunctionRef("a b"), '@"a b"'),
    ],
)
def test_literals(literal: Literal, text: str) -> None:
    assert literal_text(literal) == text
    assert literal_text((literal, (literal,), ())) == f"[{text}, [{text}], []]"


def test_names_that_would_be_misread_are_quoted() -> None:
    graph = Graph("my net")
    value = graph.add_input(TensorType(), "a b")
    graph.append(unknown_operator("return"), (value, 1), [INT], keywords=("the size",))
    graph.append(unknown_operator("block0"), ())
    graph.functions["the function"] = Graph()
    check_print(
        graph,
        """
        graph "my net"(%"a b" : tensor) -> ():
          %0 : int = "return"(%"a b", "the size"=1)
          "block0"()
          return ()

        function "the function"() -> ():
          return ()
        """,
    )


def test_lists_of_results_have_brackets() -> None:
    graph = Graph()
    graph.append(F, (), [INT, INT, INT], groups=(None, 2))
    graph.append(F, (), [], groups=(0,))
    graph.append(F, (), [INT, INT])
    graph.append(F, (), [])
    check_print(
        graph,
        """
        graph graph() -> ():
          %0 : int, [%1 : int, %2 : int] = f()
          [] = f()
          %3 : int, %4 : int = f()
          f()
          return ()
        """,
    )


def test_modes_are_said_where_they_change() -> None:
    graph = Graph(modes=Modes(grad=False))
    for modes in (Modes(grad=False), Modes(), Modes(), Modes(grad=False)):
        graph.append(F, modes=modes)
    check_print(
        graph,
        """
        graph graph() -> ():
          ambient no_grad
          f()
          mode grad
          f()
          f()
          mode no_grad
          f()
          return ()
        """,
    )


def test_scopes_are_introduced_before_their_parts() -> None:
    graph = Graph()
    encoder = Scope(graph.root_scope, ScopeKind.MODULE, "encoder", "Encoder")
    attention = Scope(encoder, ScopeKind.FUNCTION, "attend")
    for scope in (Scope(attention, ScopeKind.MODULE, "fc", "Linear"), encoder, attention):
        graph.append(F, scope=scope)
    check_print(
        graph,
        """
        graph graph() -> ():
          scope encoder (Encoder)
          scope encoder/attend()
          f()  # ? encoder/attend()/fc (Linear)
          f()  # ? encoder (Encoder)
          f()  # ? encoder/attend()
          return ()
        """,
    )


def test_a_parent_is_said_where_the_address_implies_another() -> None:
    graph = Graph()
    root = graph.root_scope
    block = Scope(root, ScopeKind.MODULE, "a", "Block")
    other = Scope(root, ScopeKind.MODULE, "a.b", "Other")
    inner = Scope(block, ScopeKind.MODULE, "b.c", "Inner")
    for scope in (block, other, inner):
        graph.append(F, scope=scope)
    check_print(
        graph,
        """
        graph graph() -> ():
          f()  # ? a (Block)
          scope a.b (Other) at top
          f()  # ? a.b (Other)
          scope a.b.c (Inner) in a
          f()  # ? a.b.c (Inner)
          return ()
        """,
    )
    parents = [node.scope.parent for node in parse(str(graph)).block]
    assert [parent and parent.address for parent in parents] == ["", "", "a"]


def test_one_node_is_shown_with_the_names_of_its_graph() -> None:
    graph = parse(
        """
        graph(%x : int, %x1 : int):
          %y : int = f(%x, [%x, 1])
            block0():
              -> ()
          return (%y)
        """
    )
    node = node_named(graph, "y")
    graph.inputs[1].name = "x"
    node.replace_input(1, graph.inputs[1])
    assert print_node(node) == "%y : int = f(%x, [%x.1, 1])"


def test_a_detached_node_is_shown_with_the_names_its_values_have() -> None:
    graph = parse("graph(%x : int):\n %y : int = f(%x)\n %0 : int = g(%y)\n return ()")
    (_, node) = graph.block
    node.detach()
    assert print_node(node) == '%"?" : int = g(%y)'


def test_provenance_is_the_users_innermost_line_and_the_scope() -> None:
    graph = Graph()
    scope = Scope(graph.root_scope, ScopeKind.MODULE, "fc", "Linear")
    user = Frame.resolved(SourceRange("my net.py", 3, 5))
    library = Frame.resolved(SourceRange("torch/nn/functional.py", 9), user, is_library=True)
    nodes = [
        graph.append(F),
        graph.append(F, stack=library),
        graph.append(F, scope=scope),
        graph.append(F, scope=scope, stack=library),
    ]
    assert [provenance(node) for node in nodes] == [
        "",
        '"my net.py":3:5',
        "? fc (Linear)",
        '"my net.py":3:5 fc (Linear)',
    ]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pkg/net.py", "pkg/net.py"),
        ("C:/net.py", "C:/net.py"),
        ("<stdin>", "<stdin>"),
        ("cell:3", '"cell:3"'),
        ("cell:3a", "cell:3a"),
        ("my net.py", '"my net.py"'),
        ("?", '"?"'),
        ("", '""'),
    ],
)
def test_files_that_would_be_misread_are_quoted(file: str, text: str) -> None:
    node = Graph().append(F, stack=Frame.resolved(SourceRange(file, 7)))
    assert provenance(node) == f"{text}:7"


def test_equal_graphs_read_equal() -> None:
    def build() -> Graph:
        graph = Graph("g")
        x = graph.add_input(INT)
        graph.set_outputs([graph.append(F, (x,), [INT]).output])
        return graph

    assert str(build()) == str(build())
