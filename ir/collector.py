"""Python's cyclic garbage collector, kept from scanning a graph over and over while it grows."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused_collector() -> Iterator[None]:
    """Run no cyclic garbage collection until the ``with`` ends.

    The collector looks through all objects each time their number has grown by a quarter. Code that
    makes a million objects, and no garbage among them, spends most of its time there.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
