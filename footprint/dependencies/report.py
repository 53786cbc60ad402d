"""Dependencies as tables for people and as records for programs. Needs no torch."""

from __future__ import annotations

import linecache
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from ..lines import counted, cut, printable, wrapped
from .distributions import Distribution, OriginKind, is_standard
from .finding import Dependencies, Dependency, How, nearest
from .first_uses import Step
from .requirements import requirement

_GAP: Final = "  "
_MOST_NAME: Final = 48
_LEAST_WIDTH: Final = 60
_GROUPS: Final = {
    OriginKind.LOCAL: "yours",
    OriginKind.PACKAGE: "in a torch.package archive",
}


def dependency_table(dependencies: Dependencies, width: int = 100, *, modules: bool = False) -> str:
    """Return what calls need as text that ends its last line, by the distribution it comes from.

    Args:
        dependencies: what they need.
        width: how many columns there are; lines are cut to fit.
        modules: whether the modules of distributions are listed too, and not only those of the user.
    """
    width = max(width, _LEAST_WIDTH)
    rows = [row for group in _groups(dependencies) for row in _rows(group, modules=modules)]
    size = min(max((len(name) for name, _, _ in rows), default=0), _MOST_NAME)
    lines = [_counts(dependencies)]
    for name, count, place in [("", "modules", "first come to from"), *rows] if rows else []:
        lines.append(cut(f"{name:<{size}}{_GAP}{count:>7}{_GAP}{place}".rstrip(), width))
    if standard := dependencies.of_kind(OriginKind.STANDARD_LIBRARY):
        title = f"standard library ({len(standard)})"
        lines += wrapped(title, [one.name for one in standard], width)
    return "\n".join(lines) + "\n"


