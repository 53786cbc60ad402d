"""Addresses of many scopes in few words: ``layers.1 – layers.11``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

_TO: Final = "\N{EN DASH}"
_MOST: Final = 8
_NUMBER = re.compile(r"[0-9]+")


def spans(addresses: Sequence[str]) -> str:
    """Return addresses with those that count up by one as spans; of very many the first ones."""
    families: dict[str, list[str]] = {}
    for address in addresses:
        families.setdefault(_NUMBER.sub("#", address), []).append(address)
    parts: list[str] = []
    for family in families.values():
        for run in _runs(family):
            parts += [f"{run[0]} {_TO} {run[-1]}"] if len(run) > 2 else run
    if len(parts) > _MOST:
        parts = [*parts[: _MOST - 1], f"{len(parts) - _MOST + 1:,} more"]
    return ", ".join(parts)


def _runs(addresses: Sequence[str]) -> Iterator[list[str]]:
    run: list[str] = []
    for address in addresses:
        if run and not _follows(run[-1], address):
            yield run
            run = []
        run.append(address)
    if run:
        yield run


def _follows(address: str, other: str) -> bool:
    """Whether two addresses are the same but for one number, which is the next in the second."""
    if _NUMBER.sub("#", address) != _NUMBER.sub("#", other):
        return False
    numbers = zip(_NUMBER.findall(address), _NUMBER.findall(other), strict=True)
    steps = [int(after) - int(before) for before, after in numbers if before != after]
    return steps == [1]
