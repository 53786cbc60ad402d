"""A sign of life on stderr while something takes longer than a second."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

PATIENCE_S = 1.0


@contextmanager
def waiting(what: str, patience_s: float = PATIENCE_S) -> Iterator[None]:
    """Show what is being done and for how long, once it takes longer than ``patience_s`` seconds.

    Nothing is shown where stderr is no terminal.
    """
    if not sys.stderr.isatty():
        yield
        return
    shown = ExitStack()
    timer = threading.Timer(patience_s, _show, (shown, what, patience_s))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()  # it may be about to show something
        shown.close()


def _show(shown: ExitStack, what: str, waited_s: float) -> None:
    from rich.console import Console  # takes a while to load, and most commands end before
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,  # what the program prints stays where it prints it
        redirect_stderr=False,
    )
    progress.add_task(what, total=None)
    progress.tasks[0].start_time = progress.get_time() - waited_s
    shown.enter_context(progress)
