import contextlib
import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.jit.mobile import _load_for_lite_interpreter

from opscope.errors import FootprintError
from opscope.footprint import ModelKind, Outcome, TracerResult, trace_run
from opscope.footprint.methods import ALWAYS_INCLUDED, call_setup_methods, dependent_methods
from support.mobile_models import (
    Branching,
    Normed,
    Stepping,
    Training,
    quiet,
    saved_lite,
    scripted,
)
from support.observed import observed_by_torch

X = torch.randn(2, 8)

SETUP = """
    _local_scalar_dense _to_copy as_strided copy_ div.Scalar div.Tensor empty.memory_format empty_strided
    eq.Tensor fill_.Scalar item narrow new_empty_strided ones slice.Tensor to.dtype zero_ zeros
"""


def aten(names: str) -> frozenset[str]:
    return frozenset(f"aten::{name}" for name in names.split())


def consume(value: Any) -> None:
    if isinstance(value, torch.Tensor):
        value.copy_(value.cpu())
    elif isinstance(value, dict):
        consume(list(value.values()))
    else:
        for item in value:
            consume(item)


def run_as_the_tool_does(path: Path) -> None:
    """What the tracer in C++ does with a model, in its order."""
    torch.backends.quantized.engine = "qnnpack"
    call_setup_methods()
    for engine, is_inference in (("qnnpack", False), ("fbgemm", False), ("qnnpack", True)):
        torch.backends.quantized.engine = engine
        with torch.inference_mode(is_inference):
            asked = _load_for_lite_interpreter(str(path))  # type: ignore[no-untyped-call]
            called = _load_for_lite_interpreter(str(path))  # type: ignore[no-untyped-call]
            for facts in asked.run_method("get_bundled_inputs_functions_and_info").values():
                consume(asked.run_method(facts["get_inputs_function_name"][0]))
            for method, facts in called.run_method("get_bundled_inputs_functions_and_info").items():
                for args in called.run_method(facts["get_inputs_function_name"][0]):
                    consume(called.run_method(method, *args))


@pytest.mark.parametrize("name", ["branching.ptl", "flat.ptl", "quantized.ptl", "dynamic.ptl"])
def test_traced_operators_are_exactly_those_of_the_tool_in_c(
    name: str, models: Path, tmp_path: Path
) -> None:
    before = torch.backends.quantized.engine
    try:
        expected = observed_by_torch(lambda: run_as_the_tool_does(models / name), tmp_path)
    finally:
        torch.backends.quantized.engine = before
    assert trace_run(models / name).traced_operators == expected | ALWAYS_INCLUDED


def train_as_the_tool_does(path: Path) -> None:
    """The same of a model that trains, its steps by the interpreter that Python can drive through them."""
    call_setup_methods()
    for is_inference in (False, True):
        with torch.inference_mode(is_inference), contextlib.suppress(RuntimeError):
            asked = _load_for_lite_interpreter(str(path))  # type: ignore[no-untyped-call]
            _load_for_lite_interpreter(str(path))  # type: ignore[no-untyped-call]
            (facts,) = asked.run_method("get_bundled_inputs_functions_and_info").values()
            inputs = asked.run_method(facts["get_inputs_function_name"][0])
            consume(inputs)
            with quiet():
                interpreted: Any = torch.jit.load(path)  # type: ignore[no-untyped-call]
            with torch.jit.optimized_execution(False):  # type: ignore[no-untyped-call]
                consume([interpreted(*args) for args in inputs])
    for method in dependent_methods(
        frozenset({"aten::backward", "aten::batch_norm", "aten::dropout"})
    ):
        method()


def test_traced_operators_of_training_are_exactly_those_of_the_tool_in_c(
    models: Path, tmp_path: Path
) -> None:
    expected = observed_by_torch(lambda: train_as_the_tool_does(models / "training.ptl"), tmp_path)
    result = trace_run(models / "training.ptl")
    assert "aten::native_batch_norm_backward" in expected
    assert result.traced_operators == expected | ALWAYS_INCLUDED


def test_setup_methods_call_what_the_tool_calls() -> None:
    result = trace_run(torch.nn.Identity(), [(X,)])
    assert result.root_ops == frozenset()
    assert result.traced_operators == aten(SETUP) | ALWAYS_INCLUDED | aten("to.dtype_layout")


