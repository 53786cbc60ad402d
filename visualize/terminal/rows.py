"""A list of rows with a cursor, of which only those in sight are ever made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click, Resize
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from .paint import Paint, paint_for, shown

Cell = tuple[str, int, Style]
"""Text, how many columns it gets, and how it looks."""


class _RowsMessage(Message):
    """Something that happened in a list of rows."""

    def __init__(self, rows: Rows) -> None:
        super().__init__()
        self.rows = rows

    @property
    def control(self) -> Rows:
        """The list."""
        return self.rows


class Rows(ScrollView, can_focus=True):
    """A list of rows; what they are, classes derived from it say.

    Attributes:
        cursor: the number of the row with the cursor.
        has_heading: whether a line stands above the rows.
    """

    has_heading: ClassVar[bool] = False

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "move_page(-1)", "Page up", show=False),
        Binding("pagedown", "move_page(1)", "Page down", show=False),
        Binding("home", "move_to(0)", "First", show=False),
        Binding("end", "move_to(-1)", "Last", show=False),
        Binding("enter", "choose", "Go in"),
    ]
    DEFAULT_CSS = "Rows { overflow-x: hidden; scrollbar-size-vertical: 1; }"

    class Moved(_RowsMessage):
        """The cursor is on another row."""

    class Chosen(_RowsMessage):
        """The row with the cursor was chosen."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.cursor = 0

    @property
    def row_count(self) -> int:
        """How many rows there are."""
        raise NotImplementedError

    def cells(self, row: int, width: int, paint: Paint) -> Sequence[Cell]:
        """Return the cells of a row, which are ``width`` wide together."""
        raise NotImplementedError

    def heading(self, width: int, paint: Paint) -> Sequence[Cell]:
        """Return the cells of the line above the rows; none if there is no such line."""
        return ()

    def move_cursor(self, row: int, *, is_jump: bool = False) -> None:
        """Put the cursor on a row, the nearest that there is, and bring it into sight.

        Args:
            row: the row.
            is_jump: whether a row that is not in sight goes to the middle, so that others around it are.
        """
        self.cursor = max(0, min(row, self.row_count - 1))
        first = self.scroll_offset.y
        seen = max(1, self._seen)
        if not first <= self.cursor < first + seen:
            below = seen // 2 if is_jump else 0 if self.cursor < first else seen - 1
            self.scroll_to(y=max(0, self.cursor - below), animate=False)
        self.refresh()
        self.post_message(self.Moved(self))

    def rows_changed(self) -> None:
        """Show the rows that there are now."""
        self.virtual_size = Size(self._width, self.row_count + self._above)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Return one line of what is in sight."""
        width = self._width
        paint = paint_for(is_dark=self.app.current_theme.dark)
        ground = self.rich_style
        if y < self._above:
            return _strip(self.heading(width, paint), width, ground)
        row = self.scroll_offset.y + y - self._above
        if row >= self.row_count:
            return Strip.blank(width, ground)
        if row == self.cursor:
            ground += paint.cursor if self.has_focus else paint.cursor_away
        return _strip(self.cells(row, width, paint), width, ground)

    def on_resize(self, event: Resize) -> None:
        """Fit the rows into their new width."""
        self.rows_changed()

    def on_click(self, event: Click) -> None:
        """Put the cursor where the mouse is; a second click chooses."""
        row = self.scroll_offset.y + event.y - self._above
        if event.y < self._above or row >= self.row_count:
            return
        if event.chain > 1:
            self.action_choose()
        else:
            self.move_cursor(row)

    def action_move(self, rows: int) -> None:
        """Move the cursor by some rows."""
        self.move_cursor(self.cursor + rows)

    def action_move_page(self, pages: int) -> None:
        """Move the cursor by what is in sight."""
        self.move_cursor(self.cursor + pages * max(1, self._seen - 1))

    def action_move_to(self, row: int) -> None:
        """Move the cursor to a row; -1 is the last."""
        self.move_cursor(row if row >= 0 else self.row_count - 1)

    def action_choose(self) -> None:
        """Choose the row with the cursor."""
        if self.row_count:
            self.post_message(self.Chosen(self))

    @property
    def _above(self) -> int:
        """How many lines stand above the rows."""
        return 1 if self.has_heading else 0

    @property
    def _seen(self) -> int:
        """How many rows are in sight."""
        return self.scrollable_content_region.height - self._above

    @property
    def _width(self) -> int:
        """How many columns there are, beside the scroll bar."""
        return self.scrollable_content_region.width


def _strip(cells: Sequence[Cell], width: int, ground: Style) -> Strip:
    segments = [
        Segment(_fitted(shown(text), columns), ground + style) for text, columns, style in cells
    ]
    return Strip(segments).adjust_cell_length(width, ground)


def _fitted(text: str, columns: int) -> str:
    """Return text that takes exactly some columns, its end replaced by ``…`` if need be."""
    if columns <= 0:
        return ""
    if len(text) > 4 * columns or cell_len(text) > columns:
        return set_cell_size(text[: 4 * columns], columns - 1) + "…"
    return set_cell_size(text, columns)
