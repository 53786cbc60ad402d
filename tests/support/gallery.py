"""Documents whose programs are run: each Python block is followed by what the user sees of it.

``python tests/support/gallery.py docs/diagnostics.md`` writes anew what the programs show.
"""

from __future__ import annotations

import io
import linecache
import os
import re
import sys
import warnings
from contextlib import chdir, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

from opscope import OpscopeError

_EXAMPLE = re.compile(r"```python\n(?P<code>.*?)```\n\n```\n(?P<shown>.*?)```\n", re.DOTALL)
_NAME = "program.py"


def rendered(document: str) -> str:
    """Return a document with what each of its programs shows when it is run now."""
    with TemporaryDirectory() as folder, chdir(folder):
        return _EXAMPLE.sub(
            lambda found: f"```python\n{found['code']}```\n\n```\n{shown_by(found['code'])}```\n",
            document,
        )


def shown_by(code: str) -> str:
    """Return what a program prints, warns about and fails with, as its user sees it."""
    Path(_NAME).write_text(code, encoding="utf-8")
    linecache.checkcache(_NAME)
    linecache.cache.pop(_NAME, None)
    printed = io.StringIO()
    failure = ""
    with warnings.catch_warnings(record=True) as warned, redirect_stdout(printed):
        warnings.simplefilter("always")
        try:
            exec(compile(code, _NAME, "exec"), {"__name__": "__main__"})
        except OpscopeError as error:
            failure = f"{type(error).__name__}: {error}\n"
    text = "".join(
        warnings.formatwarning(w.message, w.category, os.path.relpath(w.filename), w.lineno)
        for w in warned
    )
    return text + printed.getvalue() + failure


def _update(path: Path) -> None:
    path.write_text(rendered(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        _update(Path(name).resolve())
