"""The forest of a graph: what its branches are, what stands in them, and what is left out at first."""

import random
from collections.abc import Sequence
from itertools import pairwise

from opscope.ir import Effect, Graph, Node, Operator, Parameter, parse
from opscope.visualize.explorer.forest import FLAGS, Forest, grow


def read(text: str) -> Graph:
    """Read a graph whose operators have the effects that their names promise."""

    def operator(name: str) -> Operator:
        if not name.partition(".")[0].endswith("_"):
            return Operator(name, effects=Effect.NONE)
        written = (Parameter("self", "Tensor", alias="a", is_written=True),)
        return Operator(name, written, effects=Effect.WRITES)

    return parse(text, operator)


def drawn(forest: Forest) -> str:
    """Spell a forest: a branch or an operator on each line, what a branch holds below it."""
    lines: list[str] = []
    pending: list[tuple[Node | int, int]] = [(~0, 0)]
    while pending:
        item, depth = pending.pop()
        indent = "  " * depth
        if isinstance(item, Node):
            flags = [name for name, bit in FLAGS.items() if forest.flags.get(item, 0) & bit]
            lines.append(f"{indent}{item.operator.base_name}{''.join(f' ({f})' for f in flags)}")
            continue
        branch = forest.branches[~item]
        facts = [branch.kind, branch.class_name, branch.note]
        chain = "" if branch.kind != "repeat" else "chain" if branch.is_chain else "parallel"
        state = f"{branch.parameters} numbers" if branch.parameters else ""
        words = ", ".join(word for word in (*facts, chain, state) if word)
        lines.append(f"{indent}{branch.title}: {words}")
        pending.extend((inner, depth + 1) for inner in reversed(branch.items))
    return "\n".join(lines)


def lines(*texts: str) -> str:
    """Return lines as one text."""
    return "\n".join(texts)


def test_branches_are_scopes_and_say_their_parameters() -> None:
    forest = grow(
        read(
            """
        graph Net(%x : f32[2]):
          state %body.w : f32[2], %body.up.w : f32[3], %mean : f32[5]
          scope body (Body)
          scope body.up (Up)
          %a : f32[2] = aten::neg(%x, %mean)
          %b : f32[2] = aten::mul(%a, %body.w)  # net.py:1 body
          %c : f32[2] = aten::add(%b, %body.up.w)  # net.py:2 body.up
          %d : f32[2] = aten::exp(%c)  # net.py:3 body.up
          return (%d)
        """
        )
    )
    assert drawn(forest) == lines(
        "Net: root, 10 numbers",
        "  aten::neg",
        "  body: module, Body, 5 numbers",
        "    aten::mul",
        "    up: module, Up, 3 numbers",
        "      aten::add",
        "      aten::exp",
    )


def blocks(count: int, body: Sequence[str] = ("relu", "exp")) -> str:
    """Return the text of a graph of blocks, each of which reads the one before."""
    text = ["graph Net(%x : f32[2]):"]
    text.append("  state " + ", ".join(f"%layers.{n}.w : f32[2]" for n in range(count)))
    text += [f"  scope layers.{n} (Block)" for n in range(count)]
    last = "x"
    for n in range(count):
        for name in ("mul", *body):
            weight = f", %layers.{n}.w" if name == "mul" else ""
            made = f"v{n}{name}"
            text.append(f"  %{made} : f32[2] = aten::{name}(%{last}{weight})  # n.py:1 layers.{n}")
            last = made
    return "\n".join([*text, f"  return (%{last})"])


def test_equal_neighbours_are_a_run_that_says_how_they_share_weights() -> None:
    assert drawn(grow(read(blocks(3)))) == lines(
        "Net: root, 6 numbers",
        "  layers.0 – layers.2: repeat, Block, 2 each, chain, 6 numbers",
        *(
            line
            for n in range(3)
            for line in (
                f"    layers.{n}: module, Block, 2 numbers",
                "      aten::mul",
                "      aten::relu",
                "      aten::exp",
            )
        ),
    )


def test_two_equal_operators_or_groups_are_no_run_but_four_are() -> None:
    def spelled(times: int) -> str:
        text = ["graph Net(%x : f32[2]):"]
        text += [
            f"  %a{n} : f32[2] = aten::relu(%{'x' if not n else f'a{n - 1}'})" for n in range(times)
        ]
        return drawn(grow(read("\n".join([*text, f"  return (%a{times - 1})"]))))

    assert spelled(3) == lines("Net: root", *["  aten::relu"] * 3)
    assert spelled(4) == lines("Net: root", "  relu: repeat, chain", *["    aten::relu"] * 4)


def test_blocks_that_stand_beside_lone_operators_are_a_run_all_the_same() -> None:
    text = blocks(2).replace("  %v0mul", "  %first : f32[2] = aten::sin(%x)\n  %v0mul")
    titles = [branch.title for branch in grow(read(text)).branches]
    assert "layers.0 – layers.1" in titles


