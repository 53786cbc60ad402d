"""A footprint as a table for people. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from .lines import counted, cut, printable, wrapped
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
        printable(f"failed: {failure.name}: {failure.message}") for failure in result.failures
    ]
    lines += [*_operators(result.needs, max(width, _LEAST_WIDTH)), *_rest(result.needs, width)]
    return "\n".join(lines) + "\n"


def _models(models: Sequence[ModelFootprint]) -> Iterator[str]:
    for model in models:
        size = f", {_size(model.size)}" if model.size else ""
        training = ", trains" if model.needs.is_training else ""
        yield f"{printable(model.name)}  ({model.kind.value}{size}{training})"
        everywhere = frozenset.intersection(*(run.operators for run in model.runs))
        for run in model.runs:
            yield f"  {run.name:<10} {_of_run(run, everywhere)}"


def _of_run(run: RunReport, everywhere: frozenset[str]) -> str:
    calls = ", ".join(f"{name}() on {counted(count, 'input')}" for name, count in run.calls.items())
    words = [f"ran {calls}" if calls and not _has_failed(run) else run.outcome.value]
    if run.reason:
        words.append(f": {printable(run.reason)}")
    elif run.operators - everywhere:
        words.append(
            f"; {counted(len(run.operators - everywhere), 'operator')} not called in every run"
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
        f"{counted(len(names), 'operator')}: {counted(len(needs.root_ops), 'root')} that the programs name,"
        f" {traced_only} that are only called"
    )
    rows = {
        namespace: [_row(name, needs) for name in members]
        for namespace, members in by_namespace.items()
    }
    widths = _widths([row for group in rows.values() for row in group])
    yield _line(_HEADINGS, widths, width)
    for namespace, group in rows.items():
        yield f"{printable(namespace)} ({len(group)})"
        for row in group:
            yield _line(row.cells, widths, width)


def _row(name: str, needs: Needs) -> _Row:
    plain = printable(name.partition("::")[2])
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
    shown = [printable(caller.removeprefix("aten::")) for caller in callers[:_MOST_CALLERS]]
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
    return cut(_GAP.join([*padded, cells[-1]]).rstrip(), width)


def _rest(needs: Needs, width: int) -> Iterator[str]:
    yield ""
    if needs.unreached:
        yield from wrapped(
            f"never run by these inputs ({len(needs.unreached)})", sorted(needs.unreached), width
        )
        yield "  what these call is not in the list; give inputs that come to them"
    if needs.interpreted:
        yield from wrapped(
            f"unseen, as the interpreter or torch calls them without telling ({len(needs.interpreted)})",
            sorted(needs.interpreted),
            width,
        )
    yield from wrapped("custom classes", sorted(needs.loaded_classes), width)
    yield from wrapped("backends", sorted(needs.enabled_backends), width)
    yield from wrapped("build features", sorted(needs.build_features), width)
    if needs.are_kernel_tags:
        yield from wrapped(
            "kernels",
            [
                f"{tag} {' '.join(sorted(types))}"
                for tag, types in sorted(needs.called_kernel_tags.items())
            ],
            width,
        )
    else:
        yield "types are those of inputs of operators; what kernels need is not known, so a build has all"


def _size(size: int) -> str:
    amount, unit = float(size), 0
    while amount >= 1000 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.0f} {_UNITS[unit]}" if unit == 0 else f"{amount:.1f} {_UNITS[unit]}"
