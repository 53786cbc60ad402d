"""A footprint as a table for people. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from .lines import counted, failure_line, grouped_table, printable, shortened, size_text, wrapped
from .result import ModelFootprint, Needs, RunReport, TracerResult

_MOST_CALLERS: Final = 3
_HEADINGS: Final = ("operator", "program", "types", "called by")


def report(result: TracerResult, width: int = 100) -> str:
    """Return what models need, and how that was found out, as text that ends its last line.

    Operators stand by namespace. Of each it says whether the program names it: it is then a ``root``, unless
    it was ``never run``, or is run ``unseen``; the types of elements of its inputs; and what called it.

    Args:
        result: what was found out.
        width: how many columns there are; the last one is cut to fit.
    """
    lines = [*_models(result.models), ""]
    lines += [failure_line(failure.name, failure.message) for failure in result.failures]
    lines += [*_operators(result.needs, width), *_rest(result.needs, width)]
    return "\n".join(lines) + "\n"


def caveats(result: TracerResult, width: int = 100) -> list[str]:
    """Return, as lines, why a list of what models need may lack something: runs and operators left out.

    Args:
        result: what was found out.
        width: how many columns there are.
    """
    skipped = [
        f"{printable(model.name)}: the {run.name} run was skipped: {printable(run.reason)}"
        for model in result.models
        for run in model.runs
        if _has_failed(run)
    ]
    return [*skipped, *_unreached(result.needs, width)]


def _models(models: Sequence[ModelFootprint]) -> Iterator[str]:
    for model in models:
        size = f", {size_text(model.size)}" if model.size else ""
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
    yield from grouped_table(
        _HEADINGS,
        {name: [_row(one, needs) for one in group] for name, group in by_namespace.items()},
        width,
    )


def _row(name: str, needs: Needs) -> Sequence[str]:
    plain = printable(name.partition("::")[2])
    return f"  {plain}", _part(name, needs), _types(name, needs), _callers(name, needs)


def _part(name: str, needs: Needs) -> str:
    if name not in needs.root_ops:
        return ""
    if name in needs.unreached:
        return "never run"
    return "unseen" if name in needs.interpreted else "root"


def _types(name: str, needs: Needs) -> str:
    if needs.are_kernel_tags:
        return ""
    return shortened(sorted(needs.called_kernel_tags.get(name, ())))


def _callers(name: str, needs: Needs) -> str:
    callers = sorted(needs.callers.get(name, ()), key=lambda caller: ("::" in caller, caller))
    shown = [printable(caller.removeprefix("aten::")) for caller in callers[:_MOST_CALLERS]]
    if len(callers) > _MOST_CALLERS:
        shown.append(f"{len(callers) - _MOST_CALLERS} more")
    if not callers and name in needs.traced_operators:
        shown.append("always included")
    return ", ".join(shown)


def _rest(needs: Needs, width: int) -> Iterator[str]:
    yield ""
    yield from _unreached(needs, width)
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


def _unreached(needs: Needs, width: int) -> Iterator[str]:
    if needs.unreached:
        title = f"never run by these inputs ({len(needs.unreached)})"
        yield from wrapped(title, sorted(needs.unreached), width)
        yield "  what these call is not in the list; give inputs that come to them"
