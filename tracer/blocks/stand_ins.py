"""Stand-ins: tensors that a function is recorded on when it must not touch those of the program.

Each branch of a condition is recorded, also the one that is not taken, and the body of a loop once
besides the times it runs. On fake tensors that costs no memory, draws no random numbers and changes
nothing. Where there can be none, the function runs on clones, and the random numbers it draws are
given back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Protocol, cast

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorConverter
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from ..dispatch.dispatcher import is_inside_transform, make_fake_mode


class StandIns(Protocol):
    """Makes stand-ins, and gives the context in which a function runs on them."""

    def make(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return a tensor like another one, that may be written to."""
        ...

    def make_another(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return one that no call has returned before."""
        ...

    def running(self) -> Any:
        """Return a context to run the function in."""
        ...


class FakeStandIns:
    """Stand-ins without data."""

    def __init__(self) -> None:
        self._mode = make_fake_mode(allow_non_fake_inputs=True)

    def make(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return a fake tensor of the same facts."""
        return self._mode.from_tensor(tensor, static_shapes=True)

    def make_another(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return a fake tensor of the same facts, where the mode would give the one that it knows."""
        return FakeTensorConverter().from_real_tensor(self._mode, tensor)

    def running(self) -> Any:
        """Return a context in which new tensors are fake as well."""
        return self._mode


class ClonedStandIns:
    """Stand-ins with the data of what they stand for."""

    def make(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return a clone that requires grad where its origin does."""
        with torch.enable_grad():
            return tensor.clone()

    make_another = make

    @contextmanager
    def running(self) -> Iterator[None]:
        """Return a context at whose end random numbers go on as before it."""
        cuda = cast(Any, torch.cuda)
        with torch.random.fork_rng(
            list(range(cuda.device_count())) if cuda.is_initialized() else []
        ):
            yield


def can_be_fake(tensors: list[torch.Tensor]) -> bool:
    """Whether fake tensors can stand for all of these."""
    others: list[Any] = list(tensors)
    return not any(
        isinstance(tensor, FakeTensor)
        or is_traceable_wrapper_subclass(tensor)
        or is_inside_transform(tensor)
        for tensor in others
    )


@contextmanager
def entered_unseen(
    excluded: Callable[[], Any], context: AbstractContextManager[Any]
) -> Iterator[None]:
    """Enter a context of ours, a mode say, in a way that no trace takes for the program's own."""
    with ExitStack() as stack:
        with excluded():
            stack.enter_context(context)
        try:
            yield
        finally:
            with excluded():
                stack.close()
