"""Plans write over what they have made and nothing reads any more; nobody can tell by the results."""

from collections.abc import Callable, Sequence

import pytest
import torch
import torch.autograd.forward_ad as fwd
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

import opscope
from support.exactness import assert_identical

Tensors = list[torch.Tensor]

_WEIGHT = torch.randn(4, 4)
_OPERATIONS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "linear": lambda a, b: F.linear(a, _WEIGHT),
    "matmul": lambda a, b: a @ _WEIGHT,
    "norm": lambda a, b: F.layer_norm(a, (4,)),
    "gelu": lambda a, b: F.gelu(a),
    "relu": lambda a, b: a.relu(),
    "scaled": lambda a, b: a * 2,
    "sum": lambda a, b: a + b,
    "product": lambda a, b: a * b.mean(),
    "masked": lambda a, b: a.masked_fill(b > 0, 1.0),
    "view": lambda a, b: a.view(a.shape),
    "transposed": lambda a, b: a.t().contiguous().t(),
    "row": lambda a, b: a[:1] + b,
    "written": lambda a, b: (a + 0).mul_(b),
    "softmax": lambda a, b: a.softmax(-1),
    "dropout": lambda a, b: F.dropout(a, 0.5, training=False),
}
_STEPS = st.lists(
    st.tuples(st.sampled_from(sorted(_OPERATIONS)), st.integers(0, 99), st.integers(0, 99)),
    min_size=3,
    max_size=14,
)


def _program(
    steps: Sequence[tuple[str, int, int]], results: Sequence[int]
) -> Callable[..., Tensors]:
    def program(x: torch.Tensor, y: torch.Tensor) -> Tensors:
        pool = [x, y]
        for name, first, second in steps:
            # Mostly the latest, so that much is read once.
            a = pool[-1 - first % len(pool) if first < 40 else -1]
            pool.append(_OPERATIONS[name](a, pool[second % len(pool)]))
        return [pool[number % len(pool)] for number in results]

    return program


@pytest.mark.parametrize("kind", ["static", "dynamic"])
@given(_STEPS, st.lists(st.integers(0, 99), min_size=1, max_size=3), st.booleans())
@settings(max_examples=100, deadline=None)
def test_programs_give_what_they_gave(
    kind: str, steps: list[tuple[str, int, int]], results: list[int], inference: bool
) -> None:
    program = _program(steps, results)
    weight = _WEIGHT.clone()
    with torch.inference_mode(inference), torch.no_grad():
        traced = opscope.trace(program, (torch.randn(3, 4), torch.randn(3, 4)))
        executor = opscope.ProfilingExecutor(traced, fusion_strategy=[(kind, 4)])
        for rows in (3, 3, 2, 2, 5, 5):
            inputs = torch.randn(rows, 4), torch.randn(rows, 4)
            before = [value.clone() for value in inputs]
            for ours, theirs in zip(executor(*inputs), program(*inputs), strict=True):
                assert_identical(ours, theirs)
                assert ours._is_view() is theirs._is_view() or any(ours is x for x in inputs)
            for value, kept in zip((*inputs, _WEIGHT), (*before, weight), strict=True):
                assert torch.equal(value, kept)
    levels = executor.get_debug_state().levels
    assert all(level.failure is None for level in levels)
    assert sum(level.hits for level in levels) >= 3


