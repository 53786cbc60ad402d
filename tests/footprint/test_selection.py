import json
import os
import subprocess
import sys
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from torchgen.selective_build.selector import SelectiveBuilder, combine_selective_builders

from opscope.errors import FootprintError
from opscope.footprint import (
    OperatorSelection,
    SelectedOperator,
    TracerResult,
    merge,
    parse_selection,
    read_selection,
    trace_run,
)
from opscope.footprint.observation import Observation, Seen

HOSTILE = [
    "</script>",
    'quo"te',
    "it's",
    "new\nline",
    "tab\t",
    "ü→🔥",
    "a: b",
    "- x",
    "#",
    "yes",
    "1",
    "~",
    " ",
]


def traced(models: Path, *names: str) -> TracerResult:
    return trace_run([models / name for name in names])


@pytest.mark.parametrize("name", ["dynamic.ptl", "quantized.ptl", "training.ptl", "metal.ptl"])
def test_builds_select_every_operator_type_and_class(
    name: str, models: Path, tmp_path: Path
) -> None:
    result = traced(models, name)
    builder = SelectiveBuilder.from_yaml_path(str(result.save(tmp_path / "selected.yaml")))
    for operator in result.root_ops | result.traced_operators:
        assert builder.is_operator_selected(operator)
        assert builder.is_root_operator(operator) == (operator in result.root_ops)
        assert builder.is_operator_selected_for_training(operator) == result.needs.is_training
    assert builder.custom_classes == set(result.loaded_classes)
    assert builder.is_kernel_dtype_selected("a kernel that nothing was seen of", "Float")


def test_operators_that_were_not_seen_are_not_selected(models: Path) -> None:
    builder = SelectiveBuilder.from_yaml_str(traced(models, "branching.ptl").to_yaml())
    assert not builder.is_operator_selected("aten::gelu")
    assert not builder.is_operator_selected("aten::add.Tensor")


def test_the_file_says_this(models: Path) -> None:
    result = trace_run(torch.nn.ReLU(), [(torch.ones(1),)])
    lines = result.to_yaml().splitlines()
    assert lines[:12] == [
        "include_all_non_op_selectives: true",
        "include_all_operators: false",
        "build_features: []",
        "operators:",
        "  aten::relu:",
        "    is_used_for_training: false",
        "    is_root_operator: true",
        "    include_all_overloads: false",
        "  aten::_local_scalar_dense:",
        "    is_used_for_training: false",
        "    is_root_operator: false",
        "    include_all_overloads: false",
    ]
    assert lines[-4:-1] == ["kernel_metadata: {}", "custom_classes: []", "debug_info:"]


def test_notes_are_json_with_what_tools_ask_for(models: Path) -> None:
    result = traced(models, "dynamic.ptl", "metal.ptl")
    notes = json.loads(yaml.safe_load(result.to_yaml())["debug_info"][0])
    assert notes["is_new_style_rule"] is False
    assert notes["asset_info"] == {
        Path(model.name).name: {"md5_hash": [model.md5]} for model in result.models
    }
    assert notes["enabled_backends"] == ["CPU", "Metal GPU"]
    assert notes["operator_input_dtypes"]["quantized::linear_dynamic"] == ["Float"]
    assert notes["runs"]["dynamic.ptl"] == {
        "fbgemm": "done",
        "inference": "done",
        "qnnpack": "done",
    }
    assert notes["unreached_root_operators"] == ["quantized::linear_dynamic_fp16"]
    assert notes["torch"] == str(torch.__version__)


