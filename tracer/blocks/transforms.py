"""Transforms of ``torch.func``: nodes whose block is the function that is transformed.

Note [One node per transform]
    Inside ``vmap``, ``grad`` and their kin a function sees wrapped tensors, and its operators mean
    something else than outside. So the call of a transform is one node, the function is its block,
    and a replay calls the same transform on the block.

    ``torch.func.vmap(f)`` may have been made, and ``vmap`` imported, long before the trace. So what is
    wrapped while a trace runs are the functions of torch that these come down to when they are called.
    ``jacrev``, ``jacfwd`` and ``hessian`` call them from Python and are recorded as what they are made
    of. ``functionalize`` and ``linearize`` come down to nothing, so there the code of the function
    itself is exchanged.

    The transform runs for real. Our kernel is switched off in it, and on again while the function runs,
    at the first of its calls if there are several: the others do the same operators.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any, TypeAlias

import torch
from torch import _vmap_internals
from torch._functorch import apis, eager_transforms
from torch._functorch import vmap as vmap_module
from torch.autograd import forward_ad
from torch.utils import _pytree as pytree

from ...ir import Argument, Block, Effect, Operator
from ..diagnostics import DiagnosticKind
from ..dispatch.dispatcher import Kernels, pass_transform, recorder_here
from ..dispatch.replacing import Patch, Undo, exchange_code
from .building import Place, add_inputs, input_names, recording_into
from .higher_order import ProgramRecorder

_CALL = Operator("functorch::call", effects=Effect.UNKNOWN)


class TracedFunction:
    """A function that a transform returned while a trace ran: its calls are recorded.

    Outside the trace it is the function that it stands for.
    """

    def __init__(
        self, installed: Kernels, recorder: ProgramRecorder, function: Callable[..., Any]
    ) -> None:
        self._installed = installed
        self._recorder = recorder
        self._function = function
        functools.update_wrapper(self, function, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function, and record the call if its trace still runs here."""
        recorder = self._recorder
        if recorder_here(self._installed) is None or recorder.state.recorder is None:
            return self._function(*args, **kwargs)
        place = Place(recorder.state, sys._getframe(1))
        args = recorder.admitted(args)
        leaves = [leaf for leaf in pytree.tree_leaves(args) if isinstance(leaf, torch.Tensor)]
        arguments = [place.argument(self), *map(place.argument, leaves)]
        keywords = {name: place.argument(value) for name, value in kwargs.items()}
        with _not_recorded(self._installed, recorder):
            result = self._function(*args, **kwargs)
        results = pytree.tree_leaves(result)
        place.append(_CALL, arguments, results, keywords=keywords, groups=(len(results),))
        return result


