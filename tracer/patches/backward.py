"""What stands before autograd's engine while a trace runs.

Autograd keeps sizes and numbers of the forward in C++ and gives them to its operators as plain ones. So
a backward pass inside a program holds for the sizes and numbers that it was traced with.

Note [One thread]
    Outside a trace, the engine runs what is on an accelerator in a thread per device. Such a thread has no
    frames that lead to the user's line, counts the nodes of its graph for itself, so that their numbers
    would lead to other calls, and works while other threads do, where a graph is one sequence. So a traced
    pass runs on the thread that asks for it, in the order that a queue of one device has.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import torch

from ..dispatch.dispatcher import Kernels, recorder_here
from ..dispatch.replacing import Patch

_CREATE_GRAPH = 3  # the position of that argument


def backward(installed: Kernels) -> Iterator[Patch]:
    """Yield what tells of backward passes."""
    yield torch.autograd, "_engine_run_backward", functools.partial(_run_backward, installed)


def _run_backward(installed: Kernels, run: Any) -> Any:
    @functools.wraps(run)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        recorder = recorder_here(installed)
        regions = ExitStack()
        while recorder is not None:
            state = recorder.state
            recorder.before_backward()
            # What a transform does, and a custom function, a replay does itself.
            if not state.functions.is_running:
                state.sizes.pin_inputs("is fixed by a backward pass inside the program")
                state.numbers.before_backward()
            creates_graph = args[_CREATE_GRAPH]
            regions.enter_context(
                state.running_backward(sys._getframe(), creates_graph=creates_graph)
            )
            if kwargs.get("accumulate_grad"):
                recorder.facts.gradients_stored()
            recorder = recorder.outer
        with regions, torch.autograd.set_multithreading_enabled(False):  # see Note [One thread]
            results = run(*args, **kwargs)
        recorder = recorder_here(installed)
        while recorder is not None:
            # Kept in a variable, the frame would keep the tensors of this call.
            for tensor in recorder.unseen.backward_ended(sys._getframe()):
                recorder.facts.gradient_begun(tensor, sys._getframe())
            recorder = recorder.outer
        return results

    return wrapped
