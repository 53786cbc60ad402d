"""Pictures of training steps: backward passes, and gradients that are stored."""

from collections.abc import Callable

from opscope.ir import Operator
from opscope.visualize import Scene
from opscope.visualize.families import Family, family_of

Draw = Callable[..., Scene]
Outline = Callable[[Scene], str]

STEP = """graph step(%x : f32[3, 4]):
  state %fc.weight : f32[2, 4]{grad}
  number %opt.param_groups.0.lr : float
  %0 : f32[3, 2]{grad} = aten::linear(%x, %fc.weight)   # net.py:1 fc (Linear)
  %1 : f32[] = aten::sum(%0)                            # net.py:2
  %2 : f32[3, 2] = aten::expand(%1, [3, 2])             # net.py:2 backward<backward>
  %3 : f32[2, 3] = aten::t(%2)                          # net.py:1 backward<backward>/fc (Linear)
  %4 : f32[2, 4] = aten::mm(%3, %x)                     # net.py:1 backward<backward>/fc (Linear)
  prim::set_gradient(%fc.weight, %4)                    # net.py:3 backward<backward>/fc (Linear)
  %5 : f32[2, 4] = aten::mul.Tensor(%4, %opt.param_groups.0.lr)  # net.py:4 opt<optimizer> (SGD)
  %6 : f32[2, 4] = aten::sub_.Tensor(%fc.weight, %5)    # net.py:4 opt<optimizer> (SGD)
  return (%1)"""


def test_a_backward_pass_says_of_what_and_whose_gradients_it_stores(
    draw: Draw, outline: Outline
) -> None:
    assert outline(draw(STEP, depth=1)).splitlines()[:9] == [
        "cluster_0: backward | 8 · 4 ops",
        "cluster_1: opt | SGD · 8 · 2 ops",
        "n6 input: x | input · 3×4",
        "n0 operator: linear | fc · 4→2",
        "n1 operator: sum",
        "n2 operator in cluster_0: expand | → 3×2",
        "n3 scope in cluster_0: fc | backward of Linear · 8 · 3 ops",
        "n4 operator in cluster_1: mul",
        "n5 operator in cluster_1: sub_ | updates fc.weight",
    ]
    boxes = draw(STEP, depth=2).boxes
    assert [box.detail for box in boxes if box.title == "set_gradient"] == ["of fc.weight"]


def test_a_gradient_that_is_read_says_of_what(draw: Draw) -> None:
    text = """graph step(%rate : float):
      state %w : f32[2]{grad}
      %w.grad : f32[2] = prim::gradient(%w)
      %0 : float = aten::neg.float(%rate)
      %1 : f32[2] = aten::add.Tensor(%w, %w.grad, alpha=%0)
      return (%1)"""
    boxes = {box.title: box.detail for box in draw(text).boxes}
    assert (boxes["gradient"], boxes["add"]) == ("of w", "")


def test_the_backward_of_an_operator_has_the_colour_of_the_operator() -> None:
    names = ("mm", "embedding_dense_backward", "convolution_backward")
    families = {family_of(Operator(f"aten::{name}")) for name in names}
    assert families == {Family.WEIGHTS}
