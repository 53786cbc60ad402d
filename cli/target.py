"""From the name of a program to the program: import, look up, make."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import torch

from .errors import CommandError, ProgramError, user_code
from .request import TargetName, is_dotted


@dataclass(frozen=True, slots=True)
class Program:
    """Something to trace.

    Attributes:
        call: what is called.
        module: the module that it is, or whose method it is.
    """

    call: Callable[..., Any]
    module: torch.nn.Module | None

    @classmethod
    def of(cls, call: Callable[..., Any]) -> Program:
        """Return the program that a callable is."""
        owner = call if isinstance(call, torch.nn.Module) else getattr(call, "__self__", None)
        return cls(call, owner if isinstance(owner, torch.nn.Module) else None)


def plain_call(maker: Callable[..., Any], /, **arguments: Any) -> Any:
    """Call something with keyword arguments."""
    return maker(**arguments)


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes programs: calls a class, or a factory, with what the command line gives it."""

    target: TargetName
    arguments: Mapping[str, Any]
    call: Callable[..., Any]

    def made(self, maker: Callable[..., Any], hint: str = "") -> Any:
        problem = _misfit(maker, self.arguments)
        if problem is not None:
            raise CommandError(
                f"{self.target} cannot be called to make the program: {problem}\n"
                + _join(
                    "--arg name=value gives it arguments; --input and --kwarg are for what is traced",
                    hint,
                )
            )
        with user_code(f"making the program with {self.target.name}()", hint):
            return self.call(maker, **self.arguments)


def find_program(
    target: TargetName,
    arguments: Mapping[str, Any],
    *,
    factory: bool | None = None,
    make: Callable[..., Any] = plain_call,
) -> Program:
    """Import, look up and, for a class or a factory, make the program that a name stands for.

    A class is instantiated with ``arguments``, also where the name is that of a method. A function
    is a factory if there are ``arguments`` or if it needs none, every parameter having a default:
    it is called, and what it returns is the program. Anything else is the program itself.
    ``factory`` overrides the rule for functions, and ``make`` is what calls classes and factories.

    Raises:
        CommandError: there is no such program, or it does not take the arguments.
        ProgramError: the user's code failed while it was imported or made.
    """
    maker = _Maker(target, arguments, make)
    value, is_made = _look_up(_import(target), target, maker)
    if is_made:
        return _program(value, target)
    if isinstance(value, type):
        return _program(maker.made(value), target)
    program = _program(value, target)
    if program.module is None and (_is_factory(value, arguments) if factory is None else factory):
        hint = f"--no-factory traces {target.name} itself instead of what it returns"
        return _program(maker.made(value, hint), target, hint)
    if arguments:
        raise CommandError(
            f"--arg is for classes and factories, and {target} is neither; "
            "give the inputs of a program with --input and --kwarg"
        )
    return program


def load_script(path: Path) -> ModuleType:
    """Run a Python file as a module and return it, its folder first on the import path.

    A file beside an ``__init__.py`` is imported as a module of that package.

    Raises:
        CommandError: there is no such file, or another module bears the name that its package gives it.
        ProgramError: it failed.
    """
    if not path.is_file():
        raise CommandError(f"there is no file {path}")
    path = path.resolve()
    _search_first(path.parent)
    root, dotted = _package_place(path)
    if root != path.parent and is_dotted(dotted):
        return _import_from(root, dotted, path)
    name = path.stem if path.stem not in sys.modules else f"{path.stem}@{path.parent}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, "the loader of .py files always has a spec"
    assert spec.loader is not None, "a spec of a file has its loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look up the module of their class while it runs
    doing = f"importing {path.name}"
    with user_code(doing):
        try:
            spec.loader.exec_module(module)
        except ImportError as error:
            if "no known parent package" not in str(error):
                raise
            folder = path.parent
            hint = f"as a module it has one: {folder.name}.{path.stem}:NAME, in {folder.parent}"
            raise ProgramError(doing, hint) from error
    return module


def _package_place(path: Path) -> tuple[Path, str]:
    """Return the folder that the packages around a file lie in, and the file's dotted name there."""
    names = [] if path.stem == "__init__" else [path.stem]
    folder = path.parent
    while (folder / "__init__.py").is_file():
        names.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(names)


def _import_from(root: Path, dotted: str, path: Path) -> ModuleType:
    _search_first(root)
    with user_code(f"importing {path.name}"):
        module = importlib.import_module(dotted)
    if Path(module.__file__ or "").resolve() != path:
        raise CommandError(
            f"{path} is {dotted} in its package, and another module bears that name: {module.__file__}"
        )
    return module


def _import(target: TargetName) -> ModuleType:
    _search_first(Path.cwd())
    if target.is_script:
        return load_script(Path(target.module))
    with user_code(f"importing {target.module}"):
        try:
            return importlib.import_module(target.module)
        except ModuleNotFoundError as error:
            missing = error.name or ""
            if not f"{target.module}.".startswith(f"{missing}."):
                raise  # something that the user's module imports
            raise CommandError(
                f"there is no module {missing} in this environment or in {Path.cwd()}"
            ) from error


def _search_first(folder: Path) -> None:
    if os.fspath(folder) not in sys.path:
        sys.path.insert(0, os.fspath(folder))


def _look_up(module: ModuleType, target: TargetName, maker: _Maker) -> tuple[Any, bool]:
    """Return what a name stands for, and whether a class was instantiated to get at its method."""
    holder: Any = module
    is_made = False
    for name in target.name.split("."):
        is_method = isinstance(holder, type) and isinstance(
            inspect.getattr_static(holder, name, None), FunctionType
        )
        if is_method:
            holder = maker.made(holder)
            is_made = True
        try:
            holder = getattr(holder, name)
        except AttributeError as error:
            raise CommandError(_no_such_name(holder, name, target)) from error
    return holder, is_made


def _no_such_name(holder: Any, name: str, target: TargetName) -> str:
    where = target.module if isinstance(holder, ModuleType) else getattr(holder, "__name__", "it")
    public = {
        key: value
        for key, value in vars(holder).items()
        if not key.startswith("_") and callable(value)
    }
    near = difflib.get_close_matches(name, public, n=1)
    if near:
        return f"{where} has no {name}; did you mean {near[0]}?"
    own_name = getattr(holder, "__name__", None)
    known = [key for key, value in public.items() if getattr(value, "__module__", None) == own_name]
    listing = f"; it defines {', '.join(known[:12])}" if known else ""
    return f"{where} has no {name}{listing}"


def _is_factory(function: Callable[..., Any], arguments: Mapping[str, Any]) -> bool:
    return bool(arguments) or _misfit(function, {}) is None


def _misfit(function: Callable[..., Any], arguments: Mapping[str, Any]) -> str | None:
    """Return why a function cannot be called with some arguments; None if it may be."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return "it is built in"
    try:
        signature.bind(**arguments)
    except TypeError as error:
        return str(error)
    return None


def _program(value: Any, target: TargetName, hint: str = "") -> Program:
    if isinstance(value, ModuleType):
        raise CommandError(
            f"{target} is a Python module; to trace something in it, write {value.__name__}:NAME"
        )
    if not callable(value):
        verb = "returned" if hint else "is"
        kind = type(value).__qualname__
        problem = f"{target} {verb} a value of type {kind}, which cannot be called"
        raise CommandError(_join(problem, hint))
    return Program.of(value)


def _join(*lines: str) -> str:
    return "\n".join(filter(None, lines))
