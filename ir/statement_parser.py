"""Reads what statements are made of: the names of values, results, operators and arguments."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from ..errors import ParseError
from .arguments import Argument
from .cursor import QUOTED, Cursor
from .literals import FunctionRef
from .names import is_number
from .operator import Operator, OperatorTable
from .type_parser import TypeParser, parse_literal
from .types import Type
from .value import Value

_VALUE = re.compile(rf"%(?:(\w+(?:\.\w+)*)|({QUOTED}))")
_DECLARATION = re.compile(r"[ \t]*%(\w+(?:\.\w+)*)[ \t]*:")  # the usual form, read in one go
_OPERATOR = re.compile(rf"(?:([\w.]+(?:::[\w.]+)*)|({QUOTED}))[ \t]*\(")
# An argument that needs no thought: a value, a word, or a list of words. Its text is its key.
_SIMPLE_ARGUMENT = re.compile(
    r"[ \t]*(?:(\w+)=)?(%\w+(?:\.\w+)*|-?\w[\w.:+-]*|\[[\w.:+, -]*\])[ \t]*([,)])"
)
_KEYWORD = re.compile(rf"(?:(\w+)|({QUOTED}))[ \t]*=")
_LISTS_AND_WORDS = re.compile(r"(?:\w+=)?\[[^\[\]]*\]|[^\[\], ]+")
_PLAIN_NAME = re.compile(r"\w+(?:\.\w+)*\Z")

ADVICE: Final = "write a node as %y : f32[2, 3] = aten::neg(%x), and end a graph with return (%y)"
"""How statements are written."""


class Vocabulary:
    """What the graph of a text and its functions share: all words that were read once.

    Attributes:
        types: reads types, each text once.
        operators: the operators met, by name.
        calls: where each function is named first.
    """

    __slots__ = ("_table", "calls", "operators", "types")

    def __init__(self, cursor: Cursor, operators: OperatorTable) -> None:
        self.types = TypeParser(cursor)
        self.operators: dict[str, Operator] = {}
        self.calls: dict[FunctionRef, int] = {}
        self._table = operators

    def operator(self, name: str) -> Operator:
        """Return the operator of a name, which the table is asked for once."""
        operator = self.operators.get(name)
        if operator is None:
            operator = self.operators[name] = self._table(name)
        return operator


class StatementParser:
    """Reads parts of statements, and knows the values that are visible where it reads.

    Attributes:
        defined: what the visible values are called in text, in the order they were defined.
    """

    __slots__ = ("_cursor", "_text", "_type", "_vocabulary", "_words", "defined")

    def __init__(self, cursor: Cursor, vocabulary: Vocabulary) -> None:
        self._cursor = cursor
        self._text = cursor.text
        self._vocabulary = vocabulary
        self._type = vocabulary.types.type
        # What an argument stands for by its text: visible values by their names, and literals.
        self._words: dict[str, Argument] = {}
        self.defined: list[str] = []

    def define(self, value: Value, name: str, start: int) -> None:
        """Make a name that stands at ``start`` that of a value.

        Raises:
            ParseError: it is taken.
        """
        key = _key(name)
        if key in self._words:
            self.refuse_taken(name, start)
        self._words[key] = value
        self.defined.append(key)
        if not is_number(name) and value.state is None:
            value.name = name

    def refuse_taken(self, name: str, start: int) -> None:
        """Raise the error that a name is taken, if it is."""
        if _key(name) in self._words:
            raise self._cursor.error(
                f"%{name} is defined already",
                "give one of the two another name",
                start,
                len(name) + 1,
            )

    def hide(self, names: list[str]) -> dict[str, Argument]:
        """Forget values, and return them by their names, as ``show`` takes them."""
        return {name: self._words.pop(name) for name in names}

    def show(self, values: dict[str, Argument]) -> None:
        """Know values again that were hidden."""
        self._words.update(values)

    def leave_block(self, mark: int) -> None:
        """Forget what was defined since ``defined`` had ``mark`` names."""
        for name in self.defined[mark:]:
            del self._words[name]
        del self.defined[mark:]

    def name(self) -> tuple[str, int]:
        """Read ``%x`` and return the name and where it starts."""
        cursor = self._cursor
        match = cursor.expect(_VALUE, "a value", 'write %name, or %"any text"')
        return match[1] or cursor.unquote(match[2], match.start(2)), match.start()

    def declaration(self) -> tuple[str, int, Type]:
        """Read ``%x : int`` and return name, where it starts, and type."""
        cursor = self._cursor
        match = _DECLARATION.match(self._text, cursor.position)
        if match is not None:
            cursor.position = match.end()
            return match[1], match.start(1) - 1, self._type()
        name, start = self.name()
        cursor.demand(":", "between a value and its type", "write %x : f32[2, 3]")
        return name, start, self._type()

    def results(
        self, names: list[tuple[str, int]], types: list[Type]
    ) -> tuple[int | None, ...] | None:
        """Read what stands before a call into ``names`` and ``types``, and return its groups."""

        def read() -> None:
            name, start, type_ = self.declaration()
            names.append((name, start))
            types.append(type_)

        return self.grouped(read)

    def grouped(self, read: Callable[[], None]) -> tuple[int | None, ...] | None:
        """Read results, each by ``read``, up to the equals sign, and return how they are grouped."""
        cursor = self._cursor
        groups: list[int | None] = []
        while True:
            if cursor.take("["):
                count = 0
                for _ in cursor.items("]", ADVICE):
                    read()
                    count += 1
                groups.append(count)
            else:
                read()
                groups.append(None)
            if cursor.take("="):
                break
            cursor.demand(",", 'or "=" after a result', ADVICE)
            cursor.skip_gap()
        return None if groups == [None] * len(groups) else tuple(groups)

    def operator(self) -> Operator:
        """Read an operator and the parenthesis behind it."""
        cursor = self._cursor
        match = cursor.expect(_OPERATOR, "an operator and its arguments", ADVICE)
        return self._vocabulary.operator(match[1] or cursor.unquote(match[2], match.start(2)))

    def arguments(self, args: list[Argument]) -> tuple[str, ...]:
        """Read arguments up to the closing parenthesis, and return the names of the last ones."""
        cursor = self._cursor
        text = self._text
        keywords: list[str] = []
        if cursor.take(")"):
            return ()
        mark = ","
        while mark != ")":
            match = _SIMPLE_ARGUMENT.match(text, cursor.position)
            if match is None:
                keyword, arg, mark = self._long_argument()
            else:
                keyword, word, mark = match.groups()
                arg = self._word(word, match.start(2))
                cursor.position = match.end()
            if keyword is not None:
                if keyword in keywords:
                    raise self._misplaced(f"{keyword} is given twice", "drop one of them")
                keywords.append(keyword)
            elif keywords:
                raise self._misplaced(
                    f"an argument without a name stands after {keywords[-1]}=",
                    "put arguments with names last",
                )
            args.append(arg)
        return tuple(keywords)

    def known_arguments(self, text: str) -> tuple[tuple[Argument, ...], tuple[str, ...]] | None:
        """Return the arguments that a text without quotes stands for, and the names of the last ones.

        None where it holds a word that was not met before, or is in any way unusual.
        """
        if not text:
            return (), ()
        words = text.split(", ")
        if "[" in text:
            words = _LISTS_AND_WORDS.findall(text)
            if ", ".join(words) != text:
                return None
        keywords: tuple[str, ...] = ()
        if "=" in text:
            found = [word.partition("=") for word in words]
            keywords = tuple([name for name, mark, _ in found if mark])
            named = found[len(found) - len(keywords) :]
            if not all(mark and name.isidentifier() for name, mark, _ in named):
                return None
            if len(set(keywords)) < len(keywords):
                return None
            words = [word if mark else name for name, mark, word in found]
        try:
            return tuple(map(self._words.__getitem__, words)), keywords
        except KeyError:
            return None

    def operand(self) -> Value:
        """Read ``%x`` and return the value that it names."""
        return self.named(*self.name())

    def named(self, name: str, start: int) -> Value:
        """Return the value of a name that stands at ``start``.

        Raises:
            ParseError: there is none, or none that is visible.
        """
        value = self._words.get(_key(name))
        if not isinstance(value, Value):
            raise self._undefined(name, start)
        return value

    def _misplaced(self, what: str, advice: str) -> ParseError:
        return self._cursor.error(what, advice, self._cursor.position - 1)

    def _word(self, word: str, start: int) -> Argument:
        """Return what a simple argument at ``start`` stands for."""
        if word in self._words:
            return self._words[word]
        self._cursor.position = start
        arg = self._argument()
        if self._cursor.position != start + len(word):
            raise self._cursor.unexpected('"," or ")" after an argument', ADVICE)
        self._words[word] = arg
        return arg

    def _long_argument(self) -> tuple[str | None, Argument, str]:
        cursor = self._cursor
        cursor.skip_gap()
        keyword = None
        match = cursor.accept(_KEYWORD)
        if match is not None:
            keyword = match[1] or cursor.unquote(match[2], match.start(2))
        arg = self._argument()
        cursor.skip_gap()
        if cursor.take(")"):
            return keyword, arg, ")"
        cursor.demand(",", 'or ")" after an argument', ADVICE)
        return keyword, arg, ","

    def _argument(self) -> Argument:
        cursor = self._cursor
        cursor.skip_gap()
        start = cursor.position
        if self._text.startswith("%", start):
            return self.operand()
        if cursor.take("["):
            return tuple([self._argument() for _ in cursor.items("]", ADVICE)])
        literal = parse_literal(cursor)
        if isinstance(literal, FunctionRef):
            self._vocabulary.calls.setdefault(literal, start)
        return literal

    def _undefined(self, name: str, start: int) -> ParseError:
        cursor = self._cursor
        definition = re.compile(rf"%{re.escape(name)}[ \t]*:").search(self._text)
        if definition is None:
            what, advice = "is not defined", "define it, or correct the name"
        elif definition.start() > start:
            line = cursor.line_number(definition.start())
            what, advice = "is used before it is defined", f"it is defined in line {line}"
        else:
            line = cursor.line_number(definition.start())
            what = "is not visible here"
            advice = f"it is defined in line {line}, in another block or graph"
        return cursor.error(f"%{name} {what}", advice, start, len(name) + 1)


def _key(name: str) -> str:
    """Return how text refers to a value; only what needs quotes has some."""
    return f"%{name}" if name.isalnum() or _PLAIN_NAME.match(name) else f'%"{name}"'
