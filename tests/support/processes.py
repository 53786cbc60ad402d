"""Two processes that talk to each other by gloo: a function is run in both, and gives each one's result.

They are forked from a server that has loaded torch once, meet through a file, and have a time limit.
"""

from __future__ import annotations

import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, cast

import torch
import torch.distributed as dist

_LIMIT_S = 120
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["torch.distributed.fsdp", "opscope.program.traced"])


def run_on_two(function: Callable[..., Any], folder: Path, *args: Any) -> list[Any]:
    """Return what ``function(rank, *args)`` returned in each of two processes: plain objects, no tensors.

    Raises:
        AssertionError: it raised in one of them, or they took too long; both have been ended.
    """
    store = str(folder / "store")
    pipes = [_CONTEXT.Pipe(duplex=False) for _ in range(2)]
    processes = [
        _CONTEXT.Process(target=_run, args=(function, rank, store, pipe[1], args))
        for rank, pipe in enumerate(pipes)
    ]
    for process, (_, sender) in zip(processes, pipes, strict=True):
        process.start()
        sender.close()
    try:
        return _results([receiver for receiver, _ in pipes])
    finally:
        for process in processes:
            process.kill()
            process.join()


def ask_two(questions: Sequence[Callable[[int], Any]], folder: Path) -> dict[Any, list[Any]]:
    """Return what each of some functions of the rank returned in both: starting takes longest by far."""
    both = run_on_two(_answers, folder, questions)
    return {question: [*pair] for question, *pair in zip(questions, *both, strict=True)}


def _answers(rank: int, questions: Sequence[Callable[[int], Any]]) -> list[Any]:
    return [question(rank) for question in questions]


def _results(receivers: list[Connection]) -> list[Any]:
    """Return what both send; of two errors the first, since the other process may only wait for this one."""
    results: dict[int, Any] = {}
    deadline = time.monotonic() + _LIMIT_S
    while len(results) < len(receivers):
        left = [receiver for rank, receiver in enumerate(receivers) if rank not in results]
        ready = wait(left, deadline - time.monotonic())
        assert ready, f"the processes took longer than {_LIMIT_S} s"
        for receiver in left:
            if receiver not in ready:
                continue
            try:
                result, error = receiver.recv()
            except EOFError:
                result, error = None, "the process ended without a word"
            rank = receivers.index(receiver)
            assert error is None, f"rank {rank}: {error}"
            results[rank] = result
    return [results[rank] for rank in range(len(receivers))]


def _run(
    function: Callable[..., Any], rank: int, store: str, sender: Connection, args: tuple[Any, ...]
) -> None:
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    try:
        meeting = cast(Any, dist).FileStore(store, 2)
        dist.init_process_group("gloo", rank=rank, world_size=2, store=meeting)
        result = function(rank, *args)
        dist.destroy_process_group()
    except BaseException:  # noqa: BLE001  # pytest's own among them, for the test to show
        sender.send((None, traceback.format_exc()))
    else:
        sender.send((result, None))
