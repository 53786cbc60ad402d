"""Scopes as functions, and back."""

import pytest
import torch
from torch import nn

import opscope
from opscope.passes.inline import Inline
from opscope.passes.outline import Outline
from opscope.testing import check_pass


def test_scopes_that_do_the_same_are_one_function() -> None:
    result = check_pass(
        Outline(scopes="layers.*"),
        before="""
            graph(%x : f32[2]) -> (f32[2]):
              state %layers.0.w : f32[2], %layers.1.w : f32[2]
              %a : f32[2] = aten::neg(%x)                       # ? layers.0 (Layer)
              %b : f32[2] = aten::mul.Tensor(%a, %layers.0.w)   # ? layers.0.inner (Inner)
              %a.1 : f32[2] = aten::neg(%b)                     # ? layers.1 (Layer)
              %c : f32[2] = aten::mul.Tensor(%a.1, %layers.1.w) # ? layers.1.inner (Inner)
              %d : f32[2] = aten::exp(%c)
              return (%d)
        """,
        after="""
            graph(%x : f32[2]) -> (f32[2]):
              state %layers.0.w : f32[2], %layers.1.w : f32[2]
              %b : f32[2] = prim::call(@Layer, %x, %layers.0.w)  # ? layers.0 (Layer)
              %c : f32[2] = prim::call(@Layer, %b, %layers.1.w)  # ? layers.1 (Layer)
              %d : f32[2] = aten::exp(%c)
              return (%d)

            function Layer(%0 : f32[2], %w : f32[2]) -> (f32[2]):
              %a : f32[2] = aten::neg(%0)
              %1 : f32[2] = aten::mul.Tensor(%a, %w)            # ? inner (Inner)
              return (%1)
        """,
    )
    assert result.stats == {"calls": 2, "functions": 1}


def test_what_differs_in_a_literal_is_another_function() -> None:
    graph = opscope.parse("""
        graph(%x : f32[2]) -> (f32[2]):
          %a : f32[2] = aten::neg(%x)                       # ? a (Layer)
          %b : f32[2] = aten::mul.Tensor(%a, 2)             # ? a (Layer)
          %a.1 : f32[2] = aten::neg(%b)                     # ? b (Layer)
          %c : f32[2] = aten::mul.Tensor(%a.1, 3)           # ? b (Layer)
          return (%c)
    """)
    Outline().run(graph)
    assert list(graph.functions) == ["Layer", "Layer.1"]


def test_what_does_not_stand_in_one_piece_stays_outside() -> None:
    check_pass(
        Outline(),
        before="""
            graph(%x : f32[2]) -> (f32[2]):
              %n : int = aten::sym_size.int(%x, 0)              # ? layer (Layer)
              %m : int = aten::mul.int(%n, 2)
              %a : f32[2] = aten::neg(%x)                       # ? layer (Layer)
              %b : f32[2] = aten::mul.Tensor(%a, %m)            # ? layer (Layer)
              return (%b)
        """,
        after="""
            graph(%x : f32[2]) -> (f32[2]):
              %n : int = aten::sym_size.int(%x, 0)              # ? layer (Layer)
              %m : int = aten::mul.int(%n, 2)
              %b : f32[2] = prim::call(@Layer, %x, %m)          # ? layer (Layer)
              return (%b)

            function Layer(%0 : f32[2], %1 : int) -> (f32[2]):
              %a : f32[2] = aten::neg(%0)
              %2 : f32[2] = aten::mul.Tensor(%a, %1)
              return (%2)
        """,
    )


class Block(nn.Module):
    def __init__(self, drop: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.fc = nn.Linear(4, 4)
        self.drop = drop

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = nn.functional.dropout(self.fc(self.norm(x)), self.drop).relu_()
        with torch.no_grad():
            scale = h.abs().max()
        return torch.cond(scale > 1, lambda t: t / scale, lambda t: t + h, (x,))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(0.1), Block(0.1), Block(0.3), Block(0.1)])
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x)
        return self.head(x)


@pytest.mark.parametrize("dynamic", [None, False])
@pytest.mark.parametrize("scopes", ["blocks.*", "*", "*norm", "head"])
def test_there_and_back_and_replayed_in_between(scopes: str, dynamic: bool | None) -> None:
    x = torch.randn(3, 4)
    with torch.no_grad():
        traced = opscope.trace(Net(), x, dynamic=dynamic)
        before = str(traced.graph)
        torch.manual_seed(1)
        expected = traced(x)
        traced.apply(Outline(scopes=scopes), verify_each=True)
        assert str(opscope.parse(str(traced.graph))) == str(traced.graph)
        if scopes == "blocks.*":
            names = list(traced.graph.functions)
            # Where sizes are data, the first block holds a guard that no other one has.
            assert names == ["Block", "Block.1", "Block.2"][: 3 if dynamic is None else 2]
            assert len(traced.graph.nodes(op="prim::call")) == 4
        buffers = [buffer.clone() for buffer in traced.function.buffers()]  # type: ignore[union-attr]
        torch.manual_seed(1)
        assert torch.equal(traced(x), expected)
        changed = [
            not torch.equal(one, other)
            for one, other in zip(buffers, traced.function.buffers(), strict=True)  # type: ignore[union-attr]
        ]
        assert any(changed), "the replay updates running statistics"
        traced.apply(Inline(), verify_each=True)
    assert str(traced.graph) == before


def test_what_is_left_of_a_scope_in_pieces_stays_when_it_is_outlined_again() -> None:
    result = check_pass(
        Outline("net"),
        before="""
            graph(%x : f32[2]) -> (f32[2]):
              %a : f32[2] = aten::neg(%x)         # net.py:1 net
              %b : f32[2] = aten::exp(%a)         # net.py:2 net
              %c : f32[2] = aten::sin(%b)         # net.py:3
              %d : f32[2] = aten::cos(%c)         # net.py:4 net
              %e : f32[2] = aten::tan(%d)         # net.py:5 net
              return (%e)
        """,
        after="""
            graph(%x : f32[2]) -> (f32[2]):
              %b : f32[2] = prim::call(@net, %x)  # ? net
              %c : f32[2] = aten::sin(%b)         # net.py:3
              %d : f32[2] = aten::cos(%c)         # net.py:4 net
              %e : f32[2] = aten::tan(%d)         # net.py:5 net
              return (%e)

            function net(%0 : f32[2]) -> (f32[2]):
              %a : f32[2] = aten::neg(%0)         # net.py:1
              %1 : f32[2] = aten::exp(%a)         # net.py:2
              return (%1)
        """,
    )
    assert result.stats == {"calls": 1, "functions": 1}
