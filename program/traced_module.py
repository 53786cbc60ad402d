"""TracedModule, what ``opscope.trace_module`` returns: several methods of one module, with one state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import torch

from ..errors import CaptureError
from ..ir.places import HeldPlace
from ..saving import module_target
from ..tracer import Diagnostic, DiagnosticKind, Dynamic
from .contents import contents_of_all
from .module_methods import ModuleMethods
from .traced import TracedProgram, trace


class TracedModule(ModuleMethods[TracedProgram]):
    """A module as some of its methods ran: a program for each, and one state for all.

    A method is called by its name, ``traced.encode(x)``, and the module's own call, hooks included,
    by calling the whole, ``traced(x)``. A parameter that several methods read is one entry of
    ``state``, and goes by one name in all their graphs.

    Attributes:
        name: the class of the module.
        methods: the program of each method that was traced, in order.
        state: the parameters, buffers and constants that the methods read, by name.
    """

    _which = "methods that were traced"

    def __init__(self, name: str, methods: Mapping[str, TracedProgram]) -> None:
        super().__init__(name, methods)
        shared = _SharedState()
        for method, program in self.methods.items():
            shared.take_in(method, program)
        self.state: Mapping[str, Any] = MappingProxyType(shared.objects)

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """What could not be recorded exactly, method by method."""
        return tuple(found for program in self.methods.values() for found in program.diagnostics)

    @property
    def parameter_count(self) -> int:
        """The number of elements in all parameters that the methods read, each counted once."""
        return sum(
            part.numel() for part in self.state.values() if isinstance(part, torch.nn.Parameter)
        )

    def save(self, path: str | Path, *, state: bool | None = None) -> Path:
        """Write all methods to one ``.opscope`` file, which ``opscope.load_module`` reads; return its path.

        Args:
            path: where to write; an existing file is replaced in one step.
            state: whether the file holds the state, each part of it once, so that the methods can be
                replayed: yes, if left out.

        Raises:
            FormatError: a tensor of the state cannot come back exactly.
            RenderError: the suffix is not ``.opscope``; pictures and pages are of one method.
            OSError: the file cannot be written.
        """
        target = module_target(path)
        programs = list(self.methods.values())
        made, data = contents_of_all(programs, with_state=state is not False)
        self._write(target, made, data)
        return target


def trace_module(
    module: torch.nn.Module,
    inputs: Mapping[str, Any],
    kwargs: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    dynamic: bool | Mapping[str, Dynamic] | None = None,
    strict: bool = False,
    warn: bool = True,
    fake: bool = False,
    allow: Iterable[DiagnosticKind | str] = (),
    check: bool = False,
    depth: Literal["flat", "deep"] | None = None,
) -> TracedModule:
    """Run methods of a module, each once, and return the programs they were.

    What is not said here of an argument is as in :func:`opscope.trace`.

    Args:
        module: the module.
        inputs: for each method's name a tuple of positional arguments; anything else, a tensor say,
            is the only one. ``forward`` stands for calling the module, its hooks included.
        kwargs: keyword arguments by the method's name.
        dynamic: which sizes of the inputs may differ at a replay: for all methods None, which is all
            that the program does not fix, or False, which is none; or by the method's name what
            ``trace`` takes, such as ``{"encode": {"x": {0: "batch"}}}``.
        strict: whether something that cannot be recorded exactly is an error instead of a warning.
        warn: whether it is a warning otherwise; ``diagnostics`` lists it either way.
        fake: whether to trace without computing.
        allow: kinds of diagnostics that you expect: neither warned about nor errors.
        check: whether to run each method again and compare, on its inputs as they were before.
        depth: "flat", or "deep", with what composite operators call in place of them; None chooses for each
            method by itself.

    Raises:
        CheckError: ``check`` found a difference.
        CaptureError: a method cannot be traced, or there is none of that name.
    """
    if not isinstance(module, torch.nn.Module):
        raise CaptureError(
            f"trace_module needs a module, not {type(module).__qualname__}\n"
            "  opscope.trace takes any callable"
        )
    kwargs = {} if kwargs is None else kwargs
    if not isinstance(inputs, Mapping) or not inputs:
        raise CaptureError(f"no method is named\n  {_HOW_TO_NAME}")
    by_method = dynamic if isinstance(dynamic, Mapping) else dict.fromkeys(inputs, dynamic)
    for what, names in (("keyword arguments", kwargs), ("dynamic sizes", by_method)):
        unknown = next((name for name in names if name not in inputs), None)
        if unknown is not None:
            raise CaptureError(f"{unknown!r} has {what} and no inputs\n  {_HOW_TO_NAME}")
    expected = tuple(allow)
    methods = {}
    for name, given in inputs.items():
        method = module if name == "forward" else getattr(module, name, None)
        if not callable(method):
            raise CaptureError(f"{type(module).__qualname__} has no method {name!r}")
        methods[name] = trace(
            method,
            given,
            kwargs.get(name),
            dynamic=by_method.get(name),
            strict=strict,
            warn=warn,
            fake=fake,
            allow=expected,
            check=check,
            depth=depth,
        )
    return TracedModule(type(module).__name__, methods)


_HOW_TO_NAME = 'name each method, as in trace_module(model, {"forward": (x,), "encode": (x, y)})'


class _SharedState:
    """One name for each object that several programs keep."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}
        self._names: dict[Any, str] = {}  # by address, which ``objects`` holds, or by place

    def take_in(self, method: str, program: TracedProgram) -> None:
        """Add a program's state; rename in its graph what goes by another name, or by one that is taken."""
        state: dict[str, Any] = {}
        renamed: dict[str, str] = {}
        for name in program.graph.state:
            kept = program.state[name]
            key = kept if isinstance(kept, HeldPlace) else id(kept)
            shared = self._names.get(key)
            if shared is None:
                shared = self._free(name, method)
                self._names[key] = shared
                self.objects[shared] = kept
            state[shared] = kept
            if shared != name:
                renamed[name] = shared
        program.graph.rename_state(renamed)
        program.state = {name: state[name] for name in program.graph.state}

    def _free(self, name: str, method: str) -> str:
        wanted = free = name if name not in self.objects else f"{method}.{name}"
        suffix = 0
        while free in self.objects:
            suffix += 1
            free = f"{wanted}.{suffix}"
        return free
