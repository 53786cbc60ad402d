"""What a picture opens, folds and draws once for many."""

from collections.abc import Callable

from opscope.visualize import Scene

Draw = Callable[..., Scene]
Outline = Callable[[Scene], str]


def _chain(count: int, shared: bool = False, tap: int | None = None) -> str:
    """Return a net of ``count`` equal residual blocks; the result of block ``tap`` is returned too."""
    lines = ["graph Net(%o : f32[8, 16]):"]
    names = [f"%b.{0 if shared else n}.fc.w" for n in range(count)]
    lines.append("  state " + ", ".join(f"{name} : f32[16, 16]" for name in dict.fromkeys(names)))
    previous = "o"
    for number in range(count):
        call = f"#{number + 1}" if shared and number else ""
        scope = f"b.0{call}" if shared else f"b.{number}"
        place = f"# net.py:1 {scope}"
        lines += [
            f"  scope {scope} (Block)",
            f"  %h{number} : f32[8, 16] = aten::linear(%{previous}, {names[number]}) {place}.fc (Linear)",
            f"  %r{number} : f32[8, 16] = aten::relu(%h{number}) {place} (Block)",
            f"  %s{number} : f32[8, 16] = aten::add.Tensor(%r{number}, %{previous}) {place} (Block)",
        ]
        previous = f"s{number}"
    returned = [f"%{previous}", *([] if tap is None else [f"%s{tap}"])]
    return "\n".join([*lines, f"  return ({', '.join(returned)})"])


def test_equal_blocks_are_drawn_once_and_read_in_block_out(draw: Draw, outline: Outline) -> None:
    assert outline(draw(_chain(12))) == (
        "cluster_0: b.0 – b.11  ×12 | Block · 256 each · 3 ops\n"
        "n3 input: o | input · 8×16\n"
        "n5 junction in cluster_0\n"
        "n0 operator in cluster_0: linear | fc · 16→16\n"
        "n1 operator in cluster_0: relu\n"
        "n2 operator in cluster_0: add\n"
        "n4 output: s11 | output · 8×16\n"
        "n3 -> n5 (first)\n"
        "n5 -> n0\n"
        "n0 -> n1\n"
        "n5 -> n2 skip\n"
        "n1 -> n2\n"
        "n2 -> n4 (8×16)"
    )


def test_calls_of_one_module_are_told_from_modules_of_their_own(
    draw: Draw, outline: Outline
) -> None:
    first_line = outline(draw(_chain(3, shared=True))).splitlines()[0]
    assert first_line == "cluster_0: b.0  ×3 | Block · 3 calls, shared 256 · 3 ops"


def test_a_block_whose_result_is_tapped_ends_its_run(draw: Draw, outline: Outline) -> None:
    assert outline(draw(_chain(6, tap=2), depth=0)) == (
        "n2 input: o | input · 8×16\n"
        "n0 scope: b.0 – b.2  ×3 | Block · 256 each · 3 ops\n"
        "n1 scope: b.3 – b.5  ×3 | Block · 256 each · 3 ops\n"
        "n3 output: s5 | output 0 · 8×16\n"
        "n4 output: s2 | output 1 · 8×16\n"
        "n2 -> n0 (first)\n"
        "n0 -> n1 (8×16 · first)\n"
        "n1 -> n3 (8×16)\n"
        "n0 -> n4"
    )


def test_repeats_stay_apart_on_request(draw: Draw, outline: Outline) -> None:
    scene = draw(_chain(3), depth=0, fold_repeats=False)
    assert [box.title for box in scene.boxes] == ["o", "b.0", "b.1", "b.2", "s2"]
    assert scene.notes == ("3 blocks folded",)


def test_blocks_that_differ_in_a_literal_are_no_repeats(draw: Draw) -> None:
    text = """
        graph(%x : f32[4]):
          %a : f32[4] = aten::clamp(%x, 0, 1) # n.py:1 b.0 (B)
          %b : f32[4] = aten::neg(%a) # n.py:1 b.0 (B)
          %c : f32[4] = aten::clamp(%b, 0, 1.0) # n.py:1 b.1 (B)
          %d : f32[4] = aten::neg(%c) # n.py:1 b.1 (B)
          return (%d)
    """
    assert [cluster.title for cluster in draw(text).clusters] == ["b.0", "b.1"]
    assert [cluster.title for cluster in draw(text.replace("1.0", "1")).clusters] == [
        "b.0 – b.1  ×2"
    ]


