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


@pytest.mark.parametrize("text", ["add.out", "aten::a aten::b", "</script>"])
def test_lists_of_something_else_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "kernels.txt"
    path.write_text(text)
    with pytest.raises(FootprintError, match=r"is no name such as aten::add.Tensor"):
        read_available(path)