def test_root_operators_are_all_that_methods_name(models: Path) -> None:
    result = trace_run(models / "branching.ptl")
    assert result.root_ops == aten(
        "__getitem__.t _set_item.str cat gt.int len.t linear relu sigmoid size.int"
    )
    assert result.needs.unreached == aten("sigmoid")
    assert result.needs.interpreted == aten("__getitem__.t _set_item.str gt.int len.t size.int")


def test_archives_and_flatbuffers_need_the_same_but_for_loading(models: Path) -> None:
    archive, flat = trace_run(models / "branching.ptl"), trace_run(models / "flat.ptl")
    assert archive.root_ops == flat.root_ops
    assert archive.traced_operators - flat.traced_operators == aten(
        "set_.source_Storage set_.source_Storage_storage_offset"
    )
    assert flat.models[0].kind is ModelKind.LITE_FLATBUFFER


def test_script_files_modules_and_scripted_modules_call_the_same(models: Path) -> None:
    lite = trace_run(models / "branching.ptl")
    script = trace_run(models / "branching.pt")
    inputs = {"forward": [(X,)], "encode": [([X, X],)]}
    live = trace_run(scripted(Branching()), inputs)
    eager = trace_run(Branching(), inputs)
    assert script.traced_operators == lite.traced_operators
    assert script.root_ops == lite.root_ops
    loading = aten("set_.source_Storage set_.source_Storage_storage_offset")
    assert live.traced_operators == lite.traced_operators - loading
    assert eager.traced_operators == live.traced_operators
    assert eager.root_ops == aten("linear relu cat")
    assert live.root_ops == lite.root_ops - aten("__getitem__.t _set_item.str len.t")


def test_every_method_runs_on_every_input_in_all_three_runs(models: Path) -> None:
    (model,) = trace_run(models / "branching.ptl").models
    assert [(run.name, run.outcome, dict(run.calls)) for run in model.runs] == [
        (name, Outcome.DONE, {"forward": 1, "encode": 1})
        for name in ("qnnpack", "fbgemm", "inference")
    ]


def test_inputs_of_the_old_style_run(models: Path) -> None:
    result = trace_run(models / "old.ptl")
    assert dict(result.models[0].runs[0].calls) == {"forward": 2}
    assert "aten::relu" in result.traced_operators


def test_inputs_that_are_given_stand_in_for_bundled_ones(models: Path) -> None:
    result = trace_run(models / "branching.ptl", [(torch.randn(9, 8),), (X,)])
    assert aten("sigmoid relu") <= result.traced_operators
    assert result.needs.unreached == aten("cat")
    assert dict(result.models[0].runs[0].calls) == {"forward": 2}


def test_a_tuple_is_the_arguments_of_one_call(models: Path) -> None:
    assert dict(trace_run(models / "without.ptl", (X,)).models[0].runs[0].calls) == {"forward": 1}


def test_engines_of_quantized_operators_differ_and_are_put_back(models: Path) -> None:
    before = torch.backends.quantized.engine
    (model,) = trace_run(models / "dynamic.ptl").models
    by_name = {run.name: run.operators for run in model.runs}
    assert "aten::quantize_per_tensor" in by_name["qnnpack"] - by_name["fbgemm"]
    assert "aten::empty_like" in by_name["fbgemm"] - by_name["qnnpack"]
    assert by_name["qnnpack"] | by_name["fbgemm"] <= model.traced_operators
    assert model.loaded_classes == {"LinearPackedParamsBase"}
    assert torch.backends.quantized.engine == before


def test_engines_are_put_back_after_errors(models: Path) -> None:
    before = torch.backends.quantized.engine
    with pytest.raises(FootprintError):
        trace_run(models / "failing.ptl")
    assert torch.backends.quantized.engine == before


def test_classes_named_in_a_file_are_listed(models: Path) -> None:
    assert trace_run(models / "quantized.ptl").loaded_classes == {
        "Conv2dPackedParamsBase",
        "LinearPackedParamsBase",
    }


