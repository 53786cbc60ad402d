"""Scopes in one piece each."""

import torch
from torch import nn

import opscope
from opscope.passes.fixup_scopes import FixupScopes
from opscope.testing import check_pass


def _graph(*scopes: str) -> str:
    lines = [f"  %{n} : f32[2] = aten::neg(%x)  # net.py:{n + 1} {s}" for n, s in enumerate(scopes)]
    return "\n".join(["graph(%x : f32[2]):", *lines, "  return (%x)"])


def test_nodes_apart_from_their_scope_go_to_the_one_around() -> None:
    result = check_pass(
        FixupScopes(),
        before=_graph("net", "net.a", "net", "net.b", "net.a", "net.a", "net.b"),
        after=_graph("net", "net", "net", "net.b", "net.a", "net.a", "net"),
    )
    assert result.stats == {"moved": 2}


def test_the_first_of_equal_stretches_stays() -> None:
    check_pass(FixupScopes(), before=_graph("a", "", "a"), after=_graph("a", "", ""))


def test_what_is_made_again_for_another_module_is_part_of_that() -> None:
    check_pass(
        FixupScopes(),
        before=_graph("a", "a", "b", "a", "b", "b.c", "b.c"),
        after=_graph("a", "a", "a", "a", "b", "b.c", "b.c"),
    )


def test_stretches_between_two_others_belong_to_neither() -> None:
    check_pass(
        FixupScopes(),
        before=_graph("a", "a", "b", "c", "c", "b", "b"),
        after=_graph("a", "a", "", "c", "c", "b", "b"),
    )


def test_inner_scopes_are_arranged_in_what_stays_of_the_outer_ones() -> None:
    check_pass(
        FixupScopes(),
        before=_graph("a", "a.x", "", "a", "a.x", "a.y", "a.x", "a.x"),
        after=_graph("", "", "", "a", "a", "a.y", "a.x", "a.x"),
    )


def test_scopes_of_a_backward_pass_stay_in_pieces() -> None:
    scopes = ("a", "run<backward>/a", "run<backward>/b", "run<backward>/a", "b")
    text = _graph(*scopes)
    assert not check_pass(FixupScopes(), before=text, after=text).changed


def test_blocks_and_functions_are_arranged_for_themselves() -> None:
    check_pass(
        FixupScopes(),
        before="""
            graph(%c : bool[], %x : f32[2]):
              %0 : f32[2] = aten::neg(%x)                      # net.py:1 a
              [%r : f32[2]] = higher_order::cond(%c, [%x])     # net.py:2 b
                block0(%y : f32[2]):
                  %1 : f32[2] = aten::neg(%y)                  # net.py:3 b.c
                  %2 : f32[2] = aten::neg(%1)                  # net.py:4 a
                  %3 : f32[2] = aten::neg(%2)                  # net.py:5 b.c
                  %4 : f32[2] = aten::neg(%3)                  # net.py:6 b
                  %5 : f32[2] = aten::neg(%4)                  # net.py:7 b.c
                  -> (%5)
                block1(%z : f32[2]):
                  -> (%z)
              return (%r)

            function f(%x : f32[2]):
              %0 : f32[2] = aten::neg(%x)                      # net.py:1 a
              %1 : f32[2] = aten::neg(%0)                      # net.py:2
              %2 : f32[2] = aten::neg(%1)                      # net.py:3 a
              return (%2)
        """,
        after="""
            graph(%c : bool[], %x : f32[2]):
              %0 : f32[2] = aten::neg(%x)                      # net.py:1 a
              [%r : f32[2]] = higher_order::cond(%c, [%x])     # net.py:2 b
                block0(%y : f32[2]):
                  %1 : f32[2] = aten::neg(%y)                  # net.py:3 b.c
                  %2 : f32[2] = aten::neg(%1)                  # net.py:4 b
                  %3 : f32[2] = aten::neg(%2)                  # net.py:5 b
                  %4 : f32[2] = aten::neg(%3)                  # net.py:6 b
                  %5 : f32[2] = aten::neg(%4)                  # net.py:7 b
                  -> (%5)
                block1(%z : f32[2]):
                  -> (%z)
              return (%r)

            function f(%x : f32[2]):
              %0 : f32[2] = aten::neg(%x)                      # net.py:1 a
              %1 : f32[2] = aten::neg(%0)                      # net.py:2
              %2 : f32[2] = aten::neg(%1)                      # net.py:3
              return (%2)
        """,
    )


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.BatchNorm1d(4), nn.BatchNorm1d(4)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x).relu()
        return x.mean()


def test_each_module_of_a_traced_training_step_is_one_piece_and_replays_as_before() -> None:
    model, twin = Net(), Net()
    x = torch.randn(3, 4)

    def step(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        loss: torch.Tensor = model(x)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    traced = opscope.trace(step, (model, x))
    assert traced.apply("fixup_scopes", verify_each=True).changed
    pieces: dict[str, int] = {}
    last = None
    for node in traced.graph.block:
        for scope in node.scope.chain()[1:]:
            if not scope.is_backward and (last is None or not last.is_within(scope)):
                pieces[scope.address] = pieces.get(scope.address, 0) + 1
        last = node.scope
    assert "Net.layers.0" in pieces
    assert set(pieces.values()) == {1}
    model.load_state_dict(twin.state_dict())
    model.zero_grad()
    assert torch.equal(traced(model, x), step(twin, x))
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        assert torch.equal(ours.grad, theirs.grad)
