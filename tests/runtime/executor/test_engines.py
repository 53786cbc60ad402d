"""Engines: what they are given, what happens when they fail, and Inductor itself."""

import importlib
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from functorch.compile import make_boxed_func
from torch._functorch.aot_autograd import aot_module_simplified
from torch.nn import functional

import opscope
from opscope.runtime.executor.decompositions import decompositions
from opscope.runtime.executor.engines import Function, traceable
from opscope.runtime.executor.fx_graph import Untraceable, fx_graph, writes_or_draws
from opscope.runtime.executor.inductor import missing_compiler
from opscope.runtime.executor.sized_kernels import sized_kernels


class Broken(Exception):
    """What an engine of these tests says instead of compiling."""


class FakeEngine:
    """Gives functions as they are, and fails when it is told to."""

    name = "fake"
    failures = (Broken,)

    def __init__(
        self, *, error: Exception | None = None, late: bool = False, seconds: float = 0.0
    ) -> None:
        self.asked: list[tuple[tuple[int, ...], bool]] = []
        self.ran = 0
        self._error = error
        self._late = late
        self._seconds = seconds

    def compile(self, function: Function, given: Sequence[Any], *, dynamic: bool) -> Function:
        self.asked.append((tuple(given[0].shape), dynamic))
        time.sleep(self._seconds)
        if self._error is not None and not self._late:
            raise self._error

        def run(*args: Any) -> tuple[Any, ...]:
            if self._error is not None:
                raise self._error
            self.ran += 1
            return function(*args)

        return run


def doubled(x: torch.Tensor) -> torch.Tensor:
    return x * 2


def executor_with(engine: Any, **options: Any) -> opscope.ProfilingExecutor:
    traced = opscope.trace(doubled, torch.ones(3))
    strategy = [("static", 1), ("dynamic", 1)]
    return opscope.ProfilingExecutor(traced, engine=engine, fusion_strategy=strategy, **options)


def run(executor: Callable[..., Any], *sizes: int) -> None:
    for size in sizes:
        x = torch.randn(size)
        assert torch.equal(executor(x), doubled(x))


def test_an_engine_compiles_each_plan_once_static_or_dynamic() -> None:
    engine = FakeEngine()
    executor = executor_with(engine)
    run(executor, 3, 3, 3, 4, 5, 6)
    assert engine.asked == [((3,), False), ((5,), True)]
    assert engine.ran == 4
    assert [level.engine for level in executor.get_debug_state().levels] == ["fake", "fake"]


def test_an_engine_that_fails_is_warned_of_once_and_done_without() -> None:
    executor = executor_with(FakeEngine(error=Broken("no compiler\nwas found")))
    run(executor, 3)
    with pytest.warns(
        opscope.ExecutorWarning,
        match="the plan at depth 2 of doubled runs without engine fake, which failed: "
        "Broken: no compiler\n",
    ) as warned:
        run(executor, 3)
    assert warned[0].filename == __file__, "it points at the call"
    run(executor, 3, 4, 5, 5)
    states = executor.get_debug_state().levels
    assert [state.engine for state in states] == ["plain", "plain"]
    assert states[1].failure == "runs without engine fake, which failed: Broken: no compiler"
    assert "  it runs without engine fake, which failed: Broken" in executor.explain()


def test_a_function_that_says_at_a_call_that_it_is_not_compiled_is_given_up() -> None:
    engine = FakeEngine(error=Broken("for this size"), late=True)
    executor = executor_with(engine)
    run(executor, 3)
    with pytest.warns(opscope.ExecutorWarning, match="Broken: for this size"):
        run(executor, 3)
    run(executor, 3)
    assert executor.get_debug_state().levels[0].engine == "plain"
    assert len(engine.asked) == 1


def test_other_errors_of_a_compiled_function_are_the_callers() -> None:
    executor = executor_with(FakeEngine(error=RuntimeError("out of memory"), late=True))
    run(executor, 3)
    with pytest.raises(RuntimeError, match="out of memory"):
        executor(torch.ones(3))


