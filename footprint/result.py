"""What was found out of models: which operators, types, classes and backends they need. Needs no torch."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

from .selection import OperatorSelection, SelectedOperator

_NOTHING_RUN: Final = (
    "__unused__"  # the tag that stands for models whose kernels are not torch's own
)


class ModelKind(Enum):
    """What a model was given as; the value is how reports name it."""

    LITE = "lite interpreter, zip"
    LITE_FLATBUFFER = "lite interpreter, flatbuffer"
    TORCHSCRIPT = "TorchScript"
    SCRIPTED = "scripted module"
    MODULE = "module"


class Outcome(Enum):
    """How one of the runs of a model ended."""

    DONE = "done"
    SKIPPED = "skipped"
    STATIC = "not run"


@dataclass(frozen=True, slots=True)
class RunReport:
    """One of the runs of a model.

    Attributes:
        name: ``qnnpack``, ``fbgemm``, ``inference`` or ``static``.
        outcome: how it ended.
        calls: how many inputs each method was called with.
        reason: why it was skipped, or what a reader should know of it; may be empty.
        operators: those that were seen in it.
    """

    name: str
    outcome: Outcome
    calls: Mapping[str, int]
    reason: str
    operators: frozenset[str]


@dataclass(frozen=True, slots=True)
class Needs:
    """What a model, or several, need of a build of torch.

    Attributes:
        root_ops: operators that the program of the model names, whether they were called or not, and those
            that its interpreter has.
        traced_operators: operators that were called, by whatever; with those that a build always needs.
        called_kernel_tags: types of elements by tag of kernel, or by operator: see ``are_kernel_tags``.
        are_kernel_tags: whether the keys of ``called_kernel_tags`` are tags of kernels, as a torch that was
            built for tracing reports them. Else they are operators, with the types of their inputs.
        loaded_classes: classes in C++, without namespaces.
        build_features: features that were asked for, or given.
        enabled_backends: ``CPU``, ``Metal GPU``.
        is_training: whether the model trains.
        callers: for every operator that was called what called it: operators, and in words what
            no operator called: ``forward()``, ``loading``.
        unreached: roots that the dispatcher has, and no input of the model has come to.
        interpreted: roots whose calls cannot be seen, as the interpreter runs them itself.
    """

    root_ops: frozenset[str]
    traced_operators: frozenset[str]
    called_kernel_tags: Mapping[str, frozenset[str]]
    are_kernel_tags: bool
    loaded_classes: frozenset[str]
    build_features: frozenset[str]
    enabled_backends: frozenset[str]
    is_training: bool
    callers: Mapping[str, frozenset[str]]
    unreached: frozenset[str]
    interpreted: frozenset[str]


class HasNeeds:
    """What needs something, asked for it directly; ``needs`` comes from the class that is this."""

    __slots__ = ()

    needs: Needs

    @property
    def root_ops(self) -> frozenset[str]:
        """Operators that programs name."""
        return self.needs.root_ops

    @property
    def traced_operators(self) -> frozenset[str]:
        """Operators that were called, with those that a build always needs."""
        return self.needs.traced_operators

    @property
    def called_kernel_tags(self) -> Mapping[str, frozenset[str]]:
        """Types of elements by kernel or operator; ``needs.are_kernel_tags`` tells which."""
        return self.needs.called_kernel_tags

    @property
    def loaded_classes(self) -> frozenset[str]:
        """Classes in C++."""
        return self.needs.loaded_classes

    @property
    def build_features(self) -> frozenset[str]:
        """Features of a build."""
        return self.needs.build_features

    @property
    def enabled_backends(self) -> frozenset[str]:
        """Where models run."""
        return self.needs.enabled_backends


@dataclass(frozen=True, slots=True)
class ModelFootprint(HasNeeds):
    """What one model needs, and how that was found out.

    Attributes:
        name: the path as it was given, or the class of a module.
        kind: what it was given as.
        md5: of the file; empty for a module.
        size: bytes of the file; 0 for a module.
        needs: what it needs.
        runs: how it was run.
    """

    name: str
    kind: ModelKind
    md5: str
    size: int
    needs: Needs
    runs: tuple[RunReport, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """A model that could not be traced.

    Attributes:
        name: the path, or the class of a module.
        message: what is wrong and what to do.
    """

    name: str
    message: str


@dataclass(frozen=True, slots=True, repr=False)
class TracerResult(HasNeeds):
    """What some models need together, and each of them.

    Attributes:
        needs: of all models together.
        models: each model that was traced, in the order given.
        failures: models that could not be traced; what they need is missing in all else.
        torch_version: which torch ran them.
    """

    needs: Needs
    models: tuple[ModelFootprint, ...]
    failures: tuple[Failure, ...] = ()
    torch_version: str = ""

    def __repr__(self) -> str:
        count = f"{len(self.models)} model{'' if len(self.models) == 1 else 's'}"
        return f"<TracerResult of {count}: {len(self.root_ops)} roots, {len(self.traced_operators)} traced>"

    @property
    def selection(self) -> OperatorSelection:
        """What ``selected_operators.yaml`` is to say.

        Kernels are restricted to types of elements only where tags of kernels are known of every model; else
        a build gets all types, classes and features, as one that was restricted by names of operators would
        have none.
        """
        training = {
            name
            for model in self.models
            if model.needs.is_training
            for name in model.root_ops | model.traced_operators
        }
        return OperatorSelection(
            operators={
                name: SelectedOperator(
                    is_root=name in self.root_ops,
                    is_training=name in training,
                    all_overloads=False,
                )
                for name in sorted(self.root_ops | self.traced_operators)
            },
            kernel_metadata=self.called_kernel_tags if self.needs.are_kernel_tags else {},
            custom_classes=self.loaded_classes,
            build_features=self.build_features,
            include_all_non_op_selectives=not self.needs.are_kernel_tags,
            debug_info=(self._notes(),),
        )

    def to_yaml(self) -> str:
        """Return the text of a ``selected_operators.yaml``."""
        return self.selection.to_yaml()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write ``selected_operators.yaml`` whole or not at all, and return its path.

        Raises:
            FootprintError: it cannot be written.
        """
        return self.selection.save(path)

    def _notes(self) -> str:
        """Return as JSON what is of no effect on a build; tools that merge lists read its first two keys."""
        names = short_names(model.name for model in self.models)
        observed = {} if self.needs.are_kernel_tags else _lists(self.called_kernel_tags)
        notes: dict[str, Any] = {
            "asset_info": _assets(self.models),
            "is_new_style_rule": False,
            "enabled_backends": sorted(self.enabled_backends),
            "operator_input_dtypes": {
                tag: observed[tag] for tag in observed if tag != _NOTHING_RUN
            },
            "runs": {
                names[model.name]: {run.name: run.outcome.value for run in model.runs}
                for model in self.models
            },
            "torch": self.torch_version,
            "unreached_root_operators": sorted(self.needs.unreached),
        }
        return json.dumps(notes, sort_keys=True)


