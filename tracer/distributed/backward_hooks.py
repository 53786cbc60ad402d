"""What modules do about gradients by hooks, and whether a backward inside the program finds them.

A replicated module has gradients reduced, and a sharded one gathers its parameters too, by hooks that its
forward hangs on tensors or makes ready. What they do in a backward inside the program is recorded. A replay
hangs none, so a backward of what it returns would give each process gradients of its own, or read memory
that has been given back: it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

Refuse: TypeAlias = Callable[[], None]
"""Makes a replay refuse gradients, and reports that."""


class BackwardHooks:
    """The hooks that a trace has seen made ready, and no backward run yet, by who runs them."""

    def __init__(self) -> None:
        self._waiting: dict[int, tuple[Any, list[Refuse]]] = {}

    def hung(self, owner: Any, refuse: Refuse) -> None:
        """Take note of hooks; should no backward inside the program run them, ``refuse`` is called."""
        self._waiting.setdefault(id(owner), (owner, []))[1].append(refuse)

    def ran(self, owner: Any) -> None:
        """Take note that a backward runs the hooks of an owner."""
        self._waiting.pop(id(owner), None)

    def owners(self) -> Iterator[Any]:
        """Yield the owners of hooks that wait for a backward."""
        for owner, _ in list(self._waiting.values()):
            yield owner

    def refusals(self) -> Iterator[Refuse]:
        """Yield what is to be done about hooks that no backward has run."""
        for _, refusals in self._waiting.values():
            yield from refusals
