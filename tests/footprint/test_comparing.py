from pathlib import Path

import pytest

from opscope.errors import FootprintError
from opscope.footprint import (
    OperatorSelection,
    SelectedOperator,
    coverage,
    diff,
    read_available,
    trace_run,
)

ROOT = SelectedOperator(is_root=True, is_training=False, all_overloads=False)
TRACED = SelectedOperator(is_root=False, is_training=False, all_overloads=False)
BEFORE = OperatorSelection(
    operators={"aten::a": ROOT, "aten::b": TRACED, "aten::c": ROOT},
    custom_classes=frozenset({"Old", "Same"}),
    kernel_metadata={"tag": frozenset({"Float"})},
)
AFTER = OperatorSelection(
    operators={"aten::b": ROOT, "aten::c": ROOT, "aten::d.out": TRACED},
    custom_classes=frozenset({"Same"}),
    kernel_metadata={"tag": frozenset({"Float", "Half"})},
    build_features=frozenset({"fast"}),
    include_all_non_op_selectives=True,
)


def test_a_difference_tells_what_came_went_and_changed() -> None:
    assert str(diff(BEFORE, AFTER)).splitlines() == [
        "+ aten::d.out",
        "+ all types of elements, classes and features",
        "+ feature fast",
        "+ kernel tag Half",
        "- aten::a",
        "- class Old",
        "~ aten::b: traced -> root",
    ]


def test_there_is_no_difference_between_the_same() -> None:
    same = diff(AFTER, AFTER)
    assert not same
    assert str(same) == "no difference"


def test_coverage_tells_what_is_missing_and_what_is_not_used() -> None:
    found = coverage(AFTER, ["aten::b", "aten::z", "aten::c"])
    assert found.covered == ("aten::b", "aten::c")
    assert found.missing == ("aten::d.out",)
    assert found.unused == ("aten::z",)
    assert not found.is_complete
    assert str(found) == "2 of 3 operators are there; 1 more are not used\nmissing: aten::d.out"


def test_a_name_with_all_overloads_covers_each_of_them() -> None:
    everything = OperatorSelection(operators={"aten::d": SelectedOperator(all_overloads=True)})
    exact = OperatorSelection(operators={"aten::d": ROOT})
    assert coverage(["aten::d.out"], everything).is_complete
    assert coverage(["aten::d.out"], everything).unused == ()
    assert not coverage(["aten::d.out"], exact).is_complete
    assert coverage(["aten::d.out"], OperatorSelection(include_all_operators=True)).is_complete


def test_a_footprint_covers_itself(models: Path, tmp_path: Path) -> None:
    result = trace_run(models / "branching.ptl")
    path = result.save(tmp_path / "selected.yaml")
    assert coverage(result.selection, read_available(path)).is_complete


def test_lists_have_a_name_on_each_line(tmp_path: Path) -> None:
    path = tmp_path / "kernels.txt"
    path.write_text("aten::add.out  # fast\n\n# none\naten::mul.out\n")
    assert sorted(read_available(path).operators) == ["aten::add.out", "aten::mul.out"]
    assert not read_available(path).is_selected("aten::add")


def executorch(**kernels: list[str]) -> OperatorSelection:
    names = {f"aten::{name}.out": tuple(keys) for name, keys in kernels.items()}
    return OperatorSelection(operators=dict.fromkeys(names, ROOT), et_kernel_metadata=names)


def test_lists_of_kernels_are_read_as_executorch_has_them(tmp_path: Path) -> None:
    path = tmp_path / "functions.yaml"
    path.write_text(
        "# kernels\n\n- op: add.out\n  kernels:\n    - arg_meta: null\n      kernel_name: a::b\n"
        "- func: quantized::mul.out(Tensor a, *, Tensor(a!) out) -> Tensor(a!)\n"
    )
    available = read_available(path)
    assert sorted(available.operators) == ["aten::add.out", "quantized::mul.out"]
    found = coverage(executorch(add=["v1/6;0|6;0"], sub=["v1/6;0"]), available)
    assert found.covered == ("aten::add.out",)
    assert str(found).endswith("\nmissing: aten::sub.out")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- 3\n", "entry 1 has neither op: nor func: with a name"),
        ("- op: a.b\n- op: 'c d'\n", "entry 2 is of 'c d', which is no name"),
        ("- [\n", "while parsing|did not find|expected"),
        (
            "- !!python/object/apply:os.system ['touch owned']\n",
            "could not determine a constructor",
        ),
    ],
)
def test_lists_of_no_kernels_are_refused(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "functions.yaml"
    path.write_text(text)
    with pytest.raises(
        FootprintError, match=f"functions.yaml is no list of operators: .*({words})"
    ):
        read_available(path)


def test_what_the_runtime_of_executorch_has_itself_is_there() -> None:
    prims = {"aten::sym_size.int": ("v1/6;0",), "executorch_prim::add.Scalar": ("v1",)}
    needed = OperatorSelection(operators=dict.fromkeys(prims, ROOT), et_kernel_metadata=prims)
    assert coverage(needed, executorch(add=["default"])).is_complete
    assert not coverage(OperatorSelection(operators=needed.operators), []).is_complete


def test_kernels_for_other_types_are_no_help() -> None:
    needed = executorch(add=["v1/6;0|6;0", "v1/7;0|4;0"], sub=["default"], mul=["v1/6;0"])
    there = executorch(add=["v1/6;1,0|4;1,0"], sub=["v1/6;0"], mul=["default"])
    found = coverage(needed, there)
    assert found.missing == ()
    assert not found.is_complete
    assert str(found).splitlines()[1:] == [
        "missing: aten::add.out for Double",
        "missing: aten::sub.out for all types",
    ]
    assert coverage(there, there).is_complete


def test_operators_that_are_listed_without_a_kernel_are_not_built() -> None:
    there = OperatorSelection(
        operators={"aten::add.out": ROOT, "aten::sub.out": ROOT},
        et_kernel_metadata={"aten::sub.out": ("default",)},
    )
    assert coverage(executorch(add=["v1/6;0"]), there).missing == ("aten::add.out",)


def test_a_difference_tells_of_kernels_of_executorch() -> None:
    lines = str(diff(executorch(add=["v1/6;0"]), executorch(add=["v1/7;0"], sub=["default"])))
    assert lines.splitlines() == [
        "+ aten::sub.out",
        "+ ExecuTorch kernel aten::add.out v1/7;0",
        "+ ExecuTorch kernel aten::sub.out default",
        "- ExecuTorch kernel aten::add.out v1/6;0",
    ]


@pytest.mark.parametrize("text", ["add.out", "aten::a aten::b", "</script>"])
def test_lists_of_something_else_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "kernels.txt"
    path.write_text(text)
    with pytest.raises(FootprintError, match=r"is no name such as aten::add.Tensor"):
        read_available(path)
