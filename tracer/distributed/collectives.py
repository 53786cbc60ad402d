"""Collective operators: their groups as named constants, and the waits for their results.

Note [Who waits]
    An operator such as ``c10d::allreduce_`` returns at once, with a ``Work`` that the program waits for
    before it reads the result. Waiting is a method of that object and no operator, so it is recorded as
    ``prim::wait``. C++ may wait as well, unseen: the reducer of ``DistributedDataParallel`` does at the end
    of a backward pass. What nobody was seen to wait for, a replay waits for before the first node that is
    on the memory of the result. Functional collectives name their group in an argument and wait by an
    operator.
"""

from __future__ import annotations

from typing import Any, cast

import torch

from ...ir import Block, Graph, GroupType, Node, Operator, TensorType, Value
from ...ir.collectives import group_state_name, rule_of
from ...ir.own_operators import WAIT
from ...passes.storages import Storages
from ..dispatch.dispatcher import distributed_module


class Collectives:
    """The works that a trace has not waited for, and the groups that it knows."""

    def __init__(self) -> None:
        self._works: dict[int, tuple[Any, Value]] = {}  # the work is held: it keeps its address
        self._futures: dict[int, tuple[Any, Any]] = {}
        self._groups: dict[int, tuple[Any, Value]] = {}
        self._objects: dict[int, tuple[torch.ScriptObject, Value]] = {}  # by hash: their address

    def note(self, result: torch.ScriptObject, value: Value) -> None:
        """Take note of an operator's result: something to wait for, or to hand to another operator."""
        work = _unboxed(result, "Work")
        if work is None:
            self._objects[hash(result)] = (result, value)
        else:
            self._works[id(work)] = (work, value)

    def known(self, script_object: torch.ScriptObject) -> Value | None:
        """Return the value of an object that an operator of this run gave; None for others."""
        found = self._objects.get(hash(script_object))
        return None if found is None else found[1]

    def waited(self, work: Any) -> Value | None:
        """Return what a work is in the graph, the first time that the program waits for it."""
        found = self._works.pop(id(work), None)
        if found is not None:  # what it gave is held no longer
            self._futures = {k: v for k, v in self._futures.items() if v[1] is not work}
        return None if found is None else found[1]

    def note_future(self, future: Any, work: Any) -> None:
        """Take note of a future that is done when a work is."""
        if id(work) in self._works:
            self._futures[id(future)] = future, work

    def work_of(self, future: Any) -> Any:
        """Return the work that a future belongs to, if that is known; else None."""
        found = self._futures.get(id(future))
        return None if found is None else found[1]

    def group(self, script_object: torch.ScriptObject) -> tuple[Any, str, Value | None] | None:
        """Return a process group, its name, and its value if it has one; None for other objects."""
        group = _unboxed(script_object, "ProcessGroup")
        if group is None:
            return None
        known = self._groups.get(id(group))
        return group, group_state_name(group.group_name), None if known is None else known[1]

    def knows(self, group: Any) -> bool:
        """Whether a process group has a value."""
        return id(group) in self._groups

    def note_group(self, group: Any, value: Value) -> None:
        """Make ``value`` what a process group is in the graph."""
        value.type = type_of_group(group)
        self._groups[id(group)] = (group, value)

    def wait_for_the_rest(self, graph: Graph) -> None:
        """Add the waits that nothing told of; see Note [Who waits]. O(nodes), if there are any."""
        works = {value.node: value for _, value in self._works.values()}
        self._works.clear()
        if not works:
            return
        storages = Storages()
        storages.follow_all(graph.block)
        for block in {node.block: None for node in works if node is not None}:
            if block is not None:
                _wait_before_reads(graph, block, works, storages)


def _wait_before_reads(
    graph: Graph, block: Block, works: dict[Node | None, Value], storages: Storages
) -> None:
    """Add a wait for each of some works of a block: before what reads it, at the latest at the end."""
    pending: dict[Value, Value] = {}  # works, by the memory that they are at
    for node in block:
        for work in {pending[m]: None for m in _memory_of(node, storages) if m in pending}:
            _append_wait(graph, work, node).move_before(node)
            pending = {memory: other for memory, other in pending.items() if other is not work}
        if node in works:
            pending.update(dict.fromkeys(_memory_of(node, storages), works[node]))
    for work in dict.fromkeys(pending.values()):
        last = block.last
        if last is not None:
            _append_wait(graph, work, last).move_after(last)


def _memory_of(node: Node, storages: Storages) -> dict[Value, None]:
    """Return the memory that a node, and what stands inside it, can reach."""
    memory = {
        storages.root(value): None
        for value in (*node.inputs, *node.outputs)
        if isinstance(value.type, TensorType)
    }
    for block in node.blocks:
        for inner in block:
            memory |= _memory_of(inner, storages)
    return memory


def _append_wait(graph: Graph, work: Value, place: Node) -> Node:
    return graph.append(WAIT, (work,), (), scope=place.scope, stack=place.stack, modes=place.modes)


def names_group(operator: Operator) -> bool:
    """Whether an operator communicates in a group that an argument names."""
    rule = rule_of(operator.base_name)
    return rule is not None and not operator.name.startswith("c10d::")


def group_named(name: str) -> Any:
    """Return the process group of a name; None if there is none."""
    module = distributed_module()
    try:
        return None if module is None else module._resolve_process_group(name)
    except RuntimeError:
        return None


def type_of_group(group: Any) -> GroupType:
    """Return what the graph says of a process group."""
    # Not in every build of torch.
    from torch.distributed import distributed_c10d as c10d

    try:
        ranks, backend = c10d.get_process_group_ranks(group), c10d.get_backend(group)
    except (KeyError, ValueError):  # one that its maker did not register
        ranks, backend = list(range(group.size())), group.name()
    return GroupType(tuple(ranks), ranks[group.rank()], str(backend))


def class_name_of(script_object: torch.ScriptObject) -> str:
    """Return the name under which C++ registered the class of an object."""
    return str(cast(Any, script_object._type()).name())


def _unboxed(script_object: torch.ScriptObject, class_name: str) -> Any:
    module = distributed_module()
    if module is None or class_name_of(script_object) != class_name:
        return None
    return getattr(module, class_name).unbox(script_object)
