"""The state machine of an executor: profiling, plans, misses and what is behind them."""

import copy
import pickle
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch

import opscope


def scaled(x: torch.Tensor) -> torch.Tensor:
    return x.exp() * x.shape[0]


def executor_of(program: Callable[..., Any] = scaled, **options: Any) -> opscope.ProfilingExecutor:
    return opscope.ProfilingExecutor(opscope.trace(program, torch.ones(3, 4)), **options)


def run(executor: opscope.ProfilingExecutor, *shapes: tuple[int, ...]) -> None:
    for shape in shapes:
        x = torch.randn(shape)
        assert torch.equal(executor(x), scaled(x))


def phases(executor: opscope.ProfilingExecutor) -> list[str]:
    return [f"{s.depth} {s.kind} {s.phase}" for s in executor.get_debug_state().levels]


def test_the_first_call_profiles_and_the_second_runs_the_plan() -> None:
    executor = executor_of()
    assert phases(executor) == ["12 static profiling"]
    run(executor, (3, 4))
    assert phases(executor) == ["12 static profiling"]
    run(executor, (3, 4), (3, 4))
    assert phases(executor) == ["12 static compiled"]
    (level,) = executor.get_debug_state().levels
    assert (level.hits, level.misses, level.profiled_runs) == (2, 0, 1)
    assert level.compile_seconds > 0
    assert level.code is not None
    assert "def scaled(x):" in level.code


def test_sizes_go_down_the_chain_to_the_plan_for_all_inputs() -> None:
    executor = executor_of(fusion_strategy=[("static", 1), ("dynamic", 1)])
    run(executor, (3, 4), (3, 4), (5, 4), (6, 4), (7, 7), (1, 4))
    assert phases(executor) == ["2 static compiled", "1 dynamic compiled"]
    executor(torch.ones(4, 9)[:, ::2])
    assert phases(executor)[2:] == ["0 unspecialized compiled"]
    state = executor.get_debug_state()
    assert state.last_depth == 0
    assert [(level.hits, level.misses) for level in state.levels] == [(1, 5), (3, 1), (1, 0)]
    assert state.levels[0].miss_reasons == {
        f"input 0 dim 0: profiled 3, got {size}": 1 for size in (5, 6, 7, 1, 4)
    }
    assert state.levels[1].miss_reasons == {
        "input 0 strides: profiled dense in the order (0, 1), got (9, 2)": 1
    }


def test_a_plan_that_nothing_came_back_to_is_not_compiled() -> None:
    executor = executor_of(fusion_strategy=[("static", 2)])
    run(executor, (3, 4), (5, 4), (6, 4))
    assert phases(executor) == ["2 static planned", "1 static planned", "0 unspecialized compiled"]


def test_no_strategy_is_the_plan_for_all_inputs_at_once() -> None:
    executor = executor_of(fusion_strategy=[])
    run(executor, (3, 4), (5, 6))
    assert phases(executor) == ["0 unspecialized compiled"]
    assert executor.bailout_depth == 0


def test_without_profiled_runs_the_first_call_runs_a_plan_for_all() -> None:
    executor = executor_of(profiled_runs=0)
    run(executor, (3, 4), (5, 6))
    (level,) = executor.get_debug_state().levels
    assert (level.phase, level.hits, level.guards) == ("compiled", 2, ())


def test_several_profiled_runs_are_merged() -> None:
    executor = executor_of(profiled_runs=3)
    run(executor, (3, 4), (5, 4), (6, 4), (9, 4), (9, 5))
    first, second = executor.get_debug_state().levels
    assert first.guards == ("grad mode on", "input 0 x : f32[s0, 4]")
    assert (first.profiled_runs, first.hits) == (3, 1)
    assert first.miss_reasons == {"input 0 dim 1: profiled 4, got 5": 1}
    assert str(first.profiled_graph).count("f32[s0, 4] = prim::profile") == 3
    assert second.profiled_runs == 1


def test_sizes_that_are_equal_in_each_run_go_by_one_name_and_others_by_their_own() -> None:
    traced = opscope.trace(lambda x, y: (x.sum(), y.sum()), (torch.ones(3, 4), torch.ones(3, 4)))
    executor = opscope.ProfilingExecutor(traced, profiled_runs=3)
    for x, y in (((5, 6), (5, 6)), ((7, 8), (7, 9)), ((2, 2), (2, 6))):
        executor(torch.ones(x), torch.ones(y))
    executor(torch.ones(4, 3), torch.ones(4, 5))
    executor(torch.ones(4, 3), torch.ones(6, 5))
    first = executor.get_debug_state().levels[0]
    assert first.guards[1:] == ("input 0 x : f32[s0, s2]", "input 1 y : f32[s0, s1]")
    assert (first.hits, first.miss_reasons) == (
        1,
        {"input 1 dim 0: profiled equal to input 0 dim 0, which is 4, got 6": 1},
    )


