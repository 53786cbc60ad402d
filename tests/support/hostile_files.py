"""Files that say something else than they said, as somebody makes them who can write zips."""

from __future__ import annotations

import json
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import opscope


def entries_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(entries: dict[str, bytes] | list[tuple[str, bytes]], path: Path) -> Path:
    pairs = entries.items() if isinstance(entries, dict) else entries
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in pairs:
            is_data = name == "state.safetensors"
            method = zipfile.ZIP_STORED if is_data else zipfile.ZIP_DEFLATED
            archive.writestr(name, content, method)
    return path


_ODD: list[Any] = [
    -1, 0, 1, 2**40, 10**30, 1.5, 1e999, "", "leaf", "x" * 500, "\ud800", None, True, False, [], {}, [[]],
    [0], [-1], {"a": 0}, {"list": 0}, {"tuple": []}, {"absent": 0}, {"tensor": 0},
    {"named": ["os", "system"]},
]  # fmt: skip


def mutated(value: Any, chance: random.Random) -> Any:
    """Return JSON with one part of it, anywhere, replaced, taken out or put in twice."""
    if isinstance(value, list | dict) and value and chance.random() < 0.93:
        keys = list(range(len(value))) if isinstance(value, list) else list(value)
        key = chance.choice(keys)
        copy = list(value) if isinstance(value, list) else dict(value)
        match chance.randrange(12):
            case 0:
                del copy[key]
            case 1 if isinstance(copy, list):
                copy.insert(key, copy[key])
            case 2:
                copy[key] = chance.choice([value[other] for other in keys])
            case _:
                copy[key] = mutated(value[key], chance)
        return copy
    if isinstance(value, int) and chance.random() < 0.5:
        return value + chance.choice([-1, 1])
    return chance.choice(_ODD)


def mutants(path: Path, count: int, seed: int) -> Iterator[Path]:
    """Yield files in which entries say something else, all well packed."""
    entries = {name: content for name, content in entries_of(path).items()}
    plain = {n: json.loads(c) for n, c in entries.items() if n.endswith(".json")}
    chance = random.Random(seed)
    names = [name for name in plain if name != "opscope.json"]
    for _ in range(count):
        name = chance.choice(names)
        content = plain[name]
        for _ in range(chance.choice([1, 1, 2, 5])):
            content = mutated(content, chance)
        made = {**entries, name: json.dumps(content).encode("utf-8")}
        yield zipped(made, path.with_name("mutant.opscope"))


def use(loaded: opscope.LoadedProgram) -> None:
    """Do with what was loaded whatever needs no torch."""
    opscope.verify(loaded.graph)
    str(loaded), repr(loaded.outputs), loaded.guards, loaded.diagnostics, loaded.sources
    for node in loaded.graph.walk():
        if node.stack is not None:
            node.stack.format()
    opscope.to_dot(loaded)
    loaded.save(loaded.path.with_name("again.opscope"), state=False)
