"""Which Python modules run while something is called, and on which way each was first come to.

Note [Nothing of the program is touched]
    A profile function sees every frame that begins. Which module a frame belongs to is told by the name in
    its globals, which are a dictionary; so whatever is called, a property, a lambda, or a method whatever
    its ``self`` is named and its ``__module__`` says, is found without asking any object for anything.

Note [How frames are seen]
    From Python 3.12 on by a monitor, which leaves the profile functions of threads alone and is told of no
    more than frames that begin or go on. A monitor sees all threads: those that are not the program's are
    told by their number, and only where a module is new. Before, or where all monitors are taken, the
    profile function is replaced for as long as the call takes.

Note [What each event costs]
    Most events are no calls, and most calls stay in a module that was seen. The profile function leaves at
    once then: it compares the globals with those of the last call, and looks them up by identity, which holds
    as they are kept. Only the first frame of a module is read, with those that led to it.
"""

from __future__ import annotations

import importlib._bootstrap
import sys
import threading
from collections.abc import Callable
from types import FrameType, FunctionType
from typing import Any, Final, TypeAlias

from ...errors import FootprintError
from . import monitors
from .first_uses import FirstUse, Sighting, name_of, plain_name
from .profilers import way_back

NOT_WHOLE: Final = (
    "the program changed the profile function of its thread, so modules that it came to later are missing\n"
    "sys.setprofile and cProfile do that, and recursion up to the limit; trace it without"
)
_IMPORTS: Final = vars(importlib._bootstrap)  # runs whenever something is first imported

_Profile: TypeAlias = Callable[[FrameType, str, Any], object]


