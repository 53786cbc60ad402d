"""Values, the edges along which they are read, and the state that a program keeps.

Note [One set of books]
    Values, nodes and blocks keep one set of books: who defines a value, who reads it, in what order
    nodes stand. So ``value.py``, ``node.py`` and ``block.py`` are friends that share privates, also with
    ``graph.py`` and those of this folder that say so; nothing else touches lists of users or links.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, ClassVar, Final, Literal, NamedTuple, TypeAlias

from .types import Type

if TYPE_CHECKING:
    from .block import Block  # blocks and nodes are made of values
    from .node import Node

_Users: TypeAlias = "Node | Block | tuple[Node | Block, ...] | dict[Node | Block, None] | None"

# Note [Few containers per node]
# A graph may have a million nodes, and Python's garbage collector looks through every container
# again and again. So a node keeps its only result without a tuple around it, shares one tuple
# between arguments and operands where all arguments are values, and a value keeps its only user
# as it is, a few in a tuple, and more in a dictionary, which takes as much memory as node and value
# together. ``outputs``, ``inputs`` and ``users`` show none of this.

_FEW: Final = 8  # users that a tuple holds


class Use(NamedTuple):
    """One edge of the graph: ``user`` reads a value as its operand number ``operand``.

    A node that reads a value twice has two uses of it. The user is a block where the value is one of
    the block's outputs.
    """

    user: Node | Block
    operand: int


class Value:
    """A tensor or other datum: defined once, by a node, as a block's input, or as state.

    Identity is the object. ``name`` is what the printer shows if it is free; values without one are
    numbered, and a name taken twice gets a suffix (see ``ir/names.py``).
    """

    __slots__ = ("_definer", "_users", "name", "type")

    def __init__(self, type_: Type, name: str | None, definer: Node | Block | StateEntry) -> None:
        self.type = type_
        self.name = name
        self._definer = definer
        # See Note [Few containers per node]. Which operands read the value, its users know.
        self._users: _Users = None

    @property
    def node(self) -> Node | None:
        """The node that produces the value; None for inputs and state."""
        definer = self._definer
        return definer if definer._is_node else None

    @property
    def state(self) -> StateEntry | None:
        """The state entry that the value stands for; None for all others."""
        return self._definer if isinstance(self._definer, StateEntry) else None

    @property
    def block(self) -> Block | None:
        """The block that defines the value; None for state and for results of detached nodes."""
        return self._definer._home()

    @property
    def definer(self) -> Node | Block | StateEntry:
        """What defines the value: a node, a block (as an input), or a state entry."""
        return self._definer

    @property
    def uses(self) -> tuple[Use, ...]:
        """Every edge that reads the value: user by user, operand by operand. O(inputs of the users)."""
        return tuple(
            Use(user, operand)
            for user in self.users
            for operand, value in enumerate(user._reads())
            if value is self
        )

    @property
    def users(self) -> tuple[Node | Block, ...]:
        """Everything that reads the value, each once, in the order they came to read it. O(users)."""
        users = self._users
        if isinstance(users, tuple):
            return users
        if isinstance(users, dict):
            return tuple(users)
        return () if users is None else (users,)

    @property
    def is_used(self) -> bool:
        """Whether anything reads the value."""
        return self._users is not None

    def is_used_by(self, user: Node | Block) -> bool:
        """Whether ``user`` reads the value. O(1)."""
        users = self._users
        return users is user or (isinstance(users, tuple | dict) and user in users)

    def replace_all_uses_with(self, other: Value) -> None:
        """Make everything that reads this value read ``other``. O(arguments of the users).

        Given:   %3 = aten::neg(%1)
                 %4 = aten::add(%3, %3)
        Do:      v3.replace_all_uses_with(v1)
        Result:  %3 = aten::neg(%1)
                 %4 = aten::add(%1, %1)

        Raises:
            IRError: ``other`` is not visible from something that reads this value; nothing is changed.
        """
        if other is self:
            return
        users = self.users
        for block in dict.fromkeys(user._home() for user in users):
            if block is not None:
                block._require_visible(other)
        for user in users:
            user._replace(self, other)
            other._add_user(user)
        self._users = None

    def _add_user(self, user: Node | Block) -> None:
        users = self._users
        if users is None:
            self._users = user
        elif isinstance(users, tuple):
            if user not in users:
                more = (*users, user)
                self._users = more if len(more) <= _FEW else dict.fromkeys(more)
        elif isinstance(users, dict):
            users[user] = None
        elif users is not user:
            self._users = (users, user)

    def _drop_user(self, user: Node | Block) -> None:
        users = self._users
        if users is user:
            self._users = None
        elif isinstance(users, tuple):
            left = tuple([other for other in users if other is not user])
            self._users = left if len(left) > 1 else left[0]
        elif isinstance(users, dict):
            users.pop(user, None)
            if not users:
                self._users = None

    def __repr__(self) -> str:
        return f"<Value %{self.name or '?'} : {self.type}>"


class StateKind(Enum):
    """What role a piece of state plays."""

    PARAMETER = "state"
    BUFFER = "buffer"
    CONSTANT = "constant"
    NUMBER = "number"  # of Python's, read anew at each run


class StateEntry:
    """What a program keeps from run to run: a parameter, a buffer, a constant, or a number.

    Attributes:
        names: its qualified names; several where a weight is tied.
        kind: parameter, buffer, constant or number.
        value: what nodes read.
    """

    __slots__ = ("kind", "names", "value")

    # What defines a value says so itself, since this file is imported by those of nodes and blocks.
    _is_node: ClassVar[Literal[False]] = False

    def __init__(self, names: tuple[str, ...], kind: StateKind, type_: Type) -> None:
        self.names = names
        self.kind = kind
        self.value = Value(type_, names[0], self)

    @property
    def name(self) -> str:
        """The first of its names."""
        return self.names[0]

    def _home(self) -> None:
        """Stand in no block, other than what else defines values."""

    def __repr__(self) -> str:
        return f"<StateEntry {self.name} : {self.value.type}>"