def test_after_a_slow_compilation_later_plans_do_without_the_engine() -> None:
    engine = FakeEngine(seconds=0.02)
    executor = executor_with(engine, slow_after=0.01)
    run(executor, 3)
    with pytest.warns(opscope.ExecutorWarning, match=r"engine fake takes more than 0.01 s"):
        run(executor, 3)
    assert executor.wait(5)
    run(executor, 3, 4, 5, 6)
    slow, later = executor.get_debug_state().levels
    assert (slow.engine, later.engine) == ("fake", "plain")
    assert later.note == "runs without the engine, which took too long for another plan"
    assert len(engine.asked) == 1


def test_optimization_that_fails_leaves_the_program_as_it_was_traced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    executor = executor_with("plain")
    run(executor, 3)
    with monkeypatch.context() as patch:

        def fail(*passes: Any) -> None:
            raise opscope.PassError("pass dce broke the graph")

        patch.setattr(opscope.TracedProgram, "apply", fail)
        with pytest.warns(opscope.ExecutorWarning, match="since optimizing it failed: PassError"):
            run(executor, 3)
    run(executor, 3)
    (level,) = executor.get_debug_state().levels
    assert (level.hits, level.phase) == (2, "compiled")


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(opscope.ReplayError, match="there is no engine 'nvfuser'"):
        executor_with("nvfuser")


