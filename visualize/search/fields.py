"""What of a node can be searched: filters by their keys, and words, which are looked for everywhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from ...errors import QueryError
from ...ir import DType, ScalarType
from .looks import (
    Maker,
    by_any_line,
    by_class,
    by_everything,
    by_name,
    by_operator,
    by_producer,
    by_scope,
    by_source,
    by_state,
    by_types,
    by_user,
    dtype_texts,
    shape_texts,
)
from .patterns import Fit, compile_pattern
from .shapes import shape_pattern


@dataclass(frozen=True, slots=True)
class Filter:
    """Something that can be asked of nodes.

    Attributes:
        key: what stands before the colon.
        meaning: what the value is, for people.
        pattern: makes a pattern of a value, and refuses one that can be none; the flag says whether it
            stood in quotes.
        look: makes what looks at the nodes of one graph.
    """

    key: str
    meaning: str
    pattern: Callable[[str, bool], re.Pattern[str]]
    look: Maker


def _words(text: str, is_literal: bool) -> re.Pattern[str]:
    return compile_pattern(text, Fit.WORDS, is_literal=is_literal)


def _anywhere(text: str, is_literal: bool) -> re.Pattern[str]:
    return compile_pattern(text, Fit.ANYWHERE, is_literal=is_literal)


def _value_name(text: str, is_literal: bool) -> re.Pattern[str]:
    return compile_pattern(text.removeprefix("%"), Fit.ALL, is_literal=is_literal)


def _name_words(text: str, is_literal: bool) -> re.Pattern[str]:
    return _words(text.removeprefix("%") or text, is_literal)


def _dtype(text: str, is_literal: bool) -> re.Pattern[str]:
    name = text.lower().removeprefix("torch.")
    known = [name for dtype in DType for name in (dtype.value, dtype.long_name)]
    known += [scalar.value for scalar in ScalarType]
    if "*" not in name and name not in known:
        near = get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise QueryError(f"dtype: there is no element type {text}{hint}")
    return compile_pattern(name, Fit.ALL, is_literal=is_literal)


WORD: Final = Filter("", "words, looked for in all of these", _anywhere, by_everything)
"""What is asked by a word without a key."""

FILTERS: Final = {
    filter_.key: filter_
    for filter_ in (
        Filter("op", "the operator: op:conv2d, op:aten::add, op:conv*", _words, by_operator),
        Filter("scope", "the scope, or one around it: scope:layer3.0", _words, by_scope),
        Filter("class", "the class of a module around it: class:Linear", _words, by_class),
        Filter("shape", "sizes that follow one another: shape:1x3, shape:64x*", shape_pattern,
               by_types("shape", shape_texts)),
        Filter("dtype", "an element type: dtype:f16, dtype:float16", _dtype,
               by_types("dtype", dtype_texts)),
        Filter("name", "the name of a result: name:h", _name_words, by_name),
        Filter("state", "state that the node reads: state:fc.weight", _words, by_state),
        Filter("user", "the nodes that read a value: user:%x", _value_name, by_user),
        Filter("from", "the node that makes a value: from:%h", _value_name, by_producer),
        Filter("line", "a line on the Python stack: line:net.py:41", _words, by_any_line),
        Filter("source", 'text of the source line: source:"self.bn("', _anywhere, by_source),
    )
}  # fmt: skip
"""What can be asked by a key, by that key."""
