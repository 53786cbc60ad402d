"""How boxes are connected, and what stands on the edges."""

from collections.abc import Callable

from opscope.visualize import BoxKind, Scene

Draw = Callable[..., Scene]
Outline = Callable[[Scene], str]


def _edges(scene: Scene) -> list[str]:
    """Spell edges by the titles of their ends."""
    titles = {box.name: box.title or "·" for box in scene.boxes}
    lines = []
    for edge in scene.edges:
        kind = "" if edge.kind.value == "flow" else f" {edge.kind.value}"
        label = f" ({edge.label})" if edge.label else ""
        lines.append(f"{titles[edge.source]} -> {titles[edge.target]}{kind}{label}")
    return lines


def test_edges_say_where_shape_or_element_type_change(draw: Draw) -> None:
    scene = draw("""
        graph(%x : f32[8, 16]):
          %a : f32[8, 16] = aten::relu(%x)
          %b : f32[16, 8] = aten::t(%a)
          %c : f32[16, 8] = aten::exp(%b)
          %d : bf16[16, 8] = aten::to.dtype(%c, bf16)
          %e : bf16[16, 8] = aten::neg(%d)
          return (%e)
    """)
    assert _edges(scene) == [
        "x -> relu",
        "relu -> t",
        "t -> exp (16×8)",
        "exp -> to",
        "to -> neg (16×8 bf16)",
        "neg -> e",
    ]


def test_a_shape_that_the_box_tells_is_not_repeated(draw: Draw) -> None:
    scene = draw("""
        graph(%x : f32[8, 16]):
          %a : f32[128] = aten::reshape(%x, [128])
          %b : f32[128] = aten::exp(%a)
          return (%b)
    """)
    assert [(box.title, box.detail) for box in scene.boxes][1] == ("reshape", "→ 128")
    assert _edges(scene) == ["x -> reshape", "reshape -> exp", "exp -> b"]


def test_results_of_several_are_numbered(draw: Draw) -> None:
    scene = draw("""
        graph(%x : f32[8, 16]):
          [%a : f32[8, 8], %b : f32[8, 8]] = aten::chunk(%x, 2, 1)
          %c : f32[8, 8] = aten::mul.Tensor(%b, %a)
          return (%c)
    """)
    assert _edges(scene) == ["x -> chunk", "chunk -> mul ([1] 8×8, [0] 8×8 ×2)", "mul -> c"]


def test_a_value_read_twice_is_one_edge(draw: Draw) -> None:
    scene = draw("""
        graph(%x : f32[8]):
          %a : f32[8] = aten::mul.Tensor(%x, %x)
          return (%a)
    """)
    assert _edges(scene) == ["x -> mul (×2)", "mul -> a"]


def test_who_reads_after_a_change_in_place_that_gives_nothing_has_it_from_there(draw: Draw) -> None:
    scene = draw("""
        graph(%x : f32[8]):
          %a : f32[8] = aten::relu(%x)
          %early : f32[8] = aten::sin(%a)
          aten::_foreach_mul_.Scalar([%a], 0.5)    # t.py:3 clip<optimizer>
          %late : f32[8] = aten::cos(%a)
          return (%early, %late)
    """)
    assert _edges(scene) == [
        "x -> relu",
        "relu -> sin",
        "relu -> _foreach_mul_ write",
        "_foreach_mul_ -> cos",
        "sin -> early",
        "cos -> late",
    ]


def test_changes_in_place_are_marked(draw: Draw) -> None:
    scene = draw("""
        graph(%x : f32[8], %y : f32[8]):
          %a : f32[8] = aten::add_.Tensor(%x, %y)
          return (%a)
    """)
    assert _edges(scene) == ["x -> add_ write", "y -> add_", "add_ -> a"]


def test_a_residual_branches_inside_its_block(draw: Draw) -> None:
    scene = draw("""
        graph(%x : f32[8]):
          %0 : f32[8] = aten::sin(%x)
          %a : f32[8] = aten::relu(%0) # n.py:1 block (Block)
          %b : f32[8] = aten::exp(%a) # n.py:1 block (Block)
          %c : f32[8] = aten::add.Tensor(%b, %0) # n.py:1 block (Block)
          return (%c)
    """)
    junction = next(box for box in scene.boxes if box.kind is BoxKind.JUNCTION)
    assert junction.cluster == "cluster_0"
    assert _edges(scene) == [
        "x -> sin",
        "sin -> · (8)",
        "· -> relu",
        "relu -> exp",
        "· -> add skip",
        "exp -> add",
        "add -> c (8)",
    ]


