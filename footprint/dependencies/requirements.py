"""Requirements, as pip reads them, of the distributions that a program uses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit

from ..lines import printable
from .distributions import Distribution

_INDEX_OF_TORCH: Final = "https://download.pytorch.org/whl/"


def requirement(distribution: Distribution) -> str:
    """Return the requirement of one distribution: pinned, or by the address that it was installed from.

    The local part of a version, such as ``+cpu``, is left out, since no index of everybody's has such
    versions, and ``==2.13.0`` takes ``2.13.0+cpu`` too.
    """
    if _is_remote(distribution.url):
        return f"{distribution.name} @ {distribution.url}"
    return f"{distribution.name}=={distribution.version.partition('+')[0]}"


def requirements_text(distributions: Iterable[Distribution], remarks: Sequence[str] = ()) -> str:
    """Return the text of a ``requirements.txt``.

    Editable distributions stand in it as remarks, since another machine lacks their folders.

    Args:
        distributions: what is required.
        remarks: what is said at the top.
    """
    ordered = sorted(set(distributions), key=lambda one: (one.name.lower(), one))
    lines = [*(f"# {printable(remark)}" for remark in remarks), *map(_line, ordered)]
    return "".join(f"{line}\n" for line in lines)


def _line(one: Distribution) -> str:
    if one.is_editable:
        place = printable(one.folder or one.url or one.name)
        return f"# -e {place}  ({printable(f'{one.name}=={one.version}')}, editable)"
    line = printable(requirement(one))
    if _is_remote(one.url):
        return line
    if one.url is not None:
        return f"{line}  # installed from {printable(one.url)}"
    if "+" in one.version:
        return f"{line}  # installed: {printable(one.version)}{_hint(one)}"
    return line


def _hint(one: Distribution) -> str:
    """Return where a build of torch for certain devices comes from."""
    local = one.version.partition("+")[2]
    return f", of {_INDEX_OF_TORCH}{printable(local)}" if one.name.startswith("torch") else ""


def _is_remote(url: str | None) -> bool:
    return url is not None and urlsplit(url).scheme not in ("", "file")
