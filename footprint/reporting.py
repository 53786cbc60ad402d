"""A footprint as a table for people. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from .result import ModelFootprint, Needs, RunReport, TracerResult

_LEAST_WIDTH: Final = 60
_MOST_CALLERS: Final = 3
_MOST_TYPES: Final = 3
_HEADINGS: Final = ("operator", "program", "types", "called by")
_GAP: Final = "  "
_UNITS: Final = ("B", "kB", "MB", "GB", "TB")


def report(result: TracerResult, width: int = 100) -> str:
    """Return what models need, and how that was found out, as text that ends its last line.

    Operators stand by namespace. Of each it says whether the program names it: it is then a ``root``, unless
    it was ``never run``, or is run ``unseen``; the types of elements of its inputs; and what called it.

    Args:
        result: what was found out.
        width: how many columns there are; the last one is cut to fit.
    """
    lines = [*_models(result.models), ""]
    lines += [
        _printable(f"failed: {failure.name}: {failure.message}") for failure in result.failures
    ]
    lines += [*_operators(result.needs, max(width, _LEAST_WIDTH)), *_rest(result.needs, width)]
    return "\n".join(lines) + "\n"


def _models(models: Sequence[ModelFootprint]) -> Iterator[str]:
    for model in models:
        size = f", {_size(model.size)}" if model.size else ""
        training = ", trains" if model.needs.is_training else ""
        yield f"{_printable(model.name)}  ({model.kind.value}{size}{training})"
        everywhere = frozenset.intersection(*(run.operators for run in model.runs))
        for run in model.runs:
            yield f"  {run.name:<10} {_of_run(run, everywhere)}"


def _of_run(run: RunReport, everywhere: frozenset[str]) -> str:
    calls = ", ".join(f"{name}() on {_count(count, 'input')}" for name, count in run.calls.items())
    words = [f"ran {calls}" if calls and not _has_failed(run) else run.outcome.value]
    if run.reason:
        words.append(f": {_printable(run.reason)}")
    elif run.operators - everywhere:
        words.append(
            f"; {_count(len(run.operators - everywhere), 'operator')} not called in every run"
        )
    return "".join(words)


def _has_failed(run: RunReport) -> bool:
    return run.outcome.value == "skipped"


@dataclass(frozen=True, slots=True)
class _Row:
    cells: tuple[str, str, str, str]


def _operators(needs: Needs, width: int) -> Iterator[str]:
    names = needs.root_ops | needs.traced_operators
    by_namespace: dict[str, list[str]] = {}
    for name in sorted(names):
        by_namespace.setdefault(name.partition("::")[0], []).append(name)
    traced_only = len(needs.traced_operators - needs.root_ops)
    yield (
        f"{_count(len(names), 'operator')}: {_count(len(needs.root_ops), 'root')} that the programs name,"
        f" {traced_only} that are only called"
    )
    rows = {
        namespace: [_row(name, needs) for name in members]
        for namespace, members in by_namespace.items()
    }
    widths = _widths([row for group in rows.values() for row in group])
    yield _line(_HEADINGS, widths, width)
    for namespace, group in rows.items():
        yield f"{_printable(namespace)} ({len(group)})"
        for row in group:
            yield _line(row.cells, widths, width)


def _row(name: str, needs: Needs) -> _Row:
    plain = _printable(name.partition("::")[2])
    return _Row((f"  {plain}", _part(name, needs), _types(name, needs), _callers(name, needs)))


def _part(name: str, needs: Needs) -> str:
    if name not in needs.root_ops:
        return ""
    if name in needs.unreached:
        return "never run"
    return "unseen" if name in needs.interpreted else "root"


def _types(name: str, needs: Needs) -> str:
    if needs.are_kernel_tags:
        return ""
    types = sorted(needs.called_kernel_tags.get(name, ()))
    more = f" +{len(types) - _MOST_TYPES}" if len(types) > _MOST_TYPES else ""
    return " ".join(types[:_MOST_TYPES]) + more


def _callers(name: str, needs: Needs) -> str:
    callers = sorted(needs.callers.get(name, ()), key=lambda caller: ("::" in caller, caller))
    shown = [_printable(caller.removeprefix("aten::")) for caller in callers[:_MOST_CALLERS]]
    if len(callers) > _MOST_CALLERS:
        shown.append(f"{len(callers) - _MOST_CALLERS} more")
    if not callers and name in needs.traced_operators:
        shown.append("always included")
    return ", ".join(shown)


def _widths(rows: Sequence[_Row]) -> list[int]:
    cells = [_HEADINGS, *(row.cells for row in rows)]
    return [min(max(len(row[column]) for row in cells), 44) for column in range(len(_HEADINGS))]


def _line(cells: Sequence[str], widths: Sequence[int], width: int) -> str:
    padded = [cell.ljust(size) for cell, size in zip(cells[:-1], widths, strict=False)]
    return _cut(_GAP.join([*padded, cells[-1]]).rstrip(), width)


def _rest(needs: Needs, width: int) -> Iterator[str]:
    yield ""
    if needs.unreached:
        yield from _wrapped(
            f"never run by these inputs ({len(needs.unreached)})", sorted(needs.unreached), width
        )
        yield "  what these call is not in the list; give inputs that come to them"
    if needs.interpreted:
        yield from _wrapped(
            f"unseen, as the interpreter or torch calls them without telling ({len(needs.interpreted)})",
            sorted(needs.interpreted),
            width,
        )
    yield from _wrapped("custom classes", sorted(needs.loaded_classes), width)
    yield from _wrapped("backends", sorted(needs.enabled_backends), width)
    yield from _wrapped("build features", sorted(needs.build_features), width)
    if needs.are_kernel_tags:
        yield from _wrapped(
            "kernels",
            [
                f"{tag} {' '.join(sorted(types))}"
                for tag, types in sorted(needs.called_kernel_tags.items())
            ],
            width,
        )
    else:
        yield "types are those of inputs of operators; what kernels need is not known, so a build has all"


def _wrapped(title: str, items: Sequence[str], width: int) -> Iterator[str]:
    if not items:
        yield f"{title}: none"
        return
    line = f"{title}:"
    for item in map(_printable, items):
        if len(line) + len(item) + 2 > width and line.strip():
            yield line
            line = "   "
        line += f" {item}{',' if item is not items[-1] else ''}"
    yield line.rstrip(",")


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _size(size: int) -> str:
    amount, unit = float(size), 0
    while amount >= 1000 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.0f} {_UNITS[unit]}" if unit == 0 else f"{amount:.1f} {_UNITS[unit]}"


def _printable(text: str) -> str:
    """Return text in one line, without what a terminal would obey."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
