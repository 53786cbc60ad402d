"""Pipelines that go by one name, as data: the names of their passes, with options, in the order they run.

They follow those of TorchScript's executor. What passes are for there that lower gradients or check operators
in place, a graph has no need of: its backward pass is nodes like any other, and writes are kept wherever they
are seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_CANONICAL: Final = ("inline", "normalize_ops", "dce")
_WATCHED: Final = ("inline", "specialize_types", "lower_simple_tuples", "normalize_ops", "dce")

PIPELINES: Final[Mapping[str, tuple[str, ...]]] = {
    # One flat graph of canonical operators, without what nothing reads; all else as it was traced.
    "noopt": _CANONICAL,
    # What holds whatever the sizes of the next run are.
    "profiling_insensitive": (
        "inline", "erase_profiling", "lower_simple_tuples", "normalize_ops", "dce", "fold_shapes",
        "constant_propagation", "dce", "cse", "constant_pooling", "peephole", "dce",
    ),
    # The same, until a second look finds nothing new: for a graph that will run often. Its types become those
    # that runs were found to have, if it was watched, so guards must stand before it then.
    "profiled": (
        *_WATCHED, "fold_shapes", "peephole", "constant_propagation", "dce", "cse", "peephole",
        "constant_propagation", "constant_pooling", "cse", "dce",
    ),
    # For inference.
    "no_grad": (
        *_WATCHED, "fold_shapes", "peephole", "constant_propagation", "constant_pooling", "cse", "dce",
    ),
}  # fmt: skip
