"""Where an operator was called: its scope and its Python stack, found by walking raw frames.

Note [Marks on frames]
    At every operator we need the module call and the user functions that are running, and the whole
    stack, and it must cost about a microsecond. So a frame that opens a scope, or may open one, is
    marked the first time an operator is seen below it: the mark holds its scope and its callers'
    stack. A walk goes up from the operator to the nearest marked frame and has the rest for free.

    The mark is kept in the frame's ``f_trace`` slot, which Python reads only while a debugger or a
    coverage tool traces the frame. It lives exactly as long as the call, needs no reference to the
    frame (which would keep the user's tensors alive), and cannot be mistaken for that of another
    call whose frame reuses the address. Where a debugger has a hook in the slot, the mark passes
    every event on to it.
"""

from __future__ import annotations

import dis
import inspect
import os
import sys
import sysconfig
from enum import Enum, auto
from types import CodeType, FrameType
from typing import Any

import torch
from torch.optim import Optimizer

from ...ir import Frame, Scope, ScopeKind, SourceRange
from ..dispatch.gradients import ENGINE_CODE
from ..functions.apply_call import BEHIND_APPLY
from ..program.modules import ForwardCodes, ModulePaths
from .causes import Cause, Causes

_MODULE_CALL = torch.nn.Module._wrapped_call_impl.__code__
_CALLS_FORWARD = torch.nn.Module._call_impl.__code__
_GENERATOR = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_LOOPS = frozenset(
    number for name, number in dis.opmap.items() if name in ("FOR_ITER", "JUMP_BACKWARD")
)

_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_LIBRARIES = tuple(
    os.path.join(folder, "")
    for folder in (
        os.path.dirname(os.path.abspath(torch.__file__)),
        sysconfig.get_paths()["stdlib"],
        sysconfig.get_paths()["platstdlib"],
    )
)
_ROOMS = (
    "checking", "cli", "comparison", "footprint", "interop", "ir", "passes", "program", "reports", "runtime",
    "tracer", "visualize",
)  # fmt: skip
_OWN_ROOMS = (
    *(os.path.join(_PACKAGE, room, "") for room in _ROOMS),
    *(
        os.path.join(_PACKAGE, name)
        for name in sorted(os.listdir(_PACKAGE))
        if name.endswith(".py")
    ),
)
_COMMAND_LINE = os.path.join(_PACKAGE, "cli", "")
_SITE_PACKAGES = tuple(
    os.path.join(sysconfig.get_paths()[kind], "") for kind in ("purelib", "platlib")
)


def is_library_file(path: str) -> bool:
    """Whether a source file is torch's, opscope's or the standard library's rather than the user's."""
    if path.startswith((*_LIBRARIES[:1], *_OWN_ROOMS)) or path.startswith(("<frozen", "<opscope ")):
        return True
    return path.startswith(_LIBRARIES[1:]) and not path.startswith(_SITE_PACKAGES)


class _CodeKind(Enum):
    LIBRARY = auto()  # torch and the like: shown in stacks, opens no scope
    MODULE_CALL = auto()  # torch's entry to every module call
    USER = auto()  # may open a scope
    INLINE = auto()  # user code that is part of the function around it: lambdas, comprehensions


class _Code:
    """What is known of a code object; holds it, so that its address stays its own."""

    __slots__ = (
        "code",
        "is_engine",
        "is_forward",
        "is_library",
        "is_own",
        "is_step",
        "kind",
        "may_mark",
        "repeats",
    )

    def __init__(self, code: CodeType) -> None:
        self.code = code
        self.is_library = is_library_file(code.co_filename)
        # What stands in torch's classes is not shown.
        self.is_engine = code is ENGINE_CODE
        self.is_own = code.co_filename.startswith(_OWN_ROOMS)
        self.is_forward = code.co_name == "forward" and code.co_argcount > 0
        self.is_step = code.co_name == "step" and code.co_argcount > 0
        # Whether it may well call operators more than once, always below the same frame: a generator goes
        # on below whoever asks for its next value, and a module's ``forward`` is marked itself.
        self.repeats = self.is_engine or not (
            code is _CALLS_FORWARD
            or code.co_flags & _GENERATOR
            or _LOOPS.isdisjoint(code.co_code[::2])
        )
        if code is _MODULE_CALL:
            self.kind = _CodeKind.MODULE_CALL
        elif self.is_library:
            self.kind = _CodeKind.LIBRARY
        elif code.co_name.startswith("<"):
            self.kind = _CodeKind.INLINE
        else:
            self.kind = _CodeKind.USER
        self.may_mark = self.kind is not _CodeKind.LIBRARY or self.is_forward or self.is_step