def test_training_models_run_by_the_interpreter_of_torchscript(models: Path) -> None:
    result = trace_run(models / "training.ptl")
    qnnpack, fbgemm, inference = result.models[0].runs
    assert qnnpack.outcome is fbgemm.outcome is Outcome.DONE
    assert qnnpack.reason == "run by the interpreter of TorchScript, as it trains"
    assert inference.outcome is Outcome.SKIPPED
    assert "does not require grad" in inference.reason
    assert aten("native_batch_norm_backward mm bernoulli_.float") <= result.traced_operators
    assert result.needs.is_training


def test_models_that_train_need_what_their_inputs_may_not_reach() -> None:
    class Waiting(torch.nn.Module):
        """Trains where it is called with many rows."""

        def __init__(self) -> None:
            super().__init__()
            self.norm = torch.nn.BatchNorm1d(8)
            self.drop = torch.nn.Dropout()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.size(0) > 100:
                self.drop(self.norm(x)).sum().backward()
            return x

    result = trace_run(scripted(Waiting()), [(X,)])
    assert aten("native_batch_norm bernoulli_.float div_.Scalar") <= result.traced_operators
    callers = result.needs.callers
    assert callers["aten::batch_norm"] == callers["aten::dropout"] == {"training with other inputs"}


def test_models_that_do_not_train_need_none_of_that() -> None:
    result = trace_run(scripted(Normed().eval()), [(torch.ones(2, 4),)])
    assert result.needs.callers["aten::batch_norm"] == {"forward()"}
    assert "aten::bernoulli_.float" not in result.traced_operators


def test_what_loading_a_model_runs_is_reached(models: Path) -> None:
    needs = trace_run(models / "quantized.ptl", runs=["qnnpack"]).needs
    assert needs.callers["quantized::conv2d_prepack"] == {"loading"}
    assert needs.unreached == {"aten::pad"}


def test_roots_of_all_models_count_for_what_training_needs(tmp_path: Path) -> None:
    norm = saved_lite(tmp_path / "norm.ptl", Normed().eval(), [(torch.ones(2, 4),)])
    step = saved_lite(tmp_path / "step.ptl", Stepping(), [(X,)])
    together = trace_run([step, norm])
    assert together.root_ops == trace_run(step).root_ops | trace_run(norm).root_ops
    assert [model.root_ops for model in together.models] == [
        trace_run(path).root_ops for path in (step, norm)
    ]
    assert "training with other inputs" in together.needs.callers["aten::batch_norm"]
    assert all(
        "training with other inputs" not in model.needs.callers.get("aten::batch_norm", ())
        for model in together.models
    )


def test_a_merged_result_is_the_union_of_its_models(models: Path) -> None:
    one, other = models / "dynamic.ptl", models / "branching.ptl"
    both = trace_run([one, other])
    apart = [trace_run(one), trace_run(other)]
    for field in ("root_ops", "traced_operators", "loaded_classes", "enabled_backends"):
        assert getattr(both, field) == getattr(apart[0], field) | getattr(apart[1], field)
    assert both.called_kernel_tags.keys() == (
        apart[0].called_kernel_tags.keys() | apart[1].called_kernel_tags.keys()
    )
    assert both.models == (*apart[0].models, *apart[1].models)


def test_runs_do_not_build_on_each_other(models: Path) -> None:
    first = trace_run(models / "branching.ptl")
    trace_run(models / "dynamic.ptl")
    assert trace_run(models / "branching.ptl") == first


def test_models_for_metal_are_read_and_not_run(models: Path) -> None:
    result = trace_run(models / "metal.ptl")
    (model,) = result.models
    assert result.enabled_backends == {"Metal GPU"}
    assert "metal::rel" in result.root_ops
    assert aten("conv2d upsample_nearest2d.vec view") <= result.root_ops
    assert result.called_kernel_tags["__unused__"] == {"Float"}
    assert aten("copy_ to.dtype_layout set_.source_Storage resize_") <= result.traced_operators
    assert model.runs[0].outcome is Outcome.STATIC


