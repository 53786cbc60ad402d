"""What torch calls, in every thread, as its profiler reports it.

Private API of torch stands here and in ``operators.py``. See Note [How operators are seen].
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch._C._profiler import (
    ProfilerActivity,
    ProfilerConfig,
    ProfilerState,
    RecordScope,
    _EventType,
    _ExperimentalConfig,
    _RecordFunctionFast,
)

from ..errors import FootprintError
from .operators import known_operator, name_of_dtype

# Note [How operators are seen]
# The dispatcher tells observers of every operator that a program calls, and of those that operators call in
# turn, with the name of the overload. Three observers of torch can be switched on from Python. A dispatch
# mode sees neither composite operators nor what kernels call. The observer of execution traces sees all, and
# writes a file: 100 microseconds an operator. The profiler sees the same in two, or five with the types of
# inputs; it can be told to watch all threads, and to keep the names of overloads. It is the one used here.
# There is one profiler in a process. Where another one is running it would be ended, so that is refused; and
# one that the program itself starts ends ours, which shows in that the mark of our beginning is missing.

_MARK: Final = "opscope::recording"
_PROFILER: Final[Any] = torch._C._autograd  # what torch says of its types falls short
_ACTIVITIES: Final = {ProfilerActivity.CPU}
# The last three are reported only by a torch that was built for tracing.
_SCOPES: Final = {
    RecordScope.FUNCTION,
    RecordScope.KERNEL_FUNCTION_DTYPE,
    RecordScope.CUSTOM_CLASS,
    RecordScope.BUILD_FEATURE,
}
_LOG_LEVEL: Final = "KINETO_LOG_LEVEL"


@dataclass(frozen=True, slots=True)
class Call:
    """One way in which an operator was called.

    Attributes:
        operator: its name, ``aten::add.Tensor``.
        caller: the operator that called it; empty where none did.
    """

    operator: str
    caller: str


@dataclass(slots=True)
class Seen:
    """What was seen in a stretch of time.

    Attributes:
        calls: for every way in which an operator was called, the types of the tensors it was given, as
            torch's C++ spells them; none if types were not asked for.
        kernel_dtypes: what kernels report, ``GeluKernelImpl$Float``.
        custom_classes: qualified names of classes in C++ that were looked up.
        build_features: features that were asked for.
    """

    calls: dict[Call, set[str]] = field(default_factory=dict)
    kernel_dtypes: set[str] = field(default_factory=set)
    custom_classes: set[str] = field(default_factory=set)
    build_features: set[str] = field(default_factory=set)


class Observation:
    """A stretch of time in which torch reports what it calls. At most one runs in a process."""

    __slots__ = ("_has_dtypes",)

    def __init__(self, *, with_dtypes: bool) -> None:
        """Begin.

        Args:
            with_dtypes: whether the types of inputs are wanted; without, it costs a third.

        Raises:
            FootprintError: torch's profiler is in use.
        """
        self._has_dtypes = with_dtypes
        if _PROFILER._profiler_enabled() or getattr(
            torch.autograd.profiler, "_is_profiler_enabled", False
        ):
            raise FootprintError(
                "operators cannot be recorded while torch's profiler runs, as there is one in a process\n"
                "leave the recording out of torch.profiler.profile"
            )
        config = ProfilerConfig(
            ProfilerState.KINETO,
            with_dtypes,
            False,
            False,
            False,
            False,
            _ExperimentalConfig(capture_overload_names=True, profile_all_threads=True),
        )
        with _quiet_log():
            _PROFILER._prepare_profiler(config, _ACTIVITIES)
        _PROFILER._enable_profiler(config, _ACTIVITIES, _SCOPES)
        with _RecordFunctionFast(_MARK):
            pass

    def end(self) -> Seen:
        """End, and return what was seen.

        Raises:
            FootprintError: a profiler was started meanwhile, which ended this.
        """
        roots = _PROFILER._disable_profiler().experimental_event_tree()
        if not any(root.name == _MARK for root in roots):
            raise FootprintError(
                "what ran was not recorded to its end: a torch.profiler.profile was started meanwhile\n"
                "take it out of the program, or do not enter it while operators are recorded"
            )
        return _summed_up(roots, with_dtypes=self._has_dtypes)


@contextmanager
def _quiet_log() -> Iterator[None]:
    """Keep the profiler from announcing on stderr that it starts; it reads its level once, at first use."""
    if _LOG_LEVEL in os.environ:
        yield
        return
    os.environ[_LOG_LEVEL] = "99"
    try:
        yield
    finally:
        del os.environ[_LOG_LEVEL]


def _summed_up(roots: list[Any], *, with_dtypes: bool) -> Seen:
    """Sum up a forest of events; there can be millions, so that each is looked at as little as possible."""
    seen = Seen()
    names: dict[tuple[str, str], str] = {}
    found: dict[tuple[str, str], set[torch.dtype]] = {}
    stack = [(root, "") for root in roots]
    while stack:
        event, caller = stack.pop()
        key = (event.name, event.overload_name)
        name = names.get(key)
        if name is None:
            name = names[key] = _operator_of(event, seen)
        if name:
            dtypes = found.get((name, caller))
            if dtypes is None:
                dtypes = found[name, caller] = set()
            if with_dtypes:
                _add_dtypes(dtypes, event.extra_fields.inputs)
            caller = name
        children = event.children
        if children:
            stack.extend([(child, caller) for child in children])
    for (name, caller), dtypes in found.items():
        seen.calls[Call(name, caller)] = {name_of_dtype(dtype) for dtype in dtypes}
    return seen


def _operator_of(event: Any, seen: Seen) -> str:
    """Return the operator whose call an event is, or an empty name; keep what else it may report."""
    if event.tag != _EventType.TorchOp:
        return ""
    scope = event.extra_fields.scope
    if scope == RecordScope.FUNCTION:
        return known_operator(event.name, event.overload_name)
    if scope == RecordScope.KERNEL_FUNCTION_DTYPE:
        seen.kernel_dtypes.add(event.name)
    elif scope == RecordScope.CUSTOM_CLASS:
        seen.custom_classes.add(event.name)
    elif scope == RecordScope.BUILD_FEATURE:
        seen.build_features.add(event.name)
    return ""


def _add_dtypes(dtypes: set[torch.dtype], inputs: list[Any]) -> None:
    for given in inputs:
        for item in given if isinstance(given, list) else (given,):
            dtype = getattr(item, "dtype", None)
            if dtype is not None:
                dtypes.add(dtype)
