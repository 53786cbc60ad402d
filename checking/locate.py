"""Finding the first node at which a replay and its program part.

Nothing is held while both run: first each gives a fingerprint of what every node made, and where
these differ both run again, and the values of a few nodes at a time are held and compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ..ir import CALL, Block, FunctionRef, Graph, Node
from ..runtime.compare import Tolerance, difference, fingerprint
from ..runtime.watch import made_or_written, watch_graph
from .graphs import GraphDifference
from .report import Origin, origin_of
from .runs import Runs, Subject
from .storage import copy_of
from .undefined import undefined_nodes

_HELD = 8
"""Of how many nodes the values are held at once."""


def locate(
    subject: Subject,
    runs: Runs,
    tolerance: Tolerance,
    structural: GraphDifference | None,
    again: Graph,
) -> Origin | None:
    """Return the first node that gives something else in the replay; None if none is found.

    Args:
        subject: the program and its graph.
        runs: runs both on the inputs that showed a difference.
        tolerance: how far values may be apart.
        structural: where the structure of the graph and of the program's next run differ, if they do.
        again: the graph of that next run.
    """
    replayed = _Replayed()
    failure = replayed.run(subject, runs)
    if failure is not None:
        message = f"the replay raised {type(failure).__name__}: {failure}"
        return origin_of(message, subject.graph, replayed.current, again, None)
    pairs = _Pairs(subject, runs, replayed, structural)
    candidates = pairs.candidates()
    for start in range(0, len(candidates), _HELD):
        found = pairs.compare_values(candidates[start : start + _HELD], tolerance)
        if found is not None:
            node, message = found
            return origin_of(message, subject.graph, node, pairs.again, pairs.twins[node])
    if structural is not None:
        return origin_of(structural.what, subject.graph, structural.first, again, structural.second)
    return None


class _Replayed:
    """What one replay gave, node by node."""

    def __init__(self) -> None:
        self.prints: dict[Node, list[bytes]] = {}
        self.current: Node | None = None  # the node that runs, or ran last

    def run(self, subject: Subject, runs: Runs) -> Exception | None:
        """Replay with fingerprints; return the error if the replay failed."""

        def enter(node: Node) -> None:
            self.current = node

        def observe(node: Node, tensors: list[torch.Tensor]) -> None:
            self.prints[node] = list(map(fingerprint, tensors))

        try:
            runs.replay_by(watch_graph(subject.graph, subject.state, observe, enter))
        except Exception as error:  # noqa: BLE001  # whatever it is, it is what is to be located
            return error
        return None


class _Pairs:
    """The nodes of a graph beside those that the program's next run recorded.

    Attributes:
        again: the graph of that run.
        twins: its node for each node of the graph, as far as the two have the same structure.
    """

    def __init__(
        self, subject: Subject, runs: Runs, replayed: _Replayed, structural: GraphDifference | None
    ) -> None:
        self._subject = subject
        self._runs = runs
        self._replayed = replayed
        self._prints: dict[Node, list[bytes]] = {}
        self._order: dict[Node, int] = {}  # in which order the recorder showed the nodes
        self.again = self._runs.retrace(self._note)[0].graph
        self.twins: dict[Node, Node] = {}
        parting = None if structural is None else _parting(subject.graph, structural)
        for ours, theirs in zip(subject.graph.block, self.again.block, strict=False):
            if ours is parting:
                break
            self.twins[ours] = theirs

    def _note(
        self, node: Node, result: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        self._order[node] = len(self._order)
        tensors = made_or_written(node, result, args, kwargs)
        self._prints[node] = list(map(fingerprint, tensors))

    def candidates(self) -> list[Node]:
        """Return the nodes of the graph whose fingerprints differ from those of their twins."""
        undefined = undefined_nodes(self._subject.graph)
        ours, theirs = self._replayed.prints, self._prints
        return [
            node
            for node, twin in self.twins.items()
            if node not in undefined
            and node in ours
            and twin in theirs
            and ours[node] != theirs[twin]
        ]

    def compare_values(self, nodes: list[Node], tolerance: Tolerance) -> tuple[Node, str] | None:
        """Run both again and return the first of some nodes whose values differ, and how."""
        held: dict[Node, list[torch.Tensor]] = {}

        def hold(node: Node, tensors: list[torch.Tensor]) -> None:
            if node in nodes:
                held[node] = [_copied(tensor) for tensor in tensors]

        self._runs.replay_by(watch_graph(self._subject.graph, self._subject.state, hold))
        wanted = {self._order[self.twins[node]]: node for node in nodes}
        messages: dict[Node, str] = {}
        shown = 0

        def compare(
            node: Node, result: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
        ) -> None:
            nonlocal shown
            ours = wanted.get(shown)
            shown += 1
            if ours is None:
                return
            for expected, actual in zip(
                made_or_written(node, result, args, kwargs), held.pop(ours, ()), strict=False
            ):
                message = difference(expected, actual, tolerance)
                if message is not None:
                    messages.setdefault(ours, message)

        self._runs.retrace(compare)
        return next(((node, messages[node]) for node in nodes if node in messages), None)


def _parting(graph: Graph, structural: GraphDifference) -> Node | None:
    """Return the node of a graph from which on two runs are not compared: what differs is in it."""
    node = structural.first
    if node is None or (structural.is_content and node.block is graph.block):
        return None
    while node.block is not graph.block:
        block = node.block
        assert block is not None, "a difference is between nodes of graphs"
        node = block.owner or next(call for call in graph.walk() if _calls(graph, call, block))
    return node


def _calls(graph: Graph, node: Node, block: Block) -> bool:
    callee = node.args[0] if node.kind == CALL else None
    return isinstance(callee, FunctionRef) and graph.functions[callee.name].block is block


def _copied(tensor: torch.Tensor) -> torch.Tensor:
    copied = copy_of(tensor)
    return copied.requires_grad_() if tensor.requires_grad else copied
