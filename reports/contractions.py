"""FLOPs of ``einsum``, which torch turns into products of two operands at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import prod

Shape = tuple[int, ...]


def einsum_flops(equation: str, operands: Sequence[Shape], path: Sequence[int] | None) -> int:
    """Return the FLOPs of the products that an equation becomes.

    Source: ``einsum`` and ``sumproduct_pair`` in ATen/native/Linear.cpp. Pairs are contracted from the left,
    or as ``path`` says; each becomes a ``bmm`` if it sums a dimension that both have, else an elementwise
    product. Dimensions that nobody needs later are summed away as soon as only one operand has them.
    """
    left, _, right = equation.replace(" ", "").partition("->")
    sizes = [
        _by_label(labels, shape) for labels, shape in zip(left.split(","), operands, strict=True)
    ]
    kept = _kept(left, right if "->" in equation else None, sizes)
    holders = Counter(label for held in sizes for label, size in held.items() if size != 1)
    flops = 0
    steps = list(path or ())
    while len(sizes) > 1:
        first, second = sorted((steps.pop(0), steps.pop(0))) if steps else (0, 1)
        b, a = sizes.pop(second), sizes.pop(first)
        merged = {label: max(a.get(label, 1), b.get(label, 1)) for label in (*a, *b)}
        shared = {label for label in merged if a.get(label, 1) != 1 != b.get(label, 1)}
        summed = {
            label
            for label, size in merged.items()
            if size != 1 and label not in kept and holders[label] == 1 + (label in shared)
        }
        holders.subtract(shared)
        if summed & shared:
            alone = summed - shared  # summed away before the product
            flops += 2 * prod(size for label, size in merged.items() if label not in alone)
        result = {label: 1 if label in summed else size for label, size in merged.items()}
        sizes.insert(len(sizes) if path else 0, result)
    return flops


def _by_label(labels: str, shape: Shape) -> dict[str, int]:
    """Return the size of each label of an operand; dimensions of an ellipsis are numbered from its end."""
    before, dots, after = labels.partition("...")
    spread = len(shape) - len(before) - len(after) if dots else 0
    names = [*before, *[f"...{spread - i}" for i in range(spread)], *after]
    return dict(zip(names, shape, strict=True))


def _kept(left: str, right: str | None, sizes: Sequence[dict[str, int]]) -> set[str]:
    """Return the labels of the result: those named, or those that stand once."""
    spread = {label for held in sizes for label in held if label.startswith("...")}
    if right is None:
        letters = Counter(left.replace(".", "").replace(",", ""))
        return {letter for letter, count in letters.items() if count == 1} | spread
    return set(right.replace(".", "")) | (spread if "..." in right else set())
