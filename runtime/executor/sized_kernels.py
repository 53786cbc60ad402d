"""Kernels of Inductor for inputs of many sizes, called directly.

Note [For which sizes kernels hold]
    A graph is compiled for stand-ins of its inputs whose sizes are symbols. Whatever the compiler decides by
    a size, such as that two are equal or that none is 1, stands in its environment of shapes then. All of
    that becomes one expression over the inputs, which is looked at before each call, strides included. Its
    caches are left out, since what they give back does not say all of this. Inputs for which the expression
    does not hold run the plain function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import fx

from .kernels import kernels_of

Function = Callable[..., tuple[Any, ...]]


def sized_kernels(
    graph: fx.GraphModule,
    plain: Function,
    given: Sequence[torch.Tensor],
    bound: Sequence[torch.Tensor],
) -> Function:
    """Return what runs the kernels of a graph, for inputs of sizes for which they hold.

    Args:
        graph: takes inputs and state.
        plain: computes the same of inputs, for those of other sizes.
        given: inputs; sizes 0 and 1 of them are those of all for which the kernels hold.
        bound: the state, whose sizes stay.
    """
    inputs = _StandIns()
    of_given = [inputs.make(value, keeps_sizes=False) for value in given]
    of_bound = [inputs.make(value, keeps_sizes=True) for value in bound]
    kernels = kernels_of(graph, [*of_given, *of_bound], fx_graph_cache=False)
    holds = inputs.condition(of_given)

    def run(*given: Any) -> tuple[Any, ...]:
        return tuple(kernels(*given, *bound)) if holds(*given) else plain(*given)

    return run


class _StandIns:
    """Makes tensors without memory, with symbols for sizes, and tells which sizes what was done holds for."""

    def __init__(self) -> None:
        from torch._subclasses.fake_tensor import FakeTensorMode
        from torch.fx.experimental.symbolic_shapes import ShapeEnv

        # Sizes that happen to be equal have symbols of their own.
        self._shapes = ShapeEnv(duck_shape=False)
        self._mode = FakeTensorMode(shape_env=self._shapes, allow_non_fake_inputs=True)
        self._count = 0

    def make(self, tensor: torch.Tensor, *, keeps_sizes: bool) -> torch.Tensor:
        """Return the stand-in of a tensor."""
        from torch._dynamo.source import LocalSource
        from torch.fx.experimental.symbolic_shapes import DimDynamic, StatelessSymbolicContext

        self._count += 1
        kind = DimDynamic.STATIC if keeps_sizes else DimDynamic.DYNAMIC
        context: Any = StatelessSymbolicContext([kind] * tensor.dim())
        source = LocalSource(f"t{self._count}")
        return self._mode.from_tensor(tensor, source=source, symbolic_context=context)

    def condition(self, inputs: Sequence[torch.Tensor]) -> Callable[..., bool]:
        """Return what tells of tensors whether all that was found of the sizes of their stand-ins is true."""
        from torch._dynamo.source import LocalSource
        from torch.fx.experimental.symbolic_shapes import SYMPY_INTERP

        names = [f"t{number}" for number in range(len(inputs))]
        found = self._shapes.produce_guards(
            cast(Any, inputs), [LocalSource(name) for name in names], ignore_static=False
        )
        self._shapes.freeze()
        conditions = [text for text in found if "storage_offset()" not in text] or ["True"]
        text = f"lambda {', '.join(names)}: {' and '.join(map('({})'.format, conditions))}"
        for name in names:
            text = text.replace(f"L['{name}']", name)
        return cast(Callable[..., bool], eval(text, dict(SYMPY_INTERP)))
