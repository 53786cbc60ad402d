"""The functional overload of an operator that writes: ``aten::add.Tensor`` for ``aten::add_.Tensor``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..ir import Modes, Node, Operator, Parameter, TensorType
from .geometry import is_dense
from .torch_facts import TorchFacts


@dataclass(frozen=True, slots=True)
class FunctionalOverload:
    """An operator that computes what another writes, and how the two correspond.

    Attributes:
        operator: writes nothing.
        dropped: parameters of the writing operator that it does not have: those passed as ``out=``.
        contents: for each of its results, the parameter of the writing operator whose new content it
            is; None where it stands for a result that the writing operator makes as well.
    """

    operator: Operator
    dropped: frozenset[str]
    contents: tuple[str | None, ...]


def functional_overload(operator: Operator, facts: TorchFacts) -> FunctionalOverload | None:
    """Return the overload that computes what an operator writes; None if there is none.

    It takes the same parameters in the same order, except that those passed only to be written, by
    keyword, may be missing; and it returns the writing operator's results in order, followed by the
    contents that the writing operator does not return.
    """
    for base_name in _names(operator.base_name):
        for candidate in facts.overloads(base_name):
            if candidate is not operator and not any(p.is_written for p in candidate.parameters):
                found = _correspondence(operator, candidate)
                if found is not None:
                    return found
    return None


def computes_the_same(made: TensorType | None, type_: TensorType, *, is_random: bool) -> bool:
    """Whether an overload that gives ``made`` computes what is written to a tensor of ``type_``.

    Random numbers are drawn in the order of the elements in memory, which on other devices nobody tells.
    """
    if made is None or (made.dtype, made.shape) != (type_.dtype, type_.shape):
        return False
    return not is_random or (is_dense(type_) and type_.device.type == "cpu")


def modes_of_overload(node: Node) -> Modes:
    """Return the modes for an overload that writes nothing: autocast leaves operators that write alone."""
    return replace(node.modes, autocast=()) if node.modes.autocast else node.modes


def is_followed(node: Node) -> bool:
    """Whether autograd follows a node, if it follows what that reads."""
    return node.modes.grad and not node.modes.inference


def _names(base_name: str) -> Iterator[str]:
    namespace, _, name = base_name.partition("::")
    if name.startswith("__i") and name.endswith("__"):  # __iand__ and __and__
        yield f"{namespace}::__{name[3:]}"
    elif name.endswith("_") and not name.endswith("__"):
        yield f"{namespace}::{name[:-1]}"
        yield f"{namespace}::{name[:-1]}_functional"
    yield f"{namespace}::{name}_functional"
    yield base_name


def _correspondence(operator: Operator, candidate: Operator) -> FunctionalOverload | None:
    written = [p for p in operator.parameters if p.is_written]
    outs = [p for p in written if p.is_keyword]
    for dropped in (frozenset(p.name for p in outs), frozenset[str]()):
        kept = [p for p in operator.parameters if p.name not in dropped]
        if list(map(_signature, kept)) != list(map(_signature, candidate.parameters)):
            continue
        contents, types = _contents(operator, written)
        if types == [r.type for r in candidate.returns]:
            return FunctionalOverload(candidate, dropped, tuple(contents))
    return None


def _signature(parameter: Parameter) -> tuple[str, str]:
    """Return what must agree: types, and names of what is passed by name (``dropout`` says ``input``)."""
    return parameter.name if parameter.is_keyword else "", parameter.type


def _contents(operator: Operator, written: list[Parameter]) -> tuple[list[str | None], list[str]]:
    """Return what the results of a functional overload would be, and their types."""
    by_alias = {p.alias: p for p in written}
    contents: list[str | None] = []
    types: list[str] = []
    for result in operator.returns:
        parameter = by_alias.get(result.alias) if result.alias else None
        contents.append(None if parameter is None else parameter.name)
        types.append(result.type)
    for parameter in written:
        if parameter.name not in contents:
            contents.append(parameter.name)
            types.append(parameter.type)
    return contents, types
