from pathlib import Path
from typing import Any

import pytest
import torch

from opscope.cli.errors import CommandError, ProgramError
from opscope.cli.request import TargetName
from opscope.cli.target import Program, find_program


def find(target: str, factory: bool | None = None, **arguments: Any) -> Program:
    return find_program(TargetName.parse(target), arguments, factory=factory)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("where", ["net", "net.py", "./net.py"])
def test_a_class_is_instantiated_wherever_it_is_found(where: str) -> None:
    program = find(f"{where}:Net", width=7)
    assert program.module is program.call
    assert program.module.fc.in_features == 7


@pytest.mark.usefixtures("project")
def test_a_factory_is_called() -> None:
    assert find("net:make").module.fc.in_features == 4
    assert find("net:make", width=7).module.fc.in_features == 7
    assert find("net:need", width=7).module.fc.in_features == 7
    assert find("net:Net.build", width=7).module.fc.in_features == 7


@pytest.mark.usefixtures("project")
def test_a_method_is_bound_to_a_new_instance() -> None:
    program = find("net:Net.encode", width=7)
    assert program.call.__name__ == "encode"
    assert program.module.fc.in_features == 7


@pytest.mark.usefixtures("project")
def test_an_instance_is_taken_as_it_is() -> None:
    program = find("net:net")
    assert type(program.call).__name__ == "Net"
    part = find("net:net.fc")
    assert part.call is program.call.fc


@pytest.mark.usefixtures("project")
def test_a_function_with_inputs_is_the_program() -> None:
    program = find("net:double")
    assert program.module is None
    assert program.call(torch.ones(1)).item() == 2


@pytest.mark.usefixtures("project")
def test_the_rule_for_functions_can_be_overridden() -> None:
    assert find("net:nothing", factory=False).call().shape == (2,)
    with pytest.raises(CommandError, match=r"returned a value of type Tensor.*\n--no-factory"):
        find("net:nothing")
    with pytest.raises(CommandError, match="missing a required argument: 'x'"):
        find("net:double", factory=True)


def test_a_built_in_function_is_the_program() -> None:
    assert find("torch:relu").call is torch.relu


def test_a_script_may_import_its_neighbours_and_bear_a_known_name(project: Path) -> None:
    folder = project / "deep"
    folder.mkdir()
    (folder / "part.py").write_text("def relu(x):\n    return x.relu()\n")
    (folder / "json.py").write_text("from part import relu\n")
    assert find("deep/json.py:relu").call.__module__ == "part"


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("net.py", "does not say what to trace"),
        ("net:", "does not say what to trace"),
        ("net:a b", "does not say what to trace"),
        ("a/net:Net", "neither the name of a module nor the path of a .py file"),
        ("nett:Net", "there is no module nett"),
        ("net.sub:Net", "there is no module net.sub"),
        ("nett.py:Net", "there is no file nett.py"),
        ("net:Nett", "did you mean Net?"),
        ("net:zzz", "net has no zzz; it defines Net,"),
        ("net:Net.zzz", "Net has no zzz"),
        (
            "torch.nn:functional",
            "is a Python module; to trace something in it, write torch.nn.functional:NAME",
        ),
        ("net.py:nn", "write torch.nn:NAME"),
        ("net:three", "is a value of type int, which cannot be called"),
    ],
)
def test_a_name_that_leads_nowhere_is_an_error(target: str, problem: str) -> None:
    with pytest.raises(CommandError) as caught:
        find(target)
    assert problem in str(caught.value)


@pytest.mark.usefixtures("project")
def test_arguments_must_fit() -> None:
    with pytest.raises(CommandError, match="unexpected keyword argument 'widht'"):
        find("net:Net", widht=3)
    with pytest.raises(CommandError, match="--arg is for classes and factories"):
        find("net:net", width=3)


def test_a_module_that_its_script_misses_is_the_scripts_failure(project: Path) -> None:
    (project / "bad.py").write_text("import surely_not_there\n")
    for target in ("bad:f", "bad.py:f"):
        with pytest.raises(ProgramError) as caught:
            find(target)
        assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def write_package(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "b.py").write_text("def relu(x):\n    return x.relu()\n")
    (folder / "a.py").write_text("from .b import relu\nfrom . import b\n")


def test_a_script_in_a_package_is_loaded_as_its_module(project: Path) -> None:
    write_package(project / "outer_pkg" / "inner")
    for folder in ("outer_pkg", "outer_pkg/inner"):
        (project / folder / "__init__.py").touch()
    call = find("outer_pkg/inner/a.py:relu").call
    assert call.__module__ == "outer_pkg.inner.b"
    assert find("outer_pkg.inner.a:relu").call is call


def test_a_package_whose_name_is_taken_is_an_error(project: Path) -> None:
    write_package(project / "json")
    (project / "json" / "__init__.py").touch()
    (project / "json" / "decoder.py").write_text("def f(x): return x\n")
    with pytest.raises(CommandError, match=r"is json\.decoder in its package, and another module"):
        find("json/decoder.py:f")


def test_a_script_without_its_package_says_how_to_name_it(project: Path) -> None:
    write_package(project / "loose_pkg")
    with pytest.raises(ProgramError) as caught:
        find("loose_pkg/a.py:relu")
    assert "loose_pkg.a:NAME" in caught.value.hint
    assert find("loose_pkg.a:relu").call.__module__ == "loose_pkg.b"
