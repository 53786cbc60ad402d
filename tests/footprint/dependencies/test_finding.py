"""What calls need: modules by distribution, the way to each, and what is printed of it."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from opscope.errors import FootprintError
from opscope.footprint import (
    Dependencies,
    How,
    ModuleTracer,
    OriginKind,
    dependencies_of,
    dependency_record,
    dependency_table,
    find_dependencies,
    way_to,
)

SOURCES = {
    "dep_main": "import dep_near\nimport torch.nn.functional as F\n\n"
    "def run(x):\n    return F.silu(x)\n\ndef lazy():\n    import networkx\n",
    "dep_near": "import dep_far\nfrom json import decoder\n",
    "dep_far": "import yaml\n",
}


@pytest.fixture
def main(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, text in SOURCES.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    importlib.invalidate_caches()
    yield importlib.import_module("dep_main")
    for name in SOURCES:
        sys.modules.pop(name, None)


@pytest.fixture
def found(main: Any) -> Dependencies:
    import networkx  # noqa: F401 - so the statement in a function has nothing to run
    import torch

    return find_dependencies(main.run, [(torch.ones(2),)])


def test_modules_have_their_origins(found: Dependencies) -> None:
    kinds = {one.name: (one.how, one.origin.kind) for one in found.modules}
    assert kinds["dep_main"] == (How.RAN, OriginKind.LOCAL)
    assert kinds["torch.nn.functional"] == (How.RAN, OriginKind.DISTRIBUTION)
    assert kinds["dep_far"] == (How.IMPORTED, OriginKind.LOCAL)
    assert kinds["yaml"] == (How.IMPORTED, OriginKind.DISTRIBUTION)
    assert kinds["json.decoder"] == (How.IMPORTED, OriginKind.STANDARD_LIBRARY)
    assert kinds["networkx"] == (How.IMPORTED, OriginKind.DISTRIBUTION)
    assert found.ran == ["dep_main", "torch.nn.functional"]


def test_requirements_are_what_is_imported_by_modules_of_yours_too(found: Dependencies) -> None:
    names = [line.partition("==")[0] for line in found.requirements]
    assert names == ["networkx", "PyYAML", "torch"]
    assert all("+" not in line for line in found.requirements)


def test_the_way_to_what_is_only_imported_goes_through_the_statements(found: Dependencies) -> None:
    assert way_to(found, "yaml") == (
        "yaml, of PyYAML 6.0.4, did not run, and is imported by what is yours:\n"
        "  dep_main.py:1  import dep_near\n"
        "  dep_near.py:1  import dep_far\n"
        "  dep_far.py:1   import yaml\n"
    ).replace("6.0.4", version(found, "PyYAML"))
    assert found.why("pyyaml") == found.why("yaml")


def test_the_way_to_what_ran_goes_through_calls(found: Dependencies) -> None:
    lines = way_to(found, "torch.nn.functional").splitlines()
    assert lines[0].endswith(", ran; the way to it:")
    assert lines[1].split() == ["dep_main.py:5", "in", "run", "return", "F.silu(x)"]
    assert lines[2].startswith("  torch.nn.functional:")
    assert way_to(found, "dep_main").splitlines()[1].startswith("  dep_main.py:4 in run")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("numpy", "no module and no distribution numpy is needed"),
        ("json", "json itself is not needed, but modules in it are: json.decoder"),
    ],
)
def test_what_is_not_needed_has_no_way(found: Dependencies, name: str, words: str) -> None:
    without = Dependencies(tuple(one for one in found.modules if one.name != "json"))
    with pytest.raises(FootprintError, match=words):
        way_to(without, name)


def test_the_table_has_what_is_yours_first(found: Dependencies) -> None:
    lines = dependency_table(found).splitlines()
    assert lines[0].startswith("2 Python modules ran; ")
    assert lines[0].endswith(" 3 distributions needed")
    assert lines[2].split() == ["yours", "3"]
    assert lines[3].split() == ["dep_far", "import", "in", "dep_near.py:1"]
    assert lines[4].split() == ["dep_main", "what", "was", "called"]
    assert [line.split()[0] for line in lines[5:9]] == ["dep_near", "networkx", "PyYAML", "torch"]
    assert lines[7].split()[2:] == ["1", "import", "in", "dep_far.py:1"]
    assert lines[-1].startswith("standard library (")
    assert all(len(line) <= 60 for line in dependency_table(found, 1).splitlines()[1:])


def test_the_table_lists_modules_of_distributions_if_asked(found: Dependencies) -> None:
    lines = [line.split() for line in dependency_table(found, modules=True).splitlines()]
    assert ["torch.nn.functional", "dep_main.py:5", "in", "run"] in lines
    assert ["torch.nn.functional", "dep_main.py:5", "in", "run"] not in [
        line.split() for line in dependency_table(found).splitlines()
    ]


def test_the_table_says_where_a_program_went_into_the_standard_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dep_context.py").write_text(
        "import contextlib, yaml\n\nload = contextlib.contextmanager(yaml.compose_all)\n\n"
        "def run():\n    with load('1'):\n        pass\n"
    )
    importlib.invalidate_caches()
    found = find_dependencies(importlib.import_module("dep_context").run, [()])
    sys.modules.pop("dep_context")
    path = found.why("yaml").path
    assert [step.module for step in path] == ["dep_context", "contextlib", "yaml"]
    rows = [line.split() for line in dependency_table(found).splitlines()]
    assert next(row[3:] for row in rows if row[:1] == ["PyYAML"]) == [
        "dep_context.py:6",
        "in",
        "run",
    ]


def test_what_a_module_in_c_puts_among_modules_is_not_yours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tracer = ModuleTracer()
    for name in ("_made_in_c", "_heapq"):
        monkeypatch.delitem(sys.modules, name, raising=False)

    def program() -> None:
        importlib.import_module("_heapq")
        monkeypatch.setitem(sys.modules, "_made_in_c", ModuleType("_made_in_c"))

    tracer.call(program)
    assert {"_made_in_c", "_heapq"} <= set(tracer.loaded)
    names = [one.name for one in dependencies_of(tracer).modules]
    assert "_heapq" in names
    assert "_made_in_c" not in names


def test_what_has_no_python_code_is_come_to_from_the_statement_that_imports_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dep_call.py").write_text("def run():\n    import dep_with_c\n    import _heapq\n")
    (tmp_path / "dep_with_c.py").write_text("x = 1\nimport _bisect\n")
    importlib.invalidate_caches()
    module = importlib.import_module("dep_call")
    for name in ("_heapq", "_bisect"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    found = find_dependencies(module.run, [()])
    for name in ("dep_call", "dep_with_c"):
        sys.modules.pop(name)
    loaded = "of the standard library, was imported while the program ran, and has no Python code to run:"
    assert way_to(found, "_heapq") == (f"_heapq, {loaded}\n  dep_call.py:3 in run  import _heapq\n")
    assert way_to(found, "_bisect") == (
        f"_bisect, {loaded}\n"
        "  dep_call.py:2 in run  import dep_with_c\n"
        "  dep_with_c.py:2       import _bisect\n"
    )


def test_the_record_is_json(found: Dependencies) -> None:
    record = json.loads(json.dumps(dependency_record(found)))
    assert record["requirements"] == list(found.requirements)
    assert [one["name"] for one in record["distributions"]] == ["networkx", "PyYAML", "torch"]
    yaml = next(one for one in record["modules"] if one["name"] == "yaml")
    assert yaml["path"][0] == {
        "module": "dep_main",
        "function": "<module>",
        "file": str(Path.cwd() / "dep_main.py"),
        "line": 1,
    }


def test_hostile_names_stay_in_their_line(tmp_path: Path) -> None:
    name = "</script>'\"\n\x1b[31mü:"
    names: dict[str, Any] = {"__name__": name, "__file__": str(tmp_path / f"{name[:8]}.py")}
    exec("def run(): return 1", names)
    found = find_dependencies(names["run"], [()])
    assert found.ran == [name]
    for text in (dependency_table(found), way_to(found, name)):
        assert "\\n\\x1b[31mü:" in text
        assert "\x1b" not in text
    assert json.loads(json.dumps(dependency_record(found)))["modules"][0]["name"] == name


def version(found: Dependencies, name: str) -> str:
    return next(one.version for one in found.distributions if one.name == name)
