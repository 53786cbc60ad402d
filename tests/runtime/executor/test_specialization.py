"""Specialization: what plans compute, shown as text."""

import torch

import opscope
from opscope.testing import check_text


def reshaped(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    rows, columns = x.shape
    return torch.cat([x.exp() + x.exp(), y]).view(-1, columns // 2) * rows


def plan_of(executor: opscope.ProfilingExecutor, depth: int) -> opscope.Graph:
    (graph,) = [s.graph for s in executor.get_debug_state().levels if s.depth == depth]
    assert graph is not None
    return graph


def without_lines(graph: opscope.Graph) -> opscope.Graph:
    """Return a graph as its text reads without the lines of this file."""
    return opscope.parse("\n".join(line.split("  #")[0] for line in str(graph).splitlines()))


def test_static_plans_compute_no_sizes_and_without_gradients_everything_once() -> None:
    executor = opscope.ProfilingExecutor(
        opscope.trace(reshaped, (torch.ones(3, 4), torch.ones(2, 4)))
    )
    with torch.no_grad():
        for _ in range(2):
            executor(torch.ones(5, 8), torch.ones(2, 8))
    opscope.verify(plan_of(executor, 12))
    check_text(
        without_lines(plan_of(executor, 12)),
        """
        graph reshaped(%x : f32[5, 8], %y : f32[2, 8]) -> (f32[*]):
          %0 : f32[*] = aten::exp(%x)
          %1 : f32[*] = aten::add.Tensor(%0, %0)
          %2 : f32[*] = aten::cat([%1, %y])
          %3 : f32[*] = aten::view(%2, [-1, 4])
          %4 : f32[*] = aten::mul.Tensor(%3, 5)
          return (%4)
        """,
    )


def test_plans_that_autograd_follows_merge_nothing() -> None:
    executor = opscope.ProfilingExecutor(
        opscope.trace(reshaped, (torch.ones(3, 4), torch.ones(2, 4)))
    )
    for _ in range(2):
        executor(torch.ones(5, 8), torch.ones(2, 8))
    assert str(plan_of(executor, 12)).count("aten::exp(%x)") == 2


def test_dynamic_plans_compute_sizes() -> None:
    traced = opscope.trace(reshaped, (torch.ones(3, 4), torch.ones(2, 4)))
    executor = opscope.ProfilingExecutor(traced, fusion_strategy=[("dynamic", 1)])
    with torch.no_grad():
        for _ in range(2):
            executor(torch.ones(5, 8), torch.ones(2, 8))
    check_text(
        without_lines(plan_of(executor, 1)),
        """
        graph reshaped(%x : f32[s0, s1], %y : f32[s2, s1]) -> (f32[*]):
          %columns : int = aten::sym_size.int(%x, 1)
          %0 : int = aten::floordiv.int(%columns, 2)
          %rows : int = aten::sym_size.int(%x, 0)
          %1 : f32[*] = aten::exp(%x)
          %2 : f32[*] = aten::add.Tensor(%1, %1)
          %3 : f32[*] = aten::cat([%2, %y])
          %4 : f32[*] = aten::view(%3, [-1, %0])
          %5 : f32[*] = aten::mul.Tensor(%4, %rows)
          return (%5)
        """,
    )


def test_sizes_after_a_resize_in_place_are_not_those_that_a_guard_found() -> None:
    def program(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        x.resize_(y.shape[0])
        return torch.zeros(x.shape[0])

    executor = opscope.ProfilingExecutor(opscope.trace(program, (torch.ones(3), torch.ones(2))))
    for _ in range(3):
        assert executor(torch.ones(3), torch.ones(2)).shape == (2,)


def test_the_traced_graph_stays_as_it_is() -> None:
    traced = opscope.trace(reshaped, (torch.ones(3, 4), torch.ones(2, 4)))
    text, state = str(traced.graph), dict(traced.state)
    executor = opscope.ProfilingExecutor(traced)
    for _ in range(3):
        executor(torch.ones(3, 4), torch.ones(3, 4))
    assert str(traced.graph) == text
    assert traced.state == state


def test_plans_call_operators_as_directly_as_the_replay_does() -> None:
    traced = opscope.trace(lambda x: ((x + 1).view(2, 6) + 1) * 2, torch.ones(3, 4))
    executor = opscope.ProfilingExecutor(traced)
    for _ in range(2):
        executor(torch.ones(3, 4))
    (level,) = executor._profiled.all()[0].levels()
    assert level.plan is not None
    assert level.plan.body is not None
    ours = level.plan.body.compiled.function.__globals__
    theirs = traced._compiled.function.__globals__
    for name in ("aten_add_Tensor", "aten_view", "aten_mul_Tensor"):
        assert ours[name] is theirs[name]
    assert "aten_add_Tensor_1" not in ours
