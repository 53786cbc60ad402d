"""Comparing what a program gave with what its replay gave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import torch

from ..runtime.compare import Tolerance, difference
from .report import DifferenceKind
from .runs import Outcome
from .state import ProgramSnapshot
from .structures import structure_difference


class Found(NamedTuple):
    """A difference: what kind of thing differs, which one, and how."""

    kind: DifferenceKind
    name: str
    message: str


class OutcomeComparison:
    """Compares outcomes, and counts what it compares.

    Attributes:
        compared: how many pairs of each kind were compared.
    """

    def __init__(self, tolerance: Tolerance) -> None:
        self.compared: Counter[DifferenceKind] = Counter()
        self._tolerance = tolerance

    def compare(
        self, expected: Outcome, actual: Outcome, snapshot: ProgramSnapshot
    ) -> Iterator[Found]:
        """Yield everything in which the replay's outcome differs from the program's."""
        yield from self._outputs(expected, actual)
        yield from self._inputs(expected, actual)
        yield from self._state(expected, actual, snapshot)
        yield from self._gradients(expected, actual)

    def results_difference(
        self, first: list[torch.Tensor], again: list[torch.Tensor], paths: list[str]
    ) -> str | None:
        """Return in words how the results of two runs of the program itself differ."""
        if len(first) != len(again):
            return f"the program returned {len(first)} tensors and then {len(again)}"
        for path, one, other in zip(paths, first, again, strict=True):
            message = difference(one, other, self._tolerance, names=("first", "then"))
            if message is not None:
                return f"{path} differs from one run of the program to the next: {message}"
        return None

    def _outputs(self, expected: Outcome, actual: Outcome) -> Iterator[Found]:
        message = structure_difference(expected.structure, actual.structure)
        if message is not None:
            yield Found(DifferenceKind.OUTPUT, "", message)
        if len(expected.leaves) != len(actual.leaves):
            return
        paths = expected.structure.leaf_paths("result")
        for number, path in enumerate(paths):
            self.compared[DifferenceKind.OUTPUT] += 1
            message = difference(expected.leaves[number], actual.leaves[number], self._tolerance)
            if message is not None:
                yield Found(DifferenceKind.OUTPUT, path, message)
            ours, theirs = expected.sharing[number], actual.sharing[number]
            if ours != theirs:
                yield Found(
                    DifferenceKind.OUTPUT,
                    path,
                    f"in the program it {ours or 'has memory of its own'}, in the replay it "
                    f"{theirs or 'has memory of its own'}",
                )

    def _inputs(self, expected: Outcome, actual: Outcome) -> Iterator[Found]:
        if expected.arguments is not None and actual.arguments is not None:
            message = structure_difference(
                expected.arguments, actual.arguments, "what it is called with"
            )
            if message is not None:
                yield Found(DifferenceKind.INPUT, "", f"after the run, {message}")
        for name, tensor in expected.inputs.items():
            if name not in actual.inputs:
                continue  # what holds it differs
            self.compared[DifferenceKind.INPUT] += 1
            message = difference(tensor, actual.inputs[name], self._tolerance)
            if message is not None:
                yield Found(DifferenceKind.INPUT, name, f"after the run, {message}")

    def _state(
        self, expected: Outcome, actual: Outcome, snapshot: ProgramSnapshot
    ) -> Iterator[Found]:
        self.compared[DifferenceKind.STATE] += sum(1 for _ in snapshot.tensors())
        for name in dict.fromkeys([*expected.changes, *actual.changes]):
            ours = expected.changes.get(name, snapshot.before(name))
            theirs = actual.changes.get(name, snapshot.before(name))
            message = self._optional_difference(ours, theirs)
            if message is None:
                continue
            if name not in actual.changes:
                message = f"the program writes it and the replay does not; {message}"
            elif name not in expected.changes:
                message = f"the replay writes it and the program does not; {message}"
            yield Found(DifferenceKind.STATE, name, message)

    def _gradients(self, expected: Outcome, actual: Outcome) -> Iterator[Found]:
        orders = zip(expected.gradients, actual.gradients, strict=False)
        if len(expected.gradients) != len(actual.gradients):
            yield Found(
                DifferenceKind.GRADIENT,
                "",
                f"the program has gradients up to order {len(expected.gradients)}, the replay up to "
                f"order {len(actual.gradients)}",
            )
        for order, (ours, theirs) in enumerate(orders, start=1):
            for name, gradient in ours.items():
                self.compared[DifferenceKind.GRADIENT] += 1
                message = self._optional_difference(gradient, theirs.get(name))
                if message is not None:
                    where = name if order == 1 else f"{name} (order {order})"
                    yield Found(DifferenceKind.GRADIENT, where, message)

    def _optional_difference(
        self, expected: torch.Tensor | None, actual: torch.Tensor | None
    ) -> str | None:
        if expected is None and actual is None:
            return None
        if expected is None or actual is None:
            has, lacks = ("replay", "program") if expected is None else ("program", "replay")
            return f"there is one after the {has} and none after the {lacks}"
        return difference(expected, actual, self._tolerance, strides=False, requires_grad=False)