def test_a_value_that_everything_reads_becomes_stubs(draw: Draw) -> None:
    lines = ["graph(%x0 : f32[8], %mask : f32[8]):", "  %m : f32[8] = aten::neg(%mask)"]
    for n in range(16):
        operator = ("mul", "add", "sub", "div", "pow")[n * n % 7 % 5]
        lines.append(f"  %x{n + 1} : f32[8] = aten::{operator}.Tensor(%x{n}, %m, {n})")
    scene = draw("\n".join([*lines, "  return (%x16)"]))
    stubs = [box.title for box in scene.boxes if box.kind is BoxKind.STUB]
    assert stubs == ["▸ m", *["m ▸"] * 16]
    assert _edges(scene)[:4] == ["mask -> neg", "neg -> ▸ m", "x0 -> mul", "m ▸ -> mul"]


def test_few_readers_near_by_keep_their_edges(draw: Draw) -> None:
    lines = ["graph(%x0 : f32[8], %m : f32[8]):"]
    lines += [f"  %x{n + 1} : f32[8] = aten::mul(%x{n}, %m, {n})" for n in range(5)]
    scene = draw("\n".join([*lines, "  return (%x5)"]))
    assert not [box for box in scene.boxes if box.kind is BoxKind.STUB]


def test_results_of_blocks_come_from_what_is_inside(draw: Draw, outline: Outline) -> None:
    scene = draw("""
        graph(%x : f32[4], %p : bool[]):
          %a : f32[4] = aten::neg(%x)
          %r : f32[4] = prim::If(%p)
            block0(%i : f32[4]):
              %t : f32[4] = aten::exp(%a)
              %u : f32[4] = aten::mul.Tensor(%t, %i)
              -> (%u)
            block1():
              -> (%x)
          %s : f32[4] = aten::sin(%r)
          return (%s)
    """)
    assert [(c.title, c.parent) for c in scene.clusters] == [("If", None), ("block 0", "cluster_0")]
    assert _edges(scene) == [
        "x -> neg",
        "p -> If",
        "neg -> exp (4)",
        "If -> mul (4)",
        "exp -> mul",
        "x -> sin skip",
        "mul -> sin (4)",
        "sin -> s",
    ]


def test_branches_have_names_and_transforms_hand_on_what_they_make(draw: Draw) -> None:
    scene = draw("""
        graph(%x : f32[2, 4], %p : bool[]):
          [%r : f32[2, 4]] = higher_order::cond(%p, [%x])
            block0(%t : f32[2, 4]):
              %a : f32[2, 4] = aten::exp(%t)
              %b : f32[2, 4] = aten::neg(%a)
              -> (%b)
            block1(%u : f32[2, 4]):
              %c : f32[2, 4] = aten::sin(%u)
              %d : f32[2, 4] = aten::cos(%c)
              -> (%d)
          [%s : f32[2, 4]] = functorch::vmap(%r, in_dims=[0], out_dims=[0])
            block0(%v : f32[4]):
              %w : f32[4] = aten::tan(%v)
              %y : f32[4] = aten::abs(%w)
              -> (%y)
          return (%s)
    """)
    assert [cluster.title for cluster in scene.clusters] == [
        "cond",
        "if true",
        "if false",
        "vmap",
        "block 0",
    ]
    assert _edges(scene) == [
        "x -> cond",
        "p -> cond",
        "cond -> exp (2×4)",
        "exp -> neg",
        "cond -> sin (2×4)",
        "sin -> cos",
        "neg -> vmap (2×4)",
        "cos -> vmap (2×4)",
        "vmap -> tan (4)",
        "tan -> abs",
        "abs -> s (2×4)",
    ]


def test_many_inputs_of_one_kind_share_a_box(draw: Draw) -> None:
    names = [f"cache_{n}" for n in range(12)]
    text = f"""
        graph({", ".join(f"%{name} : f32[2, 4]" for name in names)}):
          %a : f32[2, 48] = aten::cat([{", ".join(f"%{name}" for name in names)}], 1)
          return (%a)
    """
    scene = draw(text)
    assert [(box.title, box.detail) for box in scene.boxes] == [
        ("cache_0 – cache_11  ×12", "12 inputs · 2×4"),
        ("cat", "12 on dim 1"),
        ("a", "output · 2×48"),
    ]
    assert _edges(scene) == ["cache_0 – cache_11  ×12 -> cat (×12)", "cat -> a (2×48)"]


def test_a_value_returned_twice_is_one_output(draw: Draw) -> None:
    scene = draw("""
        graph(%x : f32[4]):
          %a : f32[4] = aten::neg(%x)
          %b : f32[4] = aten::exp(%a)
          return (%a, %b, %a)
    """)
    outputs = [box.detail for box in scene.boxes if box.kind is BoxKind.OUTPUT]
    assert outputs == ["outputs 0, 2 · 4", "output 1 · 4"]
