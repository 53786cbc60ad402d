"""Writes and copies that call no operator are recorded as what they are, or as what they left behind."""

import copy
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent
from typing import Any

import numpy
import pytest
import torch

import opscope
from support.replays import check_replay, plain_text

X = torch.tensor([1.0, 2.0, 3.0])


def kinds(traced: opscope.TracedProgram) -> list[str]:
    return [found.kind.value for found in traced.diagnostics]


def test_an_assignment_to_data_is_a_node() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x * 1
        view = y[:2]
        y.data = x[:2] * 3
        return y + view

    traced = check_replay(program, X)
    assert plain_text(traced) == dedent("""\
        graph program(%x : f32[3]) -> (f32[2]):
          %y : f32[3] = aten::mul.Tensor(%x, 1)
          %view : f32[2] = aten::slice.Tensor(%y, 0, 0, 2)
          %0 : f32[2] = aten::slice.Tensor(%x, 0, 0, 2)
          %data : f32[2] = aten::mul.Tensor(%0, 3)
          %1 : f32[2] = prim::set_data(%y, %data)
          %2 : f32[2] = aten::add.Tensor(%1, %view)
          return (%2)""")


def test_autograd_does_not_notice_what_is_written_through_data() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x * 1
        z = y**2  # saves y
        y.data.mul_(3)
        return z

    traced = opscope.trace(program, torch.ones(3, requires_grad=True), strict=True)
    results = []
    for function in (traced, program):
        x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
        function(x).sum().backward()
        results.append(x.grad)
    assert torch.equal(results[0], results[1])
    with pytest.raises(opscope.PassError, match=r"unnoticed by autograd(.|\n)*y\.data\.mul_\(3\)"):
        opscope.trace(program, torch.ones(3, requires_grad=True), force_outplace=True)
    opscope.trace(program, torch.ones(3), force_outplace=True)


def test_an_assignment_to_the_data_of_a_parameter_reaches_the_parameter_at_a_replay() -> None:
    linear = torch.nn.Linear(3, 1, bias=False)

    def program(x: torch.Tensor) -> torch.Tensor:
        linear.weight.data = linear.weight.data * 2
        return linear(x)  # type: ignore[no-any-return]

    traced = opscope.trace(program, X)
    before = linear.weight.detach().clone()
    result = traced(X)
    assert torch.equal(linear.weight, before * 2)
    assert torch.equal(result, linear(X))


ARRAY_WRITES: dict[str, Callable[[torch.Tensor], Any]] = {}


def writes(function: Callable[[torch.Tensor], Any]) -> Callable[[torch.Tensor], Any]:
    ARRAY_WRITES[function.__name__] = function
    return function


@writes
def before_the_next_operator(x: torch.Tensor) -> Any:
    y = x * 2
    array = y.numpy()
    array[0] = 100
    return y + 1


@writes
def after_the_last_operator(x: torch.Tensor) -> Any:
    y = x * 2
    array = y.numpy()
    z = y + 1
    array += 5
    return y, z


@writes
def twice(x: torch.Tensor) -> Any:
    y = x * 2
    array = y.numpy()
    array += 5
    z = y + 1
    y += 1
    array *= 2
    return y, z


@writes
def with_only_a_view_left(x: torch.Tensor) -> Any:
    y = x * 2
    view = y[1:]
    array = y.numpy()
    del y
    array += 1
    return view + 1


@writes
def to_what_from_numpy_was_given(x: torch.Tensor) -> Any:
    array = numpy.zeros(3, dtype=numpy.float32)
    y = torch.from_numpy(array)
    z = y + x
    array += 3
    return z, y * x


@writes
def to_a_buffer_of_bytes(x: torch.Tensor) -> Any:
    memory = bytearray(12)
    y = torch.frombuffer(memory, dtype=torch.float32)
    z = y + x
    memory[3] = 64
    return z, y * x


@writes
def through_the_array_protocol(x: torch.Tensor) -> Any:
    y = x * 2
    y.__array__()[1] = 7
    return y + 1


@writes
def to_a_storage(x: torch.Tensor) -> Any:
    y = x * 2
    y.untyped_storage().fill_(0)
    return y + 1


