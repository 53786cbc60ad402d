"""What there is to a scope, as lines; to a whole graph, also what is known of its program."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from ...ir import Scope
from ..listing import Branch
from ..wording import counted
from .paint import Paint, shown
from .subject import Subject

_MOST_OPERATORS = 20
_MOST_NODES = 20_000  # to count the operators of; more would be waited for


def scope_lines(subject: Subject, branch: Branch, paint: Paint) -> list[Text]:
    """Return what there is to a scope."""
    lines = [_title(branch, paint), _sizes(branch, paint)]
    if branch.parent is None and not branch.function:
        lines += _facts(subject, paint)
    else:
        lines += _way(branch.scope, paint)
    return [*lines, *_operators(branch, paint)]


def _title(branch: Branch, paint: Paint) -> Text:
    scope = branch.scope
    name = branch.name if scope.parent is None else scope.address
    line = Text(shown(name), paint.strong)
    if scope.parent is not None:
        line.append(f"   {scope.kind.value} {shown(scope.class_name)}", paint.faint)
    return line


def _sizes(branch: Branch, paint: Paint) -> Text:
    words = [counted(branch.node_count, "node")]
    if branch.branches:
        words.append(counted(len(branch.branches), "scope"))
    if branch.parameter_count:
        words.append(counted(branch.parameter_count, "parameter"))
    return Text(" · ".join(words), paint.text)


def _facts(subject: Subject, paint: Paint) -> Iterator[Text]:
    yield Text()
    for fact in subject.facts:
        yield Text(shown(fact), paint.warning if fact.startswith("!") else paint.text)


def _way(scope: Scope, paint: Paint) -> Iterator[Text]:
    around = [part for part in scope.ancestors() if part.parent is not None]
    if around:
        yield Text()
    for part in around:
        class_name = f" ({part.class_name})" if part.class_name else ""
        yield Text(shown(f"in {part.address}{class_name}"), paint.faint)


def _operators(branch: Branch, paint: Paint) -> Iterator[Text]:
    if not 0 < branch.node_count <= _MOST_NODES:
        return
    counts = branch.operators().most_common()
    yield Text()
    yield Text("operators", paint.accent)
    for name, count in counts[:_MOST_OPERATORS]:
        yield Text(f"  {count:>7,}  ", paint.text).append(shown(name), paint.text)
    if len(counts) > _MOST_OPERATORS:
        yield Text(f"  and {len(counts) - _MOST_OPERATORS:,} more", paint.faint)
