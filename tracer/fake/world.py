"""Tracing without computing: tensors that have a type and a device and no elements.

Note [The fake world]
    Every parameter, buffer and plain tensor attribute of the program's modules is replaced by a fake
    twin for as long as the run lasts, and so is every tensor among its arguments. What the program
    does to its twins (batch statistics, gradients, cached tensors) dies with them: afterwards the
    modules have the very attributes that they had before. The graph's state is then given the real
    tensors back.

    Tensors that stand nowhere where a twin could be put, in closures and globals, become fake at
    the moment an operator reads them; their gradients and versions are put back too.

    The twins are torch's own fake tensors rather than meta tensors, though those are quicker: a fake
    tensor says that it is on the device where the real one would be, so a program that asks for the
    device, or makes tensors without naming one, does what it does when it computes. A meta tensor,
    which is on no device, stands for one on the device of the program's other tensors.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any, cast

import torch
from torch._subclasses import FakeTensor, FakeTensorMode
from torch._subclasses.fake_tensor import UnsupportedOperatorException
from torch.optim.optimizer import register_optimizer_step_pre_hook

from ...errors import CaptureError
from ...ir.conditions import Circumstance
from ...ir.places import HeldPlace
from ...ir.structure import ATOMS, take_apart
from ..dispatch.dispatcher import (
    active_fake_mode,
    kernels,
    make_fake_mode,
    non_fake_inputs,
    plain_torch,
    set_version,
)
from ..dispatch.gradients import gradient_of
from ..dispatch.replacing import Undo
from ..dispatch.tensors import type_of_tensor
from ..program.held_numbers import HOLDERS
from ..program.inputs import is_opaque, is_tensor
from ..program.program_state import named_objects, number_holders
from ..program.reachable import Search, is_library
from .optimizers import go_ways_of_foreach, put_twins, restore_attributes

_META = torch.device("meta")


class FakeWorld:
    """The fake twins of one program's tensors.

    Args:
        function: the program.
        args: its positional arguments, with real, meta or fake tensors.
        kwargs: its arguments by name.

    Attributes:
        args: the positional arguments with twins in place of their tensors.
        kwargs: likewise.

    Raises:
        CaptureError: tensors of the program are fake already, under more than one mode.
    """

    def __init__(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        self._owners, self._loose, self._holders = _parts(function, args, kwargs)
        self._contents = list(_contents(function))
        leaves, structure = take_apart((args, dict(kwargs)), is_tensor, _is_whole)
        held = [tensor for owner in self._owners for tensor in _tensors_in(vars(owner))]
        known = [*held, *self._loose, *leaves]
        self._mode = _mode_of(known)
        self._device = _device_of(known)
        self._twins: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}  # by address of the real one
        self._real: dict[int, torch.Tensor] = {}  # by address of the twin
        self._containers: dict[int, tuple[Any, Any]] = {}
        with kernels().excluded():
            self.args, self.kwargs = structure.build([self.twin(leaf) for leaf in leaves])
            for tensor in self._loose:
                self.twin(tensor)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Put the twins in place until the ``with`` ends; then restore every attribute and gradient."""
        undo = Undo()
        try:
            for container in self._contents:
                undo.add(partial(_restore_items, container, copy.copy(container)))
            for tensor in self._loose:
                undo.add(partial(_restore_tensor, tensor, tensor.grad, tensor._version))
            for owner in self._owners:
                attributes = vars(owner)
                undo.add(partial(restore_attributes, attributes, dict(attributes)))
                with kernels().excluded():
                    attributes.update(self._replaced(attributes))
            for holder in self._holders:
                with kernels().excluded():
                    put_twins(undo, holder, self.twin)
            go_ways_of_foreach(undo)
            undo.add(register_optimizer_step_pre_hook(partial(self._take_in, undo)).remove)
            undo.add(partial(vars(self._mode).pop, "dispatch", None))
            self._mode.dispatch = _unseen(self._mode.dispatch)  # type: ignore[method-assign]
            with non_fake_inputs(), cast(Any, self._mode):
                yield
        finally:
            undo.run()

    def _take_in(self, undo: Undo, optimizer: torch.optim.Optimizer, *arguments: Any) -> None:
        """Put twins into an optimizer that no name led to, before it takes a step."""
        if not any(known is optimizer for known in self._holders):
            self._holders.append(optimizer)
            with kernels().excluded(), plain_torch():
                put_twins(undo, optimizer, self.twin)

    def real(self, kept: Any) -> Any:
        """Return the tensor that a twin stands for, or a place in the real world; anything else as it is."""
        if isinstance(kept, HeldPlace):
            return kept.of(self.real)
        return self._real.get(id(kept), kept)

    def without_data(self, objects: Mapping[str, Any]) -> Iterator[Circumstance]:
        """Yield that tensors are fake where a graph reads one that the run has made, and not computed."""
        for name, kept in objects.items():
            if isinstance(kept, FakeTensor) and id(kept) not in self._real:
                text = f"all tensors are fake, and no data was computed for %{name},"
                yield Circumstance(text, None, partial(_failing_outside_fake_modes, text))
                return

    def twin(self, tensor: torch.Tensor, *, knows_data: bool = False) -> torch.Tensor:
        """Return the fake twin of a tensor, one per tensor; a fake tensor is its own.

        See Note [Optimizers in the fake world] in ``optimizers.py`` for twins that know the data.
        """
        known = self._twins.get(id(tensor))
        if known is None:
            if torch.nn.parameter.is_lazy(tensor):
                raise CaptureError(
                    "the program has parameters that get their size at its first run\n"
                    "  run it once before it is traced with fake=True"
                )
            with torch.inference_mode(tensor.is_inference()):
                twin = self._make_twin(tensor, knows_data)
            known = self._twins[id(tensor)] = (tensor, twin)
            self._real[id(twin)] = tensor
        return known[1]

    def _make_twin(self, tensor: torch.Tensor, knows_data: bool) -> torch.Tensor:
        if isinstance(tensor, FakeTensor):
            return tensor
        gradient = gradient_of(tensor)
        for held in (tensor,) if gradient is None else (tensor, gradient):
            if (
                held.layout in _SPARSE
            ):  # how much is in it, by which programs go, torch would forget
                raise _not_to_be_faked(held)
        if knows_data:
            data = tensor.detach().clone()  # operators of the run write into it
            return self._mode.fake_tensor_converter.from_real_tensor(
                self._mode, data, make_constant=True
            )
        if tensor.device != _META or type(tensor) not in _PLAIN:
            try:
                return self._mode.from_tensor(tensor, static_shapes=True)
            except (AssertionError, RuntimeError) as error:  # so torch says it
                raise _not_to_be_faked(tensor) from error
        converter = self._mode.fake_tensor_converter
        twin: torch.Tensor = converter.from_meta_and_device(self._mode, tensor, self._device)
        if isinstance(tensor, torch.nn.Parameter):
            twin._is_param = True  # what torch's own conversion sets
        return twin

    def _replaced(self, attributes: dict[str, Any]) -> dict[str, Any]:
        """Return the attributes that must be others while the program runs: tensors and containers."""
        replaced = {}
        for name, value in attributes.items():
            other = self._copied(value, depth=2)
            if other is not value:
                replaced[name] = other
        return replaced

    def _copied(self, value: Any, depth: int) -> Any:
        """Return a twin, or a copy of a container with twins: what the program adds is not kept."""
        if isinstance(value, torch.Tensor):
            return self.twin(value)
        class_ = type(value)
        if class_ is weakref.ref and isinstance(value(), torch.Tensor):
            return weakref.ref(self.twin(value()))
        if class_ not in (list, dict, tuple) or depth == 0:
            return value
        known = self._containers.get(id(value))
        if known is not None:
            return known[1]
        made: Any
        if class_ is dict:
            made = {key: self._copied(item, depth - 1) for key, item in value.items()}
        else:
            made = class_([self._copied(item, depth - 1) for item in value])
        self._containers[id(value)] = (value, made)
        return made


