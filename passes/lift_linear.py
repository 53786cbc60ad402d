"""Products with a transposed weight as ``aten::linear``, which modules, pictures and reports know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from ..ir import Graph
from .base import Pass, PassResult
from .patterns.captures import AnyTensor, Anything
from .patterns.matching import Match
from .patterns.rewriting import rewrite
from .patterns.rule import Rule, rewrite_rule
from .torch_facts import TorchFacts


@dataclass(frozen=True, slots=True)
class LiftLinear(Pass):
    """Make ``aten::linear`` of products with a transposed matrix, and of the bias that a product adds.

    Given:   %wt : f32[16, 4] = aten::t(%w)
             %h : f32[2, 4] = aten::addmm(%b, %x, %wt)
             %y : f32[2, 4] = aten::matmul(%h, %wt)
    Result:  %h : f32[2, 4] = aten::linear(%x, %w, %b)
             %y : f32[2, 4] = aten::linear(%h, %w)

    A program that writes ``x @ w.T`` or ``torch.addmm(b, x, w.t())``, and a graph that came apart into these,
    is one of layers then. The transposed weight goes if nothing else reads it.

    Keeps each bit: ``linear`` computes just these products of just these arguments, at any size, and in
    mixed precision too. A bias that is added afterwards stays, since ``linear`` would add it inside the
    product, which rounds otherwise. Sound where rewrites are; see ``patterns/surroundings.py``.
    Cost: O(size).
    """

    name: ClassVar[str] = "lift_linear"

    facts: TorchFacts | None = None

    def with_facts(self, facts: TorchFacts) -> LiftLinear:
        """Return the pass as it asks ``facts`` for the operator that it makes nodes of."""
        return self if self.facts is not None else replace(self, facts=facts)

    def run(self, graph: Graph) -> PassResult:
        """Lift the products of a graph and of its functions.

        Raises:
            PassError: there is something to lift, and neither the graph nor ``facts`` know ``aten::linear``.
        """
        return PassResult.of(lifted=sum(rewrite(graph, _RULES, self.facts).values()))


_MATRIX: Final = AnyTensor(rank=2)


def _swaps_both(match: Match) -> bool:
    """Whether two dimensions are those of a matrix, the one and the other."""
    dims = [match["a"], match["b"]]
    return all(d.__class__ is int for d in dims) and {d % 2 for d in dims} == {0, 1}  # type: ignore[operator]


def _rules() -> Iterator[Rule]:
    transposes = {
        "aten::t": (), "aten::numpy_T": (), "aten::mT": (), "aten::transpose.int": ("a", "b")
    }  # fmt: skip
    for transpose, dims in transposes.items():
        given = "".join(f", %{dim}" for dim in dims)
        heads = {dim: Anything() for dim in dims}
        inputs = "".join(f", %{dim} : any" for dim in dims)
        for product in ("aten::matmul", "aten::mm"):
            yield rewrite_rule(
                f"""
                graph linear(%x : tensor, %w : tensor{inputs}):
                  %0 : tensor = {transpose}(%w{given})
                  %1 : tensor = {product}(%x, %0)
                  return (%1)
                """,
                _without_bias,
                captures={"w": _MATRIX, **heads},
                where=_swaps_both if dims else None,
                keeps_inner=True,
                asks_types=False,
            )
        yield rewrite_rule(
            f"""
            graph linear(%bias : tensor, %x : tensor, %w : tensor{inputs}):
              %0 : tensor = {transpose}(%w{given})
              %1 : tensor = aten::addmm(%bias, %x, %0)
              return (%1)
            """,
            _with_bias,
            captures={"bias": AnyTensor(rank=1), "x": _MATRIX, "w": _MATRIX, **heads},
            where=_swaps_both if dims else None,
            keeps_inner=True,
            asks_types=False,
        )


def _without_bias(op: Any, x: Any, w: Any) -> Any:
    return op("aten::linear", x, w)


def _with_bias(op: Any, x: Any, w: Any, bias: Any) -> Any:
    return op("aten::linear", x, w, bias)


_RULES: Final = tuple(_rules())
