"""What ExecuTorch would make of a module, estimated by exporting it with torch alone.

ExecuTorch exports a module with ``torch.export``, takes composite operators apart, and has each operator
write into memory that was planned before: ``aten::add.Tensor`` becomes ``aten::add.out``. All of this can be
done here. What its passes and backends do to a program afterwards cannot, so that the result is approximate.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import MethodType
from typing import Any, Final

import torch
from torch._ops import OpOverload

from ...errors import FootprintError
from ..inputs import Calls, fresh
from ..kernel_keys import TensorKind, kernel_key
from .needs import ExecuTorchModel, ExecuTorchSource
from .programs import ProgramMethod
from .variants import OutVariants, is_view

_NUMBERS: Final[dict[Callable[..., Any], str]] = {
    operator.add: "add", operator.sub: "sub", operator.mul: "mul", operator.floordiv: "floordiv",
    operator.truediv: "truediv", operator.mod: "mod", operator.neg: "neg", operator.eq: "eq",
    operator.gt: "gt", operator.ge: "ge", operator.lt: "lt", operator.le: "le",
}  # fmt: skip
_FIRST_DTYPE: Final = {dtype: number for number, dtype in enumerate((
    torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.float32,
    torch.float64, torch.complex32, torch.complex64, torch.complex128, torch.bool, torch.qint8,
    torch.quint8, torch.qint32, torch.bfloat16,
))}  # fmt: skip
_LATER_DTYPES: Final = {
    torch.float8_e5m2: 23, torch.float8_e4m3fn: 24, torch.uint16: 27, torch.uint32: 28, torch.uint64: 29,
}  # fmt: skip
_DTYPES: Final = _FIRST_DTYPE | _LATER_DTYPES
_VIEW_COPY: Final = "aten::view_copy.out"
_VIEW: Final = "executorch_prim::et_view.default"


def estimate(module: torch.nn.Module, calls: Calls) -> ExecuTorchModel:
    """Return what ExecuTorch would probably have a module call.

    Args:
        module: it stays as it is; it is not run, as torch.export computes with shapes alone.
        calls: what its methods are called with; each call is exported.

    Raises:
        FootprintError: it cannot be exported.
    """
    variants = OutVariants()
    methods = []
    for name, inputs in calls.items():
        counter = _Calls(variants)
        for args in fresh({name: inputs})[name]:
            counter.add(_exported(module, name, args))
        methods.append(counter.method(name))
    return ExecuTorchModel(
        type(module).__name__,
        ExecuTorchSource.EXPORTED,
        0,
        tuple(methods),
        frozenset(variants.guessed),
    )


class _MethodOf(torch.nn.Module):
    """A module whose forward is another method of a given one."""

    def __init__(self, module: torch.nn.Module, method: str) -> None:
        super().__init__()
        self.module = module
        called = getattr(type(module), method)
        self.forward = MethodType(_calling(called), self)


def _calling(method: Callable[..., Any]) -> Callable[..., Any]:
    def forward(self: _MethodOf, *args: Any) -> Any:
        return method(self.module, *args)

    return forward


def _exported(module: torch.nn.Module, method: str, args: tuple[Any, ...]) -> torch.nn.Module:
    name = type(module).__name__
    if not callable(getattr(module, method, None)):
        raise FootprintError(f"{name} has no method {method} to call with the inputs given")
    whole = module if method == "forward" else _MethodOf(module, method)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, about its own ways
            program = torch.export.export(whole, args, strict=False)
            graph: torch.nn.Module = program.run_decompositions().graph_module
    except Exception as error:
        words = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        raise FootprintError(
            f"{name}.{method} cannot be exported: {type(error).__name__}: {words[:300]}\n"
            "ExecuTorch exports models in this way too; see torch.export's pages on what it can take"
        ) from error
    return graph


@dataclass(slots=True)
class _Calls:
    """What exported programs of one method call."""

    variants: OutVariants
    calls: dict[str, int] = field(default_factory=dict)
    kernels: dict[str, set[str]] = field(default_factory=dict)

    def add(self, graph: torch.nn.Module) -> None:
        for part in graph.modules():  # branches and bodies of loops are modules of their own
            if isinstance(part, torch.fx.GraphModule):
                for node in part.graph.nodes:
                    if node.op == "call_function":
                        self._add(node)

    def method(self, name: str) -> ProgramMethod:
        kernels = {name: frozenset(keys) for name, keys in self.kernels.items()}
        return ProgramMethod(name, tuple(sorted(self.calls)), self.calls, kernels, ())

    def _add(self, node: torch.fx.Node) -> None:
        target = node.target
        if isinstance(target, OpOverload):
            if not target._schema.returns:
                return  # what it asserts held when it was exported
            name, has_out = self.variants.of(target)
            tensors = [*_inputs(node, target), *_results(node, target, has_out=has_out)]
        elif target in _NUMBERS:
            name, tensors = f"executorch_prim::{_NUMBERS[target]}.Scalar", []
        else:
            return  # control flow is jumps, and taking results apart is nothing
        # A view is an operator of the runtime, or a copy, or nothing: only planning its memory tells.
        for one in (name, _VIEW) if name == _VIEW_COPY else (name,):
            self.calls[one] = self.calls.get(one, 0) + 1
            self.kernels.setdefault(one, set()).add(
                kernel_key(tensors[: -1 if one == _VIEW else None])
            )


def _inputs(node: torch.fx.Node, target: OpOverload) -> Iterator[TensorKind]:
    by_name = {**dict(zip(_parameter_names(target), node.args, strict=False)), **node.kwargs}
    for parameter in target._schema.arguments:
        given = by_name.get(parameter.name)
        if isinstance(given, int | float) and str(parameter.type) == "Tensor":
            result = next(
                _outputs(node), None
            )  # it becomes a tensor, most often of the result's type
            if result is not None:
                yield TensorKind(result.dtype, ())
            continue
        first = next(_kinds([given]), None)  # a list counts as its first
        if first is not None:
            yield first


def _results(node: torch.fx.Node, target: OpOverload, *, has_out: bool) -> list[TensorKind]:
    """Return what stands for results: memory for each, then what is returned; a list is its first."""
    returns = target._schema.returns
    outputs = list(_outputs(node))
    if len(returns) == 1:
        outputs = outputs[:1]
    return [*outputs, *outputs[:1]] if has_out else outputs


def _parameter_names(target: OpOverload) -> Sequence[str]:
    return [parameter.name for parameter in target._schema.arguments]


def _outputs(node: torch.fx.Node) -> Iterator[TensorKind]:
    is_copy = isinstance(node.target, OpOverload) and is_view(node.target)
    for kind in _of_values([node.meta.get("val")]):
        # A view is made a copy, and that lies in memory as its dimensions are counted.
        yield TensorKind(kind.dtype, tuple(range(len(kind.dim_order)))) if is_copy else kind


def _kinds(given: Iterable[Any]) -> Iterator[TensorKind]:
    for item in given:
        if isinstance(item, torch.fx.Node):
            yield from _outputs(item)
        elif isinstance(item, list | tuple):
            yield from _kinds(item)


def _of_values(values: Iterable[Any]) -> Iterator[TensorKind]:
    for value in values:
        if isinstance(value, torch.Tensor):
            if value.dtype in _DTYPES:
                yield TensorKind(_DTYPES[value.dtype], _dim_order(value))
        elif isinstance(value, list | tuple):
            yield from _of_values(value)


def _dim_order(tensor: torch.Tensor) -> tuple[int, ...]:
    """Return dimensions by stride; ExecuTorch plans memory anew, in the same order."""
    strides = [int(stride) for stride in tensor.stride()]
    return tuple(sorted(range(len(strides)), key=lambda dim: -strides[dim]))