def test_tags_of_kernels_restrict_a_build_where_torch_reports_them(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = Observation.end

    def with_tags(self: Observation) -> Seen:
        seen = end(self)
        seen.kernel_dtypes.add("fill_cpu$Float")
        return seen

    monkeypatch.setattr(Observation, "end", with_tags)
    result = traced(models, "branching.ptl")
    builder = SelectiveBuilder.from_yaml_str(result.to_yaml())
    assert result.called_kernel_tags == {"fill_cpu": {"Float"}}
    assert builder.is_kernel_dtype_selected("fill_cpu", "Float")
    assert not builder.is_kernel_dtype_selected("fill_cpu", "Half")


def test_names_of_operators_never_stand_for_kernels_when_results_are_merged(models: Path) -> None:
    selection = traced(models, "branching.ptl").selection
    exact = OperatorSelection(kernel_metadata={"fill_cpu": frozenset({"Float"})})
    builder = SelectiveBuilder.from_yaml_str(merge([exact, selection]).to_yaml())
    assert builder.is_kernel_dtype_selected("any", "Half")


def test_the_same_models_give_the_same_text(models: Path) -> None:
    texts = {traced(models, "dynamic.ptl", "training.ptl").to_yaml() for _ in range(2)}
    script = (
        "import sys; from opscope.footprint import trace_run\n"
        "sys.stdout.write(trace_run(sys.argv[1:]).to_yaml())"
    )
    paths = [str(models / "dynamic.ptl"), str(models / "training.ptl")]
    other = subprocess.run(
        [sys.executable, "-c", script, *paths],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert texts == {other.stdout}


def test_features_that_are_given_are_listed(models: Path) -> None:
    result = trace_run(models / "branching.ptl", build_features=["mine"])
    assert SelectiveBuilder.from_yaml_str(result.to_yaml()).build_features == {"mine"}


def test_files_are_written_whole_or_not_at_all(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "selected.yaml"
    path.write_text("before")
    selection = OperatorSelection()

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(FootprintError, match=r"cannot write .*selected.yaml: No space left"):
            selection.save(path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(FootprintError, match="cannot write"):
        selection.save(tmp_path / "missing" / "selected.yaml")


names = st.one_of(st.sampled_from(HOSTILE), st.text(min_size=1, max_size=8))
words = st.frozensets(names, max_size=3)
operators = st.builds(
    SelectedOperator,
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.lists(names, max_size=2).map(tuple),
)
selections = st.builds(
    OperatorSelection,
    operators=st.dictionaries(names, operators, max_size=4),
    kernel_metadata=st.dictionaries(names, words, max_size=3),
    et_kernel_metadata=st.dictionaries(
        names, words.map(lambda keys: tuple(sorted(keys))), max_size=3
    ),
    custom_classes=words,
    build_features=words,
    include_all_non_op_selectives=st.booleans(),
    include_all_operators=st.booleans(),
    debug_info=st.lists(names, max_size=2, unique=True).map(tuple),
)


@settings(max_examples=60, deadline=None)
@given(selections)
def test_what_is_written_is_read_back(selection: OperatorSelection) -> None:
    assert parse_selection(selection.to_yaml()) == selection


@settings(max_examples=60, deadline=None)
@given(selections)
def test_torchgen_reads_what_is_written(selection: OperatorSelection) -> None:
    builder = SelectiveBuilder.from_yaml_str(selection.to_yaml())
    assert set(builder.operators) == set(selection.operators)
    for name, operator in selection.operators.items():
        read = builder.operators[name]
        assert (read.is_root_operator, read.is_used_for_training, read.include_all_overloads) == (
            operator.is_root,
            operator.is_training,
            operator.all_overloads,
        )
    assert {tag: set(types) for tag, types in builder.kernel_metadata.items()} == {
        tag: set(types) for tag, types in selection.kernel_metadata.items()
    }
    assert builder.custom_classes == set(selection.custom_classes)
    assert builder.include_all_operators == selection.include_all_operators


@settings(max_examples=60, deadline=None)
@given(st.lists(selections, min_size=1, max_size=3))
def test_merging_agrees_with_torchgen(each: list[OperatorSelection]) -> None:
    ours = SelectiveBuilder.from_yaml_str(merge(each).to_yaml()).to_dict()
    theirs = reduce(
        combine_selective_builders, [SelectiveBuilder.from_yaml_str(one.to_yaml()) for one in each]
    ).to_dict()
    assert effect_of(ours) == effect_of(theirs)


def effect_of(content: dict[str, Any]) -> Any:
    """Return what a build does by: lists without an order, and no notes."""
    if isinstance(content, dict):
        return {key: effect_of(value) for key, value in content.items() if key != "debug_info"}
    return sorted(map(str, content)) if isinstance(content, list | set | tuple) else content


def test_files_of_other_tools_are_read() -> None:
    selection = parse_selection(
        """
        operators:
          aten::add: {is_root_operator: Yes, is_used_for_training: no, debug_info: [null]}
          aten::mul.out: {}
        custom_classes: !!set {Mine, Other}
        """
    )
    assert selection.operators == {
        "aten::add": SelectedOperator(True, False, True, ("None",)),
        "aten::mul.out": SelectedOperator(True, True, True),
    }
    assert selection.custom_classes == {"Mine", "Other"}
    assert selection.is_selected("aten::add.Tensor")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must have keys such as operators: at its top"),
        ("- a", "must have keys"),
        ("enabled_backends: [CPU]", "no key 'enabled_backends'; known are build_features"),
        ("operators:", "operators: must be a mapping, not nothing"),
        ("operators: {aten::add: }", "operator 'aten::add' must have keys"),
        ("operators: {aten::add: {root: true}}", "operator 'aten::add' has a key 'root'"),
        (
            "operators: {aten::add: {is_root_operator: 3}}",
            "is_root_operator: must be true or false, not 3",
        ),
        ("operators: {7: {}}", "operators: holds 7 where a name must stand"),
        ("kernel_metadata: []", r"kernel_metadata: must be a mapping, not a list"),
        (
            "kernel_metadata: {tag: }",
            "kernel_metadata: 'tag': must be a list of names, not nothing",
        ),
        ("custom_classes: A", "custom_classes: must be a list of names, not 'A'"),
        ("operators: {a: {", "expected the node content, .*in line 1"),
        ("a: 'b", "found unexpected end of stream, in line 1"),
        ("[" * 9000, "nested too deep|recursion|expected the node content"),
        (
            "include_all_operators: !!python/object/apply:os.system ['touch owned']",
            "could not determine a constructor",
        ),
        ("!!python/object/apply:os.system ['touch owned']", "could not determine a constructor"),
    ],
)
def test_what_is_no_selection_is_refused_and_runs_nothing(
    text: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(FootprintError, match=words) as caught:
        read_selection(path)
    assert "bad.yaml is no selected_operators.yaml: " in str(caught.value)
    assert not (tmp_path / "owned").exists()


def test_a_text_that_grows_without_end_is_refused_in_no_time() -> None:
    lines = ["a0: &a0 [x]"] + [
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)
    ]
    text = "kernel_metadata: {tag: *a29}\n"
    with pytest.raises(FootprintError, match="no key 'a0'"):
        parse_selection("\n".join(lines) + "\n" + text)
    with pytest.raises(
        FootprintError, match="custom_classes: holds a list where a name must stand"
    ):
        parse_selection("custom_classes: &a [x, [*a, *a]]")


def test_files_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FootprintError, match="is no list of operators: it is no text"):
        read_selection(path)
    with pytest.raises(FootprintError, match=r"cannot read .*missing.yaml: No such file"):
        read_selection(tmp_path / "missing.yaml")


def test_lists_are_read_and_compared_without_torch() -> None:
    script = (
        "import sys\n"
        "from opscope.footprint import diff, merge, parse_selection, report, coverage\n"
        "print(diff(parse_selection('operators: {}'), parse_selection('operators: {aten::a: {}}')))\n"
        "print({'torch', 'numpy', 'torchgen'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert result.stdout == "+ aten::a\nset()\n"
