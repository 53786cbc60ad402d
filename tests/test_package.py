"""The package: what it exports, and what importing it costs."""

import ast
import inspect
import pydoc
import subprocess
import sys
from pathlib import Path

import pytest

import opscope


def test_importing_opscope_imports_no_torch() -> None:
    program = (
        "import opscope, sys; assert 'torch' not in sys.modules; "
        "import opscope.comparing, opscope.exports, opscope.exploring, opscope.ir, opscope.passes, "
        "opscope.reports, opscope.visualize; "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_what_type_checkers_see_is_what_there_is() -> None:
    stub = Path(opscope.__file__).with_name("__init__.pyi").read_text()
    declared = {
        alias.asname
        for statement in ast.parse(stub).body
        if isinstance(statement, ast.ImportFrom) and statement.module != "typing"
        for alias in statement.names
    }
    exported = {name for names in opscope._HOMES.values() for name in names}
    assert declared == exported
    for name in exported:
        assert getattr(opscope, name) is not None
        assert name in dir(opscope)


def test_help_shows_what_is_exported() -> None:
    text = pydoc.render_doc(opscope, renderer=pydoc.plaintext)
    assert "    trace(" in text
    assert "class TracedProgram(" in text


@pytest.mark.parametrize("name", opscope.__all__)
def test_what_a_function_takes_is_described(name: str) -> None:
    found = getattr(opscope, name)
    if inspect.isfunction(found):
        taken = inspect.signature(found).parameters
        text = inspect.getdoc(found) or ""
        assert [each for each in taken if f"{each}: " not in text.partition("Args:")[2]] == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(opscope, "no_such_name")
