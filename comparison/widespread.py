"""What differs in many places in one way: another dtype, device or mode throughout a program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from .facts import Fact
from .wording import facets

_FEWEST: Final = 12  # changes that have it in common


class Widespread:
    """The facets of types and modes that many changes have in common, which are told once.

    Args:
        changes: the details of each change, by what it is a change of: ``node``, ``input`` and so on.
        is_off: whether nothing is told of many at once.
    """

    def __init__(
        self, changes: Iterable[tuple[str, tuple[Fact, ...]]], *, is_off: bool = False
    ) -> None:
        counts: dict[str, Counter[str]] = {}
        for noun, facts in changes if not is_off else ():
            found = [facet for fact in facts for facet in facets(fact) or ()]
            for facet in dict.fromkeys(found):
                counts.setdefault(facet, Counter())[noun] += 1
        self._counts = {
            facet: counter for facet, counter in counts.items() if counter.total() >= _FEWEST
        }

    def covers(self, fact: Fact) -> bool:
        """Whether all that a fact says is told of many at once."""
        found = facets(fact)
        return found is not None and all(facet in self._counts for facet in found)

    def covers_all(self, facts: tuple[Fact, ...]) -> bool:
        """Whether nothing is left to tell of a change."""
        return bool(facts) and all(map(self.covers, facts))

    def lines(self) -> Iterator[str]:
        """Yield a line per facet, the most frequent first."""
        for facet, counter in sorted(
            self._counts.items(), key=lambda item: item[1].total(), reverse=True
        ):
            where = [
                f"{count:,} {noun}{'' if count == 1 else 's'}" for noun, count in counter.items()
            ]
            yield f"  ~ {facet}: {', '.join(where).replace('piece of states', 'pieces of state')}"
