"""Beside what torch.package says itself, where that is right."""

import importlib
import io
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from torch.package import PackageExporter, PackageImporter
from torch.package import analyze as torch_analyze
from torch.package.analyze.is_from_package import is_from_package as torch_is_from_package
from torch.package.package_exporter import PackagingError

from opscope.footprint import (
    OriginKind,
    find_dependencies,
    find_first_use_of_broken_modules,
    is_from_package,
    trace_dependencies,
)

SOURCES = {
    "pkg_a": "import pkg_b, pkg_c\n",
    "pkg_b": "import pkg_broken\n",
    "pkg_c": "import pkg_broken\n",
    "pkg_ring": "import pkg_ring_two\n",
    "pkg_ring_two": "import pkg_ring, pkg_broken\n",
    "pkg_broken": "",
    "pkg_live": "import json\nclass A:\n    def f(self): return 1\ndef g(): return json\n",
}


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, text in SOURCES.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield
    for name in SOURCES:
        sys.modules.pop(name, None)


def failed_export(*names: str) -> tuple[PackageExporter, PackagingError]:
    exporter = PackageExporter(io.BytesIO())
    exporter.intern([name for name in SOURCES if name != "pkg_broken"])
    for name in names:
        exporter.save_module(name)
    with pytest.raises(PackagingError) as raised:
        exporter.close()
    return exporter, raised.value


@pytest.mark.usefixtures("sources")
@pytest.mark.parametrize("names", [["pkg_a"], ["pkg_c", "pkg_a"], ["pkg_b", "pkg_c"]])
def test_first_uses_of_broken_modules_are_those_of_torch(names: list[str]) -> None:
    exporter, error = failed_export(*names)
    found = find_first_use_of_broken_modules(error)
    assert found == torch_analyze.find_first_use_of_broken_modules(error)
    assert found == find_first_use_of_broken_modules(exporter)
    assert found["pkg_broken"][-1] == "pkg_broken"


@pytest.mark.usefixtures("sources")
def test_modules_that_import_each_other_end_the_way() -> None:
    _, error = failed_export("pkg_ring")
    assert find_first_use_of_broken_modules(error) == {
        "pkg_broken": ["pkg_ring", "pkg_ring_two", "pkg_broken"]
    }


def test_anything_else_is_refused_as_torch_does() -> None:
    messages = []
    for find in (
        torch_analyze.find_first_use_of_broken_modules,
        find_first_use_of_broken_modules,
    ):
        with pytest.raises(AssertionError) as raised:
            find(ValueError())  # type: ignore[arg-type]
        messages.append(str(raised.value))
    assert messages[0] == messages[1]


@pytest.fixture
def packaged(sources: None) -> Any:
    """A module that comes from a package, and has json from the environment."""
    written = io.BytesIO()
    with PackageExporter(written) as exporter:
        exporter.intern("pkg_live")
        exporter.extern("json")
        exporter.save_module("pkg_live")
    written.seek(0)
    return PackageImporter(written).import_module("pkg_live")


def test_what_is_from_a_package_is_what_torch_says(packaged: Any) -> None:
    here = importlib.import_module("pkg_live")
    for thing in (packaged, packaged.A(), packaged.json, here, here.A(), here.A, here.g, 1, None):
        assert is_from_package(thing) == torch_is_from_package(thing)
    assert is_from_package(packaged)
    assert is_from_package(packaged.A())


def test_classes_functions_and_methods_of_a_package_are_from_it(packaged: Any) -> None:
    for thing in (packaged.A, packaged.g, packaged.A.f, packaged.A().f):
        assert is_from_package(thing)
        assert not torch_is_from_package(thing)


def test_nothing_is_asked_of_the_object() -> None:
    class Wary(type):
        def __getattribute__(cls, name: str) -> Any:
            raise RuntimeError(name)

    class Thing(metaclass=Wary):
        def __getattribute__(self, name: str) -> Any:
            raise RuntimeError(name)

    class Lazy(types.ModuleType):
        def __getattribute__(self, name: str) -> Any:
            raise RuntimeError(name)

    for thing in (Thing(), Thing, Lazy("lazy")):
        assert not is_from_package(thing)


def test_modules_of_a_package_are_told_by_their_own_names(packaged: Any) -> None:
    assert trace_dependencies(packaged.A().f, [()]) == ["pkg_live"]
    (module,) = find_dependencies(packaged.A().f, [()]).of_kind(OriginKind.PACKAGE)
    assert module.name == "pkg_live"
    assert module.path[-1].module == "pkg_live"
