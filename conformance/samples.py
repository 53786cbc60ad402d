"""What a corpus is made of: suites of entries, entries of samples, and a sample as a program to run.

Note [A trial is built anew for every run]
    A program may write into its inputs and into what it keeps: parameters, buffers, the state of an
    optimizer. So a sample does not hold tensors to run on; it holds a recipe, and each run (eager,
    traced, replayed) works on a trial of its own. Two trials of a sample are equal bit by bit.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import torch
from torch.utils import _pytree as pytree

_COMPRESSED: Final = (torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)


@dataclass(frozen=True, slots=True)
class Trial:
    """One program with the inputs of one run; see Note [A trial is built anew for every run].

    Attributes:
        program: what is run and traced.
        args: its positional arguments.
        kwargs: its keyword arguments.
        kept: what the program keeps from run to run, tensors and numbers, in an order that all trials of
            a sample share.
        note: notes the objects that hold this, and returns what makes them hold again what they held.
        is_differentiable: whether gradients of the outputs are taken and compared.
        runs: how often in a row the program runs on its arguments before all is compared.
    """

    program: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    kept: Callable[[], Sequence[Any]] = list
    note: Callable[[], Callable[[], None]] = lambda: lambda: None
    is_differentiable: bool = False
    runs: int = 1


@dataclass(frozen=True, slots=True)
class Sample:
    """One program on one set of inputs.

    Attributes:
        number: its place among the samples of its entry.
        build: makes a trial; every call makes an equal one.
    """

    number: int
    build: Callable[[], Trial]


class Suite(Protocol):
    """A corpus: named entries with samples each."""

    def entries(self) -> list[str]:
        """Return the names of all entries, each unique, in the corpus's order."""
        ...

    def samples(self, entry: str) -> Iterator[Sample]:
        """Yield the samples of one entry; the same ones at every call in any process."""
        ...


def duplicate(whole: Any) -> Any:
    """Return a deep copy of nested inputs; tensors that share memory share it in the copy too.

    Results of operators, which ``copy.deepcopy`` refuses, become leaves that require grad as they did.
    Modules among the inputs stay the same objects: programs are traced with them, not on them.
    """
    memo: dict[int, Any] = {}
    for leaf in pytree.tree_leaves(whole):
        if isinstance(leaf, torch.nn.Module):
            memo[id(leaf)] = leaf
        elif isinstance(leaf, torch.Tensor) and id(leaf) not in memo:
            if leaf.layout in _COMPRESSED:  # has no storage, without which deepcopy is lost
                memo[id(leaf)] = leaf.detach().clone().requires_grad_(leaf.requires_grad)
            elif not leaf.is_leaf:
                memo[id(leaf)] = copy.deepcopy(leaf.detach(), memo).requires_grad_()
    return copy.deepcopy(whole, memo)


def numbered(names: Sequence[str]) -> list[str]:
    """Return the names, those that were there before with ``#2``, ``#3`` behind."""
    seen: dict[str, int] = {}
    unique = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return unique