@pytest.fixture
def no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Inductor do all but write kernels, which takes seconds: AOTAutograd gives it its gradients."""
    compile_fx = importlib.import_module("torch._inductor.compile_fx")

    def compiled(module: Any, inputs: Any, **options: Any) -> Any:
        return aot_module_simplified(
            module, inputs, fw_compiler=lambda graph, inputs: make_boxed_func(graph.forward)
        )

    monkeypatch.setattr(compile_fx, "compile_fx", compiled)


@pytest.mark.usefixtures("no_kernels")
def test_inductor_compiles_without_running() -> None:
    def program(x: torch.Tensor, total: torch.Tensor) -> torch.Tensor:
        total.add_(1)
        return x.sin() * x.shape[0]

    x, total = torch.randn(3), torch.zeros(())
    executor = opscope.ProfilingExecutor(
        opscope.trace(program, (torch.ones(3), total)), engine="inductor", slow_after=3600
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch deprecates parts of its own
        executor.prepare((x, total))
        assert total == 1, "only the trace has run"
        result = executor(x, total)
    assert total == 2
    torch.testing.assert_close(result, x.sin() * 3)
    (level,) = executor.get_debug_state().levels
    assert (level.engine, level.hits, level.failure) == ("inductor", 1, None)


@pytest.mark.skipif(missing_compiler() is not None, reason="Inductor needs a compiler of C++")
def test_inductor_gives_what_eager_gives_wherever_inputs_begin_in_memory() -> None:
    # Products alone: a kernel of C++ would be compiled for most of a minute.
    def program(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x.as_strided((2, 2), (2, 1), 3).mm(y)

    numbers, y = torch.arange(40.0), torch.randn(2, 5)
    with torch.no_grad():
        executor = opscope.ProfilingExecutor(
            opscope.trace(program, (numbers[:8], y)),
            engine="inductor",
            fusion_strategy=[("dynamic", 1)],
            slow_after=3600,
        )
        executor.prepare((numbers[:8], y))
        for x in (numbers[:8], numbers[16:24], numbers[:11]):
            torch.testing.assert_close(executor(x, y), program(x, y))
    assert executor.explain().startswith("program: plans 1 dynamic")
    (level,) = executor.get_debug_state().levels
    assert (level.engine, level.hits, level.failure) == ("inductor", 3, None)


@pytest.mark.skipif(missing_compiler() is not None, reason="Inductor needs a compiler of C++")
def test_kernels_are_written_called_from_cpp_and_give_what_eager_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one test that compiles C++, which takes ten seconds: fused kernels between those of libraries."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    convolution, norm = torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4).eval()
    linear = torch.nn.Linear(8, 8)

    def program(x: torch.Tensor) -> torch.Tensor:
        y = linear(norm(convolution(x)).relu())
        y = functional.gelu(y, approximate="tanh")
        return functional.scaled_dot_product_attention(y, y, y)

    x = torch.randn(1, 3, 10, 10)
    with torch.no_grad():
        traced = opscope.trace(program, x)
        executor = opscope.ProfilingExecutor(traced, engine="inductor", slow_after=3600)
        executor.prepare(x)
        monkeypatch.delattr(torch, "compile")
        for _ in range(2):
            x = torch.randn(1, 3, 10, 10)
            torch.testing.assert_close(executor(x), program(x))
        norm.running_var.mul_(2)  # type: ignore[union-attr]  # nothing of the state is folded into kernels
        torch.testing.assert_close(executor(x), program(x))
    (level,) = executor.get_debug_state().levels
    assert (level.engine, level.hits, level.failure) == ("inductor", 3, None)
    written = "".join(path.read_text() for path in tmp_path.rglob("*.cpp"))
    assert "inductor_entry_impl" in written, "what calls kernels is no Python"
    assert "tanh" not in written


@pytest.mark.parametrize(
    ("operator", "options"),
    [
        (torch.ops.aten.gelu.default, {"approximate": "tanh"}),
        (torch.ops.aten.gelu.default, {}),
        (torch.ops.aten.mish.default, {}),
    ],
)
def test_what_is_computed_in_another_way_is_off_by_last_bits_as_eager_is(
    operator: torch._ops.OpOverload, options: dict[str, Any]
) -> None:
    """The truth is what eager gives in double precision."""
    decomposed = decompositions()[operator]
    ends = torch.tensor([0.0, -0.0, 1e-30, 1e30, -1e30])
    x = torch.cat([torch.linspace(-30, 30, 100_001), ends])
    truth, eager = operator(x.double(), **options), operator(x, **options)
    ours = decomposed(x, **options)
    assert ours.dtype is torch.float32
    assert (ours - truth).abs().max() <= 1.5 * (eager - truth).abs().max()
    torch.testing.assert_close(ours, eager)
    torch.testing.assert_close(decomposed(x.double(), **options), truth)
    half = torch.linspace(-5, 5, 101, dtype=torch.bfloat16)
    torch.testing.assert_close(decomposed(half, **options), operator(half, **options))


def test_attention_without_dropout_draws_no_random_numbers() -> None:
    x = torch.ones(1, 1, 2, 2)
    for share, reason in ((0.0, None), (0.5, "draws random numbers")):
        attention = partial(functional.scaled_dot_product_attention, dropout_p=share)
        traced = opscope.trace(lambda x, run=attention: run(x, x, x), x)
        graph = fx_graph(traced.compiled(traceable).function, 1)
        found = writes_or_draws(graph)
        assert (found and found.partition(" (")[0]) == reason


@pytest.mark.usefixtures("no_kernels")
def test_gradients_through_inductor_and_theirs_are_those_of_eager() -> None:
    torch.manual_seed(0)  # their last bits differ, and of a small sum those count
    weight = torch.nn.Parameter(torch.randn(4, 4))

    def program(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return (x * y).sin() * x.shape[0] + x @ weight, x.detach() > 0

    given = torch.randn(3, 4, requires_grad=True), torch.randn(3, 4)
    executor = opscope.ProfilingExecutor(opscope.trace(program, given), engine="inductor")
    executor.prepare(given)
    for ours, theirs in zip(
        gradients(executor, *given, weight), gradients(program, *given, weight), strict=True
    ):
        torch.testing.assert_close(ours, theirs)
    (level,) = executor.get_debug_state().levels
    assert (level.engine, level.hits, level.note, level.failure) == ("inductor", 2, None, None)


@pytest.mark.usefixtures("no_kernels")
def test_kernels_are_left_out_where_they_would_do_other_things_than_operators() -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    executor = opscope.ProfilingExecutor(
        opscope.trace(lambda x: x.sin() * weight, torch.ones(3)), engine="inductor"
    )
    x = torch.randn(3)
    executor.prepare(x)
    weight.requires_grad_(False)
    assert not executor(x).requires_grad
    weight.requires_grad_(True)
    hooked: list[torch.Tensor] = []
    handle = weight.register_hook(hooked.append)
    executor(x).sum().backward()
    handle.remove()
    assert len(hooked) == 1
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, torch.ones(3))
        tangent = torch.autograd.forward_ad.unpack_dual(executor(dual)).tangent
    torch.testing.assert_close(tangent, x.cos() * weight)
    assert executor.get_debug_state().levels[0].engine == "inductor"


@pytest.mark.usefixtures("no_kernels")
def test_plans_for_many_sizes_need_no_checks_of_torch_compile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        rows, columns = x.shape
        return x.sin().view(rows, 2, columns // 2) * columns

    executor = opscope.ProfilingExecutor(
        opscope.trace(program, torch.ones(2, 4)),
        engine="inductor",
        fusion_strategy=[("dynamic", 1)],
    )
    monkeypatch.delattr(torch, "compile")
    x = torch.randn(3, 8, requires_grad=True)
    executor.prepare(x)
    for sizes in ((3, 8), (5, 8), (5, 6)):
        x = torch.randn(sizes, requires_grad=True)
        for recorded in (False, True):
            ours, theirs = (
                torch.autograd.grad(run(x).square().sum(), x, create_graph=recorded)[0]
                for run in (executor, program)
            )
            torch.testing.assert_close(ours, theirs)
    (level,) = executor.get_debug_state().levels
    assert (level.engine, level.hits, level.failure) == ("inductor", 6, None)


@pytest.mark.usefixtures("no_kernels")
def test_kernels_run_only_for_sizes_that_they_were_compiled_for() -> None:
    def added(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor]:
        return (x + y,)

    module = torch.fx.symbolic_trace(added)
    ran_plain: list[tuple[int, ...]] = []

    def plain(*given: torch.Tensor) -> tuple[Any, ...]:
        ran_plain.extend(tuple(value.shape) for value in given[:1])
        return added(*given)

    run = sized_kernels(module, plain, [torch.ones(3, 4), torch.ones(3, 4)], [])
    for x, y in [
        (torch.randn(5, 6), torch.randn(5, 6)),
        (torch.randn(7, 6), torch.randn(1, 6)),
        (torch.randn(8, 8).t(), torch.randn(8, 8)),
    ]:
        assert torch.equal(run(x, y)[0], x + y)
    assert ran_plain == [(7, 6), (8, 8)], "sizes that differ, and other strides"


@pytest.mark.usefixtures("no_kernels")
def test_inputs_that_autograd_begins_to_follow_have_gradients() -> None:
    executor = opscope.ProfilingExecutor(
        opscope.trace(lambda x: x.sin() * 2, torch.ones(3)), engine="inductor", profiled_runs=2
    )
    x, followed = torch.randn(3), torch.randn(3, requires_grad=True)
    for given in (x, followed, x):
        executor(given)
    (gradient,) = torch.autograd.grad(executor(followed).sum(), followed)
    torch.testing.assert_close(gradient, followed.cos() * 2)
    (level,) = executor.get_debug_state().levels
    assert (level.engine, level.hits) == ("inductor", 2)


def gradients(
    program: Callable[..., Any], x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor
) -> list[torch.Tensor]:
    """Return results, gradients of a usual backward pass, recorded ones, and gradients of those."""
    result, positive = program(x, y)
    plain = torch.autograd.grad(result.square().sum(), (x, weight))
    recorded = torch.autograd.grad(program(x, y)[0].square().sum(), (x, weight), create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in recorded), (x, weight))
    return [result, positive, *plain, *recorded, *second]


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (lambda x, total: (total.add_(1), x.sin() * 2)[1], "writes to memory (aten.add_.Tensor)"),
        (
            lambda x, total: torch.nn.functional.dropout(x * total),
            "draws random numbers (aten.dropout.default)",
        ),
    ],
)
def test_inductor_declines_gradients_that_it_could_not_give_twice(
    program: Callable[..., Any], reason: str
) -> None:
    given = torch.ones(3, requires_grad=True), torch.ones(3)
    executor = opscope.ProfilingExecutor(opscope.trace(program, given), engine="inductor")
    executor.prepare(given)
    assert f"those of a program that {reason} cannot be computed" in executor.explain()
    (level,) = executor.get_debug_state().levels
    assert (level.engine, level.failure) == ("plain", None)


def test_a_function_of_operators_is_a_graph_and_one_that_enters_modes_is_not() -> None:
    weight = torch.nn.Parameter(torch.ones(4))

    def program(x: torch.Tensor) -> torch.Tensor:
        one, two = (x * weight).split(2)
        return one + two

    def entering(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            y = x.sin()
        return y * x

    function = opscope.trace(program, torch.ones(4)).compiled(traceable).function
    graph = fx_graph(function, 1)
    assert torch.equal(graph(torch.arange(4.0), weight)[0], torch.tensor([2.0, 4.0]))
    entered = opscope.trace(entering, torch.ones(4)).compiled(traceable).function
    with pytest.raises(Untraceable, match="no_grad"):
        fx_graph(entered, 1)
