"""An accelerator without hardware: ``shadow``, whose tensors have their memory on the CPU.

To torch it is a device like any other, with a dispatch key, a guard, and a thread of autograd's engine of its
own. Each operator runs on the CPU and gives tensors of the device. It registers for the whole process, so
what uses it runs in one of its own.
"""

from __future__ import annotations

import threading
from typing import Any

import torch
from torch.utils import _pytree as pytree
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "shadow"

threads: set[int] = set()
"""The threads in which operators have run on the device."""

_CPU = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)
_META = torch._C.DispatchKeySet(torch._C.DispatchKey.Meta)
_as_strided: Any = torch.ops.aten.as_strided.default
_create_empty: Any = torch._C._acc.create_empty_tensor
_memory: dict[int, tuple[Any, torch.Tensor]] = {}  # by storage, which is kept, what is in it
_libraries: list[Any] = []  # what they register lives as long as they do


class _Module:
    """What stands as ``torch.shadow``."""

    def is_initialized(self) -> bool:
        return True

    def is_available(self) -> bool:
        return True

    def current_device(self) -> int:
        return 0

    def device_count(self) -> int:
        return 1

    def manual_seed_all(self, seed: int) -> None:
        """Leave it: there are no random numbers but the CPU's."""

    def _is_in_bad_fork(self) -> bool:
        return False

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]


def register() -> None:
    """Make ``shadow`` a device of this process."""
    _setup_privateuseone_for_python_backend(NAME, backend_module=_Module())
    libraries: Any = torch.library
    for key, kernel in (
        ("PrivateUse1", _run),
        ("AutocastPrivateUse1", libraries.fallthrough_kernel),
    ):
        library = libraries.Library("_", "IMPL")
        library.fallback(kernel, key)
        _libraries.append(library)


def _run(op: Any, *args: Any, **kwargs: Any) -> Any:
    """Run an operator, of whose arguments some are on the device, on the CPU."""
    threads.add(threading.get_ident())
    if op._schema.name == "aten::_copy_from":
        source, target = map(_plain, args[:2])
        torch.ops.aten.copy_.default.redispatch(_CPU, target, source)
        return args[1]
    leaves, spec = pytree.tree_flatten((args, kwargs))
    pairs = [(leaf, _plain(leaf)) for leaf in leaves]
    asked = [leaf.type for leaf in leaves if isinstance(leaf, torch.device)]
    plain_args, plain_kwargs = pytree.tree_unflatten([plain for _, plain in pairs], spec)
    result = op(*plain_args, **plain_kwargs)
    if op._schema.name == "aten::copy_":
        return args[0]
    if asked == ["cpu"]:
        return result
    tensors = [pair for pair in pairs if isinstance(pair[0], torch.Tensor)]
    return pytree.tree_map_only(torch.Tensor, lambda part: _on_device(part, tensors), result)


def _plain(value: Any) -> Any:
    """Return the CPU's counterpart of an argument."""
    if isinstance(value, torch.device):
        return torch.device("cpu")
    if not isinstance(value, torch.Tensor) or value.device.type != NAME:
        return value
    _, whole = _memory[value.untyped_storage()._cdata]
    return _as_strided.redispatch(_CPU, whole, value.size(), value.stride(), value.storage_offset())


def _on_device(result: torch.Tensor, arguments: list[tuple[Any, Any]]) -> torch.Tensor:
    """Return the device's tensor for one that an operator gave on the CPU."""
    place = (result.size(), result.stride(), result.storage_offset())
    for own, plain in arguments:
        if plain is result:
            return own  # type: ignore[no-any-return]
    for own, plain in arguments:
        if plain.untyped_storage()._cdata == result.untyped_storage()._cdata:
            return _as_strided.redispatch(_META, own, *place)  # type: ignore[no-any-return]
    made = _create_empty([0], result.dtype)
    count = result.untyped_storage().nbytes() // result.element_size()
    storage = made.untyped_storage()
    whole = _as_strided.redispatch(_CPU, result, (count,), (1,), 0)
    _memory[storage._cdata] = storage, whole
    return _as_strided.redispatch(_META, made, *place)  # type: ignore[no-any-return]
