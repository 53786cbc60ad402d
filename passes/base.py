"""What a pass is: a frozen dataclass whose fields are its options, and what it returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from ..ir import Graph
from .constant_tensors import ConstantTensors
from .torch_facts import TorchFacts


@dataclass(frozen=True, slots=True)
class PassResult:
    """What one run of a pass did.

    Attributes:
        changed: whether the graph is another now.
        stats: what it did, in numbers, such as ``{"erased": 2}``; zeros are left out.
    """

    changed: bool
    stats: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, **stats: int) -> PassResult:
        """Return the result of a pass that changed something if any of these numbers is not zero."""
        counted = {name: count for name, count in stats.items() if count}
        return cls(bool(counted), counted)


class Pass(ABC):
    """Changes a graph in place: valid before, valid after.

    A subclass is a frozen dataclass in a file of its own. Its docstring says, in this order: what it does,
    what it keeps, when that is sound, and what it costs.

    Attributes:
        name: what the pass is called in pipelines and on the command line.
    """

    __slots__ = ()

    name: ClassVar[str]

    @abstractmethod
    def run(self, graph: Graph) -> PassResult:
        """Change ``graph``, and say what was done."""

    def with_facts(self, facts: TorchFacts) -> Pass:
        """Return the pass as it runs where torch can be asked; itself if it has nothing to ask."""
        return self

    def with_tensors(self, tensors: ConstantTensors) -> Pass:
        """Return the pass as it runs on a program that has tensors; itself if it computes with none."""
        return self