@writes
def to_an_element_of_a_storage(x: torch.Tensor) -> Any:
    y = x * 2
    y.untyped_storage()[0] = 1
    return y + 1


@pytest.mark.parametrize("name", ARRAY_WRITES)
def test_a_write_without_an_operator_is_recorded_with_what_was_written(name: str) -> None:
    program = ARRAY_WRITES[name]
    traced = check_replay(program, X, warn=False)
    found = [f for f in traced.diagnostics if f.kind is opscope.DiagnosticKind.UNTRACKED_WRITE]
    assert len(found) == 1
    assert found[0].source is not None
    assert found[0].severity is opscope.Severity.WARNING
    assert "prim::write" in [node.kind for node in found[0].nodes]


def test_a_write_into_an_inputs_memory_is_made_again() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        x.numpy()[0] = 9
        return x + 1

    traced = opscope.trace(program, X.clone(), warn=False)
    given = X.clone()
    assert traced(given).tolist() == [10.0, 3.0, 4.0]
    assert given.tolist() == [9.0, 2.0, 3.0]


def test_what_was_written_fits_tensors_of_the_traced_size_only() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        y.untyped_storage().fill_(0)
        return y + 1

    traced = opscope.trace(program, X, warn=False)
    with pytest.raises(opscope.GuardError):
        traced(torch.ones(5))


@pytest.mark.parametrize(
    "part", [lambda x: copy.copy(x[1:].t()), lambda x: torch.from_dlpack(x)[1:], copy.deepcopy]
)
def test_copies_fit_tensors_of_other_sizes_or_refuse_them(part: Callable[[Any], Any]) -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return part(x * 2) + 1  # type: ignore[no-any-return]

    traced = opscope.trace(program, X, warn=False)
    other = torch.arange(5.0)
    try:
        result = traced(other)
    except opscope.GuardError:
        return
    assert torch.equal(result, program(other))


def test_memory_that_is_read_only_is_not_reported_as_written() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        array = y.numpy()
        for _ in range(3):
            y = y.add_(float(array.shape[0]))
        return y

    traced = check_replay(program, X, warn=False)
    assert kinds(traced) == ["data read"]


def test_a_tensor_on_the_memory_of_an_array_of_a_tensor_is_a_view_of_it() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        z = torch.from_numpy(y.numpy()[1:])
        z += 1
        return y + 0

    traced = check_replay(program, X, warn=False)
    assert kinds(traced) == ["data read"]
    assert traced(X + 1).tolist() == [4.0, 7.0, 9.0]


def test_dlpack_is_a_view() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        z = torch.from_dlpack(x)
        z.add_(1)
        return x * 2

    traced = check_replay(program, X)
    assert traced(X + 1).tolist() == [6.0, 8.0, 10.0]


def test_recording_costs_nothing_more_once_exposed_memory_is_gone() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        (x * 2).tolist(), (x * 2).numpy()
        recorder = opscope.get_tracing_state().recorder  # type: ignore[union-attr]
        assert "record" in vars(recorder)
        y = x + 1
        assert "record" not in vars(recorder)
        return y

    opscope.trace(program, X, warn=False)


def test_a_deep_copy_is_a_node_and_shares_what_the_originals_shared() -> None:
    def program(x: torch.Tensor) -> Any:
        y = x * 2
        whole, part, again = copy.deepcopy([y, y[1:], y])
        assert whole is again
        whole += 1
        return whole, part, y

    traced = check_replay(program, X)
    assert traced(X + 1)[1].tolist() == [7.0, 9.0]
    nodes = [node.kind for node in traced.graph.walk()]
    assert nodes.count("prim::deepcopy") == 1


def test_a_deep_copy_of_a_leaf_is_a_leaf_that_requires_grad() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return copy.deepcopy(x)

    traced = check_replay(program, X.clone().requires_grad_())
    result = traced(X.clone().requires_grad_())
    assert result.is_leaf
    assert result.requires_grad


def test_a_copy_shares_memory() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        copy.copy(y).add_(1)
        return y

    assert check_replay(program, X)(X + 1).tolist() == [5.0, 7.0, 9.0]


def test_a_copy_of_a_parameter_is_one_and_nothing_is_read() -> None:
    linear = torch.nn.Linear(3, 1)

    def program(x: torch.Tensor) -> Any:
        twin = copy.copy(linear.weight)
        assert type(twin) is torch.nn.Parameter
        return x * twin, twin

    traced = check_replay(program, X)
    assert type(traced(X)[1]) is torch.nn.Parameter


