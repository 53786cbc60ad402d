"""Tensors of classes such as users write: wrappers, with hooks above and below the dispatcher."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode


class Quantized(torch.Tensor):
    """Integers and a scale, which stand for their product; torch can take it apart."""

    @staticmethod
    def __new__(cls, integers: torch.Tensor, scale: torch.Tensor) -> Any:
        return torch.Tensor._make_wrapper_subclass(cls, integers.shape, dtype=scale.dtype)

    def __init__(self, integers: torch.Tensor, scale: torch.Tensor) -> None:
        self.integers = integers
        self.scale = scale

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["integers", "scale"], None

    @staticmethod
    def __tensor_unflatten__(parts: Any, context: Any, size: Any, stride: Any) -> Any:
        return Quantized(parts["integers"], parts["scale"])

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        if func is torch.ops.aten.detach.default:
            return Quantized(args[0].integers, args[0].scale)
        args, kwargs = torch.utils._pytree.tree_map(_real, (args, kwargs or {}))
        return func(*args, **kwargs)


def _real(held: Any) -> Any:
    return held.integers.to(held.scale.dtype) * held.scale if isinstance(held, Quantized) else held


class Labelled(torch.Tensor):
    """A wrapper that torch cannot take apart, with an attribute that each operator changes."""

    wrapped: torch.Tensor
    label: str

    @staticmethod
    def __new__(cls, wrapped: torch.Tensor, label: str) -> Any:
        return torch.Tensor._make_wrapper_subclass(cls, wrapped.shape, dtype=wrapped.dtype)

    def __init__(self, wrapped: torch.Tensor, label: str) -> None:
        self.wrapped = wrapped
        self.label = label

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        labels = [arg.label for arg in args if isinstance(arg, Labelled)]

        def unwrap(held: Any) -> Any:
            return held.wrapped if isinstance(held, Labelled) else held

        args, kwargs = torch.utils._pytree.tree_map(unwrap, (args, kwargs or {}))
        result = func(*args, **kwargs)
        return Labelled(result, f"{labels[0]}'") if isinstance(result, torch.Tensor) else result


class Named(torch.Tensor):
    """A tensor on the memory of another, whose operators multiply by the length of its name."""

    name_: str
    plain: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, plain: torch.Tensor, name: str) -> Any:
        made = torch.Tensor._make_subclass(cls, plain)
        made.name_ = name
        made.plain = plain
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        lengths = [len(arg.name_) for arg in args if isinstance(arg, Named)]

        def unwrap(held: Any) -> Any:
            return held.plain if isinstance(held, Named) else held

        args, kwargs = torch.utils._pytree.tree_map(unwrap, (args, kwargs or {}))
        return func(*args, **kwargs) * lengths[0]


class Hooked(torch.Tensor):
    """A tensor that keeps a log of what is asked of it, and takes cosines for sines."""

    calls: ClassVar[list[str]] = []

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        cls.calls.append(getattr(func, "__name__", str(func)))
        if func is torch.Tensor.sin:
            func = torch.Tensor.cos
        handle: Any = super().__torch_function__
        return handle(func, types, args, kwargs or {})


class LoggingFunctionMode(TorchFunctionMode):
    """Keeps a log of what is called, and takes cosines for sines."""

    calls: ClassVar[list[str]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls.append(getattr(func, "__name__", str(func)))
        return (torch.cos if func is torch.sin else func)(*args, **(kwargs or {}))


class LoggingDispatchMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps a log of the operators that run, and takes cosines for sines."""

    calls: ClassVar[list[str]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls.append(str(func))
        if func is torch.ops.aten.sin.default:
            func = torch.ops.aten.cos.default
        return func(*args, **(kwargs or {}))
