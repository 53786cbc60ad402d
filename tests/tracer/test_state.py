"""TracingState: one per running trace and thread, and always restored."""

import gc
import importlib
import threading
import weakref

import pytest
import torch

import opscope
from support.replays import plain_text


def test_nothing_traces_outside_a_trace() -> None:
    assert opscope.get_tracing_state() is None
    assert not opscope.is_tracing()


def test_the_state_gives_and_takes_values_of_tensors() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        state = opscope.get_tracing_state()
        assert state is not None
        assert state.get_value_trace(x) is state.graph.inputs[0]
        y = x + 1
        z = x + 2
        state.set_value_trace(z, state.get_value_trace(y))
        return z * 2

    traced = opscope.trace(program, torch.zeros(1))
    assert plain_text(traced) == (
        "graph program(%x : f32[1]) -> (f32[1]):\n"
        "  %y : f32[1] = aten::add.Tensor(%x, 1)\n"
        "  %z : f32[1] = aten::add.Tensor(%x, 2)\n"
        "  %0 : f32[1] = aten::mul.Tensor(%y, 2)\n"
        "  return (%0)"
    )


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_exceptions_restore_the_thread(error: type[BaseException]) -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x + 1
        raise error("stop") from None
        return y

    with pytest.raises(error):
        opscope.trace(program, torch.zeros(1))
    assert not opscope.is_tracing()
    assert torch.Tensor._make_subclass is torch._C.TensorBase._make_subclass
    assert len(opscope.trace(lambda x: x + 1, torch.zeros(1)).graph.block) == 1


def test_an_operator_that_fails_leaves_no_node_and_its_own_error() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        with pytest.raises(RuntimeError, match="must be a matrix"):
            torch.mm(x, x)
        return x + 1

    assert [n.kind for n in opscope.trace(program, torch.zeros(1)).graph.walk()] == [
        "aten::add.Tensor"
    ]


def test_a_trace_inside_a_trace_is_recorded_by_both() -> None:
    inner: list[opscope.TracedProgram] = []

    def program(x: torch.Tensor) -> torch.Tensor:
        y = x + 1
        inner.append(opscope.trace(lambda t: t * 2, y))
        assert opscope.is_tracing()
        return inner[0](y) - 1

    traced = opscope.trace(program, torch.ones(2))
    assert [n.kind for n in inner[0].graph.walk()] == ["aten::mul.Tensor"]
    assert [n.kind for n in traced.graph.walk()] == [
        "aten::add.Tensor",
        "aten::mul.Tensor",  # while the inner trace ran
        "prim::call",  # its replay
        "aten::sub.Tensor",
    ]
    assert traced(torch.ones(2)).tolist() == [3.0, 3.0]


def test_threads_trace_their_own_programs_at_once() -> None:
    barrier = threading.Barrier(4)
    results: dict[int, opscope.TracedProgram] = {}

    def work(number: int) -> None:
        def program(x: torch.Tensor) -> torch.Tensor:
            for _ in range(20):
                barrier.wait()
                x = x + number
            return x

        results[number] = opscope.trace(program, torch.zeros(1))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(4):
        assert results[number](torch.zeros(1)).item() == 20 * number
        assert len(results[number].graph.block) == 20
    assert not opscope.is_tracing()


def test_a_pause_is_a_gap_that_is_reported() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        state = opscope.get_tracing_state()
        opscope.set_tracing_state(None)
        assert not opscope.is_tracing()
        y = x + 1
        opscope.set_tracing_state(state)
        return y * 2

    with pytest.warns(opscope.TracerWarning, match="made while the trace was paused is read"):
        traced = opscope.trace(program, torch.ones(1))
    assert [n.kind for n in traced.graph.walk()] == ["aten::mul.Tensor"]


def test_a_graph_can_be_recorded_into_by_hand() -> None:
    graph = opscope.Graph("by_hand")
    state = opscope.TracingState(graph)
    x = torch.ones(2)
    state.set_value_trace(
        x, graph.add_input(opscope.ir.TensorType(opscope.ir.DType.F32, (2,)), "x")
    )
    with opscope.tracing(state):
        y = x + 1
    graph.set_outputs([state.get_value_trace(y)])
    assert plain_text(graph) == (
        "graph by_hand(%x : f32[2]) -> (f32[2]):\n  %0 : f32[2] = aten::add.Tensor(%x, 1)\n  return (%0)"
    )


def test_pop_scope_without_push_scope_is_refused() -> None:
    with pytest.raises(opscope.CaptureError, match="without a push_scope"):
        opscope.TracingState(opscope.Graph()).pop_scope()


def test_twenty_traces_leave_no_tensors_behind() -> None:
    model = torch.nn.Linear(64, 64)
    x = torch.randn(8, 64)

    def count() -> int:
        gc.collect()
        return sum(1 for o in gc.get_objects() if issubclass(type(o), torch.Tensor))

    opscope.trace(model, x)
    before = count()
    for _ in range(20):
        opscope.trace(model, x)(x)
    assert count() <= before


def test_an_interrupt_at_the_worst_moment_leaves_the_thread_able_to_trace() -> None:
    dispatcher = importlib.import_module("opscope.tracer.dispatch.dispatcher")

    def program(x: torch.Tensor) -> torch.Tensor:
        dispatcher.kernels().set_excluded(True)  # as if interrupted just before an operator ran
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        opscope.trace(program, torch.zeros(1))
    assert len(opscope.trace(lambda x: x + 1, torch.zeros(1)).graph.block) == 1


def test_a_trace_inside_an_operator_of_another_trace_sees_its_own_program() -> None:
    inner: list[opscope.TracedProgram] = []

    @torch.library.custom_op("opscope_tests::tracing", mutates_args=())
    def tracing(x: torch.Tensor) -> torch.Tensor:
        inner.append(opscope.trace(lambda t: t * 2 + 1, x.clone()))
        return x + 1

    outer = opscope.trace(lambda x: tracing(x) - 1, torch.ones(1))
    assert [n.kind for n in inner[0].graph.walk()] == ["aten::mul.Tensor", "aten::add.Tensor"]
    assert [n.kind for n in outer.graph.walk()] == ["opscope_tests::tracing", "aten::sub.Tensor"]


def test_what_others_put_into_torchs_classes_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def mine(self: torch.Tensor) -> str:
        return "mine"

    monkeypatch.setattr(torch.Tensor, "numpy", mine)
    opscope.trace(lambda x: x + 1, torch.ones(1))
    assert vars(torch.Tensor)["numpy"] is mine


def test_a_trace_lets_go_of_the_model_without_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        model = torch.nn.Linear(2, 2)
        gone = weakref.ref(model)
        opscope.trace(model, torch.ones(1, 2))
        del model
        assert gone() is None
    finally:
        gc.enable()
