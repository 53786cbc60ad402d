"""Random programs of views and writes, drawn by hypothesis and run on real tensors.

A program is a list of steps; each takes one or two of the tensors there are and adds what it makes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from hypothesis import strategies as st

Step = Callable[[torch.Tensor, torch.Tensor, int], object]

VIEWS: dict[str, Step] = {
    "select": lambda x, y, n: x.select(n % x.dim(), n % x.shape[n % x.dim()]),
    "slice": lambda x, y, n: x[n % 2 :],
    "step": lambda x, y, n: x[..., n % 2 :: 2],
    "narrow": lambda x, y, n: x.narrow(n % x.dim(), 0, 1 + n % x.shape[n % x.dim()]),
    "transpose": lambda x, y, n: x.transpose(0, n % x.dim()),
    "permute": lambda x, y, n: x.permute(*reversed(range(x.dim()))),
    "movedim": lambda x, y, n: x.movedim(0, n % x.dim()),
    "flat": lambda x, y, n: x.view(-1),
    "reshape": lambda x, y, n: x.reshape(-1, 2),
    "unsqueeze": lambda x, y, n: x.unsqueeze(n % (x.dim() + 1)),
    "squeeze": lambda x, y, n: x.squeeze(),
    "chunk": lambda x, y, n: x.chunk(2, n % x.dim()),
    "split": lambda x, y, n: x.split(1 + n % 2),  # type: ignore[no-untyped-call]
    "unbind": lambda x, y, n: x.unbind(n % x.dim()),
    "diagonal": lambda x, y, n: x.diagonal(),
    "unfold": lambda x, y, n: x.unfold(0, 2, 2),
    "expand": lambda x, y, n: x.expand(2, *x.shape),
    "as_strided": lambda x, y, n: x.as_strided((2,), (1,), n % 3),
    "detach": lambda x, y, n: x.detach(),
    "data": lambda x, y, n: x.data,
    "contiguous": lambda x, y, n: x.contiguous(),
    "double": lambda x, y, n: x.to(torch.float64),
    "bits": lambda x, y, n: x.view(torch.int32 if n % 2 else torch.float32),
    "untransposed": lambda x, y, n: x.transpose(0, n % x.dim()).transpose(n % x.dim(), 0),
    "unpermuted": lambda x, y, n: x.mT.mT if x.dim() > 1 else x.movedim(0, -1),
    "permuted_twice": lambda x, y, n: x.permute(*_turned(x)).permute(*_turned(x)),
    "whole": lambda x, y, n: x[:],
    "as_wide": lambda x, y, n: x.expand(x.shape) if n % 2 else x.expand(*[-1] * x.dim()),
    "same_view": lambda x, y, n: x.view(x.shape).view(x.shape),
    "unsqueezed": lambda x, y, n: x.unsqueeze(n % 2).squeeze(n % 2),
    "same_dtype": lambda x, y, n: x.to(x.dtype),
    "like": lambda x, y, n: x.type_as(y),
    "same_place": lambda x, y, n: x.cpu(),
    "swapped": lambda x, y, n: x.swapaxes(0, n % x.dim()),
    "evaluated": lambda x, y, n: torch.dropout(x, 0.5, False),
}
COMPUTED: dict[str, Step] = {
    "add": lambda x, y, n: x + n,
    "clone": lambda x, y, n: x.clone(),
    "product": lambda x, y, n: x * y,
    "sine": lambda x, y, n: x.sin(),
    "multiplied": lambda x, y, n: torch.multiply(x, y),
    "negated_twice": lambda x, y, n: torch.neg(-x),
    "inverted_twice": lambda x, y, n: torch.bitwise_not(~(x > n)),
    "same_numbers": lambda x, y, n: (x * 1 - 0) / 1,
    "same_integers": lambda x, y, n: (x.to(torch.int64).abs() * 1 + 0) - 0,
    "projected": lambda x, y, n: x @ y.t(),
    "undropped": lambda x, y, n: torch.dropout(x, 0.0, True),
    "cat": lambda x, y, n: torch.cat([x, x]),
    "empty": lambda x, y, n: torch.zeros(n % 3, 2),
}
WRITES: dict[str, Step] = {
    "add_": lambda x, y, n: x.add_(n),
    "add_tensor_": lambda x, y, n: x.add_(y),
    "mul_": lambda x, y, n: x.mul_(0.5),
    "multiply_": lambda x, y, n: x.multiply_(y),
    "swap_": lambda x, y, n: x.swapaxes_(0, n % x.dim()),
    "mul_tensor_": lambda x, y, n: x.mul_(y),
    "addcmul_": lambda x, y, n: x.addcmul_(y, y, value=0.25),
    "sigmoid_": lambda x, y, n: x.sigmoid_(),
    "relu_": lambda x, y, n: x.relu_(),
    "zero_": lambda x, y, n: x.zero_(),
    "fill_": lambda x, y, n: x.fill_(n),
    "copy_": lambda x, y, n: x.copy_(y),
    "assign": lambda x, y, n: x.__setitem__(n % x.shape[0], float(n)),
    "assign_slice": lambda x, y, n: x.__setitem__((..., slice(n % 2, None)), y),
    "index_put_": lambda x, y, n: x.__setitem__(torch.tensor([0, n % x.shape[0]]), n + 0.5),
    "mask": lambda x, y, n: x.masked_fill_(x > 0, -1.0),
    "cumsum_": lambda x, y, n: x.cumsum_(0),
    "uniform_": lambda x, y, n: x.uniform_(),
    "normal_": lambda x, y, n: x.normal_(),
    "bernoulli_": lambda x, y, n: x.bernoulli_(0.5),
    "dropout_": lambda x, y, n: torch.dropout_(x, 0.5, True),
    "out": lambda x, y, n: torch.add(y, n, out=x),
    "sum_out": lambda x, y, n: torch.sum(y, 0, out=x),
    "outs": lambda x, y, n: torch.max(y, 0, out=(x, torch.empty(0, dtype=torch.int64))),
    "foreach_": lambda x, y, n: torch._foreach_mul_([x, y], 0.5),
    "foreach_lists_": lambda x, y, n: torch._foreach_add_([x], [y]),
    "unsqueeze_": lambda x, y, n: x.unsqueeze_(0),
    "squeeze_": lambda x, y, n: x.squeeze_(),
    "transpose_": lambda x, y, n: x.transpose_(0, n % x.dim()),
    "resize_": lambda x, y, n: x.resize_(x.numel()),
    "detach_": lambda x, y, n: x.detach_(),
}  # fmt: skip
CONSTANTS: dict[str, Step] = {
    "table": lambda x, y, n: torch.tensor([0.5, float(n), 2.0, -1.0]),
    "ones": lambda x, y, n: torch.ones(2, 4),
    "range": lambda x, y, n: torch.arange(n % 5),
}
STEPS = {**VIEWS, **COMPUTED, **WRITES, **CONSTANTS}


def _turned(x: torch.Tensor) -> list[int]:
    return [*range(1, x.dim()), 0] if x.dim() else []


class StepFailed(Exception):
    """Torch refuses a step; says which."""


@dataclass(frozen=True)
class Program:
    """A list of steps: a name of ``STEPS``, two tensors by number, a number, and whether under no_grad."""

    steps: tuple[tuple[str, int, int, int, bool], ...]

    def __call__(self, *inputs: torch.Tensor) -> list[torch.Tensor]:
        """Run the steps; return every tensor that was made, and the inputs.

        Raises:
            StepFailed: with the number of the step.
        """
        live = list(inputs)
        for position, (name, first, second, number, without_grad) in enumerate(self.steps):
            x, y = live[first % len(live)], live[second % len(live)]
            # Torch forbids to write, with gradients, what has a view that was made without.
            follows = torch.is_grad_enabled() and not (without_grad and name in WRITES)
            try:
                with torch.set_grad_enabled(follows):
                    made = STEPS[name](x, y, number)
            except (RuntimeError, IndexError, TypeError, ValueError, ZeroDivisionError) as error:
                raise StepFailed(position) from error
            parts = made if isinstance(made, list | tuple) else [made]
            live.extend(part for part in parts if isinstance(part, torch.Tensor))
        return live

    def working(self, make_inputs: Callable[[], list[torch.Tensor]]) -> Program:
        """Return the program without the steps that fail; a step may fail halfway, so it must not run."""
        program = self
        while True:
            try:
                results = program(*make_inputs())
            except StepFailed as failure:
                (position,) = failure.args
                steps = program.steps
                program = Program(steps[:position] + steps[position + 1 :])
                continue
            # Some writes are only refused when what they spoil is used.
            try:
                for result in results:
                    result.clone()
            except RuntimeError:
                program = Program(program.steps[:-1])
                continue
            return program


_numbers = st.integers(0, 40)


def _programs(names: st.SearchStrategy[str], max_size: int) -> st.SearchStrategy[Program]:
    follows = st.sampled_from([False, False, False, True])
    steps = st.tuples(names, _numbers, _numbers, _numbers, follows)
    return st.lists(steps, min_size=2, max_size=max_size).map(lambda drawn: Program(tuple(drawn)))


_names = (
    st.sampled_from(sorted(VIEWS))
    | st.sampled_from(sorted(WRITES))
    | st.sampled_from(sorted(COMPUTED))
)
programs = _programs(_names, 14)
programs_of_constants = _programs(st.sampled_from(sorted(CONSTANTS)) | _names, 18)
