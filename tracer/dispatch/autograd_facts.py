"""What autograd keeps of a call until its backward, read off the nodes that a call leaves behind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import torch

from ...passes.torch_facts import AutogradFact
from .composites import composite_calls
from .dispatcher import storage_key
from .gradients import leaf_of
from .saved_results import saves_untold

# Composite operators go through others that may differ from device to device, as attention does, and with
# these what is kept. Of these, none keeps its result on any.
_KEEP_NO_RESULT: Final = frozenset(
    f"aten::{name}"
    for name in """
    conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d linear matmul batch_norm
    instance_norm layer_norm group_norm
    """.split()
)
_SAVED = "_saved_"


def fact_of_call(
    overload: Any,
    base_name: str,
    results: Iterable[Any],
    operands: Sequence[torch.Tensor | None],
    before: Iterable[Any],
) -> AutogradFact | None:
    """Return what autograd keeps of a call; None if its nodes do not tell.

    Args:
        overload: torch's operator.
        base_name: its name without overload.
        results: what it gave.
        operands: the tensors that it was given, None for what is none.
        before: the nodes of autograd's graph that these came from.
    """
    ends = set(map(id, before))
    tensors = [result for result in results if isinstance(result, torch.Tensor)]
    kept: set[Any] = set()
    histories = []
    for result in tensors:
        history = _history(result.grad_fn, ends, kept)
        if history is None:
            return None
        histories.append(history)
    if composite_calls(overload) is not None and base_name not in _KEEP_NO_RESULT:
        return AutogradFact(tuple(histories), is_known=False)
    return AutogradFact(
        tuple(histories),
        frozenset(
            position
            for position, tensor in enumerate(operands)
            if tensor is not None and storage_key(tensor) in kept
        ),
        frozenset(n for n, result in enumerate(tensors) if storage_key(result) in kept),
    )


def _history(node: Any, ends: set[int], kept: set[Any]) -> tuple[Any, ...] | None:
    """Return the nodes from one on by name, nested, and note what they keep; None if one tells nothing."""
    if node is None or id(node) in ends or leaf_of(node) is not None:
        return ()
    if saves_untold(node):
        return None
    for tensor in _saved_tensors(node):
        if tensor is None:
            return None
        kept.add(storage_key(tensor))
    below = [_history(following, ends, kept) for following, _ in node.next_functions]
    return None if None in below else (type(node).__name__, *below)


def _saved_tensors(node: Any) -> Iterator[torch.Tensor | None]:
    """Yield the tensors that a node keeps; None for one that it does not give out."""
    for name in dir(node):
        if not name.startswith(_SAVED):
            continue
        try:
            saved = getattr(node, name)
        except RuntimeError:
            yield None
            continue
        for part in saved if isinstance(saved, list | tuple) else (saved,):
            if isinstance(part, torch.Tensor):
                yield part
