"""Programs as ``torch.fx.GraphModule``, and what the metadata of such modules says of a program."""

from .conversion import graph_module_of
from .examples import example_inputs
from .objects import places_of, program_of
from .origins import Origins, stack_told_by
from .sizes import reading_sizes

__all__ = [
    "Origins",
    "example_inputs",
    "graph_module_of",
    "places_of",
    "program_of",
    "reading_sizes",
    "stack_told_by",
]