class ModuleTracer:
    """Calls things, and records which Python modules run meanwhile.

    Threads that are started meanwhile are seen too, until the call has returned. Afterwards the profilers of
    this thread, and of threads to come, are those that there were before. What several calls do adds up.
    The globals of the modules that ran are kept as long as the tracer is.
    """

    __slots__ = (
        "_is_running",
        "_is_whole",
        "_known",
        "_outer",
        "_passed",
        "_root",
        "_seen",
        "_there",
    )

    def __init__(self) -> None:
        self._seen: dict[str, Sighting] = {}
        self._known: dict[str, None] = {}
        self._passed = _own()  # globals that need not be looked at again
        self._root: FrameType | None = None
        self._outer: ModuleTracer | None = None
        self._there: frozenset[str] | None = None  # before the first import of a call
        self._is_running = False
        self._is_whole = True

    @property
    def is_whole(self) -> bool:
        """Whether all was seen; if not, the message ``NOT_WHOLE`` says why."""
        return self._is_whole

    @property
    def uses(self) -> dict[str, FirstUse]:
        """How each module that ran came to it, by name and in the order of that."""
        found: dict[str, FirstUse] = {}
        for name, sighting in self._seen.items():
            found.setdefault(plain_name(name), sighting.read())
        return found

    @property
    def modules(self) -> list[str]:
        """The names of the modules that ran, sorted."""
        return sorted({plain_name(name) for name in self._seen})

    @property
    def loaded(self) -> tuple[str, ...]:
        """The modules that were imported meanwhile without any Python code, such as those written in C."""
        return tuple(sorted(self._known.keys() - self._seen.keys()))

    def call(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call something and return what it returns.

        Raises:
            FootprintError: this tracer is in a call already; or, before Python 3.12, a profiler is on that
                cannot be put back.
        """
        if self._is_running:
            raise FootprintError(
                "this tracer is in a call already; make another one for a call inside"
            )
        monitor = monitors.use_monitor()
        self._is_running = True
        try:
            if monitor is None:
                return self._profiled(function, args, kwargs)
            return self._monitored(monitor, function, args, kwargs)
        finally:
            self._outer, self._root, self._is_running = None, None, False
            if self._there is not None:
                self._known |= dict.fromkeys(sys.modules.keys() - self._there)
                self._there = None
                self._passed.pop(id(_IMPORTS), None)  # the next call may import, too

    def _monitored(
        self,
        monitor: int,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Call something while a monitor tells of each frame."""
        hook = threading.getprofile()
        self._root = sys._getframe()
        began, join = self._watchers(hook)
        threading.setprofile(join)
        try:
            monitors.watch(monitor, began)
            return function(*args, **kwargs)
        finally:
            monitors.give_back(monitor)
            threading.setprofile(hook)

    def _watchers(self, hook: Any) -> tuple[Callable[..., None], _Profile]:
        """Return what a monitor calls in each frame, and the first profile function of threads.

        Args:
            hook: the profile function that threads go on with.
        """
        threads = {threading.get_ident()}
        passed, record = self._passed, self._record
        last: dict[str, Any] | None = None
        frame_of, thread_of = sys._getframe, threading.get_ident

        def began(code: object, offset: int, error: object = None) -> None:
            nonlocal last
            names = frame_of(1).f_globals
            if names is not last:
                if id(names) not in passed:
                    if thread_of() not in threads:
                        return
                    if record(frame_of(1)):
                        passed[id(names)] = names
                last = names

        def join(frame: FrameType, event: str, result: object) -> None:
            sys.setprofile(hook)
            if self._is_running:
                threads.add(thread_of())
                if event == "call":  # a monitor was told of it before
                    record(frame)
            if hook is not None:
                hook(frame, event, result)

        return began, join

    def _profiled(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Call something with a profile function of our own."""
        previous, hook = sys.getprofile(), threading.getprofile()
        restore, given = way_back(previous)
        self._outer, self._root = _tracer_of(previous), sys._getframe()
        profile, profile_thread = self._profiles(hook)
        threading.setprofile(profile_thread)
        try:
            sys.setprofile(profile)
            return function(*args, **kwargs)
        finally:
            self._is_whole &= sys.getprofile() is profile
            restore(*given)
            threading.setprofile(hook)

    def _profiles(self, hook: Any) -> tuple[_Profile, _Profile]:
        """Return the profile functions of this thread, and of those that it starts.

        Args:
            hook: the profile function that a thread goes on with which outlives the call.
        """
        # A tracer around this one may be another than the last time, and has to see them all.
        passed = self._passed if self._outer is None else _own()
        last: dict[str, Any] | None = None
        record = self._record

        def profile(frame: FrameType, event: str, _: object) -> None:
            nonlocal last
            if event == "call" and (names := frame.f_globals) is not last:
                last = names
                if id(names) not in passed and record(frame):
                    passed[id(names)] = names

        def profile_thread(frame: FrameType, event: str, result: object) -> None:
            if self._is_running:
                profile(frame, event, result)
            else:
                sys.setprofile(hook)

        vars(profile)["tracer"] = vars(profile_thread)["tracer"] = self
        return profile, profile_thread

    def _record(self, frame: FrameType) -> bool:
        """Note a module's first frame; return whether it need not be looked at again."""
        try:
            name = name_of(frame.f_globals)
            if name is None:
                return False
            if frame.f_globals is _IMPORTS and self._there is None:
                self._there = frozenset(sys.modules)
            if name not in self._seen:
                self._seen[name] = Sighting(name, frame, self._root)
            return self._outer is None or self._outer._record(frame)
        except RecursionError:  # the program is about to run into it itself
            return False


def _own() -> dict[int, dict[str, Any]]:
    """Return the globals of what watches, which is no part of the program, by their id."""
    return {id(names): names for names in (globals(), vars(monitors))}


def _tracer_of(profile: Any) -> ModuleTracer | None:
    """Return the tracer that a profile function is of, as where one call is traced inside another."""
    if type(profile) is not FunctionType:
        return None
    tracer = vars(profile).get("tracer")
    return tracer if type(tracer) is ModuleTracer else None
