"""Pipelines by name, and names for passes of one's own."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

import opscope
from opscope.passes.pipelines import PIPELINES
from opscope.passes.registry import _ADDED, PASSES, read_passes
from support.functional import assert_same


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = dict(_ADDED)
    yield
    _ADDED.clear()
    _ADDED.update(before)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.2)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        unused = self.fc.weight.t() @ self.fc.weight
        unused.relu_()
        h = nn.functional.relu(self.norm(self.conv(x)), inplace=True)
        h = torch.multiply(self.drop(h.mean((2, 3))), 2).to(torch.float32)
        return self.fc(h) + self.fc(h.t().t())


@pytest.mark.parametrize("name", PIPELINES)
@pytest.mark.parametrize("training", [False, True])
def test_networks_replay_bit_for_bit(name: str, training: bool) -> None:
    model, twin = Net().train(training), Net().train(training)
    x = torch.randn(2, 2, 6, 6)
    traced = opscope.trace(model, x)
    twin.load_state_dict(model.state_dict())
    traced.apply("outline{scopes=fc}", name, verify_each=True)
    assert "aten::multiply" not in str(traced.graph)
    assert not traced.graph.functions or "@" in str(traced.graph)
    for seed in range(2):
        torch.manual_seed(seed)
        expected = twin(x)
        torch.manual_seed(seed)
        assert_same(traced(x), expected)
    for one, other in zip(model.buffers(), twin.buffers(), strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("name", PIPELINES)
def test_gradients_through_a_replay_keep_their_bits(name: str) -> None:
    def twice(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return (x @ w).sin() * (x @ w).exp() + x.t().t().sum()

    torch.manual_seed(0)
    inputs = torch.randn(8, 8, requires_grad=True), torch.randn(8, 8, requires_grad=True)
    traced = opscope.trace(twice, inputs)
    traced.apply(name)
    expected = torch.autograd.grad(twice(*inputs).sum(), inputs)
    actual = torch.autograd.grad(traced(*inputs).sum(), inputs)
    for one, other in zip(actual, expected, strict=True):
        assert_same(one, other)


def test_a_pipeline_is_its_passes() -> None:
    for name, passes in PIPELINES.items():
        assert read_passes(name) == read_passes(",".join(passes))
    assert [pass_.name for pass_ in read_passes("noopt,cse")] == [*PIPELINES["noopt"], "cse"]


def test_pipelines_and_passes_have_names_of_their_own() -> None:
    assert not PASSES.keys() & PIPELINES.keys()


def test_a_pipeline_has_no_options() -> None:
    with pytest.raises(opscope.PassError, match="noopt has no options"):
        read_passes("noopt{fast=true}")


def test_unknown_names_are_answered_with_what_there_is() -> None:
    with pytest.raises(opscope.PassError, match=r"there is no pass 'nope'\n.*dce(.|\n)*noopt"):
        read_passes("nope")


def rules() -> opscope.RewriteRules:
    rule = opscope.rewrite_rule(
        "graph(%x : tensor):\n %a : tensor = aten::relu(%x)\n %y : tensor = aten::relu(%a)\n return (%y)",
        "graph(%x : tensor):\n %y : tensor = aten::relu(%x)\n return (%y)",
        name="relu_twice",
    )
    return opscope.RewriteRules((rule,), name="my_rules")


def test_rules_get_a_name_that_text_may_use() -> None:
    opscope.register_pass(rules())
    opscope.register_pass(rules(), "others")
    traced = opscope.trace(lambda x: x.relu().relu(), torch.ones(2))
    report = traced.apply("my_rules,dce", "others", verify_each=True)
    assert report.runs[0].result.stats == {"relu_twice": 1}
    assert "my_rules" in str(report)
    assert torch.equal(traced(torch.tensor([-1.0, 2.0])), torch.tensor([0.0, 2.0]))


@pytest.mark.parametrize(
    ("name", "message"),
    [("dce", "of opscope's own"), ("noopt", "of opscope's own"), ("a b", "cannot be the name")],
)
def test_names_that_are_taken_or_cannot_be_said(name: str, message: str) -> None:
    with pytest.raises(opscope.PassError, match=message):
        opscope.register_pass(rules(), name)


def test_a_registered_pass_has_its_options_already() -> None:
    opscope.register_pass(rules())
    with pytest.raises(opscope.PassError, match="my_rules has no options in text"):
        read_passes("my_rules{x=1}")


MINE = """
from dataclasses import dataclass
from typing import ClassVar

from opscope import Graph, Pass, PassResult, RewriteRules

@dataclass(frozen=True, slots=True)
class Count(Pass):
    name: ClassVar[str] = "count"
    op: str = "*"
    most: int = 9

    def run(self, graph: Graph) -> PassResult:
        return PassResult(False, {"found": min(self.most, len(graph.nodes(op=self.op)))})

class Plain(Pass):
    name = "plain"
    run = Count.run

none = RewriteRules((), name="none")
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module that has passes."""
    (tmp_path / "passes_of_mine.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "passes_of_mine", raising=False)
    return "passes_of_mine"


def test_passes_of_a_module_are_named_with_it_and_take_options(mine: str) -> None:
    traced = opscope.trace(lambda x: x.relu().relu().exp(), torch.ones(2))
    report = traced.apply(f"{mine}:Count{{op=aten::relu,most=1}},dce", f"{mine}:none, {mine}:Count")
    assert [run.result.stats for run in report.runs] == [{"found": 1}, {}, {}, {"found": 3}]


def test_a_registered_class_takes_options(mine: str) -> None:
    opscope.register_pass(importlib.import_module(mine).Count, "count_it")
    assert read_passes("count_it{most=2}") == read_passes(f"{mine}:Count{{most=2}}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("passes_of_mine:Cont", "passes_of_mine has nothing that is called Cont"),
        ("passes_of_mine:Graph", "Graph is of class type, no pass and no class of passes"),
        ("passes_of_mine:Plain", "Plain is no dataclass"),
        ("passes_of_mine:none{x=1}", "has no options in text"),
        ("passes_of_mine:Count{least=1}", "its options are op, most"),
        ("no_such_module:Count", "there is no module no_such_module"),
        ("mine:", "'mine:' is not a list of passes"),
        ("count_nothing", "one of your own is module:count_nothing"),
    ],
)
def test_passes_that_cannot_be_had(mine: str, text: str, message: str) -> None:
    with pytest.raises(opscope.PassError) as caught:
        read_passes(text)
    assert message in str(caught.value)
