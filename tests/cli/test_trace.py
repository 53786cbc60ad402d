from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

import opscope as package
from opscope.cli.outputs import KINDS, OutputKind

Command = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("project")


def test_without_outputs_the_graph_is_printed_and_nothing_else(opscope: Command) -> None:
    result = opscope("trace", "net.py:Net", "-i", "f32[2,4]", "-k", "mask=f32[3]")
    assert result.exit_code == 0
    graph = package.parse(result.stdout)
    assert str(graph) == result.stdout
    assert [node.kind for node in graph.walk()] == [
        "aten::linear", "aten::relu", "aten::dropout", "aten::mul.Tensor",
    ]  # fmt: skip
    first, operators = result.stderr.splitlines()
    assert first.startswith("Net: 4 nodes in 2 scopes, 15 parameters, traced in ")
    assert operators == "operators: linear 1, relu 1, dropout 1, mul 1"


def test_the_depth_is_that_of_the_program_or_said_outright(opscope: Command, project: Path) -> None:
    (project / "train.py").write_text(
        "import torch\n"
        "WEIGHT = torch.ones(3, 4, requires_grad=True)\n"
        "def step(x):\n"
        "    loss = torch.nn.functional.linear(x, WEIGHT).sum()\n"
        "    loss.backward()\n"
        "    return loss.detach()\n"
    )
    command = ("trace", "train.py:step", "-i", "f32[2,4]", "--fixed")
    chosen, flat, deep = (
        opscope(*command, *option).stdout for option in ([], ["--flat"], ["--deep"])
    )
    assert chosen == deep != flat
    assert "linear<operator> is %1 = aten::linear(%x, %WEIGHT)" in deep
    assert "linear<operator>" not in flat


def test_what_the_program_prints_does_not_mix_with_the_graph(opscope: Command) -> None:
    result = opscope("trace", "net.py:talk", "-i", "f32[2]")
    assert result.stdout.startswith("graph talk(%x")
    assert "hello from the program" not in result.stdout
    assert "hello from the program" in result.stderr


def test_every_output_is_written(opscope: Command, project: Path) -> None:
    names = [f"out{suffix}" for suffix in KINDS]
    outputs = [part for name in names for part in ("-o", name)]
    result = opscope("trace", "net.py:Net", "-i", "f32[2,4]", *outputs)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    assert f"wrote {', '.join(names)}" in result.stderr
    assert sorted(path.name for path in project.iterdir() if path.is_file()) == sorted(
        [*names, "net.py"]
    )
    assert (project / "out.txt").read_text().startswith("graph Net(%x : f32[2, 4])")
    assert "aten_linear(x, fc_weight, fc_bias)" in (project / "out.py").read_text()
    assert (project / "out.svg").read_text().rstrip().endswith("</svg>")
    assert (project / "out.png").read_bytes().startswith(b"\x89PNG")
    assert (project / "out.pdf").read_bytes().startswith(b"%PDF")
    assert (project / "out.dot").read_text() == (project / "out.gv").read_text()
    assert "\nflowchart TB\n" in (project / "out.mmd").read_text()
    assert (project / "out.netron").read_text().startswith('{"signature": "netron:')
    assert (project / "out.explorer.json").read_text().startswith('{"label": "Net", "graphs": [')
    assert (project / "out.nodelink.json").read_text().startswith('{"directed": true, ')
    assert "<graphml " in (project / "out.graphml").read_text()


def test_view_options_reach_the_picture(opscope: Command, project: Path) -> None:
    texts = []
    for options in ([], ["--depth", "0"], ["--theme", "dark"], ["--direction", "LR"]):
        opscope("trace", "net.py:Pair", "-i", "f32[2,4]", "-o", "out.dot", *options)
        texts.append((project / "out.dot").read_text())
    plain, folded, dark, right = texts
    assert plain != folded
    assert plain != dark
    assert '"#0d1117"' in dark
    assert "rankdir=LR" in right
    assert "rankdir=LR" not in plain


