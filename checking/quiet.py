"""Runs of a program whose warnings its user has seen already, or will see when they run it."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _Silence:
    """Drops the warnings of some threads; those of all others are shown as ever.

    ``warnings.catch_warnings`` would not do: it changes the filters of all threads, and makes Python
    show again what it has shown once already.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: list[int] = []
        self._before: Any = None

    @contextmanager
    def here(self) -> Iterator[None]:
        """Drop this thread's warnings until the ``with`` ends."""
        thread = threading.get_ident()
        with self._lock:
            if not self._threads:
                self._before = warnings.showwarning
                warnings.showwarning = self._show
            self._threads.append(thread)
        try:
            yield
        finally:
            with self._lock:
                self._threads.remove(thread)
                if not self._threads and warnings.showwarning == self._show:
                    warnings.showwarning = self._before

    def _show(self, *args: Any, **kwargs: Any) -> None:
        if threading.get_ident() not in self._threads:
            self._before(*args, **kwargs)


without_warnings = _Silence().here
"""Gives a context in which the warnings of this thread are not shown."""