def branching(x: torch.Tensor) -> torch.Tensor:
    """Call operators of torch directly, which the functions around them would compile first."""
    operators = torch.ops.higher_order
    y: torch.Tensor = operators.cond(
        x.sum() > 0, lambda a: ((a + 1).sin(),), lambda a: ((a - 1).cos(),), (x,)
    )[0]
    steps = operators.while_loop(
        lambda i, a: i < 3, lambda i, a: (i + 1, (a * 2).tanh()), (torch.tensor(0), y), ()
    )
    return steps[1]  # type: ignore[no-any-return]


def test_values_in_branches_and_loops_are_profiled_if_they_ran() -> None:
    with torch.no_grad():
        executor = opscope.ProfilingExecutor(opscope.trace(branching, torch.ones(3)))
        for _ in range(2):
            assert torch.equal(executor(torch.ones(5)), branching(torch.ones(5)))
    (level,) = executor.get_debug_state().levels
    assert level.failure is None
    lines = str(level.profiled_graph).splitlines()
    for operator, found in (("sin", "f32[5]"), ("cos", "any"), ("tanh", "f32[5]")):
        (place,) = [n for n, line in enumerate(lines) if f"aten::{operator}(" in line]
        assert f": {found} = prim::profile" in lines[place + 1], lines[place + 1]


def test_one_tensor_for_two_inputs_is_refused_though_a_guard_admits_both() -> None:
    traced = opscope.trace(lambda x, y: x + y, (torch.ones(3), torch.ones(3)))
    executor = opscope.ProfilingExecutor(traced)
    x = torch.ones(3)
    for _ in range(3):
        executor(x, torch.ones(3))
        with pytest.raises(opscope.InputError, match="are one tensor now"):
            executor(x, x)


def test_each_mode_has_a_chain_of_its_own() -> None:
    executor = executor_of()
    run(executor, (3, 4), (3, 4))
    with torch.no_grad():
        run(executor, (3, 4), (3, 4))
    with torch.inference_mode():
        run(executor, (3, 4), (3, 4))
    chains = executor.get_debug_state().chains
    assert [chain.mode for chain in chains] == [
        "with grad mode on", "with grad mode off", "in inference mode",
    ]  # fmt: skip
    for chain in chains:
        (level,) = chain.levels
        assert (level.depth, level.hits, level.misses) == (12, 1, 0)
    assert [chain.levels[0].guards[0] for chain in chains] == [
        "grad mode on", "grad mode off", "grad mode off",
    ]  # fmt: skip
    assert "calls in inference mode:\ndepth 12, static: compiled in " in executor.explain()


def test_autocast_has_a_chain_of_its_own() -> None:
    executor = opscope.ProfilingExecutor(opscope.trace(lambda x: x @ x, torch.ones(3, 3)))
    x = torch.randn(3, 3)
    for _ in range(2):
        assert executor(x).dtype == torch.float32
    with torch.autocast("cpu"):
        for _ in range(2):
            assert executor(x).dtype == torch.bfloat16
    assert [chain.mode for chain in executor.get_debug_state().chains] == [
        "with grad mode on",
        "with grad mode on, autocast cpu torch.bfloat16",
    ]


def test_inputs_that_nothing_reads_are_not_guarded() -> None:
    traced = opscope.trace(lambda x, y: x * 2, (torch.ones(3), torch.ones(4)))
    executor = opscope.ProfilingExecutor(traced)
    for size in (4, 5, 6):
        executor(torch.ones(3), torch.ones(size))
    (level,) = executor.get_debug_state().levels
    assert level.guards == ("grad mode on", "input 0 x : f32[3]")


def test_profiles_of_values_are_shown_after_the_plan_is_made() -> None:
    executor = executor_of()
    run(executor, (5, 4), (5, 4))
    (level,) = executor.get_debug_state().levels
    assert "%4 : f32[3, 4] = aten::mul.Tensor(%3, %1)" in str(level.profiled_graph)
    assert "%5 : f32[5, 4] = prim::profile(%4)" in str(level.profiled_graph)


def test_a_run_that_fails_while_it_is_profiled_is_not_counted() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return x @ x

    executor = opscope.ProfilingExecutor(opscope.trace(program, torch.ones(3, 3)))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        executor(torch.ones(3, 4))
    assert executor.get_debug_state().levels[0].profiled_runs == 0
    assert torch.equal(executor(torch.ones(2, 2)), torch.ones(2, 2) @ torch.ones(2, 2))


