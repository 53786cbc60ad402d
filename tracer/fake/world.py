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

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import torch
from torch._subclasses import FakeTensor, FakeTensorMode

from ...errors import CaptureError
from ...ir.structure import take_apart
from ..dispatch.dispatcher import (
    active_fake_mode,
    kernels,
    make_fake_mode,
    non_fake_inputs,
    set_version,
)
from ..dispatch.replacing import Undo
from ..dispatch.tensors import type_of_tensor
from ..program.inputs import is_opaque, is_tensor
from ..program.program_state import named_objects

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
        self._owners, self._loose = _holders(function)
        leaves, structure = take_apart((args, dict(kwargs)), is_tensor, is_opaque)
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
            for tensor in self._loose:
                undo.add(partial(_restore_tensor, tensor, tensor.grad, tensor._version))
            for owner in self._owners:
                attributes = vars(owner)
                undo.add(partial(_restore_attributes, attributes, dict(attributes)))
                with kernels().excluded():
                    attributes.update(self._replaced(attributes))
            with non_fake_inputs(), cast(Any, self._mode):
                yield
        finally:
            undo.run()

    def real(self, tensor: Any) -> Any:
        """Return the tensor that a twin stands for; anything else as it is."""
        return self._real.get(id(tensor), tensor)

    def twin(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the fake twin of a tensor, one per tensor; a fake tensor is its own."""
        known = self._twins.get(id(tensor))
        if known is None:
            if torch.nn.parameter.is_lazy(tensor):
                raise CaptureError(
                    "the program has parameters that get their size at its first run\n"
                    "  run it once before it is traced with fake=True"
                )
            with torch.inference_mode(tensor.is_inference()):
                twin = self._make_twin(tensor)
            known = self._twins[id(tensor)] = (tensor, twin)
            self._real[id(twin)] = tensor
        return known[1]

    def _make_twin(self, tensor: torch.Tensor) -> torch.Tensor:
        if isinstance(tensor, FakeTensor):
            return tensor
        if tensor.device != _META or type(tensor) not in _PLAIN:
            try:
                return self._mode.from_tensor(tensor, static_shapes=True)
            except (AssertionError, RuntimeError) as error:  # so torch says it
                raise CaptureError(
                    f"a tensor {type_of_tensor(tensor)} cannot be fake\n  trace with real tensors"
                ) from error
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


def _holders(function: Callable[..., Any]) -> tuple[list[Any], list[torch.Tensor]]:
    """Return the objects whose attributes can be replaced, and the tensors that stand elsewhere."""
    owners: dict[int, Any] = {}
    loose: dict[int, torch.Tensor] = {}
    for _, kept in named_objects(function):
        if isinstance(kept, torch.nn.Module):
            for module in kept.modules():
                owners[id(module)] = module
        elif isinstance(kept, torch.Tensor):
            loose[id(kept)] = kept
    return list(owners.values()), list(loose.values())


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


def _restore_attributes(attributes: dict[str, Any], before: dict[str, Any]) -> None:
    for name in [name for name in attributes if name not in before]:
        del attributes[name]
    attributes.update(before)


def _restore_tensor(tensor: torch.Tensor, gradient: torch.Tensor | None, version: int) -> None:
    if tensor.grad is not gradient:
        tensor.grad = gradient
    if tensor._version != version:
        set_version(tensor, version)