def test_a_deep_copied_module_computes_with_its_own_parameters() -> None:
    linear = torch.nn.Linear(3, 2)

    def program(x: torch.Tensor) -> Any:
        return copy.deepcopy(linear)(x)

    check_replay(program, X)


def test_copies_outside_a_trace_are_untouched() -> None:
    opscope.trace(lambda x: x + 1, X)
    assert "__copy__" not in vars(torch.Tensor)
    assert torch.equal(copy.copy(X), X)


def test_lift_fresh_of_a_tensor_of_the_program_is_an_operator() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return torch.ops.aten.lift_fresh(x * 2) + 1  # type: ignore[no-any-return]

    assert check_replay(program, X)(X + 1).tolist() == [5.0, 7.0, 9.0]


def test_a_tensor_made_from_data_is_still_a_constant() -> None:
    traced = check_replay(lambda x: x + torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64), X)
    assert plain_text(traced) == dedent("""\
        graph function(%x : f32[3]) -> (f64[3]):
          constant %constant : f64[3]
          %0 : f64[3] = aten::clone(%constant)
          %1 : f64[3] = aten::add.Tensor(%x, %0)
          return (%1)""")


def test_an_operator_of_a_thread_that_the_program_starts_is_reported_with_its_line() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        results: list[torch.Tensor] = []

        def work() -> None:
            results.append(x * 2)

        thread = threading.Thread(target=work, name="helper")
        thread.start()
        thread.join()
        assert "run" not in vars(thread)
        return results[0] + 1

    traced = opscope.trace(program, X, warn=False)
    thread, constant = traced.diagnostics
    assert thread.message.startswith("aten::mul runs in thread helper on a tensor of this trace")
    assert thread.source is not None
    assert thread.source.text.strip() == "results.append(x * 2)"
    assert "aten::mul made in thread helper" in constant.message
    assert [node.kind for node in constant.nodes] == ["aten::add.Tensor"]


def test_an_operator_of_another_thread_is_an_error_in_a_strict_trace() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        thread = threading.Thread(target=lambda: x * 2)
        thread.start()
        thread.join()
        return x + 1

    with pytest.raises(opscope.CaptureError, match="aten::mul runs in thread"):
        opscope.trace(program, X, strict=True)


def test_a_write_in_a_thread_that_the_program_starts_is_recorded() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        thread = threading.Thread(target=lambda: y.add_(1), name="helper")
        thread.start()
        thread.join()
        return y * 3

    traced = check_replay(program, X, warn=False)
    assert kinds(traced) == ["other thread", "untracked write"]


def test_a_thread_that_leaves_the_trace_alone_is_not_reported() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        other = []
        thread = threading.Thread(target=lambda: other.append(torch.ones(3) + 1))
        thread.start()
        thread.join()
        return x * len(other)

    check_replay(program, X)


def test_what_a_helper_thread_does_besides_operators_works_as_ever() -> None:
    found: list[Any] = []

    def program(x: torch.Tensor) -> torch.Tensor:
        def look() -> None:
            found.extend([x.shape[0], x.numel(), x.tolist(), str(x), x.data.dim()])
            found.append(x.as_subclass(torch.nn.Parameter))
            inner = threading.Thread(target=lambda: found.append(x + 1))
            inner.start()
            inner.join()
            found.append(copy.copy(x).sum() > 0)

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        return x * 2

    traced = opscope.trace(program, X, warn=False)
    assert found[:5] == [3, 3, [1.0, 2.0, 3.0], "tensor([1., 2., 3.])", 1]
    assert all(type(number) is int for number in found[:2])
    assert torch.equal(found[6], X + 1)
    assert "aten::add" in str(traced.diagnostics)


def test_a_thread_may_outlive_the_trace() -> None:
    go, results = threading.Event(), []
    threads = []

    def program(x: torch.Tensor) -> torch.Tensor:
        def work() -> None:
            go.wait()
            results.append(x + 1 if x.sum() > 0 else x)

        threads.append(threading.Thread(target=work))
        threads[0].start()
        return x * 2

    opscope.trace(program, X, warn=False)
    go.set()
    threads[0].join()
    assert torch.equal(results[0], X + 1)


