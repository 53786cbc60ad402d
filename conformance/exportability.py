"""The examples with which torch.export says what it takes, run through opscope and torch.export both."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, cast

import torch

from .comparison import structure_difference, tensor_difference, tensors_in
from .samples import Sample, Trial, duplicate
from .seeds import seed_everything


class ExportabilitySuite:
    """The cases of ``torch._export.db``, each with its example inputs."""

    def __init__(self, cases: Mapping[str, Any]) -> None:
        self._cases = dict(cases)

    def entries(self) -> list[str]:
        """Return the examples' names."""
        return sorted(self._cases)

    def samples(self, entry: str) -> Iterator[Sample]:
        """Yield the example on its inputs."""
        yield Sample(0, _Recipe(self._cases[entry]))

    def is_exported_exactly(self, entry: str) -> bool:
        """Whether torch.export takes the example, and what it exports gives what eager gives."""
        build = _Recipe(self._cases[entry])
        eager, exported = build(), build()
        seed_everything()
        expected = eager.program(*eager.args, **eager.kwargs)
        try:
            program = torch.export.export(
                cast(torch.nn.Module, exported.program),
                exported.args,
                dict(exported.kwargs),
                dynamic_shapes=self._cases[entry].dynamic_shapes,
            ).module()
            fresh = build()
            seed_everything()
            actual = program(*fresh.args, **fresh.kwargs)
        except Exception:  # noqa: BLE001  # each example that it does not take raises its own
            return False
        return _are_same((actual, fresh.args, fresh.kwargs), (expected, eager.args, eager.kwargs))


class _Recipe:
    """Builds trials of an example on copies of its model and inputs."""

    def __init__(self, case: Any) -> None:
        self._case = case

    def __call__(self) -> Trial:
        model = copy.deepcopy(self._case.model)
        args, kwargs = duplicate((self._case.example_args, self._case.example_kwargs))
        return Trial(
            model,
            args,
            kwargs,
            lambda: [*model.parameters(), *model.buffers()],
            is_differentiable=True,
        )


def _are_same(one: Any, other: Any) -> bool:
    ours, our_structure = tensors_in(one)
    theirs, their_structure = tensors_in(other)
    if len(ours) != len(theirs) or structure_difference(our_structure, their_structure):
        return False
    return not any(tensor_difference(*pair) for pair in zip(ours, theirs, strict=True))
