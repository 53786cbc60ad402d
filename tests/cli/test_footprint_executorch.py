import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from torchgen.selective_build.selector import SelectiveBuilder
from typer.testing import CliRunner, Result

from opscope.cli.main import app
from support.executorch_programs import adding
from support.mobile_models import Branching, saved_lite

PROGRAMS = Path(__file__).parents[1] / "footprint" / "executorch" / "programs"
FLOW, QUANTIZED, DELEGATED = (
    PROGRAMS / f"{name}.pte" for name in ("flow", "quantized", "delegated")
)


def run(*args: object) -> Result:
    return CliRunner().invoke(app, ["footprint", *map(str, args)])


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plain") / "plain.ptl"
    saved_lite(path, Branching(), [(torch.randn(2, 8),)])
    return path


def test_a_table_is_printed_if_nothing_else_is_asked_for() -> None:
    result = run(QUANTIZED, DELEGATED)
    assert result.exit_code == 0
    assert "backends: XnnpackBackend (1 part)" in result.stdout
    assert "7 operators: 7 of libraries of kernels, 0 that the runtime has itself" in result.stdout


@pytest.mark.parametrize("option", [("-i", "f32[2]"), ("--run", "inference")])
def test_options_of_a_run_are_refused_where_nothing_is_run(option: tuple[str, str]) -> None:
    result = run(FLOW, *option)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "nothing here is run, so --input and --run say nothing" in result.stderr


def test_a_build_has_what_two_programs_need(tmp_path: Path) -> None:
    out = tmp_path / "selected_operators.yaml"
    result = run(QUANTIZED, DELEGATED, "--executorch-yaml", out)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"wrote {out}: 7 operators for ExecuTorch\n"
    builder = SelectiveBuilder.from_yaml_path(str(out))
    assert builder.is_root_operator("quantized_decomposed::quantize_per_tensor.out")
    assert builder.et_kernel_metadata["aten::cumsum.out"] == ["v1/6;0,1,2,3|6;0,1,2,3|6;0,1,2,3"]


def test_lists_in_all_forms_are_written_together(tmp_path: Path) -> None:
    names = {form: tmp_path / f"out.{form}" for form in ("yaml", "list", "dict", "schema")}
    options = [item for form, path in names.items() for item in (f"--executorch-{form}", path)]
    assert run(DELEGATED, *options).exit_code == 0
    assert names["list"].read_text() == "aten::cumsum.out\n"
    assert names["schema"].read_text() == "- op: cumsum.out\n"
    assert list(json.loads(names["dict"].read_text())) == ["aten::cumsum.out"]
    assert list(yaml.safe_load(names["yaml"].read_text())["operators"]) == ["aten::cumsum.out"]


def test_a_list_for_a_command_line_goes_to_standard_output() -> None:
    result = run(DELEGATED, "--executorch-list", "-")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "aten::cumsum.out\n", "")


def test_lists_are_merged_and_compared(tmp_path: Path) -> None:
    one, both = tmp_path / "one.yaml", tmp_path / "both.yaml"
    run(DELEGATED, "--executorch-yaml", one)
    result = run(one, QUANTIZED, "--executorch-yaml", both, "--since", one)
    assert result.exit_code == 0
    assert result.stdout.startswith("+ aten::_softmax.out\n")
    assert "- " not in result.stdout
    assert len(yaml.safe_load(both.read_text())["et_kernel_metadata"]) == 7


def test_what_libraries_of_kernels_lack_is_printed(tmp_path: Path) -> None:
    portable, quantized = tmp_path / "functions.yaml", tmp_path / "quantized.yaml"
    portable.write_text(
        "".join(f"- op: {name}.out\n" for name in ("_softmax", "addmm", "permute_copy"))
    )
    quantized.write_text("- op: relu.out\n- op: quantized_decomposed::quantize_per_tensor.out\n")
    result = run(QUANTIZED, "--available", portable, "--available", quantized)
    assert result.exit_code == 1
    assert result.stdout == (
        "5 of 6 operators are there; 0 more are not used\n"
        "missing: quantized_decomposed::dequantize_per_tensor.out\n"
    )


