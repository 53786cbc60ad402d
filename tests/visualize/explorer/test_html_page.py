"""The page as text: its policy, its script, its data, whatever the names hold."""

import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from opscope.ir import DType, Effect, Graph, Operator, Scope, ScopeKind, TensorType
from opscope.visualize.explorer import Exhibit, document, page
from opscope.visualize.explorer.html_page import packed
from opscope.visualize.explorer.modules import joined

TYPE = TensorType(DType.F32, (2, 3))
HOSTILE = [
    "</title></script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<!--",
    "]]>",
    "{{script}} {{data}}",
    "a\x00b",
    "\ud800 alone",
    "\u2028",
]


class Reader(HTMLParser):
    """Notes the elements of a page, and the text in each kind of them."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.setdefault(tag, []).append("")
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open[-1]][-1] += data


def graph(name: str) -> Graph:
    """Return a graph of one operator with a name everywhere."""
    made = Graph(name)
    x = made.add_input(TYPE, "x")
    weight = made.add_state(name, TYPE)
    scope = Scope(made.root_scope, ScopeKind.MODULE, name, name)
    operator = Operator("aten::mul", effects=Effect.NONE)
    made.set_outputs([made.append(operator, (x, weight), (TYPE,), scope=scope).output])
    return made


def read(text: str) -> Reader:
    """Read a page as browsers do."""
    reader = Reader()
    reader.feed(text)
    return reader


def content(reader: Reader) -> dict[str, Any]:
    """Return the data of a page."""
    held = reader.texts["script"][0]
    found: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(held)))
    return found


@pytest.mark.parametrize("name", ["plain", *HOSTILE])
def test_names_change_nothing_of_the_page_but_its_title_and_data(name: str) -> None:
    reader = read(page(document(Exhibit(graph(name)))))
    assert [tag for tag, _ in reader.elements].count("script") == 2
    assert {tag for tag, _ in reader.elements} == {
        *("html", "head", "meta", "title", "style", "body", "noscript", "p", "div", "script")
    }
    shown = name.encode(errors="replace").decode()
    assert content(reader)["title"] == shown
    assert any(shown in text for text in content(reader)["texts"])


def test_the_policy_allows_the_one_script_by_its_hash_and_no_connection() -> None:
    reader = read(page(document(Exhibit(graph("Net")))))
    policy = next(
        attrs["content"]
        for tag, attrs in reader.elements
        if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    digest = hashlib.sha256(reader.texts["script"][1].encode()).digest()
    assert rules["script-src"] == f"'sha256-{base64.b64encode(digest).decode()}'"
    assert rules["default-src"] == "'none'"
    assert "connect-src" not in rules
    assert rules["base-uri"] == rules["form-action"] == "'none'"


def test_the_page_names_no_other_file() -> None:
    reader = read(page(document(Exhibit(graph("Net")))))
    leading = [
        (tag, name)
        for tag, attrs in reader.elements
        for name in attrs
        if name in ("src", "href", "action", "data", "poster", "srcset")
    ]
    assert leading == []
    assert not re.search(r"url\((?!data:)|@import", reader.texts["style"][0])


def test_the_picture_is_for_where_scripts_are_off() -> None:
    text = page(document(Exhibit(graph("Net"))), picture="<svg><g/></svg>")
    assert re.search(r"<noscript>.*<svg><g/></svg>\s*</noscript>", text, re.DOTALL)


def test_a_page_is_the_same_each_time() -> None:
    assert packed(document(Exhibit(graph("Net")))) == packed(document(Exhibit(graph("Net"))))


def test_the_joined_script_imports_and_exports_nothing_and_has_each_module_once() -> None:
    script = joined()
    assert not re.search(r"^(import|export)\b", script, re.MULTILINE)
    assert script.count("class Session extends") == 1
    assert script.index("class Session extends") < script.index("new Session(")
    assert "</script" not in script
