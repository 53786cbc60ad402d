"""Which recorded call is behind what autograd does: a backward pass knows its forward.

Autograd numbers the nodes of its graph as they are made. The numbers before and after a recorded call say
which nodes are the call's; while the engine runs one of them, its number leads back to the call. So nothing
is put onto the program's graph of autograd, and a forward pays for two reads of a counter.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import TypeAlias

import torch

from ...ir import Frame, Scope, ScopeKind
from ..dispatch.gradients import leaf_of, running_history, sequence_number

Cause: TypeAlias = tuple[Scope | None, Frame | None]
"""Where the call was made for whose gradient autograd's engine runs; None for what is not known."""

Followed: TypeAlias = tuple[int, int, Scope, Frame | None]
"""The numbers of a call's first node and of the one after its last, and where the call was made."""

_UNNUMBERED = 2**64 - 1  # nodes that collect the gradients of leaves have no place in the order


class Causes:
    """The calls of one trace that autograd followed.

    Attributes:
        calls: where each was made, in the order of their numbers.

    Args:
        name_of: the name of a parameter or another tensor that the program keeps.
    """

    def __init__(self, name_of: Callable[[torch.Tensor], str | None]) -> None:
        self.calls: list[Followed] = []
        self._name_of = name_of
        self._by_path: dict[str, Scope] = {}  # the last call of each module
        self._chains: dict[
            Scope, list[tuple[str, Scope]]
        ] = {}  # by path, what each scope stands in
        self._indexed = 0  # how many calls that has seen
        self._found: tuple[int, int, Cause] = (-1, 0, (None, None))

    def note(self, first: int, scope: Scope, stack: Frame | None) -> None:
        """Take note of a whole call; ``first`` is what :func:`sequence_number` was before it.

        It is behind what operators inside it made as well.
        """
        end = sequence_number()
        while self.calls and self.calls[-1][0] >= first:
            self.calls.pop()
        if end != first:
            self.calls.append((first, end, scope, stack))

    def take_apart(self, parts: Mapping[int, list[Followed]]) -> None:
        """Put the calls that a call was made of, given by the id of that, in its place. O(calls)."""
        self.calls[:] = [part for call in self.calls for part in parts.get(id(call), (call,))]
        self._indexed = 0
        self._found = (-1, 0, (None, None))

    def running(self) -> Cause:
        """Return the place of the call for whose gradient the engine runs now, as far as it is known.

        The gradient of a parameter is collected for a module and no single call: it has no stack.
        """
        history = running_history()
        if history is None:
            return None, None
        number = history._sequence_nr()
        if number == _UNNUMBERED:
            leaf = leaf_of(history)
            name = None if leaf is None else self._name_of(leaf)
            return None if name is None else self.last_call(name.rpartition(".")[0]), None
        found, count, place = self._found
        if found != number or count != len(self.calls):  # asked for twice for each operator
            place = self._place_of(number)
            self._found = number, len(self.calls), place
        return place

    def _place_of(self, number: int) -> Cause:
        at = bisect_right(self.calls, number, key=itemgetter(0)) - 1
        if at < 0 or number >= self.calls[at][1]:
            return None, None
        return self.calls[at][2:]

    def last_call(self, path: str) -> Scope | None:
        """Return the scope of the last call of a module that autograd followed."""
        for _, _, scope, _ in self.calls[self._indexed :]:
            self._by_path.update(self._chain(scope))
        self._indexed = len(self.calls)
        return self._by_path.get(path)

    def _chain(self, scope: Scope) -> list[tuple[str, Scope]]:
        """Return the scopes from the root to one with their paths; none of a backward pass."""
        chain = self._chains.get(scope)
        if chain is None:
            above = [] if scope.parent is None else self._chain(scope.parent)
            path = above[-1][0] if above else ""
            if scope.kind is ScopeKind.MODULE:
                path = f"{path}.{scope.name}" if path else scope.name
            is_part = scope.kind is not ScopeKind.BACKWARD and (above or scope.parent is None)
            chain = self._chains[scope] = [*above, (path, scope)] if is_part else []
        return chain
