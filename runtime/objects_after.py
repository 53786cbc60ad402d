"""What a program makes of objects that it was given or holds, done again when a replay has run."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from ..ir.identities import Way, objects_in, speaks_of_objects, unlike_twins, way_text
from ..ir.structure import Structure
from ..ir.updates import Stored, update


@dataclass(frozen=True, slots=True)
class ObjectsAfter:
    """What a program leaves in its arguments and in what it holds, and what of theirs it returns.

    Attributes:
        inputs: the structure of the mapping from parameter names to arguments.
        outputs: of what the program returns.
        updates: of what becomes of arguments, by name.
        stored: what is put into objects that the program holds.
        twins: the ways to objects among the arguments that change, each with all ways to that object.
    """

    inputs: Structure
    outputs: Structure
    updates: Mapping[str, Structure]
    stored: Sequence[Stored]
    twins: Mapping[Way, frozenset[Way]]

    @property
    def is_anything(self) -> bool:
        """Whether arguments or held objects change, or what the program returns has an object of theirs."""
        return bool(self.updates or self.stored) or speaks_of_objects(self.outputs)

    def found(self, arguments: Mapping[str, Any]) -> dict[Hashable, Any]:
        """Return the objects among the arguments of a replay by the ways to them.

        Raises:
            InputError: one that the program changes stands in two places, or not, as it did not at the trace.
        """
        objects: dict[Hashable, Any] = {
            w: whole for w, whole, _ in objects_in(self.inputs, arguments)
        }
        unlike = unlike_twins(self.twins, objects)
        if unlike is None:
            return objects
        one, other = (way_text(self.inputs, way) for way in unlike)
        are_one = objects[unlike[0]] is objects[unlike[1]]
        now, then = ("one object", "two") if are_one else ("two objects", "one")
        raise InputError(
            f"inputs {one} and {other} are {now} now and were {then} when the program was traced, which "
            "changes what they hold\n  pass them as they were, or trace again with these"
        )

    def leave(
        self, results: Sequence[Any], arguments: Mapping[str, Any], objects: dict[Hashable, Any]
    ) -> Any:
        """Change the arguments, and what the program holds, as it does; return what it returns.

        Args:
            results: what the graph returned.
            arguments: the program's arguments by name.
            objects: those that were found among them before the run.
        """
        count = len(self.outputs.leaf_paths())
        held = iter(results[count:])
        for name, structure in self.updates.items():
            update(structure, arguments[name], held, objects)
        for stored in self.stored:
            stored.store(held, objects)
        return update(self.outputs, None, iter(results[:count]), objects)
