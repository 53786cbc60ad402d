"""Rows of figures about one graph: what opscope takes, and those that do the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from .harness import Claim, Comparison, Effort, interleave

Pass: TypeAlias = tuple[Callable[[], Any], Callable[[Any], Any]]
"""What makes a graph, outside the clock, and what is done with it."""


class Table:
    """Rows about one graph, each with a claim per peer."""

    def __init__(self, effort: Effort) -> None:
        self.rows: list[Comparison] = []
        self._budget_s = effort.budget_s / 4

    def add(
        self,
        what: str,
        ours: Callable[[], Any],
        theirs: Mapping[str, Callable[[], Any]],
        at_least: Mapping[str, float] | None = None,
    ) -> None:
        """Add what takes a graph and leaves it as it is."""

        def unchanged(run: Callable[[], Any]) -> Pass:
            return lambda: None, lambda _: run()

        passes = {name: unchanged(run) for name, run in theirs.items()}
        self.add_pass(what, unchanged(ours), passes, at_least)

    def add_pass(
        self,
        what: str,
        ours: Pass,
        theirs: Mapping[str, Pass],
        at_least: Mapping[str, float] | None = None,
    ) -> None:
        """Add what changes a graph, with what makes a new one for each round."""
        both = {"opscope": ours, **theirs}
        samples = interleave(
            {name: run for name, (_, run) in both.items()},
            self._budget_s,
            fresh={name: make for name, (make, _) in both.items()},
        )
        figures: dict[str, float | None] = {name: samples.median(name) * 1e3 for name in both}
        claims = [
            Claim(
                f"{name} / opscope",
                samples.ratio(name, "opscope"),
                "x",
                (at_least or {}).get(name),
                is_at_least=True,
            )
            for name in theirs
        ]
        self.rows.append(Comparison(what, figures, tuple(claims)))
