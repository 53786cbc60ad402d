"""The words of Python that get colours, and the expression that gets a line below it."""

from collections.abc import Callable
from typing import Any

import pytest

Browse = Callable[..., Any]

TOKENS = """
const lines = known.split('\\n');
const word = (at) => ({ start, end, kind }) => `${kind} ${lines[at].slice(start, end)}`;
return pythonTokens(lines).map((tokens, at) => tokens.map(word(at)));
"""


@pytest.mark.parametrize(
    ("line", "tokens"),
    [
        (
            "def f(x): return None",
            ["keyword def", "definition f", "keyword return", "keyword None"],
        ),
        (
            "class A(B): pass  # why",
            ["keyword class", "definition A", "keyword pass", "comment # why"],
        ),
        ("@torch.no_grad()", ["decorator @torch.no_grad"]),
        ("a @ b", []),
        ("x = 'it\\'s' + f\"{y}#\"", ["string 'it\\'s'", 'string f"{y}#"']),
        ("y = 0x1F + 1_000.5e-3j + z1", ["number 0x1F", "number 1_000.5e-3j"]),
        ("match = match + 1", ["number 1"]),
        ("match x:", ["keyword match"]),
        ("define = classy", []),
        ("größe = 'ß'", ["string 'ß'"]),
        ("s = 'open", ["string 'open"]),
    ],
)
def test_the_words_of_a_line(browse: Browse, line: str, tokens: list[str]) -> None:
    assert browse(TOKENS, known=line) == [tokens]


def test_a_long_string_goes_on_over_lines(browse: Browse) -> None:
    text = 'x = """one\ntwo # no comment\n"""; return'
    assert browse(TOKENS, known=text) == [
        ['string """one'],
        ["string two # no comment"],
        ['string """', "keyword return"],
    ]


@pytest.mark.parametrize(
    ("text", "line", "place", "expression"),
    [
        ("y = f(x) + 1", 5, (5, 5, 5, 9), "f(x)"),
        ("y = f(x) + 1", 5, (5, 0, 0, 0), "y = f(x) + 1"),
        ("    y = f(", 5, (5, 9, 7, 6), "f("),
        ("        x,", 6, (5, 9, 7, 6), "x,"),
        ("    ) + 1", 7, (5, 9, 7, 6), ")"),
        ("s = '😀' + f(x)", 5, (5, 11, 5, 15), "f(x)"),
        ("y = f(x)", 6, (5, 5, 5, 9), None),
    ],
)
def test_the_expression_of_a_frame_is_found_on_each_of_its_lines(
    browse: Browse, text: str, line: int, place: tuple[int, int, int, int], expression: str | None
) -> None:
    script = """
    const [text, line, [first, column, endLine, endColumn]] = known;
    const span = expressionOn({ line: first, column, endLine, endColumn }, line, text);
    return span && text.slice(...span);
    """
    assert browse(script, known=[text, line, place]) == expression
