r"""Markup: any text as part of DOT, unable to break the file or to add anything to it.

Note [What Graphviz does to text]
    Character references such as ``&lt;`` are resolved in every text, so ampersands are spelled out.
    Escapes such as ``\\``, ``\n`` and ``\N`` (the name of a box) are resolved once in labels, the
    HTML-like ones too, and twice in tooltips, so backslashes are doubled as often. HTML-like labels
    are XML. What XML cannot hold, such as control characters and lone surrogates, becomes U+FFFD.
    Names of boxes are never made of user text.
"""

from __future__ import annotations

import html
import re

_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_MARKS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")  # would turn text around them


def clean(text: str) -> str:
    """Return text with everything replaced that XML cannot hold or that reorders its surroundings."""
    return _MARKS.sub("\ufffd", _FORBIDDEN.sub("\ufffd", text))


def quoted(text: str) -> str:
    """Return text as a quoted string of DOT, for a tooltip; line feeds break the line."""
    safe = clean(text).replace("&", "&amp;").replace("\\", "\\" * 4).replace('"', '\\"')
    return '"' + safe.replace("\n", "\\n") + '"'


def escaped(text: str) -> str:
    """Return text for the inside of an HTML-like label, on one line, with its spaces kept."""
    spelled = html.escape(clean(text)).replace("\\", "\\\\")
    return spelled.replace("\n", " ").replace("  ", " \u00a0")