class Mark:
    """What the walks keep on a frame: see Note [Marks on frames]."""

    __slots__ = (
        "caller",
        "hook",
        "instruction",
        "is_engine",
        "is_entry",
        "is_shown",
        "module",
        "owner",
        "regions",
        "scope",
        "stack",
    )

    def __init__(
        self,
        owner: object,
        regions: int,
        caller: Frame | None,
        scope: Scope,
        module: torch.nn.Module | None,
        is_entry: bool = False,
    ) -> None:
        self.owner = owner  # a token of the walk that made the mark
        self.regions = regions  # how many regions were open when the frame was first seen
        self.caller = caller  # the stack above the frame
        self.scope = scope
        self.module = module  # the module whose call the frame is part of
        self.is_entry = is_entry
        self.is_engine = False  # whether the frame calls autograd's engine
        self.is_shown = True  # whether the frame is part of stacks
        self.hook: Any = None  # what a debugger had put in the slot
        # The stack that begins with the frame, and the instruction of it for which that was found.
        self.stack = caller
        self.instruction = -2

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Any:
        """Pass a debugger's event on to its own hook, and stay in the slot."""
        if self.hook is not None:
            self.hook = self.hook(frame, event, arg) or self.hook
        return self


class FrameWalker:
    """Finds scope and stack of the running operator, for one trace.

    Attributes:
        regions: the scopes opened by hand that are open now, outermost first.
        above: the user's stack above the traced program.
        causes: the calls that autograd followed.
        behind_apply: whether the operator located last was called in C++ by ``autograd.Function.apply``
            itself, before or after the ``forward``.
        module: the module whose call that operator is part of.
    """

    def __init__(self, root: Scope, paths: ModulePaths, causes: Causes) -> None:
        self.root = root
        self.causes = causes
        self.above: Frame | None = None
        self.behind_apply = False
        self.module: torch.nn.Module | None = None
        self.regions: list[Scope] = []
        self._paths = paths
        self._forwards = ForwardCodes()
        self._codes: dict[int, _Code] = {}
        self._frames: dict[tuple[Frame | None, int, int], Frame] = {}
        # How many scopes of one address were opened, and the addresses that scopes have. Those of modules
        # are texts; any other scope is told from its neighbours by its kind and name.
        self._calls: dict[object, int] = {}
        self._taken: set[object] = set()
        self._mirrors: dict[tuple[Scope, Scope], Scope] = {}  # by the backward's and the forward's
        self._token = object()
        self._entry: tuple[FrameType | None, Mark]
        self._entry = (None, Mark(self._token, 0, None, root, None, is_entry=True))

    def enter(self, frame: FrameType, module: torch.nn.Module | None) -> None:
        """Make ``frame`` the one below which scopes are counted; ``module`` is the root, if one is."""
        self.above = self._plain_stack(frame.f_back)
        mark = Mark(self._token, 0, self.above, self.root, module, is_entry=True)
        self._entry = (frame, mark)

    def entered_at(self, frame: FrameType) -> bool:
        """Whether ``frame`` is the one that was entered."""
        return frame is self._entry[0]

    def leave(self) -> None:
        """Let go of the frame that was entered."""
        self._entry = (None, self._entry[1])

    def locate(self, frame: FrameType | None) -> tuple[Scope, Frame | None]:
        """Return the scope and the stack of an operator called in ``frame``. O(frames not seen yet).

        There is no stack where no user's code runs, as in a tool that traces for somebody.
        """
        fresh: list[FrameType] = []
        entry, mark = self._entry
        token = self._token
        cause: Cause | None = None
        while frame is not None and frame is not entry:
            found: Any = frame.f_trace
            if found.__class__ is Mark and found.owner is token:
                mark = found
                if mark.is_shown and mark.instruction != frame.f_lasti:
                    mark.instruction = frame.f_lasti
                    mark.stack = self._intern(mark.caller, frame.f_code, mark.instruction)
                if mark.is_engine:
                    cause = self.causes.running()
                break
            fresh.append(frame)
            frame = frame.f_back
        stack = mark.stack if cause is None else cause[1] or mark.stack
        self.behind_apply = False
        if fresh:
            self.behind_apply = fresh[0].f_code is BEHIND_APPLY
            mark, stack, cause = self._enter_frames(fresh, mark, stack, cause)
        self.module = mark.module
        if len(self.regions) > mark.regions:
            return self._region(cause), stack
        return mark.scope, stack

    def _enter_frames(
        self, fresh: list[FrameType], mark: Mark, stack: Frame | None, cause: Cause | None
    ) -> tuple[Mark, Frame | None, Cause | None]:
        """Return the mark in force in the first of some frames, its stack, and what a backward runs for."""
        codes = self._codes
        for frame in reversed(fresh):
            code_object = frame.f_code
            code = codes.get(id(code_object)) or self._learn(code_object)
            if code.is_own:
                continue
            above = mark
            if code.may_mark:
                mark = self._enter_frame(frame, code, stack, above)
            if mark is above and code.repeats:
                mark = self._pass_frame(frame, code, stack, above)
            stack = self._intern(stack, code_object, frame.f_lasti)
            if code.is_engine:
                cause = self.causes.running()
                stack = cause[1] or stack
        return mark, stack, cause

    def _pass_frame(self, frame: FrameType, code: _Code, caller: Frame | None, above: Mark) -> Mark:
        """Mark a frame that opens no scope: it will soon be met again."""
        mark = Mark(self._token, above.regions, caller, above.scope, above.module, above.is_entry)
        mark.is_engine = code.is_engine
        self._put(mark, frame)
        return mark

    def _put(self, mark: Mark, frame: FrameType) -> None:
        if not isinstance(frame.f_trace, Mark):
            mark.hook = frame.f_trace
        frame.f_trace = mark

    def _region(self, cause: Cause | None) -> Scope:
        """Return the scope opened last by hand; in a backward pass, that of what it runs for."""
        region = self.regions[-1]
        if region.kind is not ScopeKind.BACKWARD:
            return region
        forward = (self.causes.running() if cause is None else cause)[0]
        return region if forward is None else self._mirror(region, forward)

    def scope_in_backward(self, path: str) -> Scope | None:
        """Return the scope that stands for a module in the backward pass that runs; None if none runs.

        Also None where the module has not been called.
        """
        region = self.regions[-1] if self.regions else self.root
        forward = self.causes.last_call(path)
        if region.kind is not ScopeKind.BACKWARD or forward is None:
            return None
        while forward.kind is ScopeKind.OPERATOR and forward.parent is not None:
            forward = forward.parent
        return self._mirror(region, forward)

    def _mirror(self, region: Scope, forward: Scope) -> Scope:
        """Return the scope that stands in a backward pass where ``forward`` stands in the forward."""
        mirror = self._mirrors.get((region, forward))
        if mirror is None:
            if forward.parent is None or forward in region.chain():  # it is around both
                mirror = region
            else:
                parent = self._mirror(region, forward.parent)
                mirror = self._child(
                    parent, forward.kind, forward.name, forward.class_name, forward.call
                )
            self._mirrors[region, forward] = mirror
        return mirror

    def user_range(self, frame: FrameType | None) -> SourceRange | None:
        """Return the user's line that runs in or above a frame."""
        stack = self.stack_of(frame)
        return None if stack is None else stack.user.range

    def stack_of(self, frame: FrameType | None) -> Frame | None:
        """Return the stack of a frame of any thread, without its scope and without a mark."""
        chain = []
        while frame is not None:
            if not frame.f_code.co_filename.startswith(_OWN_ROOMS):
                chain.append(frame)
            frame = frame.f_back
        stack: Frame | None = None
        for outer in reversed(chain):
            stack = self._intern(stack, outer.f_code, outer.f_lasti)
        return stack

    def open_region(self, name: str, frame: FrameType, kind: ScopeKind = ScopeKind.REGION) -> Scope:
        """Open a scope by hand, below the scope that ``frame`` stands in."""
        scope, _ = self.locate(frame)
        region = self._child(scope, kind, name, "")
        self.regions.append(region)
        return region

    def open_operator(
        self,
        name: str,
        place: tuple[Scope, Frame | None],
        module: torch.nn.Module | None,
        frame: FrameType,
    ) -> Scope:
        """Open the scope of an operator whose kernel ``frame`` calls, until that returns.

        What the kernel calls has the stack of the operator.

        Args:
            name: the operator's.
            place: where it was called.
            module: the module whose call that is part of.
            frame: is not part of stacks.
        """
        scope, stack = place
        region = self._child(scope, ScopeKind.OPERATOR, name, "")
        self.regions.append(region)
        mark = Mark(self._token, len(self.regions), stack, region, module)
        mark.is_shown = False
        self._put(mark, frame)
        return region

    def close_region(self, name: str) -> None:
        """Close the innermost scope of this name that was opened by hand, if one is open."""
        for position in reversed(range(len(self.regions))):
            region = self.regions[position]
            if region.name == name and region.kind is ScopeKind.REGION:
                del self.regions[position]
                return

    def _enter_frame(
        self, frame: FrameType, code: _Code, caller: Frame | None, above: Mark
    ) -> Mark:
        """Return the mark in force inside ``frame``, newly made where the frame may open a scope."""
        kind = code.kind
        if kind is _CodeKind.INLINE and above.is_entry:
            kind = _CodeKind.USER  # the traced function is a lambda
        match kind:
            case _CodeKind.LIBRARY | _CodeKind.INLINE:
                module = self._called_directly(frame, code, above)
                if module is not None:
                    mark = self._module_mark(module, caller, above)
                elif code.is_step and isinstance(found := _first_local(frame), Optimizer):
                    mark = self._optimizer_mark(found, caller, above)
                else:
                    return above
            case _CodeKind.MODULE_CALL:
                mark = self._module_mark(_first_local(frame), caller, above)
            case _CodeKind.USER:
                mark = self._user_mark(frame, code, caller, above)
        self._put(mark, frame)
        return mark

    def _module_mark(self, module: torch.nn.Module, caller: Frame | None, above: Mark) -> Mark:
        if above.is_entry and above.module is module:
            scope = above.scope
        else:
            # In a backward pass that is a module whose forward runs again, as a checkpoint's does.
            has_region = len(self.regions) > above.regions
            parent = self.regions[-1] if has_region else above.scope
            step = self._paths.step(above.module, module)
            scope = self._child(parent, ScopeKind.MODULE, step, type(module).__name__)
            self._paths.meet(module, scope)
        return Mark(self._token, len(self.regions), caller, scope, module)

    def _user_mark(self, frame: FrameType, code: _Code, caller: Frame | None, above: Mark) -> Mark:
        module = self._called_directly(frame, code, above)
        if module is not None:
            return self._module_mark(module, caller, above)
        if code.is_step and isinstance(found := _first_local(frame), Optimizer):
            return self._optimizer_mark(found, caller, above)
        scope = self._scope_inside(above)
        is_part = (
            above.is_entry or code.is_forward or self._forwards.include(code.code, above.module)
        )
        if not is_part:
            scope = self._child(scope, ScopeKind.FUNCTION, code.code.co_name, "")
        return Mark(self._token, len(self.regions), caller, scope, above.module)

    def _optimizer_mark(self, optimizer: Optimizer, caller: Frame | None, above: Mark) -> Mark:
        scope = self._scope_inside(above)
        # A step may call that of the class it derives from.
        if scope.kind is not ScopeKind.OPTIMIZER:
            name = self._paths.name_outside(optimizer)
            scope = self._child(scope, ScopeKind.OPTIMIZER, name, type(optimizer).__name__)
        return Mark(self._token, len(self.regions), caller, scope, above.module)

    def _scope_inside(self, above: Mark) -> Scope:
        """Return the scope of what a marked frame calls."""
        return self._region(None) if len(self.regions) > above.regions else above.scope

    def _called_directly(
        self, frame: FrameType, code: _Code, above: Mark
    ) -> torch.nn.Module | None:
        """Return the module whose ``forward`` the frame is, if nobody went through its ``__call__``."""
        if not code.is_forward or self._forwards.include(code.code, above.module):
            return None
        first = _first_local(frame)
        if first is above.module or not isinstance(first, torch.nn.Module):
            return None
        return first

    def _child(
        self, parent: Scope, kind: ScopeKind, name: str, class_name: str, call: int = 0
    ) -> Scope:
        """Return a new scope with an address of its own; ``call`` says which call it is, if that is known."""
        if kind is ScopeKind.MODULE:
            return self._module_child(parent, name, class_name, call)
        key = (parent, kind, name)
        if not call:
            call = self._calls[key] = self._calls.get(key, 0) + 1
        while (key, call) in self._taken:
            call += 1
        self._taken.add((key, call))
        return Scope(parent, kind, name, class_name, call)

    def _module_child(self, parent: Scope, name: str, class_name: str, call: int) -> Scope:
        """Return a new scope of a module: its address is a path, to which several ways may lead.

        It may be called through its parent, and then by a function that knows its whole path.
        """
        scope = Scope(parent, ScopeKind.MODULE, name, class_name)
        address = scope.address
        if not call:
            call = self._calls[address] = self._calls.get(address, 0) + 1
        if call > 1:
            scope = Scope(parent, ScopeKind.MODULE, name, class_name, call)
        while scope.address in self._taken:
            call += 1
            scope = Scope(parent, ScopeKind.MODULE, name, class_name, call)
        self._taken.add(scope.address)
        return scope

    def _learn(self, code: CodeType) -> _Code:
        # Hashing a code object hashes all it contains; its address does as long as we hold it.
        known = self._codes[id(code)] = _Code(code)
        return known

    def _intern(self, caller: Frame | None, code: CodeType, instruction: int) -> Frame:
        key = (caller, id(code), instruction)
        frame = self._frames.get(key)
        if frame is None:
            facts = self._codes.get(id(code)) or self._learn(code)
            frame = self._frames[key] = Frame(code, instruction, caller, facts.is_library)
        return frame

    def _plain_stack(self, frame: FrameType | None) -> Frame | None:
        """Return the stack above a trace: the user's code, if it is not our command line that traces."""
        chain = []
        while frame is not None and not frame.f_code.co_filename.startswith(_COMMAND_LINE):
            if not frame.f_code.co_filename.startswith(_OWN_ROOMS):
                chain.append(frame)
            frame = frame.f_back
        stack: Frame | None = None
        if frame is None:
            for outer in reversed(chain):
                stack = self._intern(stack, outer.f_code, outer.f_lasti)
        return stack


def _first_local(frame: FrameType) -> Any:
    """Return the first argument of a frame's function without keeping its locals alive.

    Up to Python 3.12, ``f_locals`` stores a dictionary of all locals on the frame. It is emptied
    again unless the function itself holds it, having called ``locals()``.
    """
    names = frame.f_locals
    first = names.get(frame.f_code.co_varnames[0])
    if isinstance(names, dict) and sys.getrefcount(names) <= 3:
        names.clear()
    return first
