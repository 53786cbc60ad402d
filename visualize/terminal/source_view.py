"""Source lines in their context, with the expression that caused a node underlined."""

from __future__ import annotations

from collections.abc import Iterator

from pygments.lexers.python import PythonLexer
from pygments.token import Comment, Keyword, Number, String, Token, _TokenType
from rich.style import Style
from rich.text import Text

from ...ir import SourceRange
from .paint import Paint, shown

_AROUND = 3  # lines before and after
_MOST_LINES = 9  # of the expression itself
_MOST_COLUMNS = 400  # of a line; minified code has longer ones


def source_lines(place: SourceRange, paint: Paint) -> Iterator[Text]:
    """Yield the lines around a place; none where its text is not known."""
    last = max(place.line, min(place.end_line, place.line + _MOST_LINES - 1))
    numbers = range(max(1, place.line - _AROUND), last + _AROUND + 1)
    texts = {number: place.line_text(number)[:_MOST_COLUMNS] for number in numbers}
    while texts and not texts[max(texts)].strip():
        del texts[max(texts)]
    if place.line not in texts:
        return
    width = len(str(max(texts)))
    indent = min(len(text) - len(text.lstrip()) for text in texts.values() if text.strip())
    for number, text in texts.items():
        is_own = place.line <= number <= last
        line = Text(no_wrap=not is_own, end="")
        line.append("▸ " if is_own else "  ", paint.accent)
        line.append(f"{number:>{width}} │ ", paint.strong if is_own else paint.faint)
        start = len(line)
        line.append_text(_coloured(text[indent:], paint))
        first, end = _columns(place, number, text, indent)
        if is_own and first < end:
            line.stylize(Style(underline=True, bold=True), start + first, start + end)
        yield line


def _columns(place: SourceRange, number: int, text: str, indent: int) -> tuple[int, int]:
    """Return from where to where a line is part of the expression, in columns from ``indent`` on."""
    own_indent = len(text) - len(text.lstrip())
    first = place.column - 1 if number == place.line and place.column else own_indent
    is_last = number == place.end_line and place.end_column
    end = place.end_column - 1 if is_last else len(text.rstrip())
    # A character that is not shown as it is takes more columns than one.
    return _shown_length(text[indent:first]), _shown_length(text[indent:end])


def _shown_length(text: str) -> int:
    return len(shown(text))


def _coloured(text: str, paint: Paint) -> Text:
    """Return one line of Python in colours."""
    line = Text()
    for kind, piece in PythonLexer(stripnl=False, ensurenl=False).get_tokens(text):
        line.append(shown(piece.rstrip("\n")), _style(kind, paint))
    return line


def _style(kind: _TokenType, paint: Paint) -> Style:
    if kind in Comment:
        return paint.faint
    if kind in Keyword or kind in Token.Operator.Word:
        return paint.keyword
    if kind in String or kind in Number:
        return paint.literal
    return paint.text
