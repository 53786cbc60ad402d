"""What stands before collectives, replicated and sharded modules while a trace runs."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel

from ..dispatch.dispatcher import Kernels, distributed_module, is_grad_enabled, recorder_here
from ..dispatch.replacing import Patch
from ..distributed.shards import group_class, state_class


def distributed(installed: Kernels) -> Iterator[Patch]:
    """Yield what tells of waits for collectives, and of what modules do about gradients."""
    yield DistributedDataParallel, "_pre_forward", functools.partial(_before_forward, installed)
    yield DistributedDataParallel, "_post_forward", functools.partial(_after_forward, installed)
    sharded = state_class()
    if sharded is not None:
        yield sharded, "_pre_backward", functools.partial(_before_backward, installed)
        for name in ("unshard", "post_backward"):
            yield group_class(), name, functools.partial(_in_its_module, installed)
    module = distributed_module()
    if module is not None:
        for class_ in (module.Work, *module.Work.__subclasses__()):
            if "wait" in vars(class_):
                yield class_, "wait", functools.partial(_wait, installed)
            if "get_future" in vars(class_):
                yield class_, "get_future", functools.partial(_get_future, installed)
    yield torch._C.Future, "wait", functools.partial(_wait_for_future, installed)
    for name in ("then", "add_done_callback"):
        yield torch._C.Future, name, functools.partial(_call_when_done, installed)


def _before_forward(installed: Kernels, begin: Any) -> Any:
    """Tell of a forward before which a replicated module may make its buckets anew."""

    @functools.wraps(begin)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = recorder_here(installed)
        while recorder is not None:
            recorder.state.reducers.forward_begins(self)
            recorder = recorder.outer
        return begin(self, *args, **kwargs)

    return wrapped


def _after_forward(installed: Kernels, finish: Any) -> Any:
    """Tell of a forward after which a replicated module reduces gradients."""

    @functools.wraps(finish)
    def wrapped(self: Any, output: Any) -> Any:
        output = finish(self, output)
        recorder = recorder_here(installed)
        while recorder is not None:
            if is_grad_enabled() and self.require_backward_grad_sync:
                recorder.unseen.replicated(self, output)
            recorder = recorder.outer
        return output

    return wrapped


def _before_backward(installed: Kernels, gather: Any) -> Any:
    """Tell of the hook that gathers the parameters of a sharded module for a backward."""

    @functools.wraps(gather)
    def wrapped(self: Any, *args: Any) -> Any:
        recorder = recorder_here(installed)
        while recorder is not None:
            recorder.state.backward_hooks.ran(self)
            recorder = recorder.outer
        return gather(self, *args)

    return wrapped


def _in_its_module(installed: Kernels, method: Any) -> Any:
    """Have what is done for the parameters of a module stand there, whoever's hook asks for it."""

    @functools.wraps(method)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = recorder_here(installed)
        with ExitStack() as standing:
            while recorder is not None:
                standing.enter_context(recorder.state.standing_in(self.modules[0]))
                recorder = recorder.outer
            return method(self, *args, **kwargs)

    return wrapped


def _wait(installed: Kernels, wait: Any) -> Any:
    """Tell of waiting for a collective operator."""

    @functools.wraps(wait)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = recorder_here(installed)
        if recorder is None:
            return wait(self, *args, **kwargs)
        recorder.record_wait(self)
        # Some backends copy results to their places now, with operators of torch's.
        with installed.excluded():
            return wait(self, *args, **kwargs)

    return wrapped


def _get_future(installed: Kernels, get_future: Any) -> Any:
    """Tell of another way to wait for a collective operator."""

    @functools.wraps(get_future)
    def wrapped(self: Any) -> Any:
        future = get_future(self)
        recorder = recorder_here(installed)
        while recorder is not None:
            recorder.state.collectives.note_future(future, self)
            recorder = recorder.outer
        return future

    return wrapped


def _wait_for_future(installed: Kernels, wait: Any) -> Any:
    @functools.wraps(wait)
    def wrapped(self: Any) -> Any:
        recorder = recorder_here(installed)
        if recorder is not None:
            recorder.record_wait(recorder.state.collectives.work_of(self))
        return wait(self)

    return wrapped


def _call_when_done(installed: Kernels, add: Any) -> Any:
    """Wait for a collective first, so that what is to be called when it is done is called here.

    It would run in a thread of the backend, at some time, and nobody could tell what it does.
    """

    @functools.wraps(add)
    def wrapped(self: Any, callback: Any) -> Any:
        recorder = recorder_here(installed)
        if recorder is None:
            return add(self, callback)
        if recorder.state.collectives.work_of(self) is not None:
            self.wait()
        elif not self.done():
            recorder.unseen.effect(
                f"{add.__name__}() of a future has something called when that is done, in whatever thread; "
                "what that does is not in the trace",
                hint="wait for the future, and then do it",
            )
        return add(self, callback)

    return wrapped
