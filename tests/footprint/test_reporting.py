import re
from pathlib import Path

import pytest
import torch

from opscope.errors import FootprintError
from opscope.footprint import report, trace_run
from support.mobile_models import Stepping, saved_lite

X = torch.randn(2, 8)


def test_a_report_tells_how_each_model_was_run(models: Path) -> None:
    text = report(trace_run([models / "training.ptl", models / "metal.ptl"]), 200)
    lines = text.splitlines()
    assert re.search(r"training.ptl  \(lite interpreter, zip, [0-9.]+ kB, trains\)$", lines[0])
    assert lines[1:4] == [
        "  qnnpack    ran forward() on 1 input: run by the interpreter of TorchScript, as it trains",
        "  fbgemm     ran forward() on 1 input: run by the interpreter of TorchScript, as it trains",
        "  inference  skipped: element 0 of tensors does not require grad and does not have a grad_fn",
    ]
    assert lines[5] == (
        "  static     not run: operators of Metal run on Apple's GPUs alone;"
        " what is listed was read from the file"
    )
    assert "backends: CPU, Metal GPU" in lines


def test_a_report_has_a_row_for_each_operator(models: Path) -> None:
    result = trace_run(models / "branching.ptl")
    rows = {
        line.split()[0]: line.split() for line in report(result).splitlines() if line[:2] == "  "
    }
    assert rows["linear"] == ["linear", "root", "Float", "forward()"]
    assert rows["cat"] == ["cat", "root", "Float", "encode()"]
    assert rows["addmm"] == ["addmm", "Float", "linear"]
    assert rows["sigmoid"] == ["sigmoid", "never", "run"]
    assert rows["len.t"] == ["len.t", "unseen"]
    assert rows["copy_"][:6] == ["copy_", "Bool", "Byte", "Char", "+5", "reading"]
    assert rows["resize_"] == ["resize_", "always", "included"]
    for name in result.root_ops | result.traced_operators:
        assert name.removeprefix("aten::") in rows


def test_a_report_says_which_operators_the_inputs_do_not_reach(models: Path) -> None:
    text = report(trace_run([models / "branching.ptl", models / "dynamic.ptl"]))
    assert "never run by these inputs (2): aten::sigmoid, quantized::linear_dynamic_fp16\n" in text
    assert "custom classes: LinearPackedParamsBase\n" in text


def test_operators_stand_by_namespace(models: Path) -> None:
    text = report(trace_run(models / "dynamic.ptl"))
    assert text.index("\naten (37)\n") < text.index("\nquantized (2)\n")


def test_no_line_of_a_table_is_wider_than_asked_for(models: Path) -> None:
    text = report(trace_run(models / "dynamic.ptl"), 60)
    table = text[text.index("\noperator  ") : text.index("never run by")]
    assert max(map(len, table.splitlines())) == 60


def test_hostile_names_stay_in_their_line(tmp_path: Path) -> None:
    path = saved_lite(tmp_path / "a\n\x1b[31mb'<script>.ptl", Stepping(), [(X,)])
    first = report(trace_run(path)).splitlines()[0]
    assert "a\\n\\x1b[31mb'<script>.ptl  (lite interpreter" in first


def test_a_report_of_what_was_traced_names_what_failed(models: Path) -> None:
    with pytest.raises(FootprintError) as caught:
        trace_run([models / "branching.ptl", models / "missing.ptl"])
    assert "missing.ptl does not exist" in report(caught.value.result)
