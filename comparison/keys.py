"""Keys of nodes that are not matched yet: equal where two nodes may be the same.

Note [What a key sees]
    A value with a counterpart counts as such, by its atom. So keys take into account all that is matched
    already, and are worked out for the rest only. A cone is a node and all that it is computed from; its
    surroundings are what it reads and what reads it, up to two steps away.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..ir import Value
from .labels import Numbers
from .matching import NOWHERE, Matching
from .side import Side


class Keys:
    """Works out keys for both sides of a matching."""

    def __init__(self, matching: Matching, numbers: Numbers) -> None:
        self._matching = matching
        self._numbers = numbers

    def cones(self, strength: int) -> tuple[dict[int, int], dict[int, int]]:
        """Return, by place, a number per unmatched node of either side for how it is computed.

        Args:
            strength: which of the numbers of its label says what a node is.
        """
        matching = self._matching
        return (
            self._cones(matching.before, matching.atoms, strength),
            self._cones(matching.after, matching.other_atoms, strength),
        )

    def surroundings(self, strength: int) -> tuple[dict[int, int], dict[int, int]]:
        """Return, by place, a number per unmatched node of either side for what it is and stands between."""
        matching = self._matching
        return (
            self._surroundings(matching.before, matching.atoms, strength, is_before=True),
            self._surroundings(matching.after, matching.other_atoms, strength, is_before=False),
        )

    def alone(self, strength: int) -> tuple[dict[int, int], dict[int, int]]:
        """Return, by place, a number per unmatched node of either side for what it is."""
        before, after = self._matching.before, self._matching.after
        return (
            {at: before.labels[at][strength] for at in before.unmatched},
            {at: after.labels[at][strength] for at in after.unmatched},
        )

    def _cones(self, side: Side, atoms: dict[Value, int], strength: int) -> dict[int, int]:
        numbers = self._numbers
        keys: dict[int, int] = {}
        made: dict[Value, int] = {}
        for at in side.unmatched:
            node = side.nodes[at]
            reads = [atoms.get(v) or made.get(v, NOWHERE) for v in node.inputs]
            key = keys[at] = numbers[(side.labels[at][strength], *reads)]
            outputs = node.outputs
            if len(outputs) == 1:
                made[outputs[0]] = key
            else:
                made.update({v: numbers[("result", key, n)] for n, v in enumerate(outputs)})
            for number, block in enumerate(node.blocks):
                for n, value in enumerate(block.inputs):
                    made[value] = numbers[("block", key, number, n)]
        return keys

    def _surroundings(
        self, side: Side, atoms: dict[Value, int], strength: int, *, is_before: bool
    ) -> dict[int, int]:
        numbers = self._numbers
        unmatched = side.unmatched
        known = [label[strength] for label in side.labels]
        for at, partner in enumerate(side.partners):
            if (
                partner >= 0
            ):  # known by its place in the first graph, in a number that labels never have
                known[at] = -1 - (at if is_before else partner)
        operands = self._makers(side, atoms, unmatched)
        for _ in range(2):
            seen = []
            for at, reads in zip(unmatched, operands, strict=True):
                from_ = [known[~code] if code < NOWHERE else code for code in reads]
                to = sorted(
                    [
                        (known[reader] if reader >= 0 else NOWHERE, n)
                        for reader, n in side.readers[at]
                    ]
                )
                seen.append(numbers[(known[at], tuple(from_), tuple(to))])
            for at, key in zip(unmatched, seen, strict=True):
                known[at] = key
        return {at: known[at] for at in unmatched}

    def _makers(
        self, side: Side, atoms: dict[Value, int], unmatched: Sequence[int]
    ) -> list[list[int]]:
        """Return what nodes read: the complement of the place of an unmatched maker, else a number."""
        numbers = self._numbers
        found = []
        for at in unmatched:
            reads = []
            for value in side.nodes[at].inputs:
                atom = atoms.get(value)
                if atom is not None:
                    reads.append(numbers[("atom", atom)])
                    continue
                node = value.node
                maker = None if node is None else side.place.get(node)
                reads.append(NOWHERE if maker is None else ~maker)
            found.append(reads)
        return found
