"""Which Python modules run while something is called, and on which way each was first come to.

Note [Nothing of the program is touched]
    A profile function sees every frame that begins. Which module a frame belongs to is told by the name in
    its globals, which are a dictionary; so whatever is called, a property, a lambda, or a method whatever
    its ``self`` is named and its ``__module__`` says, is found without asking any object for anything.

Note [What each event costs]
    Most events are no calls, and most calls stay in a module that was seen. The profile function leaves at
    once then: it compares the globals with those of the last call, and looks them up by identity, which holds
    as they are kept. Only the first frame of a module is read, with those that led to it.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from types import FrameType, FunctionType
from typing import Any, Final, TypeAlias

from ..errors import FootprintError
from .profilers import way_back

MANGLED: Final = re.compile(r"<torch_package_\d+>")
NOT_WHOLE: Final = (
    "the program changed the profile function of its thread, so modules that it came to later are missing\n"
    "sys.setprofile and cProfile do that, and recursion up to the limit; trace it without"
)
_MACHINERY: Final = frozenset(
    ("importlib", "importlib._bootstrap", "importlib._bootstrap_external", "threading")
)

_Profile: TypeAlias = Callable[[FrameType, str, Any], object]


@dataclass(frozen=True, slots=True)
class Step:
    """A place on the way to a module.

    Attributes:
        module: the module that was running there; empty for code that belongs to none.
        function: the function, or ``<module>`` while the module was imported.
        file: where its code stands.
        line: the line it had come to, from 1.
    """

    module: str
    function: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class FirstUse:
    """How a module came to run.

    Attributes:
        module: its name.
        file: its file, as it says itself; None if it has none.
        path: the way from what was called to the first frame of the module; one step for each stay in a
            module, at the line where that was left. The machinery of imports and threads is left out.
        package: the mark of the ``torch.package`` archive that it comes from; None for others.
    """

    module: str
    file: str | None
    path: tuple[Step, ...]
    package: str | None = None


class ModuleTracer:
    """Calls things, and records which Python modules run meanwhile.

    Threads that are started meanwhile are seen too, until the call has returned. Afterwards the profilers of
    this thread, and of threads to come, are those that there were before. What several calls do adds up.
    """

    __slots__ = ("_is_running", "_is_whole", "_known", "_outer", "_root", "_uses")

    def __init__(self) -> None:
        self._uses: dict[str, FirstUse] = {}
        self._known: dict[str, None] = {}
        self._root: FrameType | None = None
        self._outer: ModuleTracer | None = None
        self._is_running = False
        self._is_whole = True

    @property
    def is_whole(self) -> bool:
        """Whether all was seen; if not, the message ``NOT_WHOLE`` says why."""
        return self._is_whole

    @property
    def uses(self) -> dict[str, FirstUse]:
        """How each module that ran came to it, by name and in the order of that."""
        return dict(self._uses)

    @property
    def loaded(self) -> tuple[str, ...]:
        """The modules that were imported meanwhile without any Python code, such as those written in C."""
        return tuple(sorted(self._known.keys() - self._uses.keys()))

    def call(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call something and return what it returns.

        Raises:
            FootprintError: this tracer is in a call already, or a profiler is on that cannot be put back.
        """
        if self._is_running:
            raise FootprintError(
                "this tracer is in a call already; make another one for a call inside"
            )
        previous, hook = sys.getprofile(), threading.getprofile()
        restore, given = way_back(previous)
        profile, profile_thread = self._profiles(hook)
        loaded = set(sys.modules)
        self._outer, self._root, self._is_running = _tracer_of(previous), sys._getframe(), True
        threading.setprofile(profile_thread)
        try:
            sys.setprofile(profile)
            return function(*args, **kwargs)
        finally:
            self._is_whole &= sys.getprofile() is profile
            restore(*given)
            threading.setprofile(hook)
            self._outer, self._root, self._is_running = None, None, False
            self._known |= dict.fromkeys(name for name in set(sys.modules) - loaded)

    def _profiles(self, hook: Any) -> tuple[_Profile, _Profile]:
        """Return the profile functions of this thread, and of those that it starts.

        Args:
            hook: the profile function that a thread goes on with which outlives the call.
        """
        seen = {id(globals()): globals()}  # what runs in this file is no part of the program
        last: dict[str, Any] | None = None
        record = self._record

        def profile(frame: FrameType, event: str, _: object) -> None:
            nonlocal last
            if event == "call":
                names = frame.f_globals
                if names is not last:
                    last = names
                    if id(names) not in seen and record(frame):
                        seen[id(names)] = names

        def profile_thread(frame: FrameType, event: str, result: object) -> None:
            if self._is_running:
                profile(frame, event, result)
            else:
                sys.setprofile(hook)

        vars(profile)["tracer"] = vars(profile_thread)["tracer"] = self
        return profile, profile_thread

    def _record(self, frame: FrameType) -> bool:
        """Record a module's first frame; return whether it need not be looked at again."""
        try:
            names = frame.f_globals
            name = _name_of(names)
            if name is None:
                return False
            package = MANGLED.match(name)
            plain = name if package is None else name[package.end() + 1 :]
            if plain not in self._uses:
                path = tuple(_shortened(self._way_to(frame)))
                self._uses[plain] = FirstUse(plain, _file_of(names), path, package and package[0])
            return self._outer is None or self._outer._record(frame)
        except RecursionError:  # the program is about to run into it itself
            return False

    def _way_to(self, frame: FrameType) -> list[Step]:
        steps = []
        at: FrameType | None = frame
        while at is not None and at is not self._root:
            code = at.f_code
            name = _name_of(at.f_globals) or ""
            steps.append(
                Step(
                    MANGLED.sub("", name).lstrip("."),
                    code.co_qualname,
                    code.co_filename,
                    at.f_lineno or 1,
                )
            )
            at = at.f_back
        return steps[::-1]


def _shortened(steps: list[Step]) -> Iterator[Step]:
    """Yield the last step of each stay in a module, without machinery."""
    ways = [step for step in steps[:-1] if step.module not in _MACHINERY]
    ways.append(steps[-1])
    for step, following in zip(ways, [*ways[1:], None], strict=True):
        if following is None or step.module != following.module:
            yield step


def _name_of(names: dict[str, Any]) -> str | None:
    """Return the name of the module whose globals these are; None if they are of no module.

    Code that programs make as they run, as named tuples do, has globals that were never a module's.
    """
    name = dict.get(names, "__name__")
    spec = dict.get(names, "__spec__")
    if type(name) is not str:
        name = spec.name if type(spec) is ModuleSpec else None
    if type(name) is not str:
        return None
    is_module = name in sys.modules or spec is not None or _file_of(names) is not None
    return name if is_module or MANGLED.match(name) else None


def _file_of(names: dict[str, Any]) -> str | None:
    file = dict.get(names, "__file__")
    return file if type(file) is str else None


def _tracer_of(profile: Any) -> ModuleTracer | None:
    """Return the tracer that a profile function is of, as where one call is traced inside another."""
    if type(profile) is not FunctionType:
        return None
    tracer = vars(profile).get("tracer")
    return tracer if type(tracer) is ModuleTracer else None
