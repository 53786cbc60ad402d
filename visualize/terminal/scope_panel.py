"""The tree of scopes, of which each is filled when it is opened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from ..listing import Branch
from ..wording import human
from .paint import Paint
from .rows import Cell, Rows

_COUNT_WIDTH = 7
_SIZE_WIDTH = 7
_MOST_FIRST_ROWS = 30


class ScopePanel(Rows):
    """The scopes of a graph and its functions."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "open", "Open", show=False),
        Binding("left,h", "close", "Close", show=False),
        Binding("space", "turn", "Open or close", show=False),
    ]
    has_heading: ClassVar[bool] = True

    def __init__(self, roots: Iterable[Branch], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows = [(root, 0) for root in roots]
        self._opened: set[Branch] = set()
        self._open_first()

    @property
    def row_count(self) -> int:
        """How many scopes are in sight, or above or below what is."""
        return len(self._rows)

    @property
    def rows(self) -> Sequence[tuple[Branch, int]]:
        """The scopes that are listed, each with how deep it lies."""
        return self._rows

    @property
    def branch(self) -> Branch:
        """The scope with the cursor."""
        return self._rows[self.cursor][0]

    def select(self, branch: Branch) -> None:
        """Put the cursor on a scope, and open those around it."""
        for around in reversed([*branch.around()]):
            if around not in self._opened:
                self._open(self._row_of(around))
        self.rows_changed()
        row = self._row_of(branch)
        if row != self.cursor:
            self.move_cursor(row, is_jump=True)

    def heading(self, width: int, paint: Paint) -> Sequence[Cell]:
        """Return what the columns are."""
        name_width = width - _COUNT_WIDTH - _SIZE_WIDTH
        return (
            ("scope", name_width, paint.faint),
            (f"{'nodes':>{_COUNT_WIDTH}}", _COUNT_WIDTH, paint.faint),
            (f"{'params':>{_SIZE_WIDTH}}", _SIZE_WIDTH, paint.faint),
        )

    def cells(self, row: int, width: int, paint: Paint) -> Sequence[Cell]:
        """Return name, class, and counts of nodes and parameters of a scope."""
        branch, depth = self._rows[row]
        sign = " " if not branch.branches else "▾" if branch in self._opened else "▸"
        left = width - _COUNT_WIDTH - _SIZE_WIDTH
        indent = min(2 * depth, left // 3)
        name_width = min(len(branch.name) + 1, left - indent - 2)
        size = human(branch.parameter_count) if branch.parameter_count else ""
        return (
            (" " * indent + sign, indent + 2, paint.faint),
            (branch.name, name_width, paint.strong if branch.parent is None else paint.text),
            (_beside(branch), left - indent - 2 - name_width, paint.faint),
            (f"{branch.node_count:>{_COUNT_WIDTH},}", _COUNT_WIDTH, paint.text),
            (f"{size:>{_SIZE_WIDTH}}", _SIZE_WIDTH, paint.faint),
        )

    def action_open(self) -> None:
        """Open the scope with the cursor; go to the first in it if it is open."""
        if self.branch in self._opened:
            self.action_move(1)
        elif self.branch.branches:
            self._open(self.cursor)
            self.rows_changed()

    def action_close(self) -> None:
        """Close the scope with the cursor; go to the one around it if it is closed."""
        branch = self.branch
        if branch in self._opened:
            self._close(self.cursor)
            self.rows_changed()
        elif branch.parent is not None:
            self.move_cursor(self._row_of(branch.parent))

    def action_turn(self) -> None:
        """Open the scope with the cursor, or close it."""
        if self.branch in self._opened:
            self.action_close()
        else:
            self.action_open()

    def _open_first(self) -> None:
        """Open scopes, outer ones first, as long as few rows come of it."""
        self._open(0)
        waiting = [branch for branch, _ in self._rows[1:]]
        for branch in waiting:
            if len(self._rows) + len(branch.branches) > _MOST_FIRST_ROWS:
                break
            if branch.branches:
                self._open(self._row_of(branch))
                waiting += branch.branches

    def _row_of(self, branch: Branch) -> int:
        return next(row for row, (other, _) in enumerate(self._rows) if other is branch)

    def _open(self, row: int) -> None:
        branch, depth = self._rows[row]
        self._opened.add(branch)
        self._rows[row + 1 : row + 1] = [(inner, depth + 1) for inner in branch.branches]

    def _close(self, row: int) -> None:
        branch, depth = self._rows[row]
        end = row + 1
        while end < len(self._rows) and self._rows[end][1] > depth:
            self._opened.discard(self._rows[end][0])
            end += 1
        del self._rows[row + 1 : end]
        self._opened.discard(branch)


def _beside(branch: Branch) -> str:
    if branch.parent is None:
        return "function" if branch.function else ""
    return branch.scope.class_name