class _Body:
    """The function that a transform is given: the same one, recorded into a block when it first runs.

    Attributes:
        block: what it does.
        outputs: what it returned first, taken apart.
        structure: how that was nested.
    """

    def __init__(
        self, installed: Kernels, recorder: ProgramRecorder, function: Callable[..., Any]
    ) -> None:
        graph = recorder.state.graph
        self.block = Block(graph, None, graph.insertion_block)
        self.outputs: list[Any] = []
        self.structure: Any = None
        self._installed = installed
        self._recorder = recorder
        self._function = function
        self._has_run = False
        functools.update_wrapper(self, function, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function; record it the first time."""
        if self._has_run:
            return self._function(*args, **kwargs)
        self._has_run = True
        state = self._recorder.state
        leaves = pytree.tree_leaves((args, kwargs))
        names = input_names(self._function, args) + [
            f"{name}.{n}" for name, value in kwargs.items() for n in range(_count(value))
        ]
        with recording_into(state, self.block):
            add_inputs(state, self.block, leaves, names)
            with _recorded(self._installed):
                result = self._function(*args, **kwargs)
            self.outputs, self.structure = pytree.tree_flatten(result)
            place = Place(state, sys._getframe())
            self.block.set_outputs([place.value(leaf) for leaf in _tensors(self.outputs)])
        return result


def _count(whole: Any) -> int:
    return len(pytree.tree_leaves(whole))


def _tensors(leaves: Any) -> list[torch.Tensor]:
    return [leaf for leaf in pytree.tree_leaves(leaves) if isinstance(leaf, torch.Tensor)]


@contextmanager
def _recorded(installed: Kernels) -> Iterator[None]:
    was_excluded = torch._C._dispatch_tls_is_dispatch_key_excluded(installed.key)
    installed.set_excluded(False)
    try:
        yield
    finally:
        installed.set_excluded(was_excluded)


@contextmanager
def _not_recorded(installed: Kernels, recorder: ProgramRecorder) -> Iterator[None]:
    """Record nothing; but what a trace around this one would record, it does."""
    if recorder.outer is not None:
        yield
        return
    was_excluded = torch._C._dispatch_tls_is_dispatch_key_excluded(installed.key)
    installed.set_excluded(True)
    try:
        yield
    finally:
        installed.set_excluded(was_excluded)


@dataclass(frozen=True, slots=True)
class _Transform:
    """One call of a transform.

    Attributes:
        kind: the node's operator.
        function: what is transformed.
        arguments: the tensors that go in, in lists where the node keeps them apart.
        run: calls the transform on a function in the place of the one it was given.
        keywords: the node's further arguments, known once the function has run.
        returns_function: whether the second result is a function of the transform's making.
    """

    kind: str
    function: Callable[..., Any]
    arguments: Sequence[Any]
    run: Callable[[Callable[..., Any]], Any]
    keywords: Callable[[_Body], Mapping[str, Argument]]
    returns_function: bool = False


def _record(
    installed: Kernels, recorder: ProgramRecorder, transform: _Transform, frame: FrameType
) -> Any:
    """Run a transform, record it as one node, and return what it returned."""
    place = Place(recorder.state, frame)
    arguments = [place.argument(argument) for argument in transform.arguments]
    body = _Body(installed, recorder, transform.function)
    try:
        if isinstance(recorder.outer, ProgramRecorder):
            inner = replace(transform, function=body)
            result = _record(installed, recorder.outer, inner, frame)
        else:
            with _not_recorded(installed, recorder):
                result = transform.run(body)
    except BaseException as error:
        if isinstance(error, Exception) and _leaves_effects(body.block):
            name = transform.kind.rpartition("::")[2]
            place.state.report(
                DiagnosticKind.UNTRACKED_EFFECT,
                f"{name} raised {type(error).__name__} after its function had written to a tensor or drawn "
                "random numbers, which a replay does not do",
                place.scope,
                place.stack,
            )
        body.block.discard()
        raise
    if transform.returns_function:
        made = TracedFunction(installed, recorder, result[1])
        result = (result[0], made, *result[2:])
    results = [
        leaf
        for leaf in pytree.tree_leaves(result)
        if isinstance(leaf, torch.Tensor | TracedFunction)
    ]
    place.append(
        Operator(transform.kind, effects=Effect.NONE),
        arguments,
        results,
        keywords={name: place.argument(arg) for name, arg in transform.keywords(body).items()},
        groups=(len(results),),
        blocks=[body.block],
    )
    return result


def _leaves_effects(block: Block) -> bool:
    """Whether a block that is given up has done what shows outside it."""
    return any(
        node.operator.effects & (Effect.WRITES | Effect.RANDOM)
        or any(map(_leaves_effects, node.blocks))
        for node in block
    )


_Reader: TypeAlias = Callable[..., _Transform]


def _door(installed: Kernels, read: _Reader, original: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that records the calls of a transform, and else is the original."""

    @functools.wraps(original)
    def door(function: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = recorder_here(installed)
        if not isinstance(recorder, ProgramRecorder) or not callable(function):
            call = functools.partial(original, function, *args, **kwargs)
            name = original.__name__.strip("_").removesuffix("_impl").removesuffix("_with_argnums")
            return pass_transform(installed, name, (args, kwargs), call)
        args, kwargs = recorder.admitted((args, kwargs))
        transform = read(original, function, *args, **kwargs)
        return _record(installed, recorder, transform, sys._getframe(1))

    return door


def _vmap(
    original: Any,
    function: Any,
    in_dims: Any,
    out_dims: Any,
    randomness: str,
    chunk_size: int | None,
    *args: Any,
    **kwargs: Any,
) -> _Transform:
    _, dims, leaves, _ = vmap_module._process_batched_inputs(in_dims, args, function)
    tensors = _tensors(kwargs)
    flat_dims = [d for d, x in zip(dims, leaves, strict=True) if isinstance(x, torch.Tensor)]

    def keywords(body: _Body) -> dict[str, Argument]:
        return {
            "in_dims": (*flat_dims, *(None for _ in tensors)),
            "out_dims": _flat_out_dims(out_dims, body),
            "randomness": randomness,
            "chunk_size": chunk_size,
        }

    def run(body: Callable[..., Any]) -> Any:
        return original(body, in_dims, out_dims, randomness, chunk_size, *args, **kwargs)

    return _Transform("functorch::vmap", function, [*_tensors(leaves), *tensors], run, keywords)


def _legacy_vmap_door(installed: Kernels, original: Any) -> Callable[..., Any]:
    """Return the ``_vmap`` of ``torch.autograd``, whose functions record their calls."""

    @functools.wraps(original)
    def door(function: Any, in_dims: Any = 0, out_dims: Any = 0, **options: Any) -> Any:
        def read(call: Any, function: Any, *args: Any) -> _Transform:
            dims: Any = pytree._broadcast_to_and_flatten(in_dims, pytree.tree_structure(args))
            pairs = zip(dims, pytree.tree_leaves(args), strict=True)
            flat_dims = tuple(dim for dim, leaf in pairs if isinstance(leaf, torch.Tensor))
            return _Transform(
                "functorch::legacy_vmap",
                function,
                _tensors(args),
                lambda body: original(body, in_dims, out_dims, **options)(*args),
                lambda body: {"in_dims": flat_dims, "out_dims": _flat_out_dims(out_dims, body)},
            )

        @functools.wraps(original)
        def call(function: Any, *args: Any) -> Any:
            return original(function, in_dims, out_dims, **options)(*args)

        return functools.wraps(function)(functools.partial(_door(installed, read, call), function))

    return door


def _flat_out_dims(out_dims: Any, body: _Body) -> tuple[int | None, ...]:
    if body.structure.is_leaf():
        return (out_dims[0] if isinstance(out_dims, tuple) else out_dims,)
    flat: Any = pytree._broadcast_to_and_flatten(out_dims, body.structure)
    pairs = zip(flat, body.outputs, strict=True)
    return tuple(dim for dim, output in pairs if isinstance(output, torch.Tensor))


def _leaf_numbers(args: Sequence[Any], argnums: Any) -> tuple[int, ...]:
    """Return the numbers, among all tensors in the arguments, of those in some of the arguments."""
    numbers: list[tuple[int, ...]] = []
    count = 0
    for arg in args:
        size = len(_tensors(arg))
        numbers.append(tuple(range(count, count + size)))
        count += size
    chosen = eager_transforms._validate_and_wrap_argnums(argnums, len(args))
    chosen = (chosen,) if isinstance(chosen, int) else chosen
    return tuple(number for arg in chosen for number in numbers[arg])


def _grad(kind: str) -> _Reader:
    def read(
        original: Any, function: Any, argnums: Any, has_aux: bool, args: Any, kwargs: Any
    ) -> _Transform:
        return _Transform(
            f"functorch::{kind}",
            function,
            _tensors((args, kwargs)),
            lambda body: original(body, argnums, has_aux, args, kwargs),
            lambda body: {"argnums": _leaf_numbers(args, argnums)},
        )

    return read


def _vjp(
    original: Any, function: Any, *primals: Any, argnums: Any = None, has_aux: bool = False
) -> _Transform:
    numbers = None if argnums is None else _leaf_numbers(primals, argnums)

    def run(body: Callable[..., Any]) -> Any:
        return original(body, *primals, argnums=argnums, has_aux=has_aux)

    return _Transform(
        "functorch::vjp",
        function,
        _tensors(primals),
        run,
        lambda body: {"argnums": numbers, "outputs": _output_count(body, has_aux)},
        returns_function=True,
    )


def _jvp(
    original: Any,
    function: Any,
    primals: Any,
    tangents: Any,
    argnums: Any,
    *,
    strict: bool = False,
    has_aux: bool,
) -> _Transform:
    def run(body: Callable[..., Any]) -> Any:
        return original(body, primals, tangents, argnums, strict=strict, has_aux=has_aux)

    def keywords(body: _Body) -> dict[str, Argument]:
        return {
            "argnums": None if argnums is None else _leaf_numbers(primals, argnums),
            "strict": strict,
            "outputs": _output_count(body, has_aux),
        }

    tensors = [_tensors(primals), _tensors(tangents)]
    return _Transform("functorch::jvp", function, tensors, run, keywords)


def _output_count(body: _Body, has_aux: bool) -> int:
    """Return how many tensors a function returns besides those that are only passed on."""
    if not has_aux:
        return len(_tensors(body.outputs))
    whole = pytree.tree_unflatten(body.outputs, body.structure)
    return len(_tensors(whole[0]))


def _linearize(original: Any, function: Any, *primals: Any) -> _Transform:
    return _Transform(
        "functorch::linearize",
        function,
        _tensors(primals),
        lambda body: original(body, *primals),
        lambda body: {},
        returns_function=True,
    )


def _functionalize_door(installed: Kernels, original: Any) -> Callable[..., Any]:
    """Return a ``functionalize`` whose functions record their calls."""

    def door(function: Any, *, remove: str = "mutations") -> Any:
        made = original(function, remove=remove)

        def read(call: Any, function: Any, *args: Any, **kwargs: Any) -> _Transform:
            return _Transform(
                "functorch::functionalize",
                function,
                _tensors((args, kwargs)),
                lambda body: original(body, remove=remove)(*args, **kwargs),
                lambda body: {"remove": remove},
            )

        @functools.wraps(original)
        def call(function: Any, *args: Any, **kwargs: Any) -> Any:
            return made(*args, **kwargs)

        return functools.wraps(made)(functools.partial(_door(installed, read, call), function))

    return door


def _dual_level_door(installed: Kernels, name: str, original: Any) -> Callable[..., Any]:
    """Return the function that begins or ends forward-mode derivatives, and records that it did."""

    @functools.wraps(original)
    def door(*args: Any, **kwargs: Any) -> Any:
        recorder = recorder_here(installed)
        while isinstance(recorder, ProgramRecorder):
            place = Place(recorder.state, sys._getframe(1))
            place.append(Operator(f"autograd::{name}"), (), ())
            recorder = recorder.outer
        return original(*args, **kwargs)

    return door


def transforms(installed: Kernels) -> Iterator[Patch]:
    """Yield what records the transforms of ``torch.func`` that come down to functions of torch."""
    for owner, name, read in (
        (apis, "vmap_impl", _vmap),
        (vmap_module, "vmap_impl", _vmap),
        (eager_transforms, "grad_impl", _grad("grad")),
        (eager_transforms, "grad_and_value_impl", _grad("grad_and_value")),
        (eager_transforms, "_vjp_with_argnums", _vjp),
        (eager_transforms, "_jvp_with_argnums", _jvp),
    ):
        yield owner, name, functools.partial(_door, installed, read)
    for name in ("enter_dual_level", "exit_dual_level"):
        yield forward_ad, name, functools.partial(_dual_level_door, installed, name)
    for owner in (_vmap_internals, torch.autograd.functional):
        yield owner, "_vmap", functools.partial(_legacy_vmap_door, installed)


def exchange_transforms(installed: Kernels, undo: Undo) -> None:
    """Record the other transforms of ``torch.func`` until ``undo`` is run."""
    linearize = functools.partial(_door, installed, _linearize)
    exchange_code(undo, eager_transforms.linearize, linearize)
    functionalize = functools.partial(_functionalize_door, installed)
    exchange_code(undo, eager_transforms.functionalize, functionalize)
