import sys
from pathlib import Path
from types import ModuleType

import pytest

from opscope.footprint.dependencies.imports import imports_of


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pack", "pack.one", "pack.sub", "pack.sub.two", "alone", "hidden"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))


def imports(tmp_path: Path, source: str, name: str = "pack.sub.here") -> list[tuple[str, int, str]]:
    path = tmp_path / "here.py"
    path.write_text(source)
    found = imports_of(name, str(path))
    return [(one.module, one.line, one.function) for one in found]


@pytest.mark.usefixtures("loaded")
def test_all_forms_of_imports_are_read(tmp_path: Path) -> None:
    source = """\
import alone, pack.one as o
from pack import one, missing
from .two import name
from ..one import name
from .... import beyond
from .... import one
class A:
    import hidden
    def f(self):
        async def g():
            import pack.sub
"""
    assert imports(tmp_path, source) == [
        ("alone", 1, "<module>"),
        ("pack.one", 1, "<module>"),
        ("pack", 2, "<module>"),
        ("pack.sub.two", 3, "<module>"),
        ("hidden", 8, "A"),
        ("pack.sub", 11, "A.f.g"),
    ]


@pytest.mark.usefixtures("loaded")
def test_optional_and_typing_imports_that_do_not_run_are_left_out(tmp_path: Path) -> None:
    source = """\
import typing
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import hidden
elif typing.TYPE_CHECKING:
    import hidden
else:
    import alone
try:
    import not_there_at_all
except ImportError:
    import pack.one
"""
    assert imports(tmp_path, source) == [
        ("typing", 1, "<module>"),
        ("alone", 8, "<module>"),
        ("pack.one", 12, "<module>"),
    ]


@pytest.mark.parametrize("text", [b"def (", b"\xff\xfe\x00", b"\x7fELF", b"x = \x00"])
def test_what_is_no_source_imports_nothing(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "odd.so"
    path.write_bytes(text)
    assert imports_of("odd", str(path)) == ()
    assert imports_of("odd", str(tmp_path / "missing.py")) == ()
