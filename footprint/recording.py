"""All that the recorders saw of a model, phase by phase."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .operators import classes_in_schemas
from .recorders import (
    BuildFeatureTracer,
    CustomClassTracer,
    KernelDTypeTracer,
    OperatorCallTracer,
    attached,
)
from .result import joined_tables

Table = dict[str, frozenset[str]]


@dataclass(slots=True)
class Recording:
    """What was seen so far.

    Attributes:
        callers: for every operator what called it: operators, or the phase in which it was called.
        operator_dtypes: types of inputs, by operator.
        kernel_tags: types by tag of kernel, where torch reports them.
        classes: classes in C++ that were used.
        features: features that were asked for.
        of_model: operators that were called while the model itself ran.
        by_program: those of them that no operator called.
    """

    callers: Table = field(default_factory=dict)
    operator_dtypes: Table = field(default_factory=dict)
    kernel_tags: Table = field(default_factory=dict)
    classes: frozenset[str] = frozenset()
    features: frozenset[str] = frozenset()
    of_model: frozenset[str] = frozenset()
    by_program: frozenset[str] = frozenset()

    @contextmanager
    def phase(self, name: str, *, is_of_model: bool = False) -> Iterator[None]:
        """Record what is called in a block, until it ends or fails.

        Args:
            name: what stands for the caller of operators that no operator calls.
            is_of_model: whether it is the program of the model that calls them.
        """
        operators, dtypes = OperatorCallTracer(), KernelDTypeTracer()
        classes, features = CustomClassTracer(), BuildFeatureTracer()
        try:
            with attached((operators, dtypes, classes, features)):
                yield
        finally:
            callers = operators.callers
            named = {
                operator: frozenset(caller or name for caller in by)
                for operator, by in callers.items()
            }
            self.add(
                Recording(
                    named,
                    dtypes.operator_dtypes,
                    dtypes.called_kernel_tags if dtypes.are_kernels else {},
                    classes.loaded_classes,
                    features.build_features,
                    frozenset(callers) if is_of_model else frozenset(),
                    frozenset(op for op, by in callers.items() if "" in by)
                    if is_of_model
                    else frozenset(),
                )
            )

    def add(self, other: Recording) -> None:
        """Add what was seen elsewhere."""
        self.callers = joined_tables((self.callers, other.callers))
        self.operator_dtypes = joined_tables((self.operator_dtypes, other.operator_dtypes))
        self.kernel_tags = joined_tables((self.kernel_tags, other.kernel_tags))
        self.classes |= other.classes
        self.features |= other.features
        self.of_model |= other.of_model
        self.by_program |= other.by_program

    def classes_with(self, operators: frozenset[str]) -> frozenset[str]:
        """Return the classes that were used, and those that operators mention."""
        return self.classes | classes_in_schemas(operators)
