"""What writes patterns and replacements: calls of operators on names, and on values of a graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from ...errors import PassError
from ...ir import Argument, Node, Operator, TensorType, Type, Value
from ...ir.arguments import values_in
from ..torch_facts import TorchFacts
from .captures import AnyTensor, Capture
from .pattern import PatternNode, Result, Term

FindOperator: TypeAlias = Callable[[str], "Operator | None"]
"""Gives the operator of a name; None if it is not known here."""

_UNKNOWN = TensorType()


class PatternWriter:
    """Records the calls that a function makes as the nodes of a pattern."""

    def __init__(self) -> None:
        self.nodes: list[PatternNode] = []

    def __call__(
        self,
        operator: str,
        *args: Any,
        results: int = 1,
        commutative: bool = False,
        like: Capture | None = None,
        **kwargs: Any,
    ) -> Any:
        """Add a node and return its result, or a tuple of its results if it has not one.

        Args:
            operator: its name with overload; ``aten::add.*`` stands for any overload.
            args: arguments: names, results of other nodes, literals, lists.
            results: how many results it has, lists taken apart.
            commutative: whether its first two arguments may also stand the other way round.
            like: what its results must be like; tensors if left out.
            kwargs: arguments that are passed by name.
        """
        number = len(self.nodes)
        self.nodes.append(
            PatternNode(
                operator,
                (*map(_term, args), *map(_term, kwargs.values())),
                tuple(kwargs),
                (AnyTensor() if like is None else like,) * results,
                is_commutative=commutative,
            )
        )
        made = tuple(Result(number, position) for position in range(results))
        return made[0] if results == 1 else made


def _term(arg: Any) -> Term:
    return tuple(map(_term, arg)) if isinstance(arg, list | tuple) else arg


@dataclass(slots=True)
class NodeWriter:
    """Inserts nodes where the root of a match stands, in its scope and modes, with its source.

    A replacement is written with it: ``op("aten::linear", x, w)`` makes a node and returns its result.

    Attributes:
        root: the root of the match.
        nodes: what was made so far.
    """

    root: Node
    _find: FindOperator
    _facts: TorchFacts | None
    _rule: str
    nodes: list[Node] = field(default_factory=list)

    def __call__(
        self, operator: str, *args: Any, results: int = 1, type_: Type | None = None, **kwargs: Any
    ) -> Any:
        """Make a node and return its result, or a tuple of its results if it has not one.

        Args:
            operator: its name with overload.
            args: values, literals and lists of these.
            results: how many results it has, lists taken apart.
            type_: the type of its results, where it is not found out from torch.
            kwargs: arguments that are passed by name.

        Raises:
            PassError: there is no such operator.
        """
        found = self.operator(operator)
        is_list = results != 1 and len(found.returns) == 1
        return self.append(
            found,
            (*map(_argument, args), *map(_argument, kwargs.values())),
            tuple(kwargs),
            [_UNKNOWN if type_ is None else type_] * results,
            (results,) if is_list else None,
        )

    def append(
        self,
        operator: Operator,
        args: tuple[Argument, ...],
        keywords: tuple[str, ...],
        types: Sequence[Type],
        groups: tuple[int | None, ...] | None,
    ) -> Any:
        """Make a node of an operator that is at hand; see ``Graph.append``."""
        root = self.root
        graph = root.graph
        assert graph is not None, "a match stands in a graph"
        known = self._types(operator, args, keywords, len(types))
        with graph.inserting(root):
            node = graph.append(
                operator,
                args,
                types if known is None else known,
                keywords=keywords,
                groups=groups,
                scope=root.scope,
                stack=root.stack,
                modes=root.modes,
            )
        self.nodes.append(node)
        return node.outputs[0] if len(types) == 1 else node.outputs

    def operator(self, name: str) -> Operator:
        """Return the operator of a name.

        Raises:
            PassError: there is none.
        """
        found = self._find(name)
        if found is None:
            raise PassError(
                f"rule {self._rule} makes a node of {name}, of which nothing is known here\n"
                "  run it by traced.apply(), make it by opscope.rewrite_rule(), or give the rule operators="
            )
        return found

    def _types(
        self,
        operator: Operator,
        args: tuple[Argument, ...],
        keywords: tuple[str, ...],
        count: int,
    ) -> list[Type] | None:
        """Return the types of results as torch gives them; None where that is not known."""
        outcome = None if self._facts is None else self._facts.outcome(operator, args, keywords)
        if outcome is None or len(outcome) != count:
            return None
        tensors = [v.type for v in values_in(args) if isinstance(v.type, TensorType)]
        modes = self.root.modes
        follows = modes.grad and not modes.inference and any(t.requires_grad for t in tensors)
        types: list[Type] = []
        for fact in outcome:
            if fact.type is None or not tensors:
                return None
            # It was found out without memory, and without a history.
            types.append(replace(fact.type, device=tensors[0].device, requires_grad=follows))
        return types


def is_known(value: Value) -> bool:
    """Whether the type of a value that a replacement makes was found out, or told."""
    return value.type != _UNKNOWN


def _argument(arg: Any) -> Any:
    return tuple(map(_argument, arg)) if isinstance(arg, list | tuple) else arg


def discard(nodes: Sequence[Node]) -> None:
    """Take nodes out again that nothing else reads."""
    for node in reversed(nodes):
        node.erase()
