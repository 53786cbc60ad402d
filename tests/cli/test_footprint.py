import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torchgen.selective_build.selector import SelectiveBuilder
from typer.testing import CliRunner, Result

from opscope.cli.main import app
from support.mobile_models import Branching, Failing, Training, dynamically_quantized, saved_lite

X = torch.randn(2, 8)


def run(*args: object) -> Result:
    return CliRunner().invoke(app, ["footprint", *map(str, args)])


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small models."""
    folder = tmp_path_factory.mktemp("small")
    saved_lite(folder / "plain.ptl", Branching(), [(X,)])
    saved_lite(folder / "quantized.ptl", dynamically_quantized(), [(X,)])
    saved_lite(folder / "training.ptl", Training(), [(X,)])
    saved_lite(folder / "without.ptl", Branching())
    saved_lite(folder / "failing.ptl", Failing(), [(X,)])
    (folder / "junk.ptl").write_text("junk")
    return folder


def test_a_build_has_what_two_models_need(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "selected_operators.yaml"
    result = run(small / "quantized.ptl", small / "training.ptl", "--yaml", out, "--report")
    assert result.exit_code == 0
    builder = SelectiveBuilder.from_yaml_path(str(out))
    assert builder.is_root_operator("quantized::linear_dynamic")
    assert builder.is_operator_selected_for_training("aten::native_batch_norm_backward")
    assert "qnnpack    ran forward() on 1 input" in result.stdout
    assert "inference  skipped: element 0 of tensors does not require grad" in result.stdout
    assert "never run by these inputs (1): quantized::linear_dynamic_fp16" in result.stdout
    assert f"wrote {out}: {len(builder.operators)} operators, 21 of them roots\n" in result.stderr


def test_a_table_is_printed_if_nothing_else_is_asked_for(small: Path, tmp_path: Path) -> None:
    assert "called by" in run(small / "plain.ptl").stdout
    assert run(small / "plain.ptl", "--yaml", tmp_path / "out.yaml").stdout == ""


def test_what_a_list_may_lack_is_told_where_no_table_is_printed(
    small: Path, tmp_path: Path
) -> None:
    result = run(small / "quantized.ptl", small / "training.ptl", "--yaml", tmp_path / "out.yaml")
    assert result.exit_code == 0
    assert result.stdout == ""
    skipped, unreached, remedy, *_ = result.stderr.splitlines()
    assert skipped.startswith(
        f"warning: {small / 'training.ptl'}: the inference run was skipped: element 0 of tensors"
    )
    assert unreached == "warning: never run by these inputs (1): quantized::linear_dynamic_fp16"
    assert remedy == "  what these call is not in the list; give inputs that come to them"


def test_a_failure_leaves_the_file_and_tells_of_all_models(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "selected.yaml"
    out.write_text("before")
    models = [small / name for name in ("failing.ptl", "plain.ptl", "junk.ptl", "missing.ptl")]
    result = run(*models, "--yaml", out, "--report")
    assert result.exit_code == 1
    assert out.read_text() == "before"
    assert list(tmp_path.iterdir()) == [out]
    assert f"{small / 'plain.ptl'}  (lite interpreter, zip" in result.stdout
    assert result.stderr.splitlines()[0] == "error: 3 of 4 models could not be traced"
    for words in (
        f"{small / 'failing.ptl'} failed in the qnnpack run: AssertionError: too small",
        f"{small / 'junk.ptl'} is no model",
        f"{small / 'missing.ptl'} does not exist",
        f"traced without failure: {small / 'plain.ptl'}",
        f"{out} was not written",
    ):
        assert words in result.stderr


def test_one_model_that_cannot_be_traced_is_one_message(small: Path) -> None:
    result = run(small / "without.ptl")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == (
        f"error: {small / 'without.ptl'}: it has no bundled inputs, so there is nothing to run\n"
        "  bundle some before it is saved: torch.utils.bundled_inputs.bundle_inputs(scripted, [(x,)]);"
        " or give inputs (inputs= in Python, --input on the command line)\n"
    )


def test_inputs_can_be_given(small: Path) -> None:
    result = run(small / "without.ptl", "-i", "f32[9,8]")
    assert result.exit_code == 0
    assert "never run by these inputs (2): aten::cat, aten::relu\n" in result.stdout


def test_runs_can_be_chosen(small: Path) -> None:
    result = run(small / "plain.ptl", "--run", "fbgemm")
    assert "  fbgemm     ran" in result.stdout
    assert "  qnnpack" not in result.stdout
    assert "there is no run 'x'" in run(small / "plain.ptl", "--run", "x").stderr


def test_lists_are_merged_and_compared(small: Path, tmp_path: Path) -> None:
    one, two, both = (tmp_path / f"{name}.yaml" for name in ("one", "two", "both"))
    run(small / "plain.ptl", "--yaml", one, "--feature", "mine")
    run(small / "quantized.ptl", "--yaml", two)
    result = run(one, two, "--yaml", both, "--since", one)
    assert result.exit_code == 0
    assert "+ quantized::linear_dynamic\n" in result.stdout
    builder = SelectiveBuilder.from_yaml_path(str(both))
    assert builder.is_operator_selected("aten::addmm")
    assert builder.is_operator_selected("quantized::linear_dynamic")
    assert builder.build_features == {"mine"}


def test_what_a_build_lacks_is_printed(small: Path, tmp_path: Path) -> None:
    there, kernels = tmp_path / "there.yaml", tmp_path / "kernels.txt"
    run(small / "plain.ptl", "--yaml", there)
    assert run(small / "plain.ptl", "--available", there).exit_code == 0
    kernels.write_text("aten::relu\n")
    result = run(small / "plain.ptl", "--available", kernels)
    assert result.exit_code == 1
    assert "\nmissing: aten::addmm\n" in result.stdout


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("", "is a folder"),
        ("none/out.yaml", "there is no folder"),
        ("plain.ptl", "is a model that is to be read"),
    ],
)
def test_places_that_cannot_be_written_are_told_before_anything_runs(
    out: str, words: str, small: Path
) -> None:
    before = (small / "plain.ptl").read_bytes()
    result = run(small / "plain.ptl", "--yaml", small / out)
    assert result.exit_code == 2
    assert words in result.stderr
    assert "ran forward" not in result.stdout
    assert (small / "plain.ptl").read_bytes() == before


def test_lists_that_are_none_are_told(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("!!python/object/apply:os.system ['touch owned']")
    result = run(path)
    assert result.exit_code == 2
    assert (
        "bad.yaml is no selected_operators.yaml: could not determine a constructor" in result.stderr
    )


def test_nothing_of_the_profiler_is_printed(small: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "KINETO_LOG_LEVEL"}
    result = subprocess.run(
        [sys.executable, "-m", "opscope", "footprint", str(small / "plain.ptl")],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert result.stderr == ""


def test_merging_lists_loads_no_torch(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    path.write_text("operators: {aten::a: {}}")
    script = (
        "import sys\n"
        "from opscope.cli.main import main\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as end:\n"
        "    print('ended', end.code, 'torch' in sys.modules)\n"
    )
    out = tmp_path / "out.yaml"
    result = subprocess.run(
        [sys.executable, "-c", script, "footprint", str(path), "--yaml", str(out)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "ended 0 False\n"
    assert "aten::a:" in out.read_text()