def way_to(dependencies: Dependencies, name: str, width: int = 100) -> str:
    """Return the first way to a module, or to a distribution, as text that ends its last line.

    Args:
        dependencies: what was found.
        name: of the module or distribution.
        width: how many characters a line has at most.

    Raises:
        FootprintError: no such module is needed.
    """
    module = dependencies.why(name)
    width = max(width, _LEAST_WIDTH)
    lines = [f"{printable(module.name)}, {_whose(module)}, {_HOW[module.how]}"]
    if module.path and module.how is How.LOADED:
        lines[0] += ":"
    if not module.path:
        lines.append(f"  {_NO_WAY[module.how]}")
    local = _local_files(dependencies)
    places = [_place(step, local) for step in module.path]
    size = min(max(map(len, places), default=0), width * 3 // 5)
    for place, step in zip(places, module.path, strict=True):
        source = printable(linecache.getline(step.file, step.line).strip())
        lines.append(cut(f"  {place:<{size}}{_GAP}{source}".rstrip(), width))
    return "\n".join(lines) + "\n"


def dependency_record(dependencies: Dependencies) -> dict[str, Any]:
    """Return dependencies as what JSON can hold."""
    by_distribution = dependencies.by_distribution
    return {
        "modules": [module_record(module) for module in dependencies.modules],
        "distributions": [
            {
                "name": one.name,
                "version": one.version,
                "url": one.url,
                "editable": one.is_editable,
                "requirement": None if one.is_editable else requirement(one),
                "modules": [module.name for module in by_distribution[one]],
            }
            for one in dependencies.distributions
        ],
        "requirements": list(dependencies.requirements),
    }


def local_files(dependencies: Dependencies) -> list[str]:
    """Return the files of modules that no distribution has, from the current folder on if they lie there."""
    files = [one.origin.file for one in dependencies.of_kind(OriginKind.LOCAL)]
    return [printable(_readable(file)) for file in files if file is not None]


_HOW: Final = {
    How.RAN: "ran; the way to it:",
    How.LOADED: "was imported while the program ran, and has no Python code to run",
    How.IMPORTED: "did not run, and is imported by what is yours:",
}
_NO_PLACE: Final = {
    How.RAN: "what was called",
    How.LOADED: "imported meanwhile, without Python code",
    How.IMPORTED: "what was asked for",
}
_NO_WAY: Final = {
    How.RAN: "it is what was called",
    How.LOADED: "what imported it is not known",
    How.IMPORTED: "it is what was asked for",
}


_WHOSE: Final = {
    OriginKind.LOCAL: "yours",
    OriginKind.PACKAGE: "in a torch.package archive",
    OriginKind.STANDARD_LIBRARY: "of the standard library",
}


def _counts(dependencies: Dependencies) -> str:
    ran = sum(one.how is How.RAN for one in dependencies.modules)
    others = len(dependencies.modules) - ran
    more = f"; {others} more {'is' if others == 1 else 'are'} imported" if others else ""
    needed = counted(len(dependencies.distributions), "distribution")
    return f"{counted(ran, 'Python module')} ran{more}; {needed} needed"


@dataclass(frozen=True, slots=True)
class _Group:
    """Modules that come from one place.

    Attributes:
        title: what the place is.
        modules: the modules.
        first: the one that tells why they are needed; None if each of them does.
        local: files that are the user's.
    """

    title: str
    modules: tuple[Dependency, ...]
    first: Dependency | None
    local: frozenset[str]


def _groups(dependencies: Dependencies) -> Iterator[_Group]:
    """Yield what is the user's first, and then the distributions by name."""
    local = _local_files(dependencies)
    for kind, title in _GROUPS.items():
        if found := dependencies.of_kind(kind):
            yield _Group(title, found, None, local)
    by_distribution = dependencies.by_distribution
    for one in dependencies.distributions:
        found = by_distribution[one]
        yield _Group(_title(one), found, nearest(found), local)


def _rows(group: _Group, *, modules: bool) -> Iterator[tuple[str, str, str]]:
    why = "" if group.first is None else _came_from(group.first, group.local)
    yield group.title, str(len(group.modules)), why
    if modules or group.first is None:
        for one in group.modules:
            yield f"  {printable(one.name)}", "", _came_from(one, group.local)


def _title(one: Distribution) -> str:
    where = (
        f", editable, in {one.folder}"
        if one.is_editable
        else f", from {one.url}"
        if one.url
        else ""
    )
    return printable(f"{one.name} {one.version}{where}")


def _came_from(module: Dependency, local: frozenset[str]) -> str:
    before = module.path[:-1] if module.how is How.RAN else module.path
    # On its way through the standard library a program is where it went there.
    telling = [s for s in before if s.file in local or not is_standard(s.module)] or before
    place = _place(telling[-1], local) if telling else _NO_PLACE[module.how]
    return f"import in {place}" if before and module.how is not How.RAN else place


def _place(step: Step, local: frozenset[str]) -> str:
    """Return where a step is: by its file if that is the user's, and by its module if not."""
    where = _readable(step.file) if step.file in local or not step.module else step.module
    function = "" if step.function == "<module>" else f" in {step.function}"
    return printable(f"{where}:{step.line}{function}")


def _local_files(dependencies: Dependencies) -> frozenset[str]:
    return frozenset(
        step.file
        for module in dependencies.of_kind(OriginKind.LOCAL)
        for step in module.path
        if step.module == module.name
    ) | {
        module.origin.file
        for module in dependencies.of_kind(OriginKind.LOCAL)
        if module.origin.file
    }


def _readable(file: str) -> str:
    """Return a path from the current folder on, if it lies there."""
    here = os.path.join(os.getcwd(), "")
    return file.removeprefix(here)


def _whose(module: Dependency) -> str:
    origin = module.origin
    if origin.distribution is not None:
        return f"of {printable(f'{origin.distribution.name} {origin.distribution.version}')}"
    return _WHOSE.get(origin.kind, "of the environment")


def module_record(module: Dependency) -> dict[str, Any]:
    """Return one module as what JSON can hold."""
    origin = module.origin
    return {
        "name": module.name,
        "how": module.how.value,
        "kind": origin.kind.value,
        "distribution": None if origin.distribution is None else origin.distribution.name,
        "file": origin.file,
        "path": [
            {"module": step.module, "function": step.function, "file": step.file, "line": step.line}
            for step in module.path
        ],
    }
