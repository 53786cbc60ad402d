import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from opscope.errors import FootprintError
from opscope.footprint import (
    BuildFeatureTracer,
    CustomClassTracer,
    KernelDTypeTracer,
    OperatorCallTracer,
)
from opscope.footprint.observation import Seen
from support.mobile_models import quiet
from support.observed import observed_by_torch

RECORDERS = [OperatorCallTracer, KernelDTypeTracer, CustomClassTracer, BuildFeatureTracer]


def train() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout(), torch.nn.GELU())
    optimizer = torch.optim.AdamW(net.parameters())
    net(torch.randn(3, 4)).sum().backward()
    optimizer.step()


def convolve() -> None:
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.MaxPool2d(2)
    )
    net(torch.randn(1, 3, 8, 8))


def attend() -> None:
    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    with torch.no_grad():
        layer(torch.randn(1, 4, 8))


def index() -> None:
    x = torch.arange(6).reshape(2, 3)
    x[x > 2] += 1
    torch.sort(x.to(torch.float16).flatten(), stable=True)
    bool(x.sum() > 1)


@pytest.mark.parametrize("call", [train, convolve, attend, index])
def test_operators_are_those_that_observers_in_c_see(
    call: Callable[[], None], tmp_path: Path
) -> None:
    call()
    with OperatorCallTracer() as tracer:
        call()
    assert tracer.called_operators == observed_by_torch(call, tmp_path)


def test_operators_have_the_names_of_their_overloads_and_callers() -> None:
    layer, x = torch.nn.Linear(2, 2), torch.ones(1, 2)
    with torch.no_grad(), OperatorCallTracer() as tracer:
        layer(x) + 1
    assert tracer.callers["aten::add.Tensor"] == {""}
    assert tracer.callers["aten::addmm"] == {"aten::linear"}
    assert tracer.callers["aten::transpose.int"] == {"aten::t"}


def test_regions_that_programs_name_are_no_operators() -> None:
    with OperatorCallTracer() as tracer:
        with torch.profiler.record_function("aten::abs"):
            torch.neg(torch.ones(1))
    assert "aten::abs" not in tracer.called_operators
    assert "aten::neg" in tracer.called_operators


def test_operators_of_threads_that_run_already_are_seen() -> None:
    begin, x = threading.Event(), torch.ones(1)

    def work() -> None:
        begin.wait()
        torch.relu(x)

    thread = threading.Thread(target=work)
    thread.start()
    with OperatorCallTracer() as tracer:
        begin.set()
        thread.join()
    assert "aten::relu" in tracer.called_operators


def test_operators_that_a_script_forks_are_seen() -> None:
    source = """
    def forward(x: Tensor):
        waiting = torch.jit.fork(other, x)
        return torch.jit.wait(waiting)

    def other(x: Tensor):
        return torch.sigmoid(x)
    """
    unit = torch.jit.CompilationUnit(source)
    with OperatorCallTracer() as tracer:
        unit.forward(torch.ones(1))
    assert "aten::sigmoid" in tracer.called_operators


def test_nothing_is_left_from_run_to_run() -> None:
    x = torch.ones(1)
    tracer = OperatorCallTracer()
    with tracer:
        torch.relu(x)
    with tracer:
        torch.sigmoid(x)
    assert tracer.called_operators == {"aten::sigmoid"}
    torch.neg(x)
    assert tracer.called_operators == {"aten::sigmoid"}


def test_what_was_called_so_far_can_be_read_inside() -> None:
    x = torch.ones(1)
    with OperatorCallTracer() as tracer:
        torch.neg(x)
        assert tracer.called_operators == {"aten::neg"}
        torch.exp(x)
    assert tracer.called_operators == {"aten::exp", "aten::neg"}


@pytest.mark.parametrize("kind", RECORDERS)
def test_errors_detach(kind: type[OperatorCallTracer]) -> None:
    def fail() -> None:
        torch.neg(torch.ones(1))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), kind() as tracer:
        fail()
    with kind(), OperatorCallTracer() if kind is not OperatorCallTracer else KernelDTypeTracer():
        pass
    if isinstance(tracer, OperatorCallTracer):
        assert "aten::neg" in tracer.called_operators


