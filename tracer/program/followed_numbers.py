"""Numbers that optimizers hold, as numbers of the graph for as long as their program is traced.

Note [Numbers that optimizers hold]
    ``optimizer.param_groups[0]["lr"]`` is state of the program: others change it between two runs, and a
    run may change it. So the trace puts a traced number in its place, see Note [Numbers as data]; what
    the program does with that is recorded as what it does with a size. The graph has it as a piece of
    state of kind ``NUMBER``, which a replay reads when it begins. When the run has ended, each place
    holds a plain number again, the very object that was there unless the program put another there;
    if it did, the graph ends with a ``prim::set_number``.

    Between the begin and the end of a run, the program's own reads go through Python, so they see what
    it has stored. Only at its end does a replay store, and only what is there at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any, Final, NamedTuple

from ...errors import CaptureError
from ...ir import Graph, ScalarType, Value
from ...ir.own_operators import SET_NUMBER
from ...ir.places import find, item
from ..dispatch.literals import equal_literals
from ..dispatch.number import Number, PlainNumber
from ..numbers.numbers import Numbers
from ..numbers.traced_numbers import is_traced, traced
from .held_numbers import HeldNumber, entries
from .program_state import ProgramState
from .stores import Comparison

_CLASSES: Final = {int: ScalarType.INT, float: ScalarType.FLOAT}


class _Followed(NamedTuple):
    """A held number, and what it is in the graph."""

    held: HeldNumber
    number: Number
    value: Value
    among: list[Any] | None  # the list that it was in at the start


class _Slot:
    """An entry of a dictionary or list in which a number was replaced, or a tuple of numbers."""

    __slots__ = ("before", "container", "key", "put")

    def __init__(self, container: Any, key: Any) -> None:
        self.container = container
        self.key = key
        self.before = container[key]
        self.put: Any = None

    def restore(self) -> None:
        """Put back what was there, unless the program has put something else there."""
        if item(self.container, self.key) is self.put:
            self.container[self.key] = self.before
        self.put = None


class FollowedNumbers:
    """The numbers that the optimizers of one program hold, while it runs.

    Args:
        graph: the graph that is made.
        kept: what the program keeps.
        numbers: the numbers of the trace.
    """

    def __init__(self, graph: Graph, kept: ProgramState, numbers: Numbers) -> None:
        self._graph = graph
        self._kept = kept
        self._numbers = numbers
        self._followed: list[_Followed] = []
        self._slots: dict[tuple[int, Any], _Slot] = {}
        self._ends: list[tuple[_Followed, Number | PlainNumber]] = []

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Put traced numbers in place until the ``with`` ends, then those that were there.

        What the program has put there itself stays until :meth:`settle`.

        Raises:
            CaptureError: a trace on another thread has done so already.
        """
        try:
            for name, owner in self._kept.holders:
                self._follow_all(name, owner)
            self._kept.on_holder = self._follow_all
            yield
        finally:
            self._kept.on_holder = None
            self._ends = list(self._changed())
            for slot in self._slots.values():
                slot.restore()
            self._slots.clear()

    def record(self, compared: Comparison) -> None:
        """Add to the graph what the program has stored.

        Args:
            compared: what else the run has left in optimizers.
        """
        lossy = {id(owner) for owner, _, _ in compared.others}
        for followed, end in self._ends:
            held = followed.held
            place = end.place if isinstance(end, Number) else None
            number = self._numbers.argument(end) if isinstance(end, Number) else end
            self._graph.append(
                SET_NUMBER,
                (followed.value, number),
                scope=None if place is None else place.scope,
                stack=None if place is None else place.stack,
            )
            self._kept.note_stored(held)
            # No replay goes on with the state that is lost, so a second one is refused: see what counts.
            if held.keys[0] == "state" and id(held.owner) in lossy:
                self._numbers.hold(followed.number)

    def forget_unused(self) -> None:
        """Take out of the graph, which has its outputs by now, what the program has not used."""
        for followed in self._followed:
            if not followed.value.is_used:
                self._kept.forget(followed.held.name)

    def _follow_all(self, name: str, owner: Any) -> None:
        for path, keys, held in list(entries(name, owner, self._kept.parameter_names(owner))):
            if type(held) in _CLASSES or is_traced(held):
                self._follow(path, owner, keys)

    def _follow(self, name: str, owner: Any, keys: tuple[Any, ...]) -> None:
        plain = find(owner, keys)
        if is_traced(plain):
            number = plain.node
            if number.numbers is self._numbers:
                return  # it can be reached in two ways
            if number.numbers.thread not in (None, get_ident()):
                raise CaptureError(
                    f"{name} is followed by a trace that runs on another thread\n"
                    "  trace one program of an optimizer at a time"
                )
            plain = plain.plain("is followed by a trace inside this one")
        held = HeldNumber(name, owner, keys, type(plain))
        value = self._kept.add_number(held, _CLASSES[type(plain)])
        number = self._numbers.of_state(value, plain)
        above = held.find(1)
        among = above if isinstance(above, list) else None
        self._followed.append(_Followed(held, number, value, among))
        slot = self._slot(owner, keys)
        held.write(traced(number))
        slot.put = slot.container[slot.key]

    def _slot(self, owner: Any, keys: tuple[Any, ...]) -> _Slot:
        """Return the entry in which the number stands, or the outermost tuple that it is in."""
        container, key = vars(owner), keys[0]
        for following in keys[1:]:
            if isinstance(container[key], tuple):
                break
            container, key = container[key], following
        slot = self._slots.get((id(container), key))
        if slot is None:
            slot = self._slots[id(container), key] = _Slot(container, key)
        return slot

    def _changed(self) -> Iterator[tuple[_Followed, Number | PlainNumber]]:
        """Yield the numbers in the place of which the program has put others."""
        for followed in self._followed:
            held, number = followed.held, followed.number
            now = held.find()
            if is_traced(now) and now.node.numbers is self._numbers:
                if now.node is not number:
                    yield followed, now.node
            elif type(now) in _CLASSES and not (
                number.is_pinned and equal_literals(now, number.plain)
            ):
                yield followed, now
            held.is_replaced = followed.among is not None and held.find(1) is not followed.among

    def settle(self) -> None:
        """Put plain numbers in the place of those that the program has stored."""
        for name, owner in self._kept.holders:
            names = self._kept.parameter_names(owner)
            for _, keys, held in list(entries(name, owner, names)):
                if is_traced(held) and held.node.numbers is self._numbers:
                    HeldNumber("", owner, keys, type(held.node.plain)).write(held.node.plain)
