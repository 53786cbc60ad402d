"""Collectives: what nodes send between the processes of a group, and how much.

Note [The message of a collective]
    Its bytes are those of the whole that the group works on, as NCCL's tests count them
    (github.com/NVIDIA/nccl-tests, doc/PERFORMANCE.md): what an all-reduce or a broadcast is given, what an
    all-gather gives, what a reduce-scatter or an all-to-all is given. The factors there say what each
    process has to send over its link at least, whatever the algorithm: of n processes, 2(n-1)/n of the
    message for an all-reduce; (n-1)/n for an all-gather, a reduce-scatter, an all-to-all, a gather and a
    scatter; all of it for the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import Final

from .arguments import values_in
from .node import Node
from .types import GroupType, TensorType
from .value import Value


class CollectiveKind(Enum):
    """What the processes of a group do together."""

    ALL_REDUCE = "all-reduce"
    ALL_GATHER = "all-gather"
    REDUCE_SCATTER = "reduce-scatter"
    ALL_TO_ALL = "all-to-all"
    BROADCAST = "broadcast"
    REDUCE = "reduce"
    GATHER = "gather"
    SCATTER = "scatter"
    SEND = "send"
    RECEIVE = "receive"
    BARRIER = "barrier"

    def sent_share(self, size: int) -> Fraction:
        """Return the part of a message that each of ``size`` processes has to send at least."""
        match self:
            case CollectiveKind.ALL_REDUCE:
                return Fraction(2 * (size - 1), size)
            case (
                CollectiveKind.ALL_GATHER
                | CollectiveKind.REDUCE_SCATTER
                | CollectiveKind.ALL_TO_ALL
                | CollectiveKind.GATHER
                | CollectiveKind.SCATTER
            ):
                return Fraction(size - 1, size)
            case CollectiveKind.BARRIER:
                return Fraction(0)
            case _:
                return Fraction(min(size - 1, 1))


@dataclass(frozen=True, slots=True)
class Rule:
    """What is known of an operator that communicates.

    Attributes:
        kind: what it does.
        message: the position of the argument that has the message; None where the result has it.
        writes: the position of the argument that it writes though its schema does not say so; None for none.
        is_part: whether that argument has one process's part of the message, of which there are as many
            as processes.
    """

    kind: CollectiveKind
    message: int | None = None
    writes: int | None = None
    is_part: bool = False


_REDUCE: Final = CollectiveKind.ALL_REDUCE
_GATHER: Final = CollectiveKind.ALL_GATHER
_SCATTER: Final = CollectiveKind.REDUCE_SCATTER
_EXCHANGE: Final = CollectiveKind.ALL_TO_ALL
_SPREAD: Final = CollectiveKind.BROADCAST

_RULES: Final = {
    "c10d::allreduce_": Rule(_REDUCE, 0, writes=0),
    "c10d::allreduce_coalesced_": Rule(_REDUCE, 0, writes=0),
    "c10d::allgather_": Rule(_GATHER, 0, writes=0),
    "c10d::_allgather_base_": Rule(_GATHER, 0, writes=0),
    "c10d::allgather_coalesced_": Rule(_GATHER, 0, writes=0),
    "c10d::allgather_into_tensor_coalesced_": Rule(_GATHER, 0, writes=0),
    "c10d::reduce_scatter_": Rule(_SCATTER, 1, writes=0),
    "c10d::_reduce_scatter_base_": Rule(_SCATTER, 1, writes=0),
    "c10d::reduce_scatter_tensor_coalesced_": Rule(_SCATTER, 1, writes=0),
    "c10d::alltoall_": Rule(_EXCHANGE, 1, writes=0),
    "c10d::alltoall_base_": Rule(_EXCHANGE, 1, writes=0),
    "c10d::broadcast_": Rule(_SPREAD, 0, writes=0),
    "c10d::reduce_": Rule(CollectiveKind.REDUCE, 0, writes=0),
    "c10d::gather_": Rule(CollectiveKind.GATHER, 1, writes=0, is_part=True),
    "c10d::scatter_": Rule(CollectiveKind.SCATTER, 0, writes=0, is_part=True),
    "c10d::send": Rule(CollectiveKind.SEND, 0),
    "c10d::recv_": Rule(CollectiveKind.RECEIVE, 0, writes=0),
    "c10d::recv_any_source_": Rule(CollectiveKind.RECEIVE, 0, writes=0),
    "c10d::barrier": Rule(CollectiveKind.BARRIER),
    "c10d::monitored_barrier_": Rule(CollectiveKind.BARRIER),
    "_c10d_functional::all_reduce": Rule(_REDUCE, 0),
    "_c10d_functional::all_reduce_": Rule(_REDUCE, 0),
    "_c10d_functional::all_reduce_coalesced": Rule(_REDUCE, 0),
    "_c10d_functional::all_reduce_coalesced_": Rule(_REDUCE, 0),
    "_c10d_functional::all_gather_into_tensor": Rule(_GATHER),
    "_c10d_functional::all_gather_into_tensor_out": Rule(_GATHER),
    "_c10d_functional::all_gather_into_tensor_coalesced": Rule(_GATHER),
    "_c10d_functional::reduce_scatter_tensor": Rule(_SCATTER, 0),
    "_c10d_functional::reduce_scatter_tensor_out": Rule(_SCATTER, 0),
    "_c10d_functional::reduce_scatter_tensor_coalesced": Rule(_SCATTER, 0),
    "_c10d_functional::all_to_all_single": Rule(_EXCHANGE, 0),
    "_c10d_functional::broadcast": Rule(_SPREAD, 0),
    "_c10d_functional::broadcast_": Rule(_SPREAD, 0),
    "_c10d_functional::isend": Rule(CollectiveKind.SEND, 0),
    "_c10d_functional::irecv": Rule(CollectiveKind.RECEIVE, 0),
    "_c10d_functional_autograd::all_gather_into_tensor": Rule(_GATHER),
    "_c10d_functional_autograd::reduce_scatter_tensor": Rule(_SCATTER, 0),
    "_c10d_functional_autograd::all_to_all_single": Rule(_EXCHANGE, 0),
    "_dtensor::shard_dim_alltoall": Rule(_EXCHANGE, 0),
}


def rule_of(base_name: str) -> Rule | None:
    """Return what is known of an operator that communicates; None for one that does not."""
    return _RULES.get(base_name)


@dataclass(frozen=True, slots=True)
class Collective:
    """What one node communicates.

    Attributes:
        node: the node.
        kind: what the processes do together.
        group: what their group is called; empty where the graph does not have it.
        ranks: the processes of the group; none where the graph does not have it.
        message_bytes: see Note [The message of a collective]; None where that is not known.
    """

    node: Node
    kind: CollectiveKind
    group: str
    ranks: tuple[int, ...]
    message_bytes: int | None

    @property
    def sent_bytes(self) -> int | None:
        """What each process has to send at least; None where that is not known."""
        if self.message_bytes is None or not self.ranks:
            return None
        return int(self.message_bytes * self.kind.sent_share(len(self.ranks)))


def collective_of(node: Node) -> Collective | None:
    """Return what a node communicates; None for one that does not."""
    rule = _RULES.get(node.operator.base_name)
    if rule is None:
        return None
    group = _group_of(node)
    type_ = None if group is None else group.type
    ranks = type_.ranks if isinstance(type_, GroupType) else ()
    message: Iterable[Value] = node.outputs
    if rule.kind is CollectiveKind.BARRIER:
        message = ()
    elif rule.message is not None:
        message = values_in(node.args[rule.message : rule.message + 1])
    nbytes = _nbytes(message)
    if rule.is_part and nbytes is not None:
        nbytes = nbytes * len(ranks) if ranks else None
    name = "" if group is None or group.name is None else group.name
    return Collective(node, rule.kind, name, ranks, nbytes)


def collectives(nodes: Iterable[Node]) -> Iterator[Collective]:
    """Yield what some nodes communicate, in order."""
    for node in nodes:
        found = collective_of(node)
        if found is not None:
            yield found


def _group_of(node: Node) -> Value | None:
    """Return the group that a node communicates in: an argument of it, or named by one."""
    for value in node.inputs:
        if isinstance(value.type, GroupType):
            return value
    graph = node.graph
    name = next((arg for arg in reversed(node.args) if isinstance(arg, str)), None)
    if graph is None or name is None:
        return None
    entry = graph.state.get(group_state_name(name))
    return None if entry is None else entry.value


def group_state_name(group_name: str) -> str:
    """Return what the group that torch calls so is called in a graph."""
    return f"process_group.{group_name}"


def _nbytes(message: Iterable[Value]) -> int | None:
    total = 0
    for value in message:
        if isinstance(value.type, TensorType):
            if value.type.nbytes is None:
                return None
            total += value.type.nbytes
    return total
