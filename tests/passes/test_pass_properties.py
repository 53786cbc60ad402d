"""Passes on programs that hypothesis draws and on networks: replays are what they were, bit by bit."""

import contextlib
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
from opscope.ir.scalars import scalar_form
from opscope.passes.registry import PASSES, read_passes
from support.functional import assert_same
from support.random_graphs import composite_graphs, graphs
from support.random_writes import Program, programs, programs_of_constants
from support.replays import tensors_of

MANY = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
REFUSALS = ("calls itself", "has state of its own", "tuple")
LISTS = st.lists(st.sampled_from(sorted(PASSES)), min_size=1, max_size=3).map(",".join)


@given(
    programs | programs_of_constants, LISTS, st.integers(0, 3), st.sampled_from(["flat", "deep"])
)
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
        traced.apply(passes, verify_each=True)
        for _ in range(2):  # what the first run returned is the caller's, who writes to it
            ours, theirs = inputs(), inputs()
            torch.manual_seed(seed)
            expected = program(*theirs)
            after_eager = torch.rand(1)
            torch.manual_seed(seed)
            actual = traced(*ours)
            assert torch.equal(torch.rand(1), after_eager), "other random numbers were drawn"
            pairs = zip(tensors_of([actual, ours]), tensors_of([expected, theirs]), strict=True)
            for one, other in pairs:
                assert_same(one, other)
            for result in tensors_of(actual):
                with contextlib.suppress(RuntimeError):  # several elements may be one
                    result.zero_()


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


class Resizing(nn.Module):
    """A network that computes with sizes, some of which its operators fix."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.head = nn.Linear(128, 4)

    def forward(self, x: torch.Tensor) -> Any:
        b, _, h, w = x.shape
        assert h * 4 // 4 >= 3
        assert h >= 2
        h2, w2 = h * 2 // 2, w * 6 // 3
        x = nn.functional.interpolate(torch.relu(self.conv(x)), size=(h2, w2))
        scale = (x.shape[1] * b + 2 * b) / (b + b)
        mask = torch.tril(torch.ones(x.shape[1], 8))
        x = (x.permute(0, 2, 3, 1).reshape(b, h2 * w2, -1) @ mask).mT.reshape(b, 8, h2, w2)
        x = nn.functional.adaptive_avg_pool2d(x, 4)
        pooled = x.reshape(b, x.shape[1] * x.shape[2] * x.shape[3])
        return self.head(pooled) * scale, max(h, h + 1), (w + 3) - w, x.numel()


@pytest.mark.parametrize(
    "passes",
    ["fold_shapes", "fold_shapes,constant_propagation,dce", "cse,constant_propagation,fold_shapes"],
)
def test_sizes_of_a_network_are_folded_at_all_sizes(passes: str) -> None:
    model = Resizing()
    traced = opscope.trace(model, torch.randn(2, 3, 8, 6))
    traced.apply(passes, verify_each=True)
    computed = [node.kind for node in traced.graph.block if ".int" in node.kind and node.inputs]
    assert sorted(kind for kind in computed if scalar_form(kind)) == [
        *["aten::add.int"] * 1,
        "aten::div.int",
        "aten::ge.int",
        *["aten::mul.int"] * 5,
        *["aten::sym_size.int"] * 3,
    ]
    assert [guard.text for guard in traced.guards] == ["x.size(2) >= 3"]
    for sizes in ((2, 3, 8, 6), (1, 3, 3, 1), (5, 3, 4, 9)):
        x = torch.randn(sizes)
        (ours, *numbers), (theirs, *expected) = traced(x), model(x)
        assert_same(ours, theirs)
        assert numbers == expected
    with pytest.raises(opscope.GuardError, match=r"x.size\(2\) >= 3 does not hold"):
        traced(torch.randn(2, 3, 2, 6))


@pytest.mark.parametrize(
    "passes",
    ["dce", "dce,cse,dce", "cse{reorder_gradients=true}", "cse{reorder_gradients=true},dce"],
)
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
        if "reorder" in passes:
            torch.testing.assert_close(ours.grad, theirs.grad)
        else:
            assert_same(ours.grad, theirs.grad)
