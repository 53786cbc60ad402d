"""Programs as modules of torch.fx, and such modules as programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import torch
from torch.export import ExportedProgram
from torch.fx.graph_module import GraphModule

from ..errors import CaptureError, InputError, OpscopeError, ReplayError
from ..interop.fx import (
    Origins,
    example_inputs,
    places_of,
    program_of,
    reading_sizes,
    stack_told_by,
)
from ..tracer import DiagnosticKind, Dynamic
from .loaded import LoadedProgram
from .traced import TracedProgram, trace

_WITH_INPUTS: Final = (
    "nothing was computed, since no inputs were given: pass some, opscope.from_fx(module, (x,))"
)


def to_fx(program: TracedProgram | LoadedProgram, *, checks: bool = True) -> GraphModule:
    """Return a program as a ``torch.fx.GraphModule``; see :meth:`TracedProgram.to_fx`.

    Args:
        program: what was traced or loaded.
        checks: whether the module checks its inputs and the program's guards.

    Raises:
        ReplayError: something in the program has no counterpart there.
    """
    if isinstance(program, LoadedProgram):
        program = program.traced
    if not isinstance(program, TracedProgram):
        raise ReplayError(
            f"a traced program becomes a module of torch.fx, not {type(program).__qualname__}\n"
            "  trace it first: opscope.trace(model, inputs)"
        )
    return program.to_fx(checks=checks)


def from_fx(
    module: GraphModule | ExportedProgram,
    inputs: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    dynamic: Dynamic = None,
    strict: bool = False,
    warn: bool = True,
    allow: Iterable[DiagnosticKind | str] = (),
) -> TracedProgram:
    """Return a module of torch.fx, or what ``torch.export`` gave, as a traced program.

    The module is traced: on inputs that are given, or without computing, on what its placeholders tell of
    their inputs. What its nodes tell of modules and source lines becomes scopes and stacks.

    Args:
        module: what ``torch.fx.symbolic_trace``, ``make_fx``, ``torch.export.export`` or
            :func:`opscope.to_fx` made.
        inputs: as :func:`opscope.trace` takes them; left out, they are made of the metadata of placeholders:
            ``val``, ``example_value`` or ``tensor_meta``.
        kwargs: keyword arguments.
        dynamic: which sizes of the inputs may differ at a replay; see :func:`opscope.trace`.
        strict: whether something that cannot be recorded exactly is an error instead of a warning.
        warn: whether it is a warning otherwise.
        allow: kinds of diagnostics that are neither warned about nor errors.

    Raises:
        CaptureError: a node cannot be run, or not be recorded; the message names it and its line.
        InputError: there are no inputs, and a placeholder does not tell what it takes.
    """
    is_fake = inputs is None and kwargs is None
    if isinstance(module, ExportedProgram):
        if is_fake and module.example_inputs is not None:
            inputs, kwargs = module.example_inputs
        module = module.module()
    if not isinstance(module, GraphModule):
        raise CaptureError(
            f"from_fx takes a torch.fx.GraphModule or an exported program, not {type(module).__qualname__}\n"
            "  opscope.trace takes any module or function"
        )
    _require_attributes(module)
    if is_fake:
        _require_no_places(module)
    if inputs is None and kwargs is None:
        inputs, kwargs = example_inputs(module)
    module = reading_sizes(module)
    origins = Origins(module)
    try:
        traced = trace(
            program_of(module),
            () if inputs is None else inputs,
            kwargs,
            dynamic=dynamic,
            strict=strict,
            warn=warn,
            fake=is_fake,
            allow=allow,
            depth="flat",
        )
    except Exception as error:
        explained = _explained(error, origins, is_fake=is_fake)
        if explained is None:
            raise
        raise explained from error
    traced.graph.name = type(module).__name__
    for graph in (traced.graph, *traced.graph.functions.values()):
        origins.tell(graph)
    return traced


def _require_attributes(module: GraphModule) -> None:
    for node in module.graph.find_nodes(op="get_attr"):
        held: Any = module
        for step in str(node.target).split("."):
            if not hasattr(held, step):
                raise CaptureError(
                    f"node {node.name} reads {node.target}, and the module has no such attribute\n"
                    "  give it one (module.register_buffer, add_submodule) or erase the node"
                )
            held = getattr(held, step)


def _require_no_places(module: GraphModule) -> None:
    place = next(places_of(module), None)
    if place is not None:
        raise InputError(
            f"the module goes by what an object holds in {place.name}, so only a run of it can be converted\n"
            "  pass inputs: opscope.from_fx(module, (x,)); the object changes as in any run of it"
        )


def _explained(error: Exception, origins: Origins, *, is_fake: bool) -> CaptureError | None:
    """Return the error that says which node failed; None if none of them did."""
    node: torch.fx.Node | None = None
    cause: BaseException | None = error
    while node is None and cause is not None:
        node = origins.failed(cause.__traceback__)
        cause = cause.__cause__
    if node is None:
        return None
    lines = [f"node {node.name} of the module cannot be converted: {error}", f"  {_text(node)}"]
    stack = stack_told_by(node)
    if stack is not None:
        source = stack.user.range
        lines.append(f"  from {source} in {source.function}: {source.text.strip()}")
    if is_fake:
        lines.append(f"  {_WITH_INPUTS}")
    elif not isinstance(error, OpscopeError):
        lines.append(
            "  the module fails on these inputs by itself: pass others, or change the node"
        )
    return CaptureError("\n".join(lines))


def _text(node: torch.fx.Node) -> str:
    return node.format_node() or str(node)
