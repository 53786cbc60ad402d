import json
from pathlib import Path

import pytest
import yaml
from torchgen.selective_build.selector import SelectiveBuilder, combine_selective_builders

from opscope.errors import FootprintError, FormatError
from opscope.footprint import (
    ExecuTorchFootprint,
    OperatorSelection,
    SelectedOperator,
    executorch_footprint,
    executorch_report,
    merge,
    operator_dict,
    operator_list,
    operator_schema,
    parse_selection,
)
from support.executorch_programs import adding, call, operator, plan, program, tensor

PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture(scope="module")
def both() -> ExecuTorchFootprint:
    return executorch_footprint([PROGRAMS / "delegated.pte", PROGRAMS / "quantized.pte"])


def test_a_build_selects_each_operator_as_a_root(both: ExecuTorchFootprint) -> None:
    builder = SelectiveBuilder.from_yaml_str(both.to_yaml())
    assert set(builder.operators) == both.operators
    assert all(map(builder.is_root_operator, both.operators))
    assert builder.et_get_selected_kernels("aten::cumsum.out", ["default"]) == ["default"]
    assert builder.et_get_selected_kernels("aten::mul.out", ["default"]) == []


def test_lists_of_two_models_are_what_their_lists_merge_to(both: ExecuTorchFootprint) -> None:
    one, two = (executorch_footprint(path) for path in (model.name for model in both.models))
    merged = merge([one.selection, two.selection])
    assert merged.operators == both.selection.operators
    assert merged.et_kernel_metadata == both.selection.et_kernel_metadata
    theirs = combine_selective_builders(
        *(SelectiveBuilder.from_yaml_str(found.to_yaml()) for found in (one, two))
    )
    assert theirs.et_kernel_metadata == {
        name: list(keys) for name, keys in both.selected_kernels.items()
    }


def test_the_same_programs_give_the_same_text_and_it_reads_back(both: ExecuTorchFootprint) -> None:
    paths = [model.name for model in both.models]
    assert executorch_footprint(paths).to_yaml() == both.to_yaml()
    assert parse_selection(both.to_yaml()) == both.selection


def test_lists_in_other_forms() -> None:
    selection = executorch_footprint(PROGRAMS / "delegated.pte").selection.merged(
        OperatorSelection(operators={"my::null.out": SelectedOperator(all_overloads=False)})
    )
    assert operator_list(selection) == "aten::cumsum.out,my::null.out"
    assert json.loads(operator_dict(selection)) == {
        "aten::cumsum.out": ["v1/6;0,1,2,3|6;0,1,2,3|6;0,1,2,3"],
        "my::null.out": [],
    }
    assert operator_schema(selection) == "- op: cumsum.out\n- op: my::null.out\n"


def test_names_that_yaml_would_take_for_values_stay_names() -> None:
    selection = OperatorSelection(operators={"aten::null": SelectedOperator()})
    assert yaml.safe_load(operator_schema(selection)) == [{"op": "null"}]


@pytest.mark.parametrize("form", [operator_list, operator_dict, operator_schema])
def test_what_lists_cannot_say_is_refused(form: object) -> None:
    assert callable(form)
    with pytest.raises(FootprintError, match="all operators are selected"):
        form(OperatorSelection(include_all_operators=True))
    with pytest.raises(FootprintError, match="cannot stand in a list for ExecuTorch"):
        form(OperatorSelection(operators={"a::b,c::d": SelectedOperator()}))


def test_names_of_backends_and_methods_can_be_anything(tmp_path: Path) -> None:
    hostile = "</script>\"'\n: - \x1b[31m é"
    path = tmp_path / "odd : name.pte"
    path.write_bytes(adding(backends=[hostile], method=hostile))
    found = executorch_footprint(path)
    assert parse_selection(found.to_yaml()) == found.selection
    notes = json.loads(found.selection.debug_info[0])
    assert notes["delegated_parts"] == {hostile: 1}
    text = executorch_report(found)
    assert "\x1b" not in text
    assert "</script>\"'\\n: - \\x1b[31m é (1 part)" in text


def test_the_report_says_what_is_called_with_what(tmp_path: Path) -> None:
    path = tmp_path / "small.pte"
    path.write_bytes(
        program(
            plan(
                [tensor(), tensor(4, (0, 2, 3, 1))],
                [call(0, 0, 0), call(0, 1, 1), call(1, 0)],
                [
                    operator("aten::abs", "out"),
                    operator("aten::sym_numel"),
                    operator("aten::neg", "out"),
                ],
                ["Npu"],
            )
        )
    )
    lines = executorch_report(executorch_footprint(path)).splitlines()
    assert lines == [
        f"{path}  (program of ExecuTorch, {path.stat().st_size} B)",
        "  forward    3 calls of 2 operators; 1 part left to Npu",
        "",
        "3 operators: 2 of libraries of kernels, 1 that the runtime has itself",
        "operator           kernels  types       dimensions  calls  called by",
        "aten (2)",
        "  abs.out          2        Float Long  2 0,2,3,1   2      forward",
        "  neg.out                                           never",
        "in the runtime (1)",
        "  aten::sym_numel  1        Float       2           1      forward",
        "",
        "backends: Npu (1 part)",
        "  what runs inside these is theirs, and in no list; the app must link them",
        "listed and never called: aten::neg.out",
        "types are those of tensors in calls; what kernels need inside may be more",
    ]


def test_the_others_are_read_where_one_fails(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pte"
    bad.write_bytes(adding()[:50])
    with pytest.raises(FootprintError, match="1 of 2 models could not be read") as caught:
        executorch_footprint([bad, PROGRAMS / "flow.pte"])
    assert len(caught.value.result.operators) == 13
    assert caught.value.result.failures[0].name == str(bad)
    with pytest.raises(FormatError, match=r"bad.pte cannot be read as a program"):
        executorch_footprint(bad)


@pytest.mark.parametrize("given", [3, None, [], "junk\0"])
def test_what_is_no_model_is_refused(given: object) -> None:
    with pytest.raises((FootprintError, FormatError)):
        executorch_footprint(given)
