"""The parts of a query: words, phrases and filters, read from text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from ...errors import QueryError
from .fields import FILTERS, WORD, Filter

_TERM = re.compile(
    r"""
    (?P<minus>-(?=\S))?
    (?:(?P<key>[A-Za-z_]+):(?!:))?      # aten::add has none
    (?P<sign>%(?="))?                   # %"a name" as text has it
    (?:"(?P<phrase>(?:[^"\\]|\\.)*)"(?=\s|\Z)|(?P<open>")|(?P<word>\S*))
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r'\\(["\\])')


@dataclass(frozen=True, slots=True)
class Term:
    """One thing that a query asks of nodes.

    Attributes:
        filter: what of them is looked at.
        pattern: what it has to be.
        is_negated: whether it must not be that.
        text: how it was written.
    """

    filter: Filter
    pattern: re.Pattern[str]
    is_negated: bool
    text: str


def read_terms(text: str) -> Iterator[Term]:
    """Yield what a query asks, in order.

    Raises:
        QueryError: there is no such filter, a value is missing or cannot be, or quotes are not closed.
    """
    at = 0
    while True:
        while at < len(text) and text[at].isspace():
            at += 1
        if at == len(text):
            return
        match = _TERM.match(text, at)
        assert match is not None, "every part of the expression may be empty"
        yield _read(match)
        at = match.end()


def _read(match: re.Match[str]) -> Term:
    if match["open"] is not None:
        raise QueryError(f"the quotes around {match.string[match.end() :]} are not closed")
    is_phrase = match["phrase"] is not None
    value = _ESCAPED.sub(r"\1", match["phrase"]) if is_phrase else match["word"]
    if match["key"] is None:
        filter_ = WORD
    else:
        filter_ = _filter(match["key"], match[0])
        if not value:
            raise QueryError(f"{match[0]} needs a value: {filter_.meaning}")
    value = (match["sign"] or "") + value
    pattern = filter_.pattern(value, is_phrase)
    return Term(filter_, pattern, match["minus"] is not None, match[0])


def _filter(key: str, text: str) -> Filter:
    filter_ = FILTERS.get(key.lower())
    if filter_ is None:
        near = get_close_matches(key.lower(), FILTERS, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}:?" if near else ""
        raise QueryError(
            f"there is no filter {key}:{hint}\n"
            f"filters are {', '.join(FILTERS)}; for the text itself, write it in quotes:"
            f' "{text.removeprefix("-")}"'
        )
    return filter_
