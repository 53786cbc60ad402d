"""Entries run in processes of their own, so that a crash or a hang costs one entry and not the run."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Final

import torch

from .check import Outcome, Stage, Verdict
from .entry import Report, Task, run

_LIMIT_S: Final = 900.0  # for one entry; the longest takes about fifteen seconds
_GOODBYE_S: Final = 10.0  # what a process has to clean up after its last task
_CONTEXT: Final = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork


def run_all(tasks: Sequence[Task], count: int) -> Iterator[Report]:
    """Yield a report for each task, as they come; one worker means this very process."""
    torch.set_num_threads(1)  # with several, some sums come out in another order each time
    if count == 1:
        yield from map(run, tasks)
        return
    waiting = list(reversed(tasks))
    workers = [_Worker() for _ in range(min(count, len(tasks)))]
    try:
        for worker in workers:
            worker.give(waiting.pop())
        while busy := [worker for worker in workers if worker.task is not None]:
            wait([worker.pipe for worker in busy], timeout=1.0)
            for worker in busy:
                report = worker.report()
                if report is not None:
                    yield report
                    if waiting:
                        worker.give(waiting.pop())
    finally:
        for worker in workers:
            worker.stop()


class _Worker:
    """A process that runs one task after another."""

    def __init__(self) -> None:
        self.task: Task | None = None
        self._start()

    def _start(self) -> None:
        self.pipe, theirs = _CONTEXT.Pipe()
        self._process: BaseProcess = _CONTEXT.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def give(self, task: Task) -> None:
        """Let the process run a task."""
        self.task = task
        self._since = time.monotonic()
        self.pipe.send(task)

    def report(self) -> Report | None:
        """Return what the task gave; None while it runs. A process that died is replaced."""
        task = self.task
        assert task is not None, "only busy workers are asked"
        try:
            if self.pipe.poll():
                found: Report = self.pipe.recv()
                self.task = None
                return found
        except (EOFError, ConnectionResetError):
            self._process.join()
            return self._lost(task, f"the process died with exit status {self._process.exitcode}")
        if time.monotonic() - self._since > _LIMIT_S:
            return self._lost(task, f"it took longer than {_LIMIT_S:.0f} s")
        return None

    def _lost(self, task: Task, problem: str) -> Report:
        self.stop()
        self._start()
        self.task = None
        outcome = Outcome(0, Verdict.FAILED, Stage.PROCESS, problem)
        return Report(task, (outcome,), seconds=time.monotonic() - self._since)

    def stop(self) -> None:
        """End the process: kindly, if it waits for a task."""
        self.pipe.close()
        if self.task is None:
            self._process.join(timeout=_GOODBYE_S)
        self._process.kill()
        self._process.join()


def _serve(pipe: Connection[Report, Task]) -> None:
    torch.set_num_threads(1)
    while True:
        try:
            task = pipe.recv()
        except EOFError:  # the run has ended
            return
        pipe.send(run(task))