def test_a_loop_without_blocks_is_folded_by_its_period(draw: Draw, outline: Outline) -> None:
    lines = ["graph(%x0 : f32[4, 4]):"]
    for n in range(5):
        lines.append(f"  %h{n} : f32[4, 4] = aten::matmul(%x{n}, %x{n})")
        lines.append(f"  %x{n + 1} : f32[4, 4] = aten::tanh(%h{n})")
    lines.append("  return (%x5)")
    assert outline(draw("\n".join(lines))) == (
        "cluster_0: repeated  ×5 | 2 ops\n"
        "n2 input: x0 | input · 4×4\n"
        "n0 operator in cluster_0: matmul | 4×4 · 4×4\n"
        "n1 operator in cluster_0: tanh\n"
        "n3 output: x5 | output · 4×4\n"
        "n2 -> n0 (×2 · first)\n"
        "n0 -> n1\n"
        "n1 -> n3 (4×4)"
    )


def test_a_loop_through_a_tensor_is_a_repetition(draw: Draw, outline: Outline) -> None:
    lines = ["graph(%x : f32[12, 4], %h0 : f32[4]):", "  state %w : f32[4]"]
    for n in range(12):
        lines += [
            f"  %x{n} : f32[4] = aten::select.int(%x, 0, {n})",
            f"  %s{n} : f32[4] = aten::add.Tensor(%x{n}, %h{n})",
            f"  %h{n + 1} : f32[4] = aten::mul.Tensor(%s{n}, %w)",
        ]
    lines.append("  return (%h12)")
    assert outline(draw("\n".join(lines))) == (
        "cluster_0: repeated  ×12 | 12 calls, shared 4 · 3 ops\n"
        "n3 input: x | input · 12×4\n"
        "n4 input: h0 | input · 4\n"
        "n0 operator in cluster_0: select | dim 0 [0…11]\n"
        "n1 operator in cluster_0: add\n"
        "n2 operator in cluster_0: mul\n"
        "n5 output: h12 | output · 4\n"
        "n3 -> n0 (each)\n"
        "n4 -> n1 (first)\n"
        "n0 -> n1 (4)\n"
        "n1 -> n2\n"
        "n2 -> n5 (4)"
    )


def test_blocks_side_by_side_are_told_from_a_chain(draw: Draw) -> None:
    lines = ["graph(%x : f32[4]):"]
    for n in range(3):
        lines += [
            f"  %a{n} : f32[4] = aten::sin(%x) # n.py:1 experts.{n} (Expert)",
            f"  %b{n} : f32[4] = aten::cos(%a{n}) # n.py:1 experts.{n} (Expert)",
        ]
    lines += ["  %y : f32[12] = aten::cat([%b0, %b1, %b2])", "  return (%y)"]
    scene = draw("\n".join(lines))
    assert [(c.title, c.detail) for c in scene.clusters] == [
        ("experts.0 – experts.2  ×3", "Expert · in parallel · 2 ops")
    ]
    assert [edge.label for edge in scene.edges] == ["", "", "4 ×3", "12"]


def test_depth_counts_opened_levels(draw: Draw) -> None:
    text = """
        graph(%x : f32[4]):
          scope a (A)
          scope a.b (B)
          %1 : f32[4] = aten::neg(%x) # n.py:1 a.b.c (C)
          %2 : f32[4] = aten::exp(%1) # n.py:1 a.b.c (C)
          %3 : f32[4] = aten::tanh(%2) # n.py:1 a.b (B)
          %4 : f32[4] = aten::sin(%3) # n.py:1 a (A)
          return (%4)
    """
    drawn = {
        depth: [(c.title, c.depth) for c in draw(text, depth=depth).clusters] for depth in range(4)
    }
    assert drawn == {
        0: [],
        1: [("a", 0)],
        2: [("a", 0), ("b", 1)],
        3: [("a", 0), ("b", 1), ("c", 2)],
    }


def test_scopes_that_hold_only_another_are_one(draw: Draw) -> None:
    text = """
        graph(%x : f32[4]):
          scope a (A)
          scope a.0 (Sequential)
          %1 : f32[4] = aten::neg(%x) # n.py:1 a.0.b (B)
          %2 : f32[4] = aten::exp(%1) # n.py:1 a.0.b (B)
          return (%2)
    """
    assert [(c.title, c.detail) for c in draw(text).clusters] == [("a › a.0 › b", "B · 2 ops")]


def test_a_budget_opens_one_block_of_each_kind_first(draw: Draw) -> None:
    lines = ["graph(%x0_8 : f32[8]):"]
    for stage, size in enumerate((8, 4, 2)):  # the same block at three sizes, so no repetition
        lines.append(
            f"  %x{stage}_0 : f32[{size}] = aten::narrow(%x{max(stage - 1, 0)}_8, 0, 0, 1)"
        )
        lines += [
            f"  %x{stage}_{n + 1} : f32[{size}] = aten::{op}(%x{stage}_{n}) # n.py:1 s.{stage} (Stage)"
            for n, op in enumerate("neg exp tanh sin cos log sqrt abs".split())
        ]
    lines.append("  return (%x2_8)")
    lines[0] = "graph(%x : f32[8]):"
    lines[1] = "  %x0_0 : f32[8] = aten::narrow(%x, 0, 0, 1)"
    text = "\n".join(lines)
    assert [c.title for c in draw(text, max_boxes=15).clusters] == ["s.0"]
    assert [c.title for c in draw(text, max_boxes=60).clusters] == ["s.0", "s.1", "s.2"]


