"""What the floating-point numbers that a node made in one run are like."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Numbers:
    """A summary of numbers.

    Attributes:
        count: how many there are.
        mean: their mean; of numbers that are all finite, as are the next two. None otherwise.
        std: their standard deviation, of the numbers themselves and not of what they are a sample of.
        absmax: the largest without its sign.
        nans: how many are NaN.
        infs: how many are infinite.
    """

    count: int
    mean: float | None
    std: float | None
    absmax: float | None
    nans: int
    infs: int

    @property
    def is_finite(self) -> bool:
        """Whether none is NaN or infinite."""
        return not self.nans and not self.infs
