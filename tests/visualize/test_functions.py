"""Custom functions and calls in pictures."""

from collections.abc import Callable

from opscope.visualize import Scene

Draw = Callable[..., Scene]
Outline = Callable[[Scene], str]


def test_a_custom_function_is_a_cluster_with_its_name(draw: Draw, outline: Outline) -> None:
    scene = draw("""
        graph(%x : f32[8]):
          constant %Scaled : object
          %a : f32[8] = aten::relu(%x)
          %b : f32[8] = prim::autograd_function(%Scaled, %a, 2.0)
            block0():
              %c : f32[8] = aten::mul.Tensor(%a, %a)
              %d : f32[8] = aten::exp(%c)
              -> (%d)
          %e : f32[8] = aten::neg(%b)
          return (%e)
    """)
    assert outline(scene) == (
        "cluster_0: Scaled | 2 ops\n"
        "n4 input: x | input · 8\n"
        "n0 operator: relu\n"
        "n1 operator in cluster_0: mul\n"
        "n2 operator in cluster_0: exp\n"
        "n3 operator: neg\n"
        "n5 output: e | output · 8\n"
        "n4 -> n0\n"
        "n0 -> n1 (8 ×2)\n"
        "n1 -> n2\n"
        "n2 -> n3 (8)\n"
        "n3 -> n5"
    )


def test_a_custom_function_without_operators_is_a_box(draw: Draw, outline: Outline) -> None:
    scene = draw("""
        graph(%x : f32[8]):
          constant %InPlace : object
          %a : f32[8] = aten::relu(%x)
          %b : f32[8] = prim::autograd_function(%InPlace, %a, dirty=[0])
            block0():
              -> (%a)
          return (%b)
    """)
    assert "n0 -> n1\nn1 -> n3" in outline(scene)
    assert "n1 operator: autograd_function | dirty 0 · InPlace" in outline(scene)
