"""Collective operators: their groups as named constants, and the waits for their results.

An operator such as ``c10d::allreduce_`` returns at once, with a ``Work`` that the program waits for
before it reads the result. Waiting is a method of that object and no operator, so it is recorded as
``prim::wait``. Functional collectives name their group in an argument and wait by an operator.
"""

from __future__ import annotations

from typing import Any, cast

import torch

from ...ir import Value
from .dispatcher import distributed_module


class Collectives:
    """The works that a trace has not waited for, and the groups that it knows."""

    def __init__(self) -> None:
        self._works: dict[int, tuple[Any, Value]] = {}  # the work is held: it keeps its address
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
        return None if found is None else found[1]

    def group(self, script_object: torch.ScriptObject) -> tuple[Any, str, Value | None] | None:
        """Return a process group, its name, and its value if it has one; None for other objects."""
        group = _unboxed(script_object, "ProcessGroup")
        if group is None:
            return None
        known = self._groups.get(id(group))
        return group, f"process_group.{group.group_name}", None if known is None else known[1]

    def note_group(self, group: Any, value: Value) -> None:
        """Make ``value`` what a process group is in the graph."""
        self._groups[id(group)] = (group, value)


def class_name_of(script_object: torch.ScriptObject) -> str:
    """Return the name under which C++ registered the class of an object."""
    return str(cast(Any, script_object._type()).name())


def _unboxed(script_object: torch.ScriptObject, class_name: str) -> Any:
    module = distributed_module()
    if module is None or class_name_of(script_object) != class_name:
        return None
    return getattr(module, class_name).unbox(script_object)
