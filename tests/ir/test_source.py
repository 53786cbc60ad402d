"""Sources: frames, the ranges they stand for, and the stacks they form."""

import sys
from pathlib import Path
from types import CodeType

from opscope.ir import Frame, SourceRange
from opscope.ir.source import portable_file

LIBRARY = SourceRange("torch/nn/linear.py", 9, function="forward")
MODEL = SourceRange("net.py", 3, 5, 3, 12, "Net.forward")
SCRIPT = SourceRange("train.py", 20, function="<module>")


def test_a_range_reads_as_file_line_and_column() -> None:
    assert (str(MODEL), str(SCRIPT)) == ("net.py:3:5", "train.py:20")
    assert (MODEL.text, MODEL.underlined()) == ("", "")


def test_the_expression_is_underlined(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text("def f(x):\n    y = g(x) + h(x,\n        1)\n")
    place = str(file)
    assert SourceRange("net.py", 2, 9, 2, 13, path=place).underlined() == (
        "y = g(x) + h(x,\n    ^^^^"
    )
    assert SourceRange("net.py", 2, 16, 3, 11, path=place).underlined() == (
        "y = g(x) + h(x,\n           ^^^^"
    ), "only the first line of a longer expression is shown"
    assert SourceRange("net.py", 2, path=place).underlined() == "y = g(x) + h(x,"


def test_a_stack_is_walked_inside_out_and_knows_the_users_frame() -> None:
    script = Frame.resolved(SCRIPT)
    model = Frame.resolved(MODEL, script)
    library = Frame.resolved(LIBRARY, model, is_library=True)
    assert list(library) == [library, model, script]
    assert (library.user, script.user) == (model, script)
    alone = Frame.resolved(LIBRARY, is_library=True)
    assert alone.user is alone
    assert library.format() == (
        '  File "train.py", line 20, in <module>\n'
        '  File "net.py", line 3, in Net.forward\n'
        '  File "torch/nn/linear.py", line 9, in forward'
    )


def test_a_captured_frame_finds_line_and_columns_when_asked(tmp_path: Path) -> None:
    source = 'def probe(look):\n    é = "ü" + str(look())\n    return é\n'
    file = tmp_path / "probe.py"
    file.write_text(source, encoding="utf-8")
    namespace: dict[str, object] = {}
    exec(compile(source, str(file), "exec"), namespace)
    seen: list[tuple[CodeType, int]] = []

    def look() -> int:
        caller = sys._getframe(1)
        seen.append((caller.f_code, caller.f_lasti))
        return 1

    namespace["probe"](look)  # type: ignore[operator]
    ((code, instruction),) = seen
    frame = Frame(code, instruction, None)
    assert frame.range == SourceRange("probe.py", 2, 19, 2, 25, "probe", str(file))
    assert frame.range.underlined() == 'é = "ü" + str(look())\n              ^^^^^^'
    assert (frame.code, frame.instruction) == (code, instruction)
    assert "é = " in frame.format()


def test_files_are_named_from_their_outermost_package_on(tmp_path: Path) -> None:
    package = tmp_path / "pkg" / "sub"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    assert portable_file(str(package / "net.py")) == "pkg/sub/net.py"
    assert portable_file(str(tmp_path / "script.py")) == "script.py"
    assert portable_file("<stdin>") == "<stdin>"
