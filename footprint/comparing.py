"""Selections of operators beside each other: what changed, and what a build has of what is needed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import FootprintError
from .kernel_keys import ANY_KERNEL, dtypes_of, is_prim
from .kernel_lists import names_of_kernels
from .selection import (
    OperatorSelection,
    SelectedOperator,
    parse_selection,
    parse_yaml,
    read_list_text,
)


@dataclass(frozen=True, slots=True)
class SelectionDifference:
    """What a selection has that another had not, and the other way round; all sorted.

    Attributes:
        added: operators that only the later one has.
        removed: operators that only the earlier one has.
        changed: operators whose flags differ, with both.
        added_items: types of kernels, classes, features and wholes that only the later one has,
            as text: ``class LinearPackedParamsBase``, ``kernel GeluKernelImpl Float``.
        removed_items: the same of the earlier one.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[tuple[str, SelectedOperator, SelectedOperator], ...]
    added_items: tuple[str, ...]
    removed_items: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(
            self.added or self.removed or self.changed or self.added_items or self.removed_items
        )

    def __str__(self) -> str:
        lines = [f"+ {name}" for name in (*self.added, *self.added_items)]
        lines += [f"- {name}" for name in (*self.removed, *self.removed_items)]
        lines += [
            f"~ {name}: {_flags(before)} -> {_flags(after)}" for name, before, after in self.changed
        ]
        return "\n".join(lines) if lines else "no difference"


@dataclass(frozen=True, slots=True)
class Coverage:
    """What of a selection a set of kernels has; all sorted.

    Attributes:
        covered: operators that are there.
        missing: operators that are not; a model that calls one fails.
        unused: what is there and not needed.
        missing_types: operators of ExecuTorch that are there for other types of elements alone, each with a
            type that they are needed for.
    """

    covered: tuple[str, ...]
    missing: tuple[str, ...]
    unused: tuple[str, ...]
    missing_types: tuple[tuple[str, str], ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing and not self.missing_types

    def __str__(self) -> str:
        needed = len(self.covered) + len(self.missing)
        lines = [
            f"{len(self.covered)} of {needed} operators are there; {len(self.unused)} more are not used"
        ]
        lines += [f"missing: {name}" for name in self.missing]
        lines += [f"missing: {name} for {dtype}" for name, dtype in self.missing_types]
        return "\n".join(lines)


def diff(before: OperatorSelection, after: OperatorSelection) -> SelectionDifference:
    """Tell what changed from one selection to another. Notes (``debug_info``) are not compared."""
    old, new = before.operators, after.operators
    return SelectionDifference(
        added=tuple(sorted(new.keys() - old.keys())),
        removed=tuple(sorted(old.keys() - new.keys())),
        changed=tuple(
            (name, old[name], new[name])
            for name in sorted(old.keys() & new.keys())
            if _flags(old[name]) != _flags(new[name])
        ),
        added_items=tuple(sorted(_items(after) - _items(before))),
        removed_items=tuple(sorted(_items(before) - _items(after))),
    )


def coverage(
    needed: OperatorSelection | Iterable[str], available: OperatorSelection | Iterable[str]
) -> Coverage:
    """Tell which operators a build that has some kernels lacks.

    Args:
        needed: a selection, or names of operators with their overloads.
        available: what is there: a selection, or names of operators. A selection that has all
            overloads of a name has each. Of ExecuTorch a selection has the operators that it lists kernels
            of, for the types that these are for; operators that the runtime has itself are always there.
    """
    wanted = needed if isinstance(needed, OperatorSelection) else _plain(needed)
    there = available if isinstance(available, OperatorSelection) else _plain(available)
    names = wanted.operators
    covered = sorted(name for name in names if _is_there(name, wanted, there))
    bases = {name.partition(".")[0] for name in names}
    return Coverage(
        covered=tuple(covered),
        missing=tuple(sorted(names.keys() - set(covered))),
        unused=tuple(
            sorted(
                name
                for name, operator in there.operators.items()
                if name not in names and not (operator.all_overloads and name in bases)
            )
        ),
        missing_types=tuple(
            (name, dtype) for name in covered for dtype in _types_lacking(name, wanted, there)
        ),
    )


def read_available(path: str | os.PathLike[str]) -> OperatorSelection:
    """Read which operators there are.

    That is a ``selected_operators.yaml``; a list of kernels as ExecuTorch's libraries have it
    (``functions.yaml``); or text with one name on each line, where empty lines, and what follows a ``#``, are
    no names.

    Raises:
        FootprintError: the file cannot be read, or is none of these.
    """
    target = Path(path)
    text = read_list_text(target)
    try:
        if target.suffix.lower() not in (".yaml", ".yml"):
            return _plain(_names_in_lines(text))
        if _begins_list(text):
            names = names_of_kernels(parse_yaml(text))
            return replace(_plain(names), et_kernel_metadata=dict.fromkeys(names, (ANY_KERNEL,)))
        return parse_selection(text)
    except FootprintError as error:
        raise FootprintError(f"{target} is no list of operators: {error}") from error


def _names_in_lines(text: str) -> list[str]:
    names = [name for line in text.splitlines() if (name := line.partition("#")[0].strip())]
    for name in names:
        if "::" not in name or len(name.split()) > 1:
            raise FootprintError(f"{name[:60]!r} is no name such as aten::add.Tensor")
    return names


def _begins_list(text: str) -> bool:
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return next(lines, "").startswith("-")


def _is_there(name: str, wanted: OperatorSelection, there: OperatorSelection) -> bool:
    if wanted.et_kernel_metadata and is_prim(name):
        return True
    if there.et_kernel_metadata and not there.include_all_operators:
        return name in there.operators and name in there.et_kernel_metadata
    return there.is_selected(name)


def _types_lacking(name: str, wanted: OperatorSelection, there: OperatorSelection) -> Iterable[str]:
    """Return the types that an operator of ExecuTorch is needed for, and has not."""
    has = there.et_kernel_metadata.get(name, ())
    if not has or ANY_KERNEL in has or is_prim(name):
        return ()
    needs = wanted.et_kernel_metadata.get(name, ())
    if ANY_KERNEL in needs:
        return ("all types",)
    return sorted({*dtypes_of(needs)} - {*dtypes_of(has)})


def _plain(names: Iterable[str]) -> OperatorSelection:
    exact = SelectedOperator(is_root=True, is_training=False, all_overloads=False)
    return OperatorSelection(operators=dict.fromkeys(names, exact))


def _flags(operator: SelectedOperator) -> str:
    words = [
        "root" if operator.is_root else "traced",
        *(["training"] if operator.is_training else []),
        *(["all overloads"] if operator.all_overloads else []),
    ]
    return ", ".join(words)


def _items(selection: OperatorSelection) -> set[str]:
    items = {f"class {name}" for name in selection.custom_classes}
    items |= {f"feature {name}" for name in selection.build_features}
    for what, table in (
        ("kernel", selection.kernel_metadata),
        ("ExecuTorch kernel", selection.et_kernel_metadata),
    ):
        items |= {f"{what} {tag} {key}" for tag, keys in table.items() for key in keys}
    if selection.include_all_operators:
        items.add("all operators")
    if selection.include_all_non_op_selectives:
        items.add("all types of elements, classes and features")
    return items
