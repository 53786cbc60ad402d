"""Which installed distribution a module comes from, told by the files that distributions list as theirs.

Names would not do: several distributions share a namespace package, a module of yours may bear the name of
an installed one, and what an editable installation serves lies where you work on it.
"""

from __future__ import annotations

import csv
import json
import os
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from importlib import metadata
from typing import Any, Final
from urllib.parse import unquote, urlsplit

_SUFFIXES: Final = (".py", ".pyc", ".so", ".pyd", ".dylib", ".dll")
# Modules that an environment makes take part in every import; no program needs them.
_FINDERS: Final = ("_distutils_hack", "_virtualenv", "__editable__")


class OriginKind(Enum):
    """What a module is part of."""

    DISTRIBUTION = "distribution"  # installed
    EDITABLE = "editable"  # a distribution that is worked on, installed by reference
    LOCAL = "local"  # no distribution
    STANDARD_LIBRARY = "standard library"
    PACKAGE = "package"  # a torch.package archive
    ENVIRONMENT = (
        "environment"  # what takes part in imports, of a virtual environment or an installer
    )


@dataclass(frozen=True, slots=True, order=True)
class Distribution:
    """An installed distribution.

    Attributes:
        name: as it says itself.
        version: its version, with a local part such as ``+cpu`` if it has one.
        url: where it was installed from, if it was from no index: the address of a file, a folder, or an
            archive, or with ``git+`` and the commit of a repository. None if it came from an index.
        is_editable: whether it is installed by reference to a folder.
    """

    name: str
    version: str
    url: str | None = None
    is_editable: bool = False

    @property
    def folder(self) -> str | None:
        """The folder it was installed from; None if it was from elsewhere."""
        parts = urlsplit(self.url or "")
        return unquote(parts.path) if parts.scheme == "file" else None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a module comes from.

    Attributes:
        kind: what it is part of.
        distribution: the distribution, if it is part of one.
        file: its file; None if it has none.
    """

    kind: OriginKind
    distribution: Distribution | None = None
    file: str | None = None


@dataclass(frozen=True)
class _Installed:
    """A distribution, with what is read of it when it is asked for."""

    source: metadata.Distribution

    @cached_property
    def distribution(self) -> Distribution:
        name, version = self.source.metadata["Name"], self.source.version
        url = _direct_url(self.source)
        if url is None:
            return Distribution(name, version)
        is_editable = bool(_mapping(url.get("dir_info")).get("editable"))
        return Distribution(name, version, _address(url), is_editable)

    @cached_property
    def place(self) -> str:
        """The folder that its files are named from."""
        return os.path.realpath(str(self.source.locate_file("")))

    @cached_property
    def top_level(self) -> frozenset[str]:
        """The names that it says it can be imported by; empty if it does not say."""
        return frozenset((self.source.read_text("top_level.txt") or "").split())

    def files(self) -> Iterator[str]:
        """Yield the paths of its modules."""
        for line in (self.source.read_text("RECORD") or "").splitlines():
            # A path with a comma or a quote in it is quoted; parsing all as CSV takes five times as long.
            path = next(csv.reader([line]))[0] if line[:1] == '"' else line.partition(",")[0]
            if path.endswith(_SUFFIXES):
                yield os.path.normpath(os.path.join(self.place, path))


@dataclass(frozen=True)
class DistributionIndex:
    """Tells where modules come from, in the environment as it is when it is first asked.

    Attributes:
        path: folders to look for distributions in; those of ``sys.path`` if None.
    """

    path: tuple[str, ...] | None = None
    _known: dict[tuple[str, str | None], Origin] = field(default_factory=dict, repr=False)

    def origin(self, module: str, file: str | None) -> Origin:
        """Return where a module comes from.

        Args:
            module: its dotted name.
            file: its file, as it says itself; of one without a file, the packages that it is in are asked.
        """
        key = (module, file)
        if key not in self._known:
            self._known[key] = self._found(module, file)
        return self._known[key]

    def _found(self, module: str, file: str | None) -> Origin:
        top = module.partition(".")[0]
        if top.startswith(_FINDERS):
            return Origin(OriginKind.ENVIRONMENT, file=file)
        place = _place_of(file)
        if place is None:
            return self._without_file(module)
        owner = self._owners.get(place) or self._declared(top, place)
        if owner is not None:
            kind = OriginKind.EDITABLE if owner.is_editable else OriginKind.DISTRIBUTION
            return Origin(kind, owner, place)
        if is_standard(module) and _is_below(place, _STANDARD):
            return Origin(OriginKind.STANDARD_LIBRARY, file=place)
        return Origin(OriginKind.LOCAL, file=place)

    def _without_file(self, module: str) -> Origin:
        """Return where a module without a file comes from, which its name tells, or a package it is in."""
        if is_standard(module):
            return Origin(OriginKind.STANDARD_LIBRARY)
        parent = module.rpartition(".")[0]
        while parent:
            file = file_of(parent)
            if _place_of(file) is not None:
                found = self.origin(parent, file)
                return Origin(found.kind, found.distribution)
            parent = parent.rpartition(".")[0]
        return Origin(OriginKind.LOCAL)

    def _declared(self, top: str, place: str) -> Distribution | None:
        """Return whose module lies in a place, where no distribution lists the very file."""
        for one in self._editable:
            folder = os.path.realpath(one.distribution.folder or one.place)
            is_named = not one.top_level or top in one.top_level
            if is_named and _is_below(place, (folder,)) and not _is_below(place, self._sites):
                return one.distribution
        for one in self._installed:
            if top in one.top_level and place.startswith(os.path.join(one.place, top)):
                return one.distribution
        return None

    @cached_property
    def _installed(self) -> tuple[_Installed, ...]:
        found = (
            metadata.distributions()
            if self.path is None
            else metadata.distributions(path=[*self.path])
        )
        # What is damaged, by an interrupted installation say, has neither name nor version.
        facts = ((one, one.metadata) for one in found)
        whole = [(one, has["Name"]) for one, has in facts if has and has["Name"] and has["Version"]]
        left = [_is_left_by_build(one) for one, _ in whole]
        installed = {
            normal_name(name) for (_, name), is_left in zip(whole, left, strict=True) if not is_left
        }
        return tuple(
            _Installed(one)
            for (one, name), is_left in zip(whole, left, strict=True)
            if not (is_left and normal_name(name) in installed)
        )

    @cached_property
    def _editable(self) -> tuple[_Installed, ...]:
        """The editable ones, those in the deepest folders first."""
        found = [one for one in self._installed if one.distribution.is_editable]
        return tuple(sorted(found, key=lambda one: -len(one.distribution.folder or "")))

    @cached_property
    def _sites(self) -> tuple[str, ...]:
        """The folders that distributions are installed in."""
        return tuple({one.place: None for one in self._installed})

    @cached_property
    def _owners(self) -> dict[str, Distribution]:
        owners: dict[str, Distribution] = {}
        for one in self._installed:
            for path in one.files():
                owners.setdefault(path, one.distribution)
        return owners


def file_of(module: str) -> str | None:
    """Return the file of an imported module, as it says itself; nothing of the module is run."""
    names = names_of(module)
    file = names.get("__file__")
    return file if type(file) is str else None


def names_of(module: str) -> Mapping[str, Any]:
    """Return the globals of an imported module; none if there is no such module."""
    found = sys.modules.get(module)
    if found is None:
        return {}
    try:
        names = object.__getattribute__(found, "__dict__")  # some have a __getattr__ that imports
    except AttributeError:
        return {}
    return names if type(names) is dict else {}


def _place_of(file: str | None) -> str | None:
    """Return where a file lies, with links of folders followed; None if it lies nowhere."""
    if file is None or not os.path.isabs(file):
        return None
    folder, name = os.path.split(file)
    return os.path.join(os.path.realpath(folder), name)


def _is_below(path: str, folders: Iterable[str]) -> bool:
    return any(path.startswith(os.path.join(folder, "")) for folder in folders)


def _standard() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return tuple(os.path.realpath(paths[name]) for name in ("stdlib", "platstdlib"))


_STANDARD: Final = _standard()


def _is_left_by_build(source: metadata.Distribution) -> bool:
    """Whether this is what a build leaves beside the code it is made of (``*.egg-info``), or may be."""
    return (
        source.read_text("SOURCES.txt") is not None
        and source.read_text("installed-files.txt") is None
    )


def _direct_url(source: metadata.Distribution) -> dict[str, Any] | None:
    """Return what an installer notes (PEP 610) of where a distribution came from; None if from an index."""
    text = source.read_text("direct_url.json")
    if text is None:
        return None
    try:
        url = json.loads(text)
    except ValueError:
        return None
    return url if isinstance(url, dict) and isinstance(url.get("url"), str) else None


def _address(url: dict[str, Any]) -> str:
    address: str = url["url"]
    repository = _mapping(url.get("vcs_info"))
    if "vcs" in repository and "commit_id" in repository:
        address = f"{repository['vcs']}+{address}@{repository['commit_id']}"
    folder = url.get("subdirectory")
    return f"{address}#subdirectory={folder}" if isinstance(folder, str) else address


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def is_standard(module: str) -> bool:
    """Whether a module has a name of the standard library."""
    return module.partition(".")[0] in sys.stdlib_module_names


def normal_name(name: str) -> str:
    """Return a distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