def test_what_does_not_fit_the_program_is_refused_as_by_a_replay() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return x * 2 if x.shape[0] > 2 else x

    executor = opscope.ProfilingExecutor(opscope.trace(program, torch.ones(3)))
    for _ in range(3):
        executor(torch.ones(4))
        with pytest.raises(opscope.GuardError, match=r"trace: x.size\(0\) > 2 does not hold"):
            executor(torch.ones(2))
        with pytest.raises(opscope.InputError, match="its dtype is i64"):
            executor(torch.ones(4, dtype=torch.int64))


def test_a_list_of_another_length_is_explained_by_each_plan() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        one, two = x.nonzero().split(2)
        return one.sum() + two.sum()

    for strategy in ([("static", 1)], []):
        traced = opscope.trace(program, torch.ones(4))
        executor = opscope.ProfilingExecutor(traced, fusion_strategy=strategy)
        for _ in range(3):
            with pytest.raises(opscope.GuardError, match=r"one, two = x\.nonzero"):
                executor(torch.tensor([1.0, 1.0, 0.0, 0.0]))
            executor(torch.ones(4))


def test_flushing_forgets_plans_and_takes_new_settings() -> None:
    executor = executor_of()
    run(executor, (3, 4), (3, 4))
    assert executor.set_fusion_strategy([("dynamic", 1)]) == [("static", 2), ("dynamic", 10)]
    executor.num_profiled_runs = 2
    assert phases(executor) == ["12 static compiled"]
    executor.flush_cache()
    run(executor, (3, 4), (3, 4))
    assert phases(executor) == ["1 dynamic profiling"]
    run(executor, (3, 4))
    assert phases(executor) == ["1 dynamic compiled"]
    executor.bailout_depth = 3
    executor.flush_cache()
    assert executor.bailout_depth == 3
    assert phases(executor) == ["3 static profiling"]


def test_flushing_takes_what_passes_made_of_the_program() -> None:
    traced = opscope.trace(lambda x: (x.exp() + x.exp(),), torch.ones(3))
    executor = opscope.ProfilingExecutor(traced)
    executor(torch.ones(3))
    traced.apply("cse")
    assert str(executor.get_debug_state().levels[0].profiled_graph).count("aten::exp") == 2
    executor.flush_cache()
    executor(torch.ones(3))
    assert str(executor.get_debug_state().levels[0].profiled_graph).count("aten::exp") == 1


def test_profiled_graphs_are_released_when_it_is_time() -> None:
    executor = executor_of()
    executor.release_profiling_graph(after_seconds=3600)
    run(executor, (3, 4), (3, 4))
    assert executor.get_debug_state().levels[0].profiled_graph is not None
    executor.release_profiling_graph()
    (level,) = executor.get_debug_state().levels
    assert level.profiled_graph is None
    assert level.guards == ("grad mode on", "input 0 x : f32[3, 4]")
    run(executor, (3, 4), (5, 4))
    assert executor.get_debug_state().levels[1].profiled_graph is not None, "it still profiles"
    run(executor, (5, 4), (3, 4))
    assert executor.get_debug_state().levels[1].profiled_graph is None


def test_a_call_releases_what_is_due() -> None:
    executor = executor_of()
    run(executor, (3, 4), (3, 4))
    (level,) = executor._profiled.all()[0].levels()
    assert level.profiling is not None
    executor._profiled.all()[0].release_after = 0.0
    run(executor, (3, 4))
    assert level.profiling is None


def test_without_optimization_nothing_is_profiled() -> None:
    executor = executor_of()
    executor.run_noopt_pass_pipeline = True
    run(executor, (3, 4), (5, 4))
    assert phases(executor) == ["0 unspecialized compiled"]
    executor.run_noopt_pass_pipeline = False
    assert phases(executor) == ["12 static profiling"]


def test_preparing_compiles_without_running() -> None:
    counter = torch.zeros(())

    def program(x: torch.Tensor) -> torch.Tensor:
        counter.add_(1)
        return scaled(x)

    executor = executor_of(program, fusion_strategy=[("static", 1), ("dynamic", 1)])
    x = torch.ones(3, 4)
    executor.prepare(x, (torch.ones(5, 4),), torch.ones(6, 7))
    assert phases(executor) == ["2 static compiled", "1 dynamic compiled"]
    assert [level.hits for level in executor.get_debug_state().levels] == [0, 0]
    assert counter == 1, "the trace ran the program, and nobody has since"
    run(executor, (3, 4), (8, 9))
    assert [level.hits for level in executor.get_debug_state().levels] == [1, 1]
    with pytest.raises(opscope.InputError):
        executor.prepare(torch.ones(3, dtype=torch.int32))


