"""Communication: what the processes of each group send each other, summed up by kind.

What counts as a message, and what a process has to send of it at least, says Note [The message of a
collective] in ``ir/collectives.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..ir.collectives import Collective, CollectiveKind
from .units import bytes_text


@dataclass(slots=True)
class Messages:
    """Collectives of one kind in one group.

    Attributes:
        kind: the kind.
        group: what the group is called; empty where that is not known.
        processes: how many are in it; 0 where that is not known.
        count: how many there are.
        message_bytes: their messages together, as far as known.
        sent_bytes: what each process has to send of them at least; None where that is not known.
    """

    kind: CollectiveKind
    group: str
    processes: int
    count: int = 0
    message_bytes: int = 0
    sent_bytes: int | None = 0

    def add(self, message_bytes: int, sent_bytes: int | None, times: int) -> None:
        """Add the messages of collectives that run so many times."""
        self.message_bytes += message_bytes * times
        is_known = self.sent_bytes is not None and sent_bytes is not None
        self.sent_bytes = (self.sent_bytes or 0) + (sent_bytes or 0) * times if is_known else None


@dataclass(slots=True)
class Communication:
    """All collectives of a graph, by group and kind in order of their first."""

    messages: dict[tuple[str, int, CollectiveKind], Messages] = field(default_factory=dict)

    def enter(self, collective: Collective, times: int) -> None:
        """Count a collective that runs so many times."""
        found = self._at(collective.group, len(collective.ranks), collective.kind)
        found.count += times
        found.add(collective.message_bytes or 0, collective.sent_bytes, times)

    def add(self, other: Communication, times: int = 1) -> None:
        """Count those of other nodes, which run so many times."""
        for messages in other.messages.values():
            found = self._at(messages.group, messages.processes, messages.kind)
            found.count += messages.count * times
            found.add(messages.message_bytes, messages.sent_bytes, times)

    def _at(self, group: str, processes: int, kind: CollectiveKind) -> Messages:
        key = (group, processes, kind)
        found = self.messages.get(key)
        if found is None:
            found = self.messages[key] = Messages(kind, group, processes)
        return found

    def sentences(self) -> Iterator[str]:
        """Yield what each group does, in words."""
        groups: dict[tuple[str, int], list[Messages]] = {}
        for messages in self.messages.values():
            groups.setdefault((messages.group, messages.processes), []).append(messages)
        for (group, processes), parts in groups.items():
            done = ", ".join(map(_text, parts))
            where = f" in {group} of {processes:,} processes" if processes else ""
            sent = [part.sent_bytes for part in parts]
            known = [nbytes for nbytes in sent if nbytes is not None]
            least = f" · each sends at least {bytes_text(sum(known))}" if known else ""
            yield f"{done}{where}{least}"


def _text(messages: Messages) -> str:
    plural = "es" if messages.kind.value.endswith("h") else "s"
    times = f"{messages.count:,} {messages.kind.value}{plural if messages.count > 1 else ''}"
    return f"{times} of {bytes_text(messages.message_bytes)}" if messages.message_bytes else times