def test_existing_outputs_stay_if_a_later_one_fails(
    opscope: Command, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise package.RenderError("no room to draw")

    monkeypatch.setattr(package.TracedProgram, "save", fail)
    (project / "a.txt").write_text("old")
    result = opscope("trace", "net.py:Net", "-i", "f32[2,4]", "-o", "a.txt", "-o", "a.svg")
    assert result.exit_code == 2
    assert result.stderr == "error: no room to draw\n"
    assert sorted(path.name for path in project.iterdir() if path.is_file()) == ["a.txt", "net.py"]
    assert (project / "a.txt").read_text() == "old"


def test_a_wrong_output_is_refused_before_the_program_is_imported(
    opscope: Command, project: Path
) -> None:
    (project / "side.py").write_text("open('imported', 'w')\ndef f(x): return x\n")
    result = opscope("trace", "side.py:f", "-i", "f32[1]", "-o", "a.txt", "-o", "a.jpg")
    assert result.exit_code == 2
    assert "cannot tell what to write into a.jpg" in result.stderr
    assert not (project / "imported").exists()
    assert not (project / "a.txt").exists()


def test_the_script_that_is_traced_is_not_written_over(opscope: Command, project: Path) -> None:
    before = (project / "net.py").read_text()
    result = opscope("trace", "net.py:Net", "-i", "f32[2,4]", "-o", "./net.py")
    assert result.exit_code == 2
    assert "net.py is the program that is to be traced; write to another file" in result.stderr
    assert (project / "net.py").read_text() == before


def test_modules_run_in_evaluation_mode_without_gradients(opscope: Command) -> None:
    result = opscope("trace", "net.py:Net", "-i", "f32[2,4]")
    assert "0.5, False)" in result.stdout
    assert "(f32[2, 3]):" in result.stdout


def test_modules_in_training_mode_have_gradients(opscope: Command) -> None:
    result = opscope("trace", "net.py:Net", "-i", "f32[2,4]", "--train")
    assert "0.5, True)" in result.stdout
    assert "(f32[2, 3]{grad}):" in result.stdout


def test_gradients_can_be_asked_for(opscope: Command) -> None:
    with_grad = opscope("trace", "net.py:Net", "-i", "f32[2,4]", "--grad").stdout
    assert "(f32[2, 3]{grad}):" in with_grad
    without = opscope("trace", "net.py:Net", "-i", "f32[2,4]", "--train", "--no-grad").stdout
    assert "(f32[2, 3]):" in without


def test_functions_run_with_gradients(opscope: Command) -> None:
    result = opscope("trace", "net.py:step", "-i", "f32[2]")
    assert result.exit_code == 0, result.stderr
    assert opscope("trace", "net.py:step", "-i", "f32[2]", "--no-grad").exit_code == 2


def test_the_seed_fixes_inputs_whatever_the_program_drew(opscope: Command, project: Path) -> None:
    (project / "seed.py").write_text(
        "import torch\n"
        "class Show(torch.nn.Module):\n"
        "    def __init__(self, n):\n"
        "        super().__init__()\n"
        "        torch.randn(n)\n"
        "    def forward(self, x):\n"
        "        print('first', x[0].item())\n"
        "        return x\n"
    )
    shown = [
        next(line for line in opscope(*command).stderr.splitlines() if line.startswith("first"))
        for command in (
            ("trace", "seed.py:Show", "-a", "n=1", "-i", "f32[1]"),
            ("trace", "seed.py:Show", "-a", "n=9", "-i", "f32[1]"),
            ("trace", "seed.py:Show", "-a", "n=1", "-i", "f32[1]", "--seed", "1"),
        )
    ]
    assert shown[0] == shown[1] != shown[2]


def test_a_check_that_finds_nothing_says_so_in_one_line(opscope: Command) -> None:
    result = opscope("trace", "net.py:Net", "-i", "f32[2,4]", "--check")
    assert result.exit_code == 0
    assert result.stderr.splitlines()[-1] == (
        "checked: the replay equals a second run of the program bit by bit"
    )


def test_diagnostics_are_summed_up_with_their_lines(opscope: Command) -> None:
    result = opscope("trace", "net.py:Reader", "-i", "f32[2]")
    assert result.exit_code == 0
    assert "! data read: " in result.stderr
    assert "in Reader.forward" in result.stderr
    assert "if x.sum() > 100:" in result.stderr


def test_diagnostics_are_listed_most_severe_first(opscope: Command, project: Path) -> None:
    (project / "talks.py").write_text(
        "calls = 0\n"
        "def count(x):\n"
        "    global calls\n"
        "    print(x)\n"
        "    calls += 1\n"
        "    return x + 1\n"
    )
    result = opscope("trace", "talks.py:count", "-i", "f32[1]")
    shown = [line for line in result.stderr.splitlines() if line.startswith(("! ", "- ", "not "))]
    assert shown[0].startswith("! changed object: the variable calls goes from 0 to 1")
    assert shown[1].startswith("- printed: a tensor f32[1] is turned into text")
    assert shown[2] == "not recorded exactly: 1 warning, 1 note"


def test_a_replay_that_would_be_wrong_is_an_error_unless_allowed(
    opscope: Command, project: Path
) -> None:
    (project / "adds.py").write_text(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "pool = ThreadPoolExecutor(1)\n"
        "pool.submit(int).result()\n"
        "def add(x):\n"
        "    pool.submit(lambda: x.add_(1)).result()\n"
        "    return x * 2\n"
    )
    result = opscope("trace", "adds.py:add", "-i", "f32[1]")
    assert result.exit_code == 2
    assert result.stderr.startswith(
        "error: a replay of this program would be wrong even for the inputs"
    )
    assert "x (f32[1]) was written in place" in result.stderr
    assert "to trace it all the same, allow 'untracked write'" in result.stderr
    result = opscope("trace", "adds.py:add", "-i", "f32[1]", "--allow", "untracked write")
    assert result.exit_code == 0
    assert "!! untracked write: x (f32[1]) was written in place" in result.stderr


def test_an_exception_of_the_program_is_one_block_with_the_users_line(opscope: Command) -> None:
    result = opscope("trace", "net.py:Net", "-i", "f32[2,5]")
    assert result.exit_code == 2
    first, message, *rest = result.stderr.splitlines()
    assert first == "error: RuntimeError while running Net"
    assert message.endswith("mat1 and mat2 shapes cannot be multiplied (2x5 and 4x3)")
    assert rest == [
        "  from net.py:14 in Net.forward",
        "    y = self.drop(self.activation(self.fc(x)))",
        "                                  ^^^^^^^^^^",
        "  what ran until it failed can be seen with -o NAME.html",
        "  --debug shows the traceback",
    ]


def test_what_ran_of_a_program_that_failed_is_written_beside_the_file_that_was_asked_for(
    project: Path, opscope: Command
) -> None:
    (project / "net.html").write_text("an older page")
    result = opscope("trace", "net.py:Net", "-i", "f32[2,5]", "-o", "net.html", "-o", "net.opscope")
    assert result.exit_code == 2
    assert result.stderr.startswith("what ran until it failed is in net.failed.html\nerror: ")
    assert (project / "net.failed.html").read_text().startswith("<!doctype html>")
    assert (project / "net.html").read_text() == "an older page"
    assert not (project / "net.opscope").exists()


def test_messages_of_several_lines_are_indented(opscope: Command) -> None:
    result = opscope("trace", "net.py:broken", "-i", "f32[1]")
    assert result.stderr.startswith("error: ValueError while running broken\n  two\n  lines\n")


def test_debug_adds_the_traceback(opscope: Command) -> None:
    result = opscope("trace", "net.py:broken", "-i", "f32[1]", "--debug")
    assert result.exit_code == 2
    assert result.stderr.startswith("Traceback (most recent call last):")
    assert "error: ValueError while running broken" in result.stderr


def test_a_program_that_exits_is_an_error(opscope: Command) -> None:
    result = opscope("trace", "net.py:leave", "-i", "f32[1]")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: SystemExit while running leave\n  3\n  from net.py:")


def test_a_script_that_is_not_python_is_one_block(opscope: Command, project: Path) -> None:
    (project / "bad.py").write_text("x = 1\ndef f(:\n")
    result = opscope("trace", "bad.py:f")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[:2] == [
        "error: SyntaxError while importing bad.py",
        "  invalid syntax",
    ]
    assert "  from bad.py:2\n    def f(:\n" in result.stderr


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["net.py:Net"], "the inputs do not fit net.py:Net: missing a required argument: 'x'"),
        (
            ["net.py:Net", "-i", "f32[2,4]", "-k", "m=3"],
            "m is not a parameter of net.py:Net; its parameters are x, mask",
        ),
        (["net.py:double", "-i", "f32[2]", "--train"], "--train is for modules"),
        (["net.py:double", "-i", "f32[2]", "--eval"], "--eval is for modules"),
        (["net.py:need", "-i", "4"], "net.py:need returned a module, so it is a factory"),
        (["net.py:Net", "-i", "f32[2,"], "a size must stand here"),
        (["net.py:Net", "-i", "f32[2]", "-k", "f32[2]"], "--kwarg takes name=value"),
    ],
)
def test_a_request_that_does_not_fit_is_an_error(
    opscope: Command, args: list[str], problem: str
) -> None:
    result = opscope("trace", *args)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert problem in result.stderr.splitlines()[0]
    assert "Traceback" not in result.stderr


