"""Passes on programs that hypothesis draws and on networks: replays are what they were, bit by bit."""

import copy
import warnings
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import opscope
from opscope.ir import Graph
from opscope.passes.registry import PASSES, read_passes
from support.functional import assert_same
from support.random_graphs import composite_graphs, graphs
from support.random_writes import Program, programs
from support.replays import tensors_of

MANY = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
REFUSALS = ("calls itself", "tuple")
LISTS = st.lists(st.sampled_from(sorted(PASSES)), min_size=1, max_size=3).map(",".join)


@given(programs, LISTS, st.integers(0, 3), st.sampled_from(["flat", "deep"]))
@MANY
def test_programs_of_views_and_writes_do_what_they_did(
    drawn: Program, passes: str, seed: int, depth: Any
) -> None:
    def inputs() -> list[torch.Tensor]:
        torch.manual_seed(seed)
        return [torch.randn(shape) for shape in ((2, 4), (4,))]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch warns of resized out= tensors
        working = drawn.working(inputs)

        def program(*inputs: torch.Tensor) -> list[torch.Tensor]:
            return working(*inputs)[::3]  # the others are dead, unless they share memory with these

        traced = opscope.trace(program, tuple(inputs()), warn=False, depth=depth)
        ours, theirs = inputs(), inputs()
        torch.manual_seed(seed)
        expected = program(*theirs)
        after_eager = torch.rand(1)
        traced.apply(passes, verify_each=True)
        torch.manual_seed(seed)
        actual = traced(*ours)
    assert torch.equal(torch.rand(1), after_eager), "other random numbers were drawn"
    for one, other in zip(tensors_of([actual, ours]), tensors_of([expected, theirs]), strict=True):
        assert_same(one, other)


@given(graphs() | composite_graphs(), LISTS)
@MANY
def test_any_graph_verifies_afterwards_and_settles(graph: Graph, passes: str) -> None:
    for pass_ in read_passes(passes):
        before = str(graph)
        try:
            result = pass_.run(graph)
        except opscope.PassError as error:
            if not any(reason in str(error) for reason in REFUSALS):
                raise
            assert str(graph) == before, "what is refused leaves the graph as it was"
            continue
        opscope.verify(graph)
        assert result.changed is (str(graph) != before)
        assert not pass_.run(graph).changed
        assert str(opscope.parse(str(graph))) == str(graph)


class Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        unused = self.fc.weight.t() @ self.fc.weight
        unused.relu_()
        h = nn.functional.relu(self.norm(self.conv(x)), inplace=True)
        h = self.drop(h.mean((2, 3))) + self.drop(h.mean((2, 3)))
        return self.fc(h) + self.fc(h)


@pytest.mark.parametrize("passes", ["dce", "cse", "cse,dce", "dce,cse,dce"])
def test_a_network_trains_as_before(passes: str) -> None:
    model = Layers()
    twin = copy.deepcopy(model)
    x = torch.randn(2, 2, 6, 6)
    traced = opscope.trace(copy.deepcopy(model), x)
    nodes = len(traced.graph.block)
    traced = opscope.trace(model, x)
    twin.load_state_dict(model.state_dict())
    assert traced.apply(passes).changed
    assert len(traced.graph.block) < nodes
    for seed in range(3):
        torch.manual_seed(seed)
        expected = twin(x)
        torch.manual_seed(seed)
        actual = traced(x)
        assert_same(actual, expected)
        expected.sum().backward()
        actual.sum().backward()
    for one, other in zip(model.buffers(), twin.buffers(), strict=True):
        assert_same(one, other)
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        torch.testing.assert_close(ours.grad, theirs.grad)
