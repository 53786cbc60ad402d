"""All that is known of a node, as lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from rich.style import Style
from rich.text import Text

from ...ir import Argument, Block, Frame, Node, Value
from ...ir.arguments import values_in
from ..listing import named_arguments
from .node_table import place_text
from .paint import Paint, shown
from .source_view import source_lines
from .subject import Subject

_MOST_VALUES = 24  # of one argument, or users of one result
_MOST_FRAMES = 60
_LEAST_NAME_WIDTH = 6
_MOST_NAME_WIDTH = 20


class NodeDetails:
    """Writes what is known of one node.

    Args:
        subject: what is browsed.
        node: the node.
        paint: how it looks.
    """

    def __init__(self, subject: Subject, node: Node, paint: Paint) -> None:
        self._subject = subject
        self._node = node
        self._paint = paint
        self._statements = subject.statements(node)
        widest = max((len(name) for name, _ in named_arguments(node)), default=0)
        self._name_width = min(max(widest, _LEAST_NAME_WIDTH), _MOST_NAME_WIDTH)

    def lines(self) -> list[Text]:
        """Return all of it."""
        return [
            *self._title(),
            *self._diagnostics(),
            *self._arguments(),
            *self._results(),
            *self._source(),
            *self._surroundings(),
            *self._stack(),
        ]

    def _title(self) -> Iterator[Text]:
        node, paint = self._node, self._paint
        line = Text()
        line.append(shown(node.operator.name), paint.operator(node.operator) + Style(bold=True))
        effects = [effect.name.lower().replace("_", " ") for effect in node.effects if effect.name]
        if effects and node.operator.parameters:
            line.append(f"   effects: {', '.join(effects)}", paint.faint)
        yield line

    def _heading(self, title: str) -> Iterator[Text]:
        yield Text()
        yield Text(title, self._paint.accent)

    def _diagnostics(self) -> Iterator[Text]:
        for found in self._subject.diagnostics_of(self._node):
            first, *rest = str(found).splitlines()
            yield Text()
            yield Text(f"! {shown(first)}", self._paint.warning)
            yield from (Text(shown(line), self._paint.text) for line in rest)
        for guard in self._subject.guards_of(self._node):
            yield Text()
            line = Text("? a replay requires ", self._paint.accent)
            yield line.append(shown(guard.text), self._paint.strong)

    def _arguments(self) -> Iterator[Text]:
        named = named_arguments(self._node)
        if not named:
            return
        yield from self._heading("arguments")
        for name, given in named:
            yield from self._argument(name or "·", given)

    def _argument(self, name: str, given: Argument) -> Iterator[Text]:
        if isinstance(given, Value):
            yield self._operand(name, given)
            return
        values = values_in((given,))
        if not isinstance(given, tuple) or not values:
            yield self._named(name).append(
                shown(self._statements.argument(given)), self._paint.text
            )
            return
        yield self._named(name).append(f"list of {len(given)}", self._paint.faint)
        for value in values[:_MOST_VALUES]:
            yield self._operand("", value)
        yield from self._more(len(values) - _MOST_VALUES, "values")

    def _operand(self, name: str, value: Value) -> Text:
        line = self._declared(self._named(name), value)
        if value.node is not None:
            line.append("  ← ", self._paint.faint)
            return self._place_in_words(line, value.node)
        entry = value.state
        if entry is None:
            return line.append("  ← input", self._paint.faint)
        line.append(f"  ← {entry.kind.name.lower()}", self._paint.faint)
        others = ", ".join(entry.names[1:])
        return line.append(shown(f" = {others}"), self._paint.faint) if others else line

    def _results(self) -> Iterator[Text]:
        node, paint = self._node, self._paint
        yield from self._heading("results")
        written = [p.name for p in node.operator.parameters if p.is_written]
        if written:
            yield Text("  writes ", paint.faint).append(shown(", ".join(written)), paint.text)
        if not node.outputs:
            yield Text("  none", paint.faint)
        for value in node.outputs:
            yield self._declared(Text("  "), value)
            users = value.users
            if not users:
                yield Text("    nothing reads it", paint.faint)
            for user in users[:_MOST_VALUES]:
                yield self._user(Text("    → ", paint.faint), user)
            yield from self._more(len(users) - _MOST_VALUES, "users")

    def _user(self, line: Text, user: Node | Block) -> Text:
        if isinstance(user, Node):
            if user.outputs:
                name = self._statements.references[user.outputs[0]]
                line.append(f"{shown(name)} ", self._paint.strong)
            return self._place_in_words(line, user)
        where = "returned" if user.owner is None else f"out of a block of {user.owner.kind}"
        return line.append(shown(where), self._paint.text)

    def _source(self) -> Iterator[Text]:
        place = self._node.source
        if place is None:
            return
        yield from self._heading(
            shown(f"source   {_where(place.file, place.line, place.function)}")
        )
        lines = list(source_lines(place, self._paint))
        yield from lines or [Text("the text of this file is not known", self._paint.faint)]

    def _surroundings(self) -> Iterator[Text]:
        node, paint = self._node, self._paint
        yield from self._heading("where")
        scopes = [scope for scope in reversed(node.scope.chain()) if scope.parent is not None]
        for name, scope in zip(["scope", *["in"] * len(scopes)], scopes, strict=False):
            line = self._named(name).append(shown(scope.address), paint.text)
            class_name = f" ({scope.class_name})" if scope.class_name else ""
            yield line.append(shown(class_name), paint.faint)
        yield self._named("modes").append(shown(str(node.modes)), paint.text)
        number = f"{self._subject.place(node) + 1:,} of {len(self._subject.nodes):,}"
        yield self._named("node").append(number, paint.text)

    def _stack(self) -> Iterator[Text]:
        stack = self._node.stack
        if stack is None:
            return
        yield from self._heading("stack, innermost call first")
        for frame in islice(stack, _MOST_FRAMES):
            yield self._frame(frame)
        yield from self._more(sum(1 for _ in stack) - _MOST_FRAMES, "calls")

    def _frame(self, frame: Frame) -> Text:
        place = frame.range
        style = self._paint.faint if frame.is_library else self._paint.text
        line = Text("  ").append(shown(_where(place.file, place.line, place.function)), style)
        text = place.text.strip()[:200]
        return line.append(f"   {shown(text)}", self._paint.faint) if text else line

    def _named(self, name: str) -> Text:
        return Text("  ").append(f"{shown(name):<{self._name_width}} ", self._paint.faint)

    def _declared(self, line: Text, value: Value) -> Text:
        line.append(shown(self._statements.references[value]), self._paint.strong)
        return line.append(f" : {shown(self._statements.type(value.type))}", self._paint.text)

    def _place_in_words(self, line: Text, node: Node) -> Text:
        """Append how people find a node: its operator, its line, and its scope if that is another."""
        name = node.operator.name.removeprefix("aten::")
        line.append(shown(name), self._paint.operator(node.operator))
        around = f"  {node.scope.address}" if node.scope is not self._node.scope else ""
        return line.append(shown(f"  {place_text(node)}{around}"), self._paint.faint)

    def _more(self, count: int, what: str) -> Iterator[Text]:
        if count > 0:
            yield Text(f"    and {count:,} more {what}", self._paint.faint)


def _where(file: str, line: int, function: str) -> str:
    return f"{file}:{line} in {function}" if function else f"{file}:{line}"


def node_lines(subject: Subject, node: Node, paint: Paint) -> Sequence[Text]:
    """Return all that is known of a node, as lines."""
    return NodeDetails(subject, node, paint).lines()
