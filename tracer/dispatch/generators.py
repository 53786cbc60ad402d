"""Random number generators that a program seeds itself.

Nothing tells of ``generator.manual_seed``, but a generator just seeded is in a state that its seed alone
gives. So the state is looked at when an operator is about to draw from it: if it is that state, and the
generator was not in it when the trace began, then the program has seeded it, and so will a replay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from . import fresh_seeds
from .dispatcher import generator_key, plain_torch

GENERATOR: type[torch.Generator] = type(torch.default_generator)  # isinstance is slow on this class


class Generators:
    """Knows the generators that a program can reach from outside, and in which state each was."""

    def __init__(self) -> None:
        self._started: dict[int, tuple[torch.Generator, torch.Tensor | None]] = {}
        self._default_seed = torch.default_generator.initial_seed()
        self._is_marked = False  # by us, and not by a trace around this one

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Tell until the ``with`` ends when torch's own generator is seeded, even with the seed it has."""
        self._is_marked = fresh_seeds.mark()
        try:
            yield
        finally:
            if self._is_marked:
                fresh_seeds.unmark()

    def default_seed_told(self) -> None:
        """Take note that the seed of torch's own generator is one that is recorded."""
        self._default_seed = torch.default_generator.initial_seed()
        self._is_marked |= fresh_seeds.mark()

    def is_default_seed_untold(self) -> bool:
        """Whether torch's own generator was seeded, and nothing recorded that."""
        generator = torch.default_generator
        if generator.initial_seed() != self._default_seed:
            return True
        return fresh_seeds.is_markable() and fresh_seeds.is_fresh(generator.get_state())

    def note(self, objects: Iterable[Any]) -> None:
        """Take note of the generators among the objects that the program starts with."""
        for found in objects:
            if found.__class__ is GENERATOR:
                self._started[generator_key(found)] = (found, found.get_state())

    def seed_before_use(self, generator: torch.Generator) -> tuple[bool, int | None]:
        """Return whether a generator is new to the trace, and the seed that the program gave it now.

        There is no seed where the generator goes on from where it was.
        """
        key = generator_key(generator)
        if key == generator_key(torch.default_generator):
            return False, None  # what seeds it is recorded where it happens
        seed = generator.initial_seed()
        started = self._started.get(key)
        self._started[key] = (generator, None)
        with plain_torch():  # not in a mode that makes tensors fake
            state = generator.get_state()
            if not torch.equal(state, _state_of_seed(generator, seed)):
                return started is None, None
            if started is not None and started[1] is not None and torch.equal(started[1], state):
                return False, None
        return started is None, seed

    def seeded(self) -> Iterator[tuple[torch.Generator, int]]:
        """Yield the known generators that the program has seeded and not drawn from, each with its seed."""
        for key, (generator, started) in list(self._started.items()):
            seed = generator.initial_seed()
            with plain_torch():
                state = generator.get_state()
                is_as_before = started is not None and torch.equal(started, state)
                is_seeded = not is_as_before and torch.equal(state, _state_of_seed(generator, seed))
            if is_seeded:
                self._started[key] = (generator, None)
                yield generator, seed


def _state_of_seed(generator: torch.Generator, seed: int) -> torch.Tensor:
    return torch.Generator(generator.device).manual_seed(seed).get_state()
