"""Lists of kernels as libraries of ExecuTorch have them: ``functions.yaml``. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ..errors import FootprintError, FormatError
from .kernel_keys import operator_name

_NAMESPACE: Final = "aten::"


def names_of_kernels(content: Any) -> list[str]:
    """Return the names of the operators that a list of kernels has.

    Args:
        content: what its YAML says: entries with ``op: add.out``, or with ``func:`` and a whole signature.

    Raises:
        FootprintError: it is no such list.
    """
    if not isinstance(content, list):
        raise FootprintError("it must be a list with entries such as op: add.out")
    return list(_names(content))


def _names(entries: list[Any]) -> Iterator[str]:
    for number, entry in enumerate(entries, start=1):
        said = entry.get("op", entry.get("func")) if isinstance(entry, dict) else None
        if not isinstance(said, str):
            raise FootprintError(f"entry {number} has neither op: nor func: with a name")
        name = said.partition("(")[0].strip()
        try:
            yield operator_name(name if "::" in name else _NAMESPACE + name)
        except FormatError:
            raise FootprintError(f"entry {number} is of {name[:60]!r}, which is no name") from None
