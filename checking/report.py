"""What a check found: a report that people can read."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from ..ir import Graph, Node
from ..ir.diagnosis import Describer, Fault


class DifferenceKind(Enum):
    """Which of the things that a check compares differs."""

    OUTPUT = "output"  # what the program returns
    INPUT = "input"  # what it writes into its arguments
    STATE = "state"  # what it writes into parameters, buffers and gradients
    GRADIENT = "gradient"  # what a backward pass gives
    REPLAY = "replay"  # the replay fails where the program does not
    PROGRAM = "program"  # the program itself does not do the same twice


@dataclass(frozen=True, slots=True)
class CheckDifference:
    """One thing in which a replay differs from its program.

    Attributes:
        kind: what differs.
        name: which of them: ``result.logits``, ``fc.weight``.
        message: how it differs.
        inputs: which set of inputs showed it, from 0.
    """

    kind: DifferenceKind
    name: str
    message: str
    inputs: int = 0

    def __str__(self) -> str:
        if not self.name:
            return self.message
        return f"{self.kind.value} {self.name}: {self.message}"


@dataclass(frozen=True, slots=True)
class Origin:
    """The first node at which program and graph part.

    Attributes:
        message: how they part there.
        node: the node of the graph; None where the program went on after it.
        again: the node that the program's other run recorded instead, if another.
        text: both as text, with their source lines.
    """

    message: str
    node: Node | None
    again: Node | None
    text: str = field(repr=False)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was compared and what differed.

    Attributes:
        program: the name of the program.
        differences: everything that differed, in the order it was compared.
        origin: the first node at which program and graph part, if one was found.
        notes: what is worth knowing although nothing differs because of it.
        compared: how many pairs of each kind were compared.
        input_sets: how many sets of inputs were tried.
        is_exact: whether equal means equal bit by bit.
    """

    program: str
    differences: tuple[CheckDifference, ...]
    origin: Origin | None
    notes: tuple[str, ...]
    compared: dict[DifferenceKind, int]
    input_sets: int
    is_exact: bool

    @property
    def ok(self) -> bool:
        """Whether nothing differed."""
        return not self.differences

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        sets = _counted(self.input_sets, "set of inputs", "sets of inputs")
        how = "bit by bit" if self.is_exact else "within the tolerance"
        if self.ok:
            lines = [f"{self.program}: the replay equals the program {how} on {sets}"]
            lines.append(f"  compared {self._compared_text()}")
        else:
            unsteady = all(d.kind is DifferenceKind.PROGRAM for d in self.differences)
            what = (
                "the program does not do the same each time" if unsteady else "the replay differs"
            )
            lines = [f"{self.program}: {what}"]
            lines.extend(_differences_text(self.differences, self.input_sets))
        if self.origin is not None:
            lines.extend(f"  {line}" for line in str(self.origin).splitlines())
        lines.extend(f"  note: {note}" for note in self.notes)
        return "\n".join(lines)

    def _compared_text(self) -> str:
        words = {
            DifferenceKind.OUTPUT: ("output", "outputs"),
            DifferenceKind.INPUT: ("input", "inputs"),
            DifferenceKind.STATE: ("piece of state", "pieces of state"),
            DifferenceKind.GRADIENT: ("gradient", "gradients"),
        }
        counts = [_counted(n, *words[kind]) for kind, n in self.compared.items() if kind in words]
        return ", ".join(counts)


_SHOWN = 8


def _differences_text(differences: tuple[CheckDifference, ...], input_sets: int) -> list[str]:
    lines = []
    for difference in differences[:_SHOWN]:
        where = f" (set of inputs {difference.inputs})" if input_sets > 1 else ""
        first, *rest = str(difference).splitlines()
        lines.append(f"  {first}{where}")
        lines.extend(f"  {line}" for line in rest)
    if len(differences) > _SHOWN:
        lines.append(f"  and {len(differences) - _SHOWN} more")
    return lines


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def origin_of(
    message: str, graph: Graph, node: Node | None, again_graph: Graph, again: Node | None
) -> Origin:
    """Return where two runs part, with the nodes and their source lines as text."""
    parts = [f"first difference: {message}"]
    if node is not None:
        parts.append(_node_text(graph, node, "in the graph"))
    if again is not None:
        ours = None if node is None else _node_text(graph, node, "")
        theirs = _node_text(again_graph, again, "")
        if ours != theirs:
            parts.append(_node_text(again_graph, again, "in the run of the check"))
    return Origin(message, node, again, "\n".join(parts))


def _node_text(graph: Graph, node: Node, what: str) -> str:
    describer = Describer(graph)
    describer.name_values()
    return "\n".join(
        f"  {line}".rstrip() for line in describer.describe(Fault(what, node)).splitlines()
    )