def test_preparation_between_blocks_is_put_together(draw: Draw) -> None:
    lines = ["graph(%x : f32[4], %m0 : f32[4]):"]
    lines += [f"  %m{n + 1} : f32[4] = aten::mul(%m{n}, {n})" for n in range(9)]
    lines += [
        "  %a : f32[4] = aten::relu(%x) # n.py:1 block (Block)",
        "  %mask : f32[4] = aten::add(%a, %m9) # n.py:1 block (Block)",
        "  return (%mask)",
    ]
    scene = draw("\n".join(lines))
    assert [(box.title, box.detail) for box in scene.boxes if box.kind.value == "section"] == [
        ("9 operators", "mul ×9")
    ]


def test_too_many_operators_without_blocks_become_sections(draw: Draw) -> None:
    names = ("sin", "cos", "exp", "neg", "tanh")
    lines = ["graph(%x0 : f32[4]):"]
    lines += [
        f"  %x{n + 1} : f32[4] = aten::{names[n * n % 7 % 5]}(%x{n}, {n})" for n in range(1000)
    ]
    lines.append("  return (%x1000)")
    scene = draw("\n".join(lines), max_boxes=10)
    titles = [box.title for box in scene.boxes if box.kind.value == "section"]
    assert titles == ["200 operators"] * 5


def test_nesting_of_any_depth_needs_no_recursion(draw: Draw) -> None:
    depth = 1200
    lines = ["graph(%x0 : f32[4]):"]
    path = ""
    for n in range(depth):
        path = f"{path}.s{n}".lstrip(".")
        lines.append(f"  %x{n + 1} : f32[4] = aten::op{n}(%x{n}) # n.py:1 {path} (S)")
    lines.append(f"  return (%x{depth})")
    text = "\n".join(lines)
    assert len(draw(text, depth=depth).clusters) == depth - 1
    assert len(draw(text, depth=3).clusters) == 3


def test_operators_that_decide_something_are_never_put_together(draw: Draw) -> None:
    lines = ["graph(%x : f32[4], %m0 : f32[4]):"]
    lines += [
        f"  %m{n + 1} : f32[4] = aten::{'sort' if n == 4 else 'mul'}(%m{n}, {n})" for n in range(9)
    ]
    lines += [
        "  %a : f32[4] = aten::relu(%x) # n.py:1 block (Block)",
        "  %mask : f32[4] = aten::add(%a, %m9) # n.py:1 block (Block)",
        "  return (%mask)",
    ]
    boxes = draw("\n".join(lines)).boxes
    assert "sort" in [box.title for box in boxes]
    assert not [box for box in boxes if box.kind.value == "section"]


def test_likes_are_opened_all_or_but_one(draw: Draw) -> None:
    lines = ["graph(%x0 : f32[9]):"]
    for stage in range(4):  # equal but for their shapes, two levels deep
        size = 9 - stage
        lines.append(f"  %y{stage}_0 : f32[{size}] = aten::narrow(%x{stage}, 0, 0, {size})")
        names = "neg exp tanh sin cos log sqrt abs".split()
        lines += [
            f"  %y{stage}_{n + 1} : f32[{size}] = aten::{op}(%y{stage}_{n}) # n.py:1 s.{stage}.body (Body)"
            for n, op in enumerate(names)
        ]
        lines.append(
            f"  %x{stage + 1} : f32[{size}] = aten::relu(%y{stage}_8) # n.py:1 s.{stage} (Stage)"
        )
    lines.append("  return (%x4)")
    for max_boxes in range(8, 90, 4):
        scene = draw("\n".join(lines), max_boxes=max_boxes)
        opened = [cluster.title for cluster in scene.clusters]
        assert opened.count("body") in (0, 1, 4), max_boxes


def test_the_step_of_an_optimizer_stays_one_box(draw: Draw, outline: Outline) -> None:
    kinds = "exp sin cos tan neg abs sqrt log tanh erf ceil floor sign round trunc frac".split()
    text = ["graph Net(%x : f32[4]):"]
    text.append("  state " + ", ".join(f"%w{n} : f32[4]" for n, _ in enumerate(kinds)))
    for number, kind in enumerate(kinds):
        text += [
            f"  %a{number} : f32[4] = aten::mul.Tensor(%x, %w{number}) # net.py:1 net (Net)",
            f"  %b{number} : f32[4] = aten::{kind}(%a{number}) # net.py:2 opt<optimizer> (SGD)",
        ]
    text.append("  return ()")
    lines = outline(draw("\n".join(text), max_boxes=20)).splitlines()
    assert "n1 scope: opt | SGD · 16 ops" in lines
    opened = outline(draw("\n".join(text), depth=1))
    assert "cluster_1: opt | SGD · 16 ops" in opened