def test_modules_and_inputs_are_left_as_they_were() -> None:
    class Writing(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = torch.nn.BatchNorm1d(8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.norm(x.add_(1))
            return out

    module, x = Writing(), torch.randn(2, 8)
    state, before = copy.deepcopy(module.state_dict()), x.clone()
    result = trace_run(module, [(x,)])
    assert "aten::native_batch_norm" in result.traced_operators
    assert torch.equal(x, before)
    assert x._version == 0
    for name, value in module.state_dict().items():
        assert torch.equal(value, state[name])


def test_tracing_twice_at_a_time_is_refused(models: Path) -> None:
    class Nesting(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            trace_run(models / "branching.ptl")
            return x

    with pytest.raises(FootprintError, match="Nesting: trace_run is running already"):
        trace_run(Nesting(), [(X,)])
    assert trace_run(models / "branching.ptl").models


def test_a_model_that_profiles_itself_is_an_error_that_names_it(models: Path) -> None:
    class Profiling(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.profiler.profile():
                return x + 1

    with pytest.raises(FootprintError, match="Profiling: what ran was not recorded to its end"):
        trace_run(Profiling(), [(X,)])


def test_random_numbers_are_left_to_the_caller() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    trace_run(torch.nn.Dropout(), [(X,)])
    assert torch.equal(torch.rand(1), expected)


def test_what_comes_out_is_read_whatever_it_is() -> None:
    class Odd(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, str, None]:
            return x.expand(3, 2, 8), x.detach().requires_grad_(), "text", None

    result = trace_run(Odd(), [(X,)])
    assert result.needs.callers["aten::copy_"] >= {"reading tensors"}


def test_a_run_that_fails_is_skipped_with_its_reason() -> None:
    class Gradient(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = x.clone().requires_grad_()
            (out,) = torch.autograd.grad((y * y).sum(), y)
            return out

    (model,) = trace_run(Gradient(), [(X,)]).models
    assert [run.outcome for run in model.runs] == [Outcome.DONE, Outcome.DONE, Outcome.SKIPPED]
    assert model.runs[2].reason


def test_an_engine_that_is_not_there_is_a_run_that_is_skipped(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = [engine for engine in torch.backends.quantized.supported_engines if engine != "fbgemm"]
    monkeypatch.setattr(type(torch.backends.quantized), "supported_engines", kept)
    (model,) = trace_run(models / "branching.ptl").models
    assert model.runs[1].outcome is Outcome.SKIPPED
    assert model.runs[1].reason == "this torch has no fbgemm engine"


def test_runs_can_be_chosen(models: Path) -> None:
    (model,) = trace_run(models / "branching.ptl", runs=("inference",)).models
    assert [run.name for run in model.runs] == ["inference"]
    with pytest.raises(FootprintError, match="no run 'x86'; there are qnnpack, fbgemm, inference"):
        trace_run(models / "branching.ptl", runs=("x86",))


def test_a_single_name_may_stand_alone() -> None:
    net, calls = torch.nn.ReLU(), [(torch.ones(2),)]
    result = trace_run(net, calls, runs="fbgemm", build_features="printing")
    assert [run.name for run in result.models[0].runs] == ["fbgemm"]
    assert result.build_features == {"printing"}
    with pytest.raises(FootprintError, match="build_features holds 3, which is no name"):
        trace_run(net, calls, build_features=["printing", 3])  # type: ignore[list-item]


def test_a_model_that_all_chosen_runs_skip_is_an_error(models: Path) -> None:
    with pytest.raises(
        FootprintError, match=r"could be run in no way\nfbgemm: .*too small"
    ) as caught:
        trace_run(models / "failing.ptl", runs=("fbgemm",))
    assert str(models / "failing.ptl") in str(caught.value)


def test_modes_around_do_not_matter(models: Path) -> None:
    plain = trace_run(models / "training.ptl")
    with torch.inference_mode(), torch.autocast("cpu"):
        assert trace_run(models / "training.ptl") == plain


def test_what_a_model_needs_tells_what_called_it(models: Path) -> None:
    callers = trace_run(models / "branching.ptl").needs.callers
    assert callers["aten::linear"] == {"forward()"}
    assert callers["aten::cat"] == {"encode()"}
    assert callers["aten::addmm"] == {"aten::linear"}
    assert callers["aten::set_.source_Storage"] == {"loading"}
    assert callers["aten::to.dtype_layout"] == {"reading tensors"}
    assert callers["aten::narrow"] == {"setup"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.ptl", "does not exist"),
        ("", "is a folder, not a model"),
        (
            "junk.ptl",
            "is no model: it is neither a zip archive nor a flatbuffer\nsave the scripted model",
        ),
        ("empty.ptl", "is empty"),
        ("cut.ptl", "is a damaged archive"),
        ("cut_flat.ptl", "cannot be loaded: .*Flatbuffer"),
        (
            "saved.pt",
            "is what torch.save writes: tensors and names of classes, and no program\nsave the",
        ),
        ("pickle.pt", "is a pickle, as old torch.save wrote it, and no program"),
        ("exported.pt2", r"is an exported program\npass torch.export.load\(path\).module\(\)"),
        ("program.pte", "is a program of ExecuTorch"),
        ("without.ptl", "it has no bundled inputs, so there is nothing to run\nbundle some"),
        ("without.pt", "it has no bundled inputs, so there is nothing to run\nbundle some"),
        ("hollow.ptl", "its get_all_bundled_inputs returned no inputs\nbundle some"),
        ("failing.ptl", "failed in the qnnpack run: AssertionError: too small\ncheck that it runs"),
        ("training_flat.ptl", "runs a backward pass, .*\nsave it with .*, without _use_flatbuffer"),
    ],
)
def test_bad_files_are_named_with_a_remedy(
    name: str, words: str, models: Path, bad_files: Path
) -> None:
    path = bad_files / name
    if not path.exists() and (models / name).exists():
        path = models / name
    with pytest.raises(FootprintError, match=words) as caught:
        trace_run(path)
    assert str(path) in str(caught.value)
    assert isinstance(caught.value.result, TracerResult | None)


def test_operators_of_a_library_that_is_not_loaded_are_named(models: Path, tmp_path: Path) -> None:
    from support.mobile_models import rewritten

    path = tmp_path / "mine.ptl"
    rewritten(
        path, models / "old.ptl", lambda _, content: content.replace(b"aten::relu", b"mine::relu")
    )
    with pytest.raises(FootprintError, match=r"failed in the qnnpack run: .*mine::relu") as caught:
        trace_run(path)
    assert "load the library that registers these operators first" in str(caught.value)


def test_of_several_models_all_are_tried_before_an_error(models: Path, tmp_path: Path) -> None:
    names = ["branching.ptl", "failing.ptl", "missing.ptl", "old.ptl"]
    with pytest.raises(FootprintError) as caught:
        trace_run([models / name for name in names])
    message, result = str(caught.value), caught.value.result
    assert message.startswith("2 of 4 models could not be traced\n")
    assert "failing.ptl failed in the qnnpack run" in message
    assert "missing.ptl does not exist" in message
    assert [Path(model.name).name for model in result.models] == ["branching.ptl", "old.ptl"]
    assert [Path(failure.name).name for failure in result.failures] == [
        "failing.ptl",
        "missing.ptl",
    ]


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ([X], r"inputs for forward hold Tensor where a tuple of arguments must stand"),
        (X, r"must be a list with a tuple of arguments for each call, not Tensor"),
        ([], "inputs holds no call"),
        ({"missing": [(X,)]}, "it has no method missing to call"),
    ],
)
def test_inputs_that_are_none_are_refused(inputs: Any, words: str, models: Path) -> None:
    with pytest.raises(FootprintError, match=words):
        trace_run(models / "branching.ptl", inputs)


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(FootprintError, match="function is no model: give a path, or a module"):
        trace_run(consume, [(X,)])  # type: ignore[arg-type]
    with pytest.raises(FootprintError, match="there is no model to trace"):
        trace_run([])


def test_a_lite_module_that_is_loaded_can_be_given(models: Path) -> None:
    with quiet():
        module = _load_for_lite_interpreter(str(models / "branching.ptl"))  # type: ignore[no-untyped-call]
    assert trace_run(module).root_ops == trace_run(models / "branching.ptl").root_ops


def test_a_training_step_of_a_module_in_python(models: Path) -> None:
    result = trace_run(Training(), [(X,)])
    assert aten("native_batch_norm_backward mm") <= result.traced_operators
    assert result.root_ops >= aten("linear batch_norm dropout sum detach")
