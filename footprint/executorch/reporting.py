"""What programs of ExecuTorch need as a table for people. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ..kernel_keys import dim_orders_of, dtypes_of, is_plain, is_prim
from ..lines import counted, failure_line, grouped_table, printable, shortened, size_text, wrapped
from .needs import ExecuTorchFootprint, ExecuTorchModel
from .programs import ProgramMethod

_HEADINGS: Final = ("operator", "kernels", "types", "dimensions", "calls", "called by")
_MOST_METHODS: Final = 3


def executorch_report(footprint: ExecuTorchFootprint, width: int = 100) -> str:
    """Return what models need of a build of ExecuTorch, as text that ends its last line.

    Of each operator it says how many different kernels its calls take, for which types and orders of
    dimensions, how many instructions call it, and in which methods.

    Args:
        footprint: what was found out.
        width: how many columns there are; the last one is cut to fit.
    """
    lines = [line for model in footprint.models for line in _model(model)]
    lines += [failure_line(one.name, one.message) for one in footprint.failures]
    lines += ["", *_operators(footprint, width), "", *_rest(footprint, width)]
    return "\n".join(lines) + "\n"


def _model(model: ExecuTorchModel) -> Iterator[str]:
    size = f", {size_text(model.size)}" if model.size else ""
    yield f"{printable(model.name)}  ({model.source.value}{size})"
    for method in model.methods:
        yield f"  {printable(method.name):<10} {'; '.join(_of_method(method))}"


def _of_method(method: ProgramMethod) -> Iterator[str]:
    yield f"{counted(sum(method.calls.values()), 'call')} of {counted(len(method.calls), 'operator')}"
    for backend in dict.fromkeys(delegate.backend for delegate in method.delegates):
        parts = sum(delegate.backend == backend for delegate in method.delegates)
        yield f"{counted(parts, 'part')} left to {printable(backend)}"


def _operators(footprint: ExecuTorchFootprint, width: int) -> Iterator[str]:
    names, prims = footprint.operators, footprint.prim_operators
    label = " (approximate)" if footprint.is_approximate else ""
    yield (
        f"{counted(len(names), 'operator')}{label}: {len(names - prims)} of libraries of kernels,"
        f" {len(prims)} that the runtime has itself"
    )
    if not names:
        return
    kernels = footprint.kernels
    groups: dict[str, list[Sequence[str]]] = {}
    for name in sorted(names, key=lambda name: (is_prim(name), name)):
        group = "in the runtime" if is_prim(name) else name.partition("::")[0]
        groups.setdefault(group, []).append(_row(name, footprint, kernels.get(name, ())))
    yield from grouped_table(_HEADINGS, groups, width)


def _row(name: str, footprint: ExecuTorchFootprint, keys: Iterable[str]) -> Sequence[str]:
    methods = [method for model in footprint.models for method in model.methods]
    calling = [method.name for method in methods if name in method.calls]
    calls = sum(method.calls.get(name, 0) for method in methods)
    shown = list(dict.fromkeys(map(printable, calling)))
    more = [f"{len(shown) - _MOST_METHODS} more"] if len(shown) > _MOST_METHODS else []
    keys = list(keys)
    plain = name if is_prim(name) else name.partition("::")[2]
    return (
        f"  {plain}",
        str(len(keys)) if keys else "",
        shortened(dtypes_of(keys)),
        _dimensions(keys),
        str(calls) if calls else "never",
        ", ".join([*shown[:_MOST_METHODS], *more]),
    )


def _dimensions(keys: Iterable[str]) -> str:
    """Return how many dimensions tensors have; orders that are not the usual one in full."""
    orders = dim_orders_of(keys)
    return shortened(
        [str(len(one)) if is_plain(one) else ",".join(map(str, one)) for one in orders]
    )


def _rest(footprint: ExecuTorchFootprint, width: int) -> Iterator[str]:
    delegates = footprint.delegates
    yield from wrapped(
        "backends",
        [f"{name} ({counted(parts, 'part')})" for name, parts in delegates.items()],
        width,
    )
    if delegates:
        yield "  what runs inside these is theirs, and in no list; the app must link them"
    if footprint.uncalled:
        yield from wrapped("listed and never called", sorted(footprint.uncalled), width)
    guessed = sorted(frozenset().union(*(model.guessed for model in footprint.models)))
    if guessed:
        yield from wrapped("names made up by rule, as torch has no such variant", guessed, width)
    if footprint.is_approximate:
        yield "approximate: ExecuTorch has passes and backends of its own; a .pte file tells exactly"
        yield "lists ask for all kernels of what is approximate"
    else:
        yield "types are those of tensors in calls; what kernels need inside may be more"