@pytest.mark.parametrize("kind", RECORDERS)
def test_a_second_of_a_kind_is_refused_and_the_first_goes_on(
    kind: type[OperatorCallTracer],
) -> None:
    first = kind()
    with first, torch.no_grad():
        with pytest.raises(FootprintError, match=f"another {kind.__name__} is attached already"):
            kind().__enter__()
        with pytest.raises(FootprintError, match=f"this {kind.__name__} is attached already"):
            first.__enter__()
        torch.nn.functional.linear(torch.ones(1, 2), torch.ones(1, 2))
    if isinstance(first, OperatorCallTracer):
        assert "aten::linear" in first.called_operators


def test_recorders_of_different_kinds_overlap_in_any_order() -> None:
    x = torch.ones(1)
    operators, dtypes = OperatorCallTracer(), KernelDTypeTracer()
    operators.__enter__()
    torch.neg(x)
    dtypes.__enter__()
    torch.exp(x)
    operators.__exit__(None, None, None)
    torch.relu(x.double())
    dtypes.__exit__(None, None, None)
    assert operators.called_operators == {"aten::neg", "aten::exp"}
    assert "aten::neg" not in dtypes.called_kernel_tags
    assert dtypes.called_kernel_tags["aten::exp"] == {"Float"}
    assert dtypes.called_kernel_tags["aten::relu"] == {"Double"}


def test_a_profiler_around_a_recording_is_refused() -> None:
    with torch.profiler.profile(acc_events=True) as profile:
        with pytest.raises(FootprintError, match="cannot be recorded while torch's profiler runs"):
            OperatorCallTracer().__enter__()
        torch.neg(torch.ones(1))
    assert "aten::neg" in {event.name for event in profile.events()}
    with OperatorCallTracer():
        pass


def test_a_profiler_inside_a_recording_is_no_silent_loss() -> None:
    x = torch.ones(1)

    def record() -> None:
        with OperatorCallTracer(), torch.profiler.profile():
            torch.neg(x)

    with pytest.raises(FootprintError, match="was not recorded to its end"):
        record()
    with OperatorCallTracer() as tracer:
        torch.neg(x)
    assert tracer.called_operators == {"aten::neg"}


def test_the_error_of_a_program_is_not_hidden_by_a_lost_recording() -> None:
    def fail() -> None:
        with torch.profiler.profile():
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"), OperatorCallTracer():
        fail()


def test_types_are_those_of_inputs_in_lists_too() -> None:
    with KernelDTypeTracer() as tracer:
        torch.cat([torch.ones(1, dtype=torch.bfloat16), torch.ones(1, dtype=torch.complex64)])
        torch.ones(1, dtype=torch.float8_e5m2).view(torch.uint8)
    assert tracer.called_kernel_tags["aten::cat"] == {"BFloat16", "ComplexFloat"}
    assert tracer.called_kernel_tags["aten::view.dtype"] == {"Float8_e5m2"}
    assert not tracer.are_kernels


def test_tags_of_kernels_are_kept_where_torch_reports_them() -> None:
    tracer = KernelDTypeTracer()
    tracer._take(Seen(kernel_dtypes={"GeluKernelImpl$Float", "GeluKernelImpl$Half", "nonsense"}))
    assert tracer.are_kernels
    assert tracer.called_kernel_tags == {"GeluKernelImpl": {"Float", "Half"}}


def test_classes_are_those_in_signatures_and_those_looked_up() -> None:
    with quiet():
        weight = torch.quantize_per_tensor(torch.ones(2, 2), 0.1, 0, torch.qint8)
    with CustomClassTracer() as tracer:
        torch.ops.quantized.linear_prepack(weight, None)
    assert tracer.loaded_classes == {"LinearPackedParamsBase"}
    tracer._take(Seen(custom_classes={"__torch__.torch.classes.mine.Counter"}))
    assert tracer.loaded_classes == {"Counter", "LinearPackedParamsBase"}


def test_features_are_those_that_torch_reports() -> None:
    with BuildFeatureTracer() as tracer:
        torch.ones(1)
    assert tracer.build_features == frozenset()
    tracer._take(Seen(build_features={"mine"}))
    assert tracer.build_features == {"mine"}
