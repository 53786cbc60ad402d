"""What the source of a module imports, as far as that is there."""

from __future__ import annotations

import ast
import sys
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from .distributions import names_of


@dataclass(frozen=True, slots=True)
class ImportStatement:
    """A module that another imports.

    Attributes:
        module: the imported one; it has been imported in this process.
        line: where the statement stands, from 1.
        function: the function that it stands in; ``<module>`` at the top.
    """

    module: str
    line: int
    function: str


def imports_of(module: str, file: str) -> tuple[ImportStatement, ...]:
    """Return what a module imports, in the order of its source, as far as it has been imported.

    Imports in functions too: where another module has imported the same before, nothing tells whether such
    a statement ran. Those that only type checkers see, behind ``if TYPE_CHECKING``, are left out, and so are
    optional ones that have failed. The source is read, and nothing is run.

    Args:
        module: its name, which tells what relative imports mean.
        file: its source; what cannot be read as such, a module written in C say, imports nothing.
    """
    tree = _parsed(file)
    if tree is None:
        return ()
    package = _package_of(module, file)
    found: dict[str, ImportStatement] = {}
    for statement, function in _statements(tree):
        for name in _imported(statement, package):
            found.setdefault(name, ImportStatement(name, statement.lineno, function))
    return tuple(found.values())


def _parsed(file: str) -> ast.Module | None:
    try:
        with tokenize.open(file) as source, warnings.catch_warnings(action="ignore"):
            return ast.parse(source.read())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _statements(tree: ast.Module) -> Iterator[tuple[ast.Import | ast.ImportFrom, str]]:
    """Yield the imports of a module from the top, each with the function that it stands in."""
    left: list[tuple[ast.AST, str]] = [(tree, "")]
    while left:
        node, inside = left.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, inside or "<module>"
            continue
        if isinstance(node, ast.expr):
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inside = f"{inside}.{node.name}".lstrip(".")
        parts: list[ast.stmt] | list[ast.AST] = [*ast.iter_child_nodes(node)]
        if isinstance(node, ast.If) and _is_for_checkers(node.test):
            parts = node.orelse
        left.extend((part, inside) for part in reversed(parts))


def _is_for_checkers(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def _imported(statement: ast.Import | ast.ImportFrom, package: list[str]) -> Iterator[str]:
    """Yield the modules that a statement imports, and that are there."""
    if isinstance(statement, ast.Import):
        yield from (alias.name for alias in statement.names if alias.name in sys.modules)
        return
    if statement.level > len(package):
        return  # it leads out of all packages, and fails
    above = package[: len(package) - statement.level + 1] if statement.level else []
    base = ".".join([*above, *([statement.module] if statement.module else [])])
    if base in sys.modules:
        yield base
    for alias in statement.names:
        if f"{base}.{alias.name}" in sys.modules:
            yield f"{base}.{alias.name}"


def _package_of(module: str, file: str) -> list[str]:
    package = names_of(module).get("__package__")
    if type(package) is str:
        return package.split(".") if package else []
    is_package = file.endswith("__init__.py")
    return module.split(".") if is_package else module.split(".")[:-1]
