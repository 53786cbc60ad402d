"""How a comparison reads: what repeats is told once, and names can do no harm."""

import json
from textwrap import dedent

import torch
from torch import nn

import opscope
from opscope.ir import Graph, parse


class Block(nn.Module):
    def __init__(self, activation: type[nn.Module]) -> None:
        super().__init__()
        self.up = nn.Linear(4, 8)
        self.act = activation()
        self.down = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = x + self.down(self.act(self.up(x)))
        return y


class Stack(nn.Module):
    def __init__(self, layers: int, activation: type[nn.Module] = nn.GELU) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Block(activation) for _ in range(layers))
        self.norm = nn.LayerNorm(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        y: torch.Tensor = self.norm(x)
        return y


def traced(model: nn.Module, dtype: torch.dtype = torch.float32) -> opscope.TracedProgram:
    return opscope.trace(model.to(dtype).requires_grad_(False), torch.zeros(2, 4, dtype=dtype))


def lines_without_places(text: str) -> str:
    return "".join(f"{line.partition('  # ')[0].rstrip()}\n" for line in text.splitlines())


def test_what_every_layer_has_is_told_once() -> None:
    diff = opscope.diff(traced(Stack(12)), traced(Stack(12, nn.SiLU)))
    assert lines_without_places(str(diff)) == dedent("""\
        Stack: 12 changed, 37 equal

        scopes
          ~ layers.0.act (SiLU)
              class: GELU → SiLU
              the same for layers.1.act – layers.11.act

        layers.0.act (SiLU)
          ~ %1 : f32[2, 8] = aten::silu(%0)
              operator: aten::gelu → aten::silu
          the same in layers.1.act – layers.11.act
    """)
    assert len(diff.nodes) == 12
    assert diff.text(whole=True).count("operator: aten::gelu → aten::silu") == 12


def test_a_layer_more_is_one_line_and_says_what_it_is_like() -> None:
    diff = opscope.diff(traced(Stack(3)), traced(Stack(4)))
    assert lines_without_places(str(diff)) == dedent("""\
        Stack: 4 added, 1 changed, 12 equal

        + layers.3 (Block): 4 nodes, 4 pieces of state, the same as in layers.2

        norm (LayerNorm)
          ~ %y.4 : f32[2, 4] = aten::layer_norm(%y.3, [4], %norm.weight, %norm.bias)
              input: %y.2 (aten::add.Tensor, in layers.2) → %y.3 (aten::add.Tensor, added, in layers.3)
    """)
    added = {scope.scope.address: scope.added for scope in diff.scopes if scope.before is None}
    assert added["layers.3"] == 4
    assert added["layers.3.act"] == 1


def test_another_dtype_throughout_is_one_line_and_hides_nothing_else() -> None:
    half = Stack(4, nn.SiLU)
    half.layers[2].down = nn.Linear(8, 4, bias=False)
    diff = opscope.diff(traced(Stack(4, nn.SiLU)), traced(half, torch.bfloat16))
    assert lines_without_places(str(diff)) == dedent("""\
        Stack: 17 changed, 0 equal

        throughout
          ~ f32 → bf16: 17 nodes, 17 pieces of state, 1 input, 1 output

        state
          - parameter %layers.2.down.bias : f32[4]

        layers.2.down (Linear)
          ~ %8 : bf16[2, 4] = aten::linear(%7, %layers.2.down.weight)
              bias: %layers.2.down.bias → None
    """)


def test_what_a_loop_without_modules_repeats_is_told_once() -> None:
    def program(factor: int) -> Graph:
        def loop(x: torch.Tensor) -> torch.Tensor:
            for _ in range(6):
                x = torch.tanh(x * factor)
            return x

        return opscope.trace(loop, torch.zeros(2)).graph

    diff = opscope.diff(program(2), program(3))
    assert lines_without_places(str(diff)).endswith(
        "  ~ %0 : f32[2] = aten::mul.Tensor(%x, 3)\n      other: 2 → 3\n      and 5 more like it\n"
    )


def test_nodes_that_moved_together_are_one_line() -> None:
    lines = [f"  %{n} : f32[2] = aten::op{n}(%x)" for n in range(9)]

    def program(order: list[int]) -> Graph:
        body = "\n".join(lines[n] for n in order)
        return parse(f"graph(%x : f32[2]) -> (f32[2]):\n{body}\n  return (%x)\n")

    diff = opscope.diff(program([*range(9)]), program([0, 5, 6, 7, 1, 2, 3, 4, 8]))
    assert str(diff) == (
        "graph: 3 moved, 6 equal\n\ngraph\n"
        "  > 3 nodes, 4 nodes earlier: %1 : f32[2] = aten::op5(%x) … %3 : f32[2] = aten::op7(%x)\n"
    )


HOSTILE = ['"', "</script>", "a\nb", "\x1b[31m", "é:ü", "'; --", "\u2028", "", "→ ~ +", "\\"]


def test_hostile_names_stand_on_their_lines_and_come_through_json() -> None:
    def program(extra: str) -> Graph:
        graph = Graph("graph" + extra)
        for name in HOSTILE:
            quoted = json.dumps(f"{name}{extra}")
            text = (
                f"graph(%{quoted} : f32[2]) -> (f32[2]):\n"
                f"  state %{json.dumps('s' + name + extra)} : f32[2]\n"
                f"  %y : f32[2] = {json.dumps('op::' + name)}(%{quoted},"
                f" {json.dumps('k' + name)}={quoted})  # {json.dumps('f' + name)}:3\n"
                "  return (%y)\n"
            )
            graph.functions[f"f{name}{extra}"] = parse(text)
        return graph

    diff = opscope.diff(program("1"), program("2"))
    for text in (str(diff), diff.text(whole=True)):
        assert text.splitlines() == text.removesuffix("\n").split("\n")
        assert "\x1b" not in text
    plain = json.loads(diff.to_json())
    assert [change["before"] for change in plain["functions"]] == [f"f{n}1" for n in HOSTILE]
    assert plain["nodes"][0]["details"][0] == {
        "kind": "argument", "what": 'k"', "before": '"\\"1"', "after": '"\\"2"',
    }  # fmt: skip


def test_plain_data_says_all_of_a_change() -> None:
    def program(literal: int) -> Graph:
        return parse(
            "graph(%x : f32[2]) -> (f32[2]):\n"
            f"  %a : f32[2] = aten::f(%x, {literal})  # net.py:3 fc (Linear)\n  return (%a)\n"
        )

    def node(literal: int) -> dict[str, str | None]:
        return {
            "text": f"%a : f32[2] = aten::f(%x, {literal})",
            "operator": "aten::f",
            "scope": "fc",
            "source": "net.py:3",
            "function": None,
        }

    plain = opscope.diff(program(1), program(2)).to_dict()
    counts = {"added": 0, "removed": 0, "changed": 1, "moved": 0, "equal": 0}
    assert plain["counts"] == counts
    details = [{"kind": "argument", "what": "argument 1", "before": "1", "after": "2"}]
    assert plain["nodes"] == [
        {"kind": "changed", "before": node(1), "after": node(2), "details": details}
    ]
    assert plain["scopes"] == [
        {"kind": None, "before": place, "after": place, **counts, "details": []}
        for place in ({"address": "", "class": ""}, {"address": "fc", "class": "Linear"})
    ]
