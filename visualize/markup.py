r"""Markup: any text as part of DOT, unable to break the file or to add anything to it.

Note [What Graphviz does to text]
    A quoted string knows the escapes ``\\``, ``\"``, ``\n`` and, in labels and tooltips, ``\N`` and the
    like, which are resolved in HTML-like labels too; so backslashes are doubled. Character references
    such as ``&lt;`` are resolved everywhere, so ampersands are spelled out. HTML-like labels are XML.
    What XML cannot hold, such as control characters and lone surrogates, becomes U+FFFD. Names of
    boxes are never made of user text.
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
    """Return text as a quoted string of DOT; line feeds break the line."""
    safe = clean(text).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + safe.replace("&", "&amp;").replace("\n", "\\n") + '"'


def escaped(text: str) -> str:
    """Return text for the inside of an HTML-like label, on one line, with its spaces kept."""
    spelled = html.escape(clean(text)).replace("\\", "\\\\")
    return spelled.replace("\n", " ").replace("  ", " \u00a0")