def test_a_write_that_nothing_recorded_is_an_error() -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()  # its thread is there before the trace

        def program(x: torch.Tensor) -> torch.Tensor:
            pool.submit(lambda: x.add_(1)).result()
            return x * 2

        with pytest.raises(opscope.CaptureError, match=r"x \(f32\[3\]\) was written in place"):
            opscope.trace(program, X.clone())
        traced = opscope.trace(program, X.clone(), warn=False, allow={"untracked write"})
    assert [node.kind for node in traced.diagnostics[0].nodes] == ["aten::mul.Tensor"]


@pytest.mark.parametrize(
    "same",
    [
        lambda x: torch.dropout(x, 0.5, False),
        torch.atleast_1d,
        lambda x: torch.broadcast_tensors(x, x)[0],
        lambda x: x.sum_to_size(x.shape),
        lambda x: x.type_as(x),
        torch.conj_physical,
    ],
)
def test_a_write_to_a_result_that_is_an_argument_is_one_to_the_argument(
    same: Callable[[torch.Tensor], torch.Tensor],
) -> None:
    traced = check_replay(lambda x: same(x).add_(1), X.clone())
    assert traced.diagnostics == ()


@pytest.mark.parametrize(
    "write",
    [lambda x, same: same.add_(1), lambda x, same: x.mul_(2), lambda x, same: same[0].zero_()],
)
def test_a_write_after_contiguous_holds_for_contiguous_tensors(
    write: Callable[[torch.Tensor, torch.Tensor], Any],
) -> None:
    def program(x: torch.Tensor) -> Any:
        same = x.contiguous()
        write(x, same)
        return x + 0, same

    traced = check_replay(program, torch.ones(2, 3))
    assert [guard.text for guard in traced.guards] == ["x.is_contiguous()"]
    with pytest.raises(opscope.GuardError, match=r"same = x\.contiguous"):
        traced(torch.ones(4, 2).T)


def test_contiguous_needs_no_guard_where_nothing_is_written() -> None:
    traced = check_replay(lambda x: x.contiguous().view(-1), torch.ones(2, 3))
    assert traced.guards == ()
    assert torch.equal(
        traced(torch.arange(8.0).view(4, 2).T), torch.arange(8.0).view(4, 2).T.ravel()
    )


def test_a_write_to_one_of_two_inputs_on_one_memory_is_recorded_for_both() -> None:
    def program(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        x.add_(1)
        return x.sum() + 1

    whole = torch.zeros(4)
    assert opscope.trace(program, (whole, whole[:2])).diagnostics == ()


@pytest.mark.parametrize(
    "norm",
    [
        torch.nn.BatchNorm1d(3),
        torch.nn.InstanceNorm1d(3, track_running_stats=True),
        torch.nn.Embedding(4, 3, max_norm=0.1),
    ],
)
def test_running_statistics_are_no_unrecorded_write(norm: torch.nn.Module) -> None:
    given = torch.rand(4, 3, 2) if not isinstance(norm, torch.nn.Embedding) else torch.arange(4)
    assert opscope.trace(norm, given).diagnostics == ()


def test_a_write_while_recording_was_paused_is_a_warning() -> None:
    average = torch.zeros(3)

    def program(x: torch.Tensor) -> torch.Tensor:
        state = opscope.get_tracing_state()
        opscope.set_tracing_state(None)
        average.add_(x)
        opscope.set_tracing_state(state)
        return x * 2

    with pytest.warns(
        opscope.TracerWarning, match="average was written while the trace was paused"
    ):
        opscope.trace(program, X)


@pytest.mark.parametrize(
    "write",
    [
        lambda x: x.apply_(lambda a: a * 2),
        lambda x: x.map_(x, lambda a, b: a + 2 * b),
    ],
)
def test_what_a_python_function_makes_of_each_element_is_told(write: Callable[..., Any]) -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x.clone()
        write(y)
        return y * 2

    with pytest.warns(opscope.TracerWarning, match="is written by a Python function, through"):
        traced = opscope.trace(program, torch.ones(2))
    assert torch.equal(traced(torch.ones(2)), program(torch.ones(2)))