def test_sizes_and_unread_results_stand_where_they_were_made_and_are_flagged() -> None:
    forest = grow(
        read("""
        graph Net(%x : f32[2, 3]):
          scope body (Body)
          %a : f32[2, 3] = aten::relu(%x)  # net.py:1 body
          %n : int = aten::sym_size.int(%x, 0)  # net.py:2 body
          %unread : f32[2, 3] = aten::exp(%a)  # net.py:3 body
          %y : f32[2, 3] = aten::reshape(%a, [%n, 3])  # net.py:4 body
          return (%y)
        """)
    )
    assert drawn(forest) == lines(
        "Net: root",
        "  body: module, Body",
        "    aten::relu",
        "    aten::sym_size (sizes)",
        "    aten::exp (unused)",
        "    aten::reshape",
    )


def test_what_is_not_drawn_stands_in_its_scope_where_it_is_the_first_there_too() -> None:
    forest = grow(
        read("""
        graph Net(%x : f32[2, 3]):
          scope body (Body)
          scope body.up (Up)
          scope head (Head)
          %a : f32[2, 3] = aten::relu(%x)  # net.py:1
          %n : int = aten::sym_size.int(%a, 0)  # net.py:2 body
          %b : f32[2, 3] = aten::reshape(%a, [%n, 3])  # net.py:3 body.up
          %c : f32[2, 3] = aten::exp(%b)  # net.py:4 body.up
          %m : int = aten::sym_size.int(%c, 0)  # net.py:5 head
          %d : f32[2, 3] = aten::reshape(%c, [%m, 3])  # net.py:6 head
          return (%d)
        """)
    )
    assert drawn(forest) == lines(
        "Net: root",
        "  aten::relu",
        "  body › up: module, Up",
        "    aten::sym_size (sizes)",
        "    aten::reshape",
        "    aten::exp",
        "  head: module, Head",
        "    aten::sym_size (sizes)",
        "    aten::reshape",
    )


def test_sections_say_which_operators_they_are_and_from_which_lines() -> None:
    kinds = random.Random(0).choices(("relu", "exp", "neg", "mul", "sin"), k=400)
    chain = "\n".join(
        f"  %v{n} : f32[2] = aten::{kind}(%{f'v{n - 1}' if n else 'x'})  # pkg/net.py:{10 + n // 4}"
        for n, kind in enumerate(kinds)
    )
    graph = read(f"graph Flat(%x : f32[2]):\n{chain}\n  return (%v399)\n")
    sections = [branch for branch in grow(graph).branches if branch.kind == "section"]
    spans = [section.title.removeprefix("operators ").split(" – ") for section in sections]
    assert spans[0][0] == "1"
    assert spans[-1][1] == "400"
    assert all(int(last) + 1 == int(first) for (_, last), (first, _) in pairwise(spans))
    assert sections[0].note.startswith(f"net.py:10–{10 + (int(spans[0][1]) - 1) // 4} · ")


def test_blocks_of_an_operator_are_branches_beside_it() -> None:
    forest = grow(
        read("""
        graph Net(%p : bool[], %x : f32[2]):
          %y : f32[2] = higher_order::cond(%p, %x)
            block0(%a : f32[2]):
              %b : f32[2] = aten::relu(%a)
              -> (%b)
            block1(%c : f32[2]):
              %d : f32[2] = aten::neg(%c)
              -> (%d)
          return (%y)
        """)
    )
    assert drawn(forest) == lines(
        "Net: root",
        "  cond: control",
        "    higher_order::cond",
        "    if true: block",
        "      aten::relu",
        "    if false: block",
        "      aten::neg",
    )


def test_many_siblings_are_gathered_and_every_node_is_there_once() -> None:
    text = ["graph Net(%x : f32[2]):"]
    text += [
        f"  %a{n} : f32[2] = aten::op{n * n % 401}(%{'x' if not n else f'a{n - 1}'})"
        for n in range(400)
    ]
    graph = read("\n".join([*text, "  return (%a399)"]))
    forest = grow(graph)
    assert forest.nodes == list(graph.walk())
    assert {branch.kind for branch in forest.branches} == {"root", "section"}
    assert max(len(branch.items) for branch in forest.branches) <= 150
    children = [~item for b in forest.branches for item in b.items if isinstance(item, int)]
    assert sorted(children) == list(range(1, len(forest.branches)))


def test_nodes_are_numbered_so_that_those_of_a_branch_follow_each_other() -> None:
    forest = grow(
        read("""
        graph Net(%x : f32[2]):
          scope left (Left)
          scope right (Right)
          %a : f32[2] = aten::sin(%x)  # net.py:1 left
          %b : f32[2] = aten::cos(%x)  # net.py:2 right
          %c : f32[2] = aten::exp(%a)  # net.py:3 left
          %d : f32[2] = aten::log(%b)  # net.py:4 right
          return (%c, %d)
        """)
    )
    assert [node.operator.name for node in forest.nodes] == [
        "aten::sin",
        "aten::exp",
        "aten::cos",
        "aten::log",
    ]
