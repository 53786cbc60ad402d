"""What a functional graph computes for memory: an output that is a new content."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutation:
    """An output of a functional graph that is the new content of an input or of state.

    Attributes:
        output: its position among the graph's outputs.
        name: what the input or state is called.
        input: the position of the input among the graph's inputs; None for state.
        state: the name of the state entry; None for an input.
        is_tracked: whether autograd followed the write, so that the history goes to the new content.
    """

    output: int
    name: str
    input: int | None
    state: str | None
    is_tracked: bool
