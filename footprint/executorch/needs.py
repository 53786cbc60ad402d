"""What programs of ExecuTorch need of a build, and the lists that select it. Needs no torch."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from ..kernel_keys import ANY_KERNEL, is_prim
from ..result import Failure, joined_tables, short_names
from ..selection import OperatorSelection, SelectedOperator
from .programs import ProgramMethod


class ExecuTorchSource(Enum):
    """Where it is known from what a model calls; the value is how reports name it."""

    PROGRAM = "program of ExecuTorch"
    BUNDLE = "program of ExecuTorch, with inputs"
    EXPORTED = "module, approximate"


@dataclass(frozen=True, slots=True)
class ExecuTorchModel:
    """What one model calls.

    Attributes:
        name: the path as it was given, or the class of a module.
        source: where that is known from.
        size: bytes of the file; 0 for a module.
        methods: what each of its methods calls.
        guessed: operators whose names were made up by rule, as torch knows no such variant of them.
    """

    name: str
    source: ExecuTorchSource
    size: int
    methods: tuple[ProgramMethod, ...]
    guessed: frozenset[str] = frozenset()

    @property
    def is_approximate(self) -> bool:
        """Whether ExecuTorch may make something else of it: it was exported here, and by torch alone."""
        return self.source is ExecuTorchSource.EXPORTED

    @property
    def operators(self) -> frozenset[str]:
        """All operators that it lists, whether it calls them or not."""
        return frozenset(name for method in self.methods for name in method.operators)

    @property
    def kernels(self) -> dict[str, frozenset[str]]:
        """Keys of the kernels that its calls take, by operator."""
        return joined_tables(method.kernels for method in self.methods)


@dataclass(frozen=True, slots=True, repr=False)
class ExecuTorchFootprint:
    """What some models need together, and each of them.

    Attributes:
        models: each, in the order given.
        failures: models that could not be read; what they need is missing in all else.
    """

    models: tuple[ExecuTorchModel, ...]
    failures: tuple[Failure, ...] = ()

    def __repr__(self) -> str:
        count = f"{len(self.models)} model{'' if len(self.models) == 1 else 's'}"
        label = ", approximate" if self.is_approximate else ""
        return f"<ExecuTorchFootprint of {count}: {len(self.operators)} operators{label}>"

    @property
    def is_approximate(self) -> bool:
        """Whether what some of the models need is estimated."""
        return any(model.is_approximate for model in self.models)

    @property
    def operators(self) -> frozenset[str]:
        """All operators, those that the runtime has itself included."""
        return frozenset().union(*(model.operators for model in self.models))

    @property
    def prim_operators(self) -> frozenset[str]:
        """Operators that the runtime has itself."""
        return frozenset(filter(is_prim, self.operators))

    @property
    def kernels(self) -> dict[str, frozenset[str]]:
        """Keys of the kernels that calls take, by operator: ``v1/6;0,1|6;0,1``."""
        return joined_tables(model.kernels for model in self.models)

    @property
    def uncalled(self) -> frozenset[str]:
        """Operators that are listed, and that nothing calls; a build needs no kernel for these."""
        return self.operators - self.kernels.keys()

    @property
    def delegates(self) -> dict[str, int]:
        """How many parts of the models each backend runs; what these call is in no list."""
        found: dict[str, int] = {}
        for model in self.models:
            for method in model.methods:
                for delegate in method.delegates:
                    found[delegate.backend] = found.get(delegate.backend, 0) + 1
        return dict(sorted(found.items()))

    @property
    def selected_kernels(self) -> dict[str, tuple[str, ...]]:
        """Keys of kernels that a build is to have, by operator.

        Of a model that is estimated all kernels of its operators, so that no guess restricts a build.
        """
        chosen = [
            dict.fromkeys(model.kernels, (ANY_KERNEL,)) if model.is_approximate else model.kernels
            for model in self.models
        ]
        return {name: tuple(sorted(keys)) for name, keys in joined_tables(chosen).items()}

    @property
    def selection(self) -> OperatorSelection:
        """What ``selected_operators.yaml`` is to say."""
        names = short_names(model.name for model in self.models)
        return OperatorSelection(
            operators={
                operator: SelectedOperator(
                    all_overloads=False,
                    debug_info=tuple(
                        names[model.name] for model in self.models if operator in model.operators
                    ),
                )
                for operator in sorted(self.operators)
            },
            et_kernel_metadata=self.selected_kernels,
            debug_info=(self._notes(names),),
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

    def _notes(self, names: Mapping[str, str]) -> str:
        """Return as JSON what is of no effect on a build; tools that merge lists read its first two keys."""
        approximate = [model for model in self.models if model.is_approximate]
        notes: dict[str, Any] = {
            "asset_info": {},
            "is_new_style_rule": False,
            "approximate_models": sorted(names[model.name] for model in approximate),
            "delegated_parts": self.delegates,
            "guessed_operators": sorted(
                frozenset().union(*(model.guessed for model in self.models))
            ),
            "observed_kernels": {
                operator: sorted(keys)
                for operator, keys in joined_tables(model.kernels for model in approximate).items()
            },
            "prim_operators": sorted(self.prim_operators),
            "uncalled_operators": sorted(self.uncalled),
        }
        return json.dumps(notes, sort_keys=True)