def test_a_program_that_returns_no_tensors_is_told(opscope: Command, project: Path) -> None:
    (project / "none.py").write_text("def f(x):\n    print(x + 1)\n")
    result = opscope("trace", "none.py:f", "-i", "f32[1]")
    assert result.exit_code == 0
    assert "f returned no tensors, so the graph has no outputs\n" in result.stderr
    assert "no tensors" not in opscope("trace", "net.py:Net", "-i", "f32[2,4]").stderr


def test_a_function_that_takes_any_keyword_takes_any(opscope: Command, project: Path) -> None:
    (project / "any.py").write_text("def f(**values):\n    return values['y'] + 1\n")
    assert opscope("trace", "any.py:f", "--no-factory", "-k", "y=f32[1]").exit_code == 0


def test_a_failure_of_opscope_itself_says_so(
    opscope: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opscope.cli.tracing.summarize", lambda *_, **__: 1 / 0)
    result = opscope("trace", "net.py:Net", "-i", "f32[2,4]")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: opscope itself failed: ZeroDivisionError\n")


def test_every_export_is_one_that_can_be_written() -> None:
    from opscope.exports import EXPORTS

    assert {suffix for suffix, kind in KINDS.items() if kind is OutputKind.EXPORT} == set(EXPORTS)


def test_every_kind_of_picture_is_one_that_can_be_drawn() -> None:
    from opscope.visualize.rendering import FORMATS

    pictures = {suffix[1:] for suffix, kind in KINDS.items() if kind is OutputKind.PICTURE}
    assert pictures == {*FORMATS, "dot", "gv", "mmd"}
