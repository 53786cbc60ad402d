"""What stands before the ways to ask torch for settings: default dtype and device, threads, backends.

Operators go by them at a replay as they do in the program. But a program that asks may go another way.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final

import torch
from torch import backends

from ..dispatch.dispatcher import Kernels, recorder_here
from ..dispatch.replacing import Patch
from .facts import GO_BY_FACTS, goes_by_it

_ASKS: Final = (
    (torch, "get_default_dtype", "set_default_dtype"),
    (torch, "get_default_device", "set_default_device"),
    (torch, "get_num_threads", "set_num_threads"),
    (torch, "get_float32_matmul_precision", "set_float32_matmul_precision"),
    (torch, "are_deterministic_algorithms_enabled", "use_deterministic_algorithms"),
    (torch, "initial_seed", "manual_seed"),
    (torch.random, "initial_seed", "manual_seed"),
    (backends.mha, "get_fastpath_enabled", "set_fastpath_enabled"),
)
"""Where a function stands that tells of a setting, its name, and that of the function that sets it."""

_RECORDED: Final = ("manual_seed", "set_default_dtype")
"""The setters that a trace is told of in any case."""

_FOR_MODULES: Final = ("set_fastpath_enabled",)
"""What torch's modules ask for to take another way; the rest they pass on to operators."""


def setting_named(call: str) -> Callable[[], Any] | None:
    """Return what a call that tells of a setting calls: ``torch.get_num_threads()``; None if none does."""
    known = {f"{module.__name__}.{name}()": (module, name) for module, name, _ in _ASKS}
    found = known.get(call)
    return None if found is None else functools.partial(_call, *found)


def _call(module: Any, name: str) -> Any:
    return getattr(module, name)()


def flag_named(call: str) -> Callable[[], Any] | None:
    """Return what reads a flag of a backend, ``torch.backends.cudnn.benchmark``; None if there is none."""
    for module in list(vars(backends).values()):
        name = call.removeprefix(f"{getattr(module, '__name__', '')}.")
        held = vars(type(module)).get(name) if isinstance(module, backends.PropModule) else None
        if name != call and isinstance(held, backends.ContextProp):
            return functools.partial(getattr, module, name)
    return None


def surroundings(installed: Kernels) -> Iterator[Patch]:
    """Yield what tells of settings that are asked for, and of those that the program sets itself."""
    for module, name, setter in _ASKS:
        yield module, name, functools.partial(_asks, installed, module.__name__, setter)
        if setter not in _RECORDED:
            yield module, setter, functools.partial(_sets, installed)
    flag: Any = backends.ContextProp
    yield flag, "__get__", functools.partial(_asks_flag, installed)
    yield flag, "__set__", functools.partial(_sets_flag, installed)
    for module in list(vars(backends).values()):
        if isinstance(module, backends.PropModule) and hasattr(module.m, "flags"):
            yield module.m, "flags", functools.partial(_sets_flags, installed, type(module))


def _asks(installed: Kernels, module: str, setter: str, function: Any) -> Any:
    @functools.wraps(function)
    def wrapped() -> Any:
        _note(installed, setter, f"{module}.{function.__name__}()", function, sys._getframe(1))
        return function()

    return wrapped


def _sets(installed: Kernels, function: Any) -> Any:
    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        _note_set(installed, function.__name__)
        return function(*args, **kwargs)

    return wrapped


def _asks_flag(installed: Kernels, get: Any) -> Any:
    @functools.wraps(get)
    def __get__(flag: Any, module: Any, owner: Any = None) -> Any:  # it stands for that
        ask = functools.partial(get, flag, module, owner)
        _note(installed, flag, _name_of(flag, module), ask, sys._getframe(1))
        return ask()

    return __get__


def _sets_flag(installed: Kernels, set_: Any) -> Any:
    @functools.wraps(set_)
    def __set__(flag: Any, module: Any, value: Any) -> None:  # it stands for that
        _note_set(installed, flag)
        set_(flag, module, value)

    return __set__


def _sets_flags(installed: Kernels, class_: type, flags: Any) -> Any:
    """Tell of a context that sets all flags of a backend."""

    @functools.wraps(flags)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        for held in vars(class_).values():
            if isinstance(held, backends.ContextProp):
                _note_set(installed, held)
        return flags(*args, **kwargs)

    return wrapped


def _name_of(flag: Any, module: Any) -> str:
    name = next((name for name, held in vars(type(module)).items() if held is flag), "?")
    return f"{module.__name__}.{name}"


def _note(
    installed: Kernels, key: object, call: str, ask: Callable[[], Any], frame: FrameType
) -> None:
    """Tell each trace that the program asks for a setting, unless it has set that itself."""
    recorder = recorder_here(installed)
    if recorder is None or not goes_by_it(frame, GO_BY_FACTS if key in _FOR_MODULES else ()):
        return
    while recorder is not None:
        state = recorder.state
        source = functools.partial(state.walker.user_range, frame)
        state.circumstances.read_setting(key, call, ask, source)
        recorder = recorder.outer


def _note_set(installed: Kernels, key: object) -> None:
    recorder = recorder_here(installed)
    while recorder is not None:
        recorder.state.circumstances.set_setting(key)
        recorder = recorder.outer