class Residual(nn.Module):
    """A layer as in transformers, with a linear one before it, whose result it may write over."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.inner = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
        self.last = nn.LayerNorm(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        return self.last(x + self.inner(x))


def _code(executor: opscope.ProfilingExecutor) -> str:
    """Return the code of the first plan for calls without gradients."""
    chains = executor.get_debug_state().chains
    code = next(c.levels[0].code for c in chains if c.mode == "with grad mode off")
    assert code is not None
    return code


def test_calls_without_gradients_write_over_what_they_made() -> None:
    model = Residual()
    executor = opscope.ProfilingExecutor(
        opscope.trace(model, torch.randn(2, 8)), fusion_strategy=[("static", 1), ("dynamic", 1)]
    )
    for grad in (False, True):
        with torch.set_grad_enabled(grad):
            for rows in (3, 3, 5, 5, 7):
                x = torch.randn(rows, 8)
                assert_identical(executor(x), model(x))
    followed, (static, dynamic) = (c.levels for c in executor.get_debug_state().chains)
    assert "aten::gelu_(" in str(static.graph)
    assert _writes(static.code) == [
        "v2 = aten_gelu_(v1); del v1",
        "v4 = aten_add__Tensor(x_1, v3); del x_1, v3",
    ]
    # At other sizes a sum may be larger than its first operand.
    assert _writes(dynamic.code) == ["v2 = aten_gelu_(v1); del v1"]
    for level in followed:
        assert "aten_gelu(" in str(level.code)
        assert _writes(level.code) == []


def _writes(code: str | None) -> list[str]:
    """Return the lines that call an operator in place."""
    lines = [line.partition("#")[0].strip() for line in str(code).splitlines()]
    return [line for line in lines if "_(" in line or "__Tensor(" in line]


def test_a_plan_prepared_for_the_sizes_of_the_trace_does_so_too() -> None:
    model = Residual()
    executor = opscope.ProfilingExecutor(opscope.trace(model, torch.randn(2, 8)))
    with torch.no_grad():
        executor.prepare(torch.randn(2, 8))
        assert "aten_add__Tensor(" in _code(executor)
        executor.flush_cache()
        executor.prepare(torch.randn(5, 8))  # of which nobody has seen what it makes of them
        assert "aten_add_Tensor(" in _code(executor)
        x = torch.randn(5, 8)
        assert_identical(executor(x), model(x))


def test_sizes_that_were_one_at_the_trace_are_broadcast() -> None:
    def program(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (x.exp() + y.exp()).sum()

    executor = opscope.ProfilingExecutor(
        opscope.trace(program, (torch.randn(2, 4), torch.randn(2, 4)))
    )
    with torch.no_grad():
        for _ in range(3):
            x, y = torch.randn(1, 4), torch.randn(5, 4)
            assert_identical(executor(x, y), program(x, y))
    assert "aten_add_Tensor(" in _code(executor)


def test_sizes_that_depend_on_data_are_not_taken_for_known() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return (x.sum().reshape(1).exp() + x[x > 0]).sum()

    executor = opscope.ProfilingExecutor(opscope.trace(program, torch.tensor([1.0, -1.0, -2.0])))
    with torch.no_grad():
        for values in ([1.0, -1.0, -2.0], [1.0, -1.0, -2.0], [1.0, 1.0, 2.0]):
            x = torch.tensor(values)
            assert_identical(executor(x), program(x))
    assert "aten_add_Tensor(" in _code(executor)


@pytest.mark.parametrize(
    ("sized", "sizes"),
    [
        (torch.repeat_interleave, ([1, 0, 0], [1, 1, 1])),
        (lambda x, at: x.tensor_split(at)[0], ([1], [2])),
        (lambda x, given: torch.where(given > 0)[0], ([1, 0, 0], [1, 1, 1])),
        (lambda x, given: given.nonzero(as_tuple=True)[0], ([1, 0, 0], [1, 1, 1])),
    ],
    ids=["repeat_interleave", "tensor_split", "where", "nonzero"],
)
def test_sizes_that_depend_on_data_though_torch_does_not_say_so(
    sized: Callable[..., torch.Tensor], sizes: tuple[list[int], list[int]]
) -> None:
    def program(x: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
        return (x.sum().reshape(1).exp() + sized(x, given)).sum()

    x, (first, other) = torch.randn(3), map(torch.tensor, sizes)
    executor = opscope.ProfilingExecutor(opscope.trace(program, (x, first)))
    with torch.no_grad():
        for given in (first, first, other):
            assert_identical(executor(x, given), program(x, given))


def test_data_that_only_guards_read_and_positions_decide_no_sizes() -> None:
    def program(x: torch.Tensor, mask: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        if mask.all():
            x = x * 2
        return (x.exp() + x[at]).sum()

    x, mask = torch.randn(3, 4), torch.ones(3, dtype=torch.bool)
    traced = opscope.trace(program, (x, mask, torch.arange(3)), warn=False)
    executor = opscope.ProfilingExecutor(traced)
    with torch.no_grad():
        for _ in range(3):
            at = torch.randint(3, (3,))
            assert_identical(executor(x, mask, at), program(x, mask, at))
    assert "aten_add__Tensor(" in _code(executor)


def test_in_mixed_precision_a_plan_goes_by_what_a_run_has_made() -> None:
    def program(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (F.linear(x, _WEIGHT) + y).sum(0)

    x, y = torch.randn(3, 4), torch.randn(3, 4)
    executor = opscope.ProfilingExecutor(opscope.trace(program, (x, y)))
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        executor.prepare((x, y))
        assert_identical(executor(x, y), program(x, y))


def test_the_default_element_type_may_change() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return (x.exp() + torch.rand(4)).mul(2)

    x = torch.randn(3, 4)
    executor = opscope.ProfilingExecutor(opscope.trace(program, x))
    try:
        with torch.no_grad():
            for dtype in (torch.float32, torch.float32, torch.float64):
                torch.set_default_dtype(dtype)
                torch.manual_seed(0)
                expected = program(x)
                torch.manual_seed(0)
                assert_identical(executor(x), expected)
    finally:
        torch.set_default_dtype(torch.float32)


class _Keeping(TorchDispatchMode):
    """Keeps what operators make."""

    def __init__(self) -> None:
        super().__init__()
        self.made: Tensors = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        made = func(*args, **(kwargs or {}))
        self.made.append(made)
        return made


def test_a_dispatch_mode_may_keep_what_operators_make() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return F.gelu(x.exp()).mul(2).sum()

    x = torch.randn(3, 4)
    executor = opscope.ProfilingExecutor(opscope.trace(program, x))
    with torch.no_grad():
        for _ in range(3):
            executor(x)
            with _Keeping() as ours:
                executor(x)
            with _Keeping() as theirs:
                program(x)
            for kept, expected in zip(ours.made, theirs.made, strict=True):
                assert_identical(kept, expected)
    assert "aten_gelu_(" in _code(executor)


@pytest.mark.filterwarnings("ignore:Warning only once for all operators")
@pytest.mark.parametrize("replaced", ["gelu", "gelu_"])
def test_an_operator_that_somebody_has_replaced_is_called_as_before(replaced: str) -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return F.gelu(x.exp()).sum()

    x = torch.randn(3, 4)
    library = torch.library.Library("aten", "IMPL")
    library.impl(replaced, lambda x, approximate="none": x - 7, "CPU")
    try:
        executor = opscope.ProfilingExecutor(opscope.trace(program, x))
        with torch.no_grad():
            for _ in range(3):
                assert_identical(executor(x), program(x))
    finally:
        library._destroy()


def test_transforms_and_forward_derivatives_have_plans_that_write_over_nothing() -> None:
    def program(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (x.exp() * y.sin()).sum(-1)

    x, y = torch.randn(3, 4), torch.randn(3, 4)
    executor = opscope.ProfilingExecutor(opscope.trace(program, (x, y)))

    def mapped(function: Callable[..., torch.Tensor]) -> torch.Tensor:
        # What y becomes differs from call to call, and what x does not, which cannot be written over.
        return torch.func.vmap(function, in_dims=(None, 0))(x, torch.stack([y, -y]))

    def pushed(function: Callable[..., torch.Tensor]) -> torch.Tensor:
        with fwd.dual_level():
            return fwd.unpack_dual(function(x, fwd.make_dual(y, torch.ones(3, 4)))).tangent

    with torch.no_grad():
        for _ in range(3):
            assert_identical(executor(x, y), program(x, y))
            assert_identical(mapped(executor), mapped(program))
            assert_identical(pushed(executor), pushed(program))
    plain, transformed = executor.get_debug_state().chains
    assert "aten_mul__Tensor(" in str(plain.levels[0].code)
    assert transformed.mode.endswith("inside a transform or mode")
    assert "aten_mul_Tensor(" in str(transformed.levels[0].code)


def test_what_looks_on_has_no_engine_compile_anything() -> None:
    compiled = []

    class Engine:
        name = "counting"
        failures: tuple[type[Exception], ...] = ()

        def compile(self, function, given, *, dynamic):  # type: ignore[no-untyped-def]
            compiled.append(function)
            return function

    x = torch.randn(2, 8)
    executor = opscope.ProfilingExecutor(opscope.trace(Residual(), x), engine=Engine())
    with torch.no_grad():
        for _ in range(3):
            executor(x)
        with _Keeping():
            for _ in range(3):
                executor(x)
    assert len(compiled) == 1
    plain = executor.get_debug_state().chains[-1].levels[0]
    assert plain.engine == "plain"
    assert plain.note == "runs without an engine, so that what looks on sees its operators"


def test_results_can_be_written_with_gradients_afterwards() -> None:
    model = Residual()
    executor = opscope.ProfilingExecutor(opscope.trace(model, torch.randn(2, 8)))
    weight = torch.ones(8, requires_grad=True)
    for _ in range(3):
        with torch.no_grad():
            made = executor(torch.randn(2, 8))
        made.mul_(weight)
        made.sum().backward()
    assert weight.grad is not None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_an_engine_sees_no_writes(dtype: torch.dtype) -> None:
    seen: list[Tensors] = []

    class Engine:
        name = "watching"
        failures: tuple[type[Exception], ...] = ()

        def compile(self, function, given, *, dynamic):  # type: ignore[no-untyped-def]
            graph = torch.fx.experimental.proxy_tensor.make_fx(function)(*given)
            seen.append([node.target for node in graph.graph.nodes if node.op == "call_function"])
            return function

    model = Residual().to(dtype)
    x = torch.randn(2, 8, dtype=dtype)
    executor = opscope.ProfilingExecutor(opscope.trace(model, x), engine=Engine())
    with torch.no_grad():
        for _ in range(3):
            assert_identical(executor(x), model(x))
    assert torch.ops.aten.gelu.default in seen[0]
    assert torch.ops.aten.gelu_.default not in seen[0]
    assert "aten_gelu_(" in _code(executor)
