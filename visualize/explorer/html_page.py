"""The page: one HTML file that needs nothing else, and lets nothing else in.

Note [What a page may do]
    Its policy allows the one script that stands in it, by its hash, and no connection of any kind. The data
    are compressed, in an element that no browser runs; names from the user's program are only ever set as
    text. Where scripts are off, a picture is shown.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
from typing import Any, Final

from .modules import joined, read_web

_POLICY: Final = (
    "default-src 'none'; script-src '{script}'; style-src 'unsafe-inline'; img-src data: blob:;"
    " base-uri 'none'; form-action 'none'"
)


def page(document: dict[str, Any], *, picture: str = "") -> str:
    """Return the explorer of a document as an HTML page.

    Args:
        document: what ``document`` made of an exhibit.
        picture: an SVG element to show where scripts are off.
    """
    script = joined()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    parts = {
        "policy": _POLICY.format(script=f"sha256-{digest}"),
        "title": html.escape(str(document["title"])),
        "style": read_web("explorer.css") + read_web("panels.css"),
        "data": packed(document),
        "picture": picture,
        "script": script,
    }
    text = read_web("page.html")
    pieces = text.split("{{")
    return pieces[0] + "".join(
        parts[name.strip()] + rest for name, _, rest in (p.partition("}}") for p in pieces[1:])
    )


def packed(document: dict[str, Any]) -> str:
    """Return a document compressed, as text of letters and digits. The same each time."""
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    compressed = gzip.compress(text.encode(errors="replace"), compresslevel=6, mtime=0)
    return base64.b64encode(compressed).decode()