_PLAIN = (torch.Tensor, torch.nn.Parameter)
_SPARSE = (torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)


def _not_to_be_faked(tensor: torch.Tensor) -> CaptureError:
    return CaptureError(
        f"a tensor {type_of_tensor(tensor)} cannot be fake\n"
        "  trace with real tensors, without fake=True"
    )


def _unseen(dispatch: Callable[..., Any]) -> Callable[..., Any]:
    """Return what does a fake mode's work where nothing records: autograd also asks for copies of tensors.

    An operator that only writes, as a fused step of an optimizer does, gives nothing that must be known.
    """
    excluded = kernels().excluded

    @wraps(dispatch)
    def wrapped(op: Any, *args: Any, **kwargs: Any) -> Any:
        with excluded():
            try:
                return dispatch(op, *args, **kwargs)
            except UnsupportedOperatorException:
                if op._schema.returns:
                    raise
                return None

    return wrapped


def _parts(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[list[torch.nn.Module], list[torch.Tensor], list[Any]]:
    """Return what a program consists of: modules, tensors that stand elsewhere, and what holds numbers."""
    owners: dict[int, Any] = {}
    loose: dict[int, torch.Tensor] = {}
    holders = {id(held): held for _, held in number_holders(function)[0]}
    search = Search()
    given = search.reachable([*((str(n), held) for n, held in enumerate(args)), *kwargs.items()])
    for _, kept in (*named_objects(function), *given, *search.looked_into()):
        if isinstance(kept, torch.nn.Module):
            for module in kept.modules():
                owners[id(module)] = module
        elif isinstance(kept, torch.Tensor):
            loose[id(kept)] = kept
        elif isinstance(kept, HOLDERS):
            holders[id(kept)] = kept
    return list(owners.values()), list(loose.values()), list(holders.values())


def _failing_outside_fake_modes(text: str) -> str | None:
    return text if active_fake_mode() is None else None


def _is_whole(part: Any) -> bool:
    """Whether an argument is the very object in the fake world as well, perhaps with twins inside."""
    return is_opaque(part) or isinstance(part, HOLDERS)


def _contents(function: Callable[..., Any]) -> Iterator[Any]:
    """Yield the containers, and the attributes of objects, that a run could put fake tensors into."""
    search = Search()
    for _ in named_objects(function, search):
        pass  # the search is for what leads to them
    for _, held in search.looked_into():
        if isinstance(held, dict | list):
            yield held
        elif not (isinstance(held, (*ATOMS, *HOLDERS, tuple)) or is_library(type(held))):
            attributes = getattr(held, "__dict__", None)
            if isinstance(attributes, dict):
                yield attributes


def _tensors_in(attributes: dict[str, Any]) -> Iterator[torch.Tensor]:
    for value in attributes.values():
        if isinstance(value, torch.Tensor):
            yield value
        elif type(value) in (list, tuple, dict):
            items = value.values() if isinstance(value, dict) else value
            yield from (item for item in items if isinstance(item, torch.Tensor))


def _mode_of(tensors: Iterable[torch.Tensor]) -> FakeTensorMode:
    """Return the mode that fake tensors of the program belong to, or else a new one."""
    modes = {id(t.fake_mode): t.fake_mode for t in tensors if isinstance(t, FakeTensor)}
    active = active_fake_mode()
    if active is not None:
        modes[id(active)] = active
    if len(modes) > 1:
        raise CaptureError(
            "the program and its inputs have fake tensors of different FakeTensorModes\n"
            "  make all of them under one mode, or pass real or meta tensors"
        )
    # A fallback would allocate and compute.
    return next(iter(modes.values()), None) or make_fake_mode(allow_fallback_kernels=False)


def _device_of(tensors: Iterable[torch.Tensor]) -> torch.device:
    """Return the device that meta tensors stand for."""
    for tensor in tensors:
        if tensor.device != _META:
            return tensor.device
    return torch.get_default_device()


def _restore_items(container: Any, before: Any) -> None:
    if isinstance(container, list):
        container[:] = before
    elif list(map(id, container.values())) != list(map(id, before.values())):
        container.clear()
        container.update(before)


def _restore_tensor(tensor: torch.Tensor, gradient: torch.Tensor | None, version: int) -> None:
    if tensor.grad is not gradient:
        tensor.grad = gradient
    if tensor._version != version:
        set_version(tensor, version)