def joined(needs: Iterable[Needs]) -> Needs:
    """Return what several models need together.

    Tags of kernels are kept only if they are known of all.
    """
    each = list(needs)
    are_kernel_tags = bool(each) and all(one.are_kernel_tags for one in each)
    return Needs(
        root_ops=_union(one.root_ops for one in each),
        traced_operators=_union(one.traced_operators for one in each),
        called_kernel_tags=joined_tables(
            one.called_kernel_tags for one in each if one.are_kernel_tags == are_kernel_tags
        ),
        are_kernel_tags=are_kernel_tags,
        loaded_classes=_union(one.loaded_classes for one in each),
        build_features=_union(one.build_features for one in each),
        enabled_backends=_union(one.enabled_backends for one in each),
        is_training=any(one.is_training for one in each),
        callers=joined_tables(one.callers for one in each),
        unreached=_union(one.unreached for one in each)
        - _union(one.root_ops - one.unreached for one in each),
        interpreted=_union(one.interpreted for one in each),
    )


def joined_tables(tables: Iterable[Mapping[str, Iterable[str]]]) -> dict[str, frozenset[str]]:
    """Return for every key of some tables all that they have for it, by key."""
    whole: dict[str, set[str]] = {}
    for table in tables:
        for key, values in table.items():
            whole.setdefault(key, set()).update(values)
    return {key: frozenset(whole[key]) for key in sorted(whole)}


def md5_of(path: Path) -> str:
    """Return the checksum by which tools tell models apart; it is no safeguard."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Return by paths the names of their files, or whole paths where these are not unique."""
    files = {name: Path(name).name for name in names}
    every = list(files.values())
    return {name: file if every.count(file) == 1 else name for name, file in files.items()}


def _union(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*sets)


def _lists(table: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    return {key: sorted(values) for key, values in table.items()}


def _assets(models: Iterable[ModelFootprint]) -> dict[str, dict[str, list[str]]]:
    assets: dict[str, set[str]] = {}
    for model in models:
        if model.md5:
            assets.setdefault(Path(model.name).name, set()).add(model.md5)
    return {name: {"md5_hash": sorted(hashes)} for name, hashes in sorted(assets.items())}