def test_the_state_can_be_looked_at_before_the_first_call_and_in_words() -> None:
    executor = executor_of(fusion_strategy=[("static", 1)])
    assert executor.explain() == (
        "scaled: plans 1 static at most, each made after 1 watched run\n"
        "depth 1, static: no plan yet; no call so far\n"
        "no call so far; compiling took 0.0 ms in all"
    )
    run(executor, (3, 4), (5, 4), (5, 4))
    lines = executor.explain().splitlines()
    assert lines[1:5] == [
        "depth 1, static: not compiled, since no call that it is for came yet; "
        "watched 1x, handed on 2x",
        "  if   grad mode on",
        "  if   input 0 x : f32[3, 4]",
        "  miss input 0 dim 0: profiled 3, got 5  2x",
    ]
    assert lines[6] == "  for all inputs"
    assert lines[-1].startswith("3 calls: 1 watched, 2 ran plans; compiling took ")
    assert lines[-1].endswith("the last call ended at depth 0")


def test_without_plans_for_certain_inputs_there_is_one_for_all() -> None:
    executor = executor_of(fusion_strategy=[])
    run(executor, (3, 4), (5, 4))
    first, second, _, last = executor.explain().splitlines()
    assert first == "scaled: one plan, for all inputs"
    assert second.startswith("depth 0, unspecialized: compiled in ")
    assert second.endswith(" ms; ran 2x")
    assert last.startswith("2 calls: 0 watched, 2 ran plans; ")


def test_reasons_without_end_are_counted_together() -> None:
    executor = executor_of(fusion_strategy=[("static", 1)])
    run(executor, (3, 4), (17, 4), *[(size, 4) for size in range(10, 130)])
    reasons = executor.get_debug_state().levels[0].miss_reasons
    assert len(reasons) == 101
    assert reasons["other reasons"] == 20
    shown = [line for line in executor.explain().splitlines() if line.startswith("  miss")]
    assert shown[:2] == [
        "  miss other reasons  20x",
        "  miss input 0 dim 0: profiled 3, got 17  2x",
    ]
    assert len(shown) == 9
    assert shown[-1] == "  miss for 93 other reasons  93x; get_debug_state() lists them"


def test_many_threads_share_plans_and_compile_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    copy = opscope.TracedProgram.copy
    executor = executor_of(fusion_strategy=[("static", 1), ("dynamic", 1)])

    def counted(program: opscope.TracedProgram) -> opscope.TracedProgram:
        compiled.append(threading.get_ident())
        time.sleep(0.05)  # long enough for others to come meanwhile
        return copy(program)

    monkeypatch.setattr(opscope.TracedProgram, "copy", counted)
    start, failures = threading.Barrier(8), []

    def work(number: int) -> None:
        start.wait()
        try:
            for _ in range(20):
                run(executor, (3 + number % 2, 4))
        except AssertionError as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    levels = executor.get_debug_state().levels
    # Each level copies the program to watch it, and again for its plan if that is compiled.
    plans = sum(level.phase == "compiled" for level in levels)
    profiles = sum(level.profiled_graph is not None for level in levels)
    assert len(compiled) == plans + profiles
    assert sum(level.hits + level.served + level.profiled_runs for level in levels) == 160
    assert {level.profiled_runs for level in levels if level.depth > 0} == {1}


def test_a_setting_that_constants_were_computed_with_is_a_reason_to_miss() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return x.double() + torch.ones(3) * 2

    traced = opscope.trace(program, torch.ones(3))
    executor = opscope.ProfilingExecutor(traced, fusion_strategy=[("static", 1)])
    for _ in range(2):
        executor(torch.ones(3))
    default = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float64)
        for _ in range(2):
            assert torch.equal(executor(torch.ones(3).float()), traced(torch.ones(3).float()))
    finally:
        torch.set_default_dtype(default)
    reasons = executor.get_debug_state().levels[0].miss_reasons
    assert reasons == {
        "torch.get_default_dtype() is torch.float32 when the plan was compiled, and not now": 2
    }


def test_inside_a_trace_it_is_the_call_of_the_program() -> None:
    executor = executor_of()
    traced = opscope.trace(lambda x: executor(x) + 1, torch.ones(3, 4))
    assert [node.kind for node in traced.graph.block] == ["prim::call", "aten::add.Tensor"]
    assert torch.equal(traced(torch.ones(5, 4)), scaled(torch.ones(5, 4)) + 1)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_to_copy_or_pickle_it_says_what_to_do(copied: Callable[..., Any]) -> None:
    with pytest.raises(opscope.ReplayError, match=r"save\(\) its program, and make an executor"):
        copied(executor_of())
