"""Lines of text that can be scrolled; long ones go on below, indented."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

_HANGING = 2  # columns by which the rest of a long line is indented more than its start


class DetailView(ScrollView, can_focus=True):
    """Shows lines."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_up", "Up", show=False),
        Binding("down,j", "scroll_down", "Down", show=False),
        Binding("pageup", "page_up", "Page up", show=False),
        Binding("pagedown", "page_down", "Page down", show=False),
        Binding("home", "scroll_home", "First", show=False),
        Binding("end", "scroll_end", "Last", show=False),
    ]
    DEFAULT_CSS = (
        "DetailView { overflow-x: hidden; overflow-y: scroll; scrollbar-size-vertical: 1; }"
    )

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: Sequence[Text] = ()
        self._wrapped: list[Text] = []

    def show_lines(self, lines: Sequence[Text]) -> None:
        """Show other lines, from the first."""
        self._lines = lines
        self.scroll_to(y=0, animate=False)
        self._wrap()

    @property
    def text(self) -> str:
        """What is shown, as plain text."""
        return "\n".join(line.plain for line in self._lines)

    def render_line(self, y: int) -> Strip:
        """Return one line of what is in sight."""
        number = self.scroll_offset.y + y
        width = self.scrollable_content_region.width
        ground = self.rich_style
        if number >= len(self._wrapped):
            return Strip.blank(width, ground)
        line = self._wrapped[number]
        style = ground + line.style if isinstance(line.style, Style) else ground
        segments = Segment.apply_style(line.render(self.app.console), style)
        return Strip(segments).adjust_cell_length(width, ground)

    def on_resize(self, event: Resize) -> None:
        """Break the lines for the new width."""
        self._wrap()

    def _wrap(self) -> None:
        width = max(self.scrollable_content_region.width, 10)
        self._wrapped = [part for line in self._lines for part in self._parts(line, width)]
        self.virtual_size = Size(width, len(self._wrapped))
        self.refresh()

    def _parts(self, line: Text, width: int) -> list[Text]:
        if line.cell_len <= width:
            line.end = ""
            return [line]
        if line.no_wrap:
            cut = line.copy()
            cut.truncate(width, overflow="ellipsis")
            return [cut]
        plain = line.plain
        hanging = min(len(plain) - len(plain.lstrip()) + _HANGING, width // 2)
        parts = line.wrap(self.app.console, width - hanging, no_wrap=False)
        for part in parts[1:]:
            part.pad_left(hanging)
        for part in parts:
            part.end = ""
        return list(parts)
