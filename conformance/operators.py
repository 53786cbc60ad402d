"""The corpora of operators: ``op_db`` and those of higher-order, foreach, custom and other functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import torch

from .samples import Sample, Trial, duplicate, numbered
from .seeds import seed_everything

_DTYPES: Final = (
    torch.float32, torch.float64, torch.complex64, torch.int64, torch.bool,
    torch.float16, torch.bfloat16, torch.int32, torch.uint8,
)  # fmt: skip


class OperatorSuite:
    """A list of OpInfos, each run in one dtype: float32 where the operator takes it.

    Args:
        infos: torch's descriptions of the operators.
        takes_gradients: whether gradients are compared, where an operator has them.
    """

    def __init__(self, infos: Sequence[Any], takes_gradients: bool = True) -> None:
        self._takes_gradients = takes_gradients
        names = numbered([_name(info) for info in infos])
        self._infos = dict(zip(names, infos, strict=True))

    def entries(self) -> list[str]:
        """Return the operators' names, with the variant in brackets."""
        return list(self._infos)

    def samples(self, entry: str) -> Iterator[Sample]:
        """Yield the samples that torch's own tests of the operator run on."""
        info = self._infos[entry]
        dtypes = info.supported_dtypes("cpu")
        # An operator that lists no dtype for this device is not tested there, but may well run.
        dtype = next((wanted for wanted in _DTYPES if wanted in dtypes), torch.float32)
        differentiates = (
            self._takes_gradients
            and bool(info.supports_autograd)
            and dtype in info.supported_backward_dtypes("cpu")
        )
        seed_everything()
        inputs = list(info.sample_inputs("cpu", dtype, requires_grad=differentiates))
        for number, sample in enumerate(inputs):
            yield Sample(number, _Recipe(info.op, sample, differentiates))


class _Recipe:
    """Builds trials of one operator on copies of one sample's inputs."""

    def __init__(self, op: Any, sample: Any, is_differentiable: bool) -> None:
        self._op = op
        self._inputs = ((sample.input, *sample.args), sample.kwargs)
        self._is_differentiable = is_differentiable

    def __call__(self) -> Trial:
        args, kwargs = duplicate(self._inputs)
        return Trial(self._op, args, kwargs, is_differentiable=self._is_differentiable)


def _name(info: Any) -> str:
    return f"{info.name} ({info.variant_test_name})" if info.variant_test_name else str(info.name)
