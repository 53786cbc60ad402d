"""The corpus of modules: each built beforehand and run, and each built and run inside the program."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from .samples import Sample, Trial, duplicate, numbered
from .seeds import seed_everything


class ModuleSuite:
    """A list of ModuleInfos in float32, in training and in evaluation where these differ."""

    def __init__(self, infos: Sequence[Any]) -> None:
        names = numbered([str(info.name) for info in infos])
        self._infos = dict(zip(names, infos, strict=True))

    def entries(self) -> list[str]:
        """Return the modules' names."""
        return list(self._infos)

    def samples(self, entry: str) -> Iterator[Sample]:
        """Yield two samples for each input: the module built before, and built inside the program."""
        info = self._infos[entry]
        count = itertools.count()
        for training in (True, False) if info.train_and_eval_differ else (True,):
            seed_everything()
            inputs = info.module_inputs_func(
                info,
                device="cpu",
                dtype=torch.float32,
                requires_grad=True,
                training=training,
            )
            for module_input in list(inputs):
                if module_input.forward_input is None:
                    continue
                yield Sample(next(count), _BuiltBefore(info, module_input, training))
                if not info.is_lazy:
                    yield Sample(next(count), _BuiltInside(info, module_input, training))


class _BuiltBefore:
    """Builds trials of a module that is there before the program runs, as models usually are."""

    def __init__(self, info: Any, module_input: Any, training: bool) -> None:
        self._inputs = (module_input.forward_input.args, module_input.forward_input.kwargs)
        constructor = module_input.constructor_input
        seed_everything()
        module = info.module_cls(*constructor.args, **constructor.kwargs)
        self._module = module.to(torch.float32).train(training)
        if info.is_lazy:  # the first call makes the parameters; programs are traced after it
            args, kwargs = duplicate(self._inputs)
            self._module(*args, **kwargs)

    def __call__(self) -> Trial:
        args, kwargs = duplicate(self._inputs)
        module = copy.deepcopy(self._module)
        return Trial(module, tuple(args), kwargs, _tensors_of(module), is_differentiable=True)


class _BuiltInside:
    """Builds trials of a program that makes a module, initialises it, runs it once and returns all."""

    def __init__(self, info: Any, module_input: Any, training: bool) -> None:
        constructor, forward = module_input.constructor_input, module_input.forward_input
        self._inputs = (constructor.args, constructor.kwargs, forward.args, forward.kwargs)

        def program(
            own_args: Any, own_kwargs: Any, args: Any, kwargs: Any
        ) -> tuple[Any, dict[str, torch.Tensor]]:
            module = info.module_cls(*own_args, **own_kwargs)
            module = module.to(torch.float32).train(training)
            return module(*args, **kwargs), module.state_dict(keep_vars=True)

        self._program = program

    def __call__(self) -> Trial:
        return Trial(self._program, duplicate(self._inputs), is_differentiable=True)


def _tensors_of(module: torch.nn.Module) -> Callable[[], list[torch.Tensor]]:
    return lambda: [*module.parameters(), *module.buffers()]