def test_models_of_both_kinds_have_each_their_file(plain: Path, tmp_path: Path) -> None:
    torch_list, executorch_list = tmp_path / "torch.yaml", tmp_path / "executorch.yaml"
    result = run(
        plain, DELEGATED, "--yaml", torch_list, "--executorch-yaml", executorch_list, "--report"
    )
    assert result.exit_code == 0
    assert "  qnnpack    ran forward()" in result.stdout
    assert "1 part left to XnnpackBackend" in result.stdout
    assert "aten::addmm" in torch_list.read_text()
    assert "aten::cumsum.out" not in torch_list.read_text()
    assert list(yaml.safe_load(executorch_list.read_text())["operators"]) == ["aten::cumsum.out"]


def test_modules_in_python_are_estimated(tmp_path: Path) -> None:
    out = tmp_path / "out.yaml"
    result = run("torch.nn:ReLU", "-i", "f32[2,3]", "--executorch-yaml", out, "--report")
    assert result.exit_code == 0
    assert "ReLU  (module, approximate)\n" in result.stdout
    content = yaml.safe_load(out.read_text())
    assert content["et_kernel_metadata"] == {"aten::relu.out": ["default"]}
    assert json.loads(content["debug_info"][0])["approximate_models"] == ["ReLU"]


def test_modules_in_python_are_run_for_torch(tmp_path: Path) -> None:
    result = run("torch.nn:ReLU", "-i", "f32[2,3]")
    assert result.exit_code == 0
    assert "ReLU  (module)\n" in result.stdout
    assert "give --input for each" in run("torch.nn:ReLU").stderr


def test_all_failures_are_told_and_no_file_is_touched(plain: Path, tmp_path: Path) -> None:
    cut, out = tmp_path / "cut.pte", tmp_path / "out.yaml"
    cut.write_bytes(FLOW.read_bytes()[:1000])
    out.write_text("before")
    missing = tmp_path / "missing.ptl"
    result = run(cut, FLOW, plain, missing, "--executorch-yaml", out)
    assert result.exit_code == 1
    assert out.read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.pte", "out.yaml"]
    for words in (
        "1 of 2 models could not be traced",
        f"{missing} does not exist",
        "1 of 2 models could not be read",
        f"{cut} cannot be read as a program of ExecuTorch: it is cut off: of 4504 bytes there are 1000",
        f"traced without failure: {plain}, {FLOW}",
        f"{out} was not written",
    ):
        assert words in result.stderr


def test_one_bad_program_is_one_message(tmp_path: Path) -> None:
    path = tmp_path / "junk.pte"
    path.write_text("junk")
    result = run(path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[0] == (
        f"error: {path} cannot be read as a program of ExecuTorch: it does not begin as they do"
    )


def test_hostile_names_are_refused_before_they_come_into_any_list(tmp_path: Path) -> None:
    path, out = tmp_path / "hostile.pte", tmp_path / "out.yaml"
    path.write_bytes(adding('aten::add.out"); system("touch owned'))
    result = run(path, "--executorch-schema", out)
    assert result.exit_code == 1
    assert "which is no name of one" in result.stderr
    assert not out.exists()


def test_what_does_not_fit_is_told_before_anything_is_run(plain: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.yaml"
    mobile = tmp_path / "mobile.yaml"
    mobile.write_text("operators: {aten::add.Tensor: {}}")
    for args, words in (
        ((FLOW, "--yaml", out), "write --executorch-yaml instead"),
        ((plain, "--executorch-yaml", out), "nothing here is for ExecuTorch"),
        ((FLOW, "--yaml", out, "--executorch-list", "-"), "nothing here is run by it"),
        ((FLOW, "--executorch-yaml", out, "--executorch-list", out), "is to be written twice"),
        ((FLOW, "--executorch-yaml", FLOW), "is a model that is to be read"),
        ((FLOW, mobile, "--executorch-yaml", out), "mobile.yaml lists no kernels"),
    ):
        result = run(*args)
        assert result.exit_code == 2, args
        assert words in result.stderr
        assert not out.exists()


def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    for name in ("pipe.pte", "pipe.ptl", "pipe.yaml"):
        os.mkfifo(tmp_path / name)
        assert f"{name} is no file" in run(tmp_path / name).stderr


def test_reading_programs_loads_no_torch(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from opscope.cli.main import main\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as end:\n"
        "    print('ended', end.code, 'torch' in sys.modules)\n"
    )
    out = tmp_path / "out.yaml"
    command = [sys.executable, "-c", script, "footprint", str(FLOW), "--executorch-yaml", str(out)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == "ended 0 False\n"
