"""The corpus of optimizers: a step as a program, on fixed gradients and a state that exists already."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import torch
from torch.testing._internal.common_optimizers import (
    _get_optim_inputs_including_global_cliquey_kwargs as all_inputs,
)
from torch.utils import _pytree as pytree

from .samples import Sample, Trial, duplicate
from .seeds import seed_everything

_STEPS: Final = (
    1,
    3,
)  # in a row: a factor that depends on the number of the step shows in the second


class OptimizerSuite:
    """A list of OptimizerInfos with every option set, in each implementation: single, foreach, fused."""

    def __init__(self, infos: Sequence[Any]) -> None:
        self._infos = {str(info.name): info for info in infos}

    def entries(self) -> list[str]:
        """Return the optimizers' names."""
        return list(self._infos)

    def samples(self, entry: str) -> Iterator[Sample]:
        """Yield two samples for each option set: one step replayed, and several in a row."""
        info = self._infos[entry]
        for number, options in enumerate(all_inputs("cpu", torch.float32, info)):
            for place, steps in enumerate(_STEPS):
                recipe = _Recipe(info, options.kwargs, steps)
                yield Sample(number * len(_STEPS) + place, recipe)


class _Recipe:
    """Builds trials of ``step`` after one step was taken, so that the optimizer has its state.

    The step is called as training does it: with gradients that are there, or with a closure that
    computes them where the optimizer needs one.
    """

    def __init__(self, info: Any, options: dict[str, Any], steps: int) -> None:
        self._info = info
        self._options = options
        self._steps = steps

    def __call__(self) -> Trial:
        seed_everything()
        parameters = [torch.randn(shape, requires_grad=True) for shape in ((4, 3), (3, 4), (2, 2))]
        if self._options.get("differentiable"):  # it writes into them, so they must not be leaves
            parameters = [parameter.clone() for parameter in parameters]
        optimizer = self._info.optim_cls(parameters, **duplicate(self._options))
        step = optimizer.step
        if self._info.step_requires_closure:
            step = functools.partial(step, _closure(optimizer, parameters))
        else:
            for parameter in parameters:
                gradient = torch.randn_like(parameter)
                is_sparse = self._info.only_supports_sparse_grads
                parameter.grad = gradient.to_sparse(1) if is_sparse else gradient
        step()
        kept, note = _kept(optimizer, parameters), functools.partial(_note, optimizer)
        return Trial(step, kept=kept, note=note, runs=self._steps)


def _closure(
    optimizer: torch.optim.Optimizer, parameters: list[torch.Tensor]
) -> Callable[[], torch.Tensor]:
    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = sum((parameter.square().sum() for parameter in parameters), torch.zeros(()))
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    return closure


def _kept(
    optimizer: torch.optim.Optimizer, parameters: list[torch.Tensor]
) -> Callable[[], list[Any]]:
    """Return what gives the parameters and all that is in the optimizer's state and options."""

    def kept() -> list[Any]:
        states = [optimizer.state[parameter] for parameter in parameters]
        options = [
            {name: value for name, value in group.items() if name != "params"}
            for group in optimizer.param_groups
        ]
        return [*parameters, *pytree.tree_leaves((states, options))]

    return kept


def _note(optimizer: torch.optim.Optimizer) -> Callable[[], None]:
    """Return what gives the optimizer's dictionaries, and the lists in them, the items they have now."""
    noted = [
        (held, type(held)(held))
        for owner in (*optimizer.state.values(), *optimizer.param_groups)
        for held in (owner, *owner.values())
        if type(held) in (dict, list)
    ]

    def hold_again() -> None:
        for held, before in noted:
            held.clear()
            held.update(before) if isinstance(held, dict) else held.extend(before)

    return hold_again
