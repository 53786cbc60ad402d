"""Changes: what one of two graphs has and the other has not, or has otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..ir import Modes, Node, Scope, StateEntry, Value
from .facts import Fact


class ChangeKind(Enum):
    """What became of a thing."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MOVED = "moved"  # the same in another place


@dataclass(frozen=True, slots=True)
class NodeChange:
    """What became of a node.

    Attributes:
        kind: added, removed, changed or moved.
        before: the node in the first graph; None if it was added.
        after: the node in the second graph; None if it was removed.
        details: in what the two differ.
    """

    kind: ChangeKind
    before: Node | None
    after: Node | None
    details: tuple[Fact, ...] = ()

    @property
    def node(self) -> Node:
        """The node as it is now, or as it was if it was removed."""
        node = self.after if self.after is not None else self.before
        assert node is not None, "a change is that of a node"
        return node


@dataclass(frozen=True, slots=True)
class ScopeDiff:
    """A scope that is another, or in which something is; counts are those of nodes at any depth.

    Attributes:
        before: the scope in the first graph; None if it was added.
        after: the scope in the second graph; None if it was removed.
        added: nodes that only the second graph has there.
        removed: nodes that only the first graph had there.
        changed: nodes that differ.
        moved: nodes that stand elsewhere now.
        equal: nodes that are as they were.
        details: in what the scope itself differs: its name, class, or what it stands for.
    """

    before: Scope | None
    after: Scope | None
    added: int
    removed: int
    changed: int
    moved: int
    equal: int
    details: tuple[Fact, ...] = ()

    @property
    def kind(self) -> ChangeKind | None:
        """What became of the scope itself; None if only what happens in it differs."""
        if self.before is None:
            return ChangeKind.ADDED
        if self.after is None:
            return ChangeKind.REMOVED
        return ChangeKind.CHANGED if self.details else None

    @property
    def scope(self) -> Scope:
        """The scope as it is now, or as it was if it was removed."""
        scope = self.after if self.after is not None else self.before
        assert scope is not None, "a difference of scopes is that of a scope"
        return scope


@dataclass(frozen=True, slots=True)
class StateChange:
    """A piece of state that only one graph has, or that differs in name, type or kind.

    Attributes:
        function: the function of the graph that has it; None for the graph itself.
    """

    kind: ChangeKind
    before: StateEntry | None
    after: StateEntry | None
    details: tuple[Fact, ...] = ()
    function: str | None = None

    @property
    def entry(self) -> StateEntry:
        """The piece as it is now, or as it was if it was removed."""
        entry = self.after if self.after is not None else self.before
        assert entry is not None, "a change of state is that of a piece"
        return entry


@dataclass(frozen=True, slots=True)
class SignatureChange:
    """A difference in what a graph takes, gives, is called, or is run under.

    Attributes:
        what: "input", "output", "name" or "ambient modes".
        position: which input or output, in the graph that has it, the second of two; 0 for all else.
        before: the input or output, the name, or the modes; None if it was added.
        after: the same in the second graph; None if it was removed.
        function: the function of the graph that it is about; None for the graph itself.
    """

    kind: ChangeKind
    what: str
    position: int
    before: Value | Modes | str | None
    after: Value | Modes | str | None
    details: tuple[Fact, ...] = ()
    function: str | None = None


@dataclass(frozen=True, slots=True)
class FunctionChange:
    """A function of the graph that only one graph has, or that has another name.

    Attributes:
        before: its name in the first graph; None if it was added.
        after: its name in the second graph; None if it was removed.
    """

    kind: ChangeKind
    before: str | None
    after: str | None
