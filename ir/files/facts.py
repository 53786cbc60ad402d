"""Types, literals, modes and operators as JSON, each listed once in a file and named by its number there."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from ...errors import FormatError
from ..dtype import DType
from ..literals import CPU, STRIDED, Device, FunctionRef, Layout, Literal, MemoryFormat
from ..modes import Autocast, Modes
from ..operator import MISSING, Default, Effect, Missing, Operator, Parameter, Return
from ..own_operators import OUTPLACE, OWN_OPERATORS
from ..scalars import scalar_named
from ..types import (
    DictType,
    Dim,
    GroupType,
    ListType,
    RecordType,
    ScalarType,
    SymDim,
    TensorType,
    TupleType,
    Type,
)
from .fields import MOST_DEEP, MOST_WHOLE, fields, flag, item, listed, tagged, text, whole, wrong

_DTYPES: Final = {dtype.value: dtype for dtype in DType}
_SCALARS: Final = {scalar.value: scalar for scalar in ScalarType}
_NOT_FINITE: Final = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}
_EFFECTS: Final = {effect.name: effect for effect in Effect if effect.name}


def float_json(number: float) -> float | str:
    """Return a float as JSON has it: a number, or a string where that is not finite."""
    return float(number) if math.isfinite(number) else repr(float(number))


def float_of(value: Any, where: str) -> float:
    """Return the float that :func:`float_json` made a value of."""
    if value.__class__ is float and math.isfinite(value):
        return value
    if value.__class__ is str and value in _NOT_FINITE:
        return _NOT_FINITE[value]
    raise wrong(where, "a number with a point, or one of " + ", ".join(_NOT_FINITE), value)


def literal_json(literal: Literal | tuple[Any, ...]) -> Any:
    """Return a literal, or a nested tuple of such, as JSON."""
    match literal:
        case None | bool():
            return literal
        case str():
            return str(literal)
        case int():
            return int(literal)
        case float():
            return {"float": float_json(literal)}
        case complex():
            return {"complex": [float_json(literal.real), float_json(literal.imag)]}
        case DType():
            return {"dtype": literal.value}
        case Device():
            return {"device": [literal.type, literal.index]}
        case Layout():
            return {"layout": literal.name}
        case MemoryFormat():
            return {"memory_format": literal.name}
        case FunctionRef():
            return {"function": literal.name}
        case tuple():
            return [literal_json(part) for part in literal]
    raise FormatError(f"{literal!r} of class {type(literal).__name__} cannot stand in a graph")


def literal_of(value: Any, where: str, depth: int = 0) -> Any:
    """Return the literal that :func:`literal_json` made a value of."""
    if value is None or value.__class__ in (bool, str, int):
        return value
    if value.__class__ is list:
        if depth > MOST_DEEP:
            raise FormatError(f"{where} is nested too deeply")
        return tuple([literal_of(part, where, depth + 1) for part in value])
    kind, content = tagged(value, where)
    match kind:
        case "float":
            return float_of(content, where)
        case "complex":
            real, imaginary = listed(content, where, 2)
            return complex(float_of(real, where), float_of(imaginary, where))
        case "dtype":
            return _dtype(content, where)
        case "device":
            return _device(content, where)
        case "layout":
            return Layout(text(content, where))
        case "memory_format":
            return MemoryFormat(text(content, where))
        case "function":
            return FunctionRef(text(content, where))
    raise FormatError(f"{where} is of a kind {kind!r}, which this version does not know")


def _dtype(value: Any, where: str) -> DType:
    if value.__class__ is not str or value not in _DTYPES:
        raise wrong(where, "an element type", value)
    return _DTYPES[value]


def _device(value: Any, where: str) -> Device:
    type_, index = listed(value, where, 2)
    return Device(text(type_, where), None if index is None else whole(index, where))


def type_json(type_: Type, number_of: Any) -> Any:
    """Return a type as JSON; ``number_of`` gives the number of a type that is part of it."""
    match type_:
        case ScalarType():
            return type_.value
        case TensorType():
            return {"tensor": _tensor_json(type_)}
        case ListType():
            return {"list": number_of(type_.element)}
        case TupleType():
            return {"tuple": list(map(number_of, type_.elements))}
        case DictType():
            return {"dict": [number_of(type_.key), number_of(type_.value)]}
        case RecordType():
            parts = [[name, number_of(part)] for name, part in type_.fields]
            return {"namedtuple" if type_.is_tuple else "record": [type_.name, parts]}
        case GroupType():
            return {"group": [list(type_.ranks), type_.rank, type_.backend]}


def _tensor_json(type_: TensorType) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if type_.dtype is not None:
        facts["dtype"] = type_.dtype.value
    if type_.shape is not None:
        facts["shape"] = [size.name if isinstance(size, SymDim) else size for size in type_.shape]
    if type_.strides is not None:
        facts["strides"] = list(type_.strides)
    if type_.device != CPU:
        facts["device"] = [type_.device.type, type_.device.index]
    if type_.layout != STRIDED:
        facts["layout"] = type_.layout.name
    if type_.requires_grad:
        facts["requires_grad"] = True
    if type_.class_name:
        facts["class"] = type_.class_name
    return facts


def types_of(value: Any, where: str) -> list[Type]:
    """Return a list of types, each of which may have earlier ones as parts."""
    types: list[Type] = []
    depths: list[int] = []
    for number, entry in enumerate(listed(value, where)):
        parts: list[int] = []
        types.append(_type_of(entry, f"{where}[{number}]", types, parts))
        depths.append(1 + max((depths[part] for part in parts), default=0))
        if depths[-1] > MOST_DEEP:
            raise FormatError(f"{where}[{number}] nests types too deeply")
    return types


def _type_of(value: Any, where: str, known: Sequence[Type], parts: list[int]) -> Type:
    def part(number: Any) -> Type:
        found = item(number, known, where, "earlier types")
        parts.append(number)
        return found

    if value.__class__ is str:
        if value not in _SCALARS:
            raise wrong(where, "a type", value)
        return _SCALARS[value]
    kind, content = tagged(value, where)
    match kind:
        case "tensor":
            return _tensor_of(content, where)
        case "list":
            return ListType(part(content))
        case "tuple":
            return TupleType(tuple([part(number) for number in listed(content, where)]))
        case "dict":
            key, held = listed(content, where, 2)
            return DictType(part(key), part(held))
        case "record" | "namedtuple":
            name, pairs = listed(content, where, 2)
            named = [listed(pair, where, 2) for pair in listed(pairs, where)]
            found = tuple([(text(field, where), part(number)) for field, number in named])
            return RecordType(text(name, where), found, kind == "namedtuple")
        case "group":
            ranks, rank, backend = listed(content, where, 3)
            numbers = tuple([whole(number, where) for number in listed(ranks, where)])
            return GroupType(numbers, whole(rank, where), text(backend, where))
    raise FormatError(f"{where} is of a kind {kind!r}, which this version does not know")


_TENSOR_FACTS = ("dtype", "shape", "strides", "device", "layout", "requires_grad", "class")


def _tensor_of(value: Any, where: str) -> TensorType:
    facts = fields(value, where, (), _TENSOR_FACTS)
    shape, strides = facts.get("shape"), facts.get("strides")
    return TensorType(
        _dtype(facts["dtype"], where) if "dtype" in facts else None,
        None if shape is None else tuple([_size(size, where) for size in listed(shape, where)]),
        None
        if strides is None
        else tuple([whole(step, where, -MOST_WHOLE) for step in listed(strides, where)]),
        _device(facts["device"], where) if "device" in facts else CPU,
        Layout(text(facts["layout"], where)) if "layout" in facts else STRIDED,
        flag(facts.get("requires_grad", False), where),
        text(facts.get("class", ""), where),
    )


def _size(value: Any, where: str) -> Dim:
    return SymDim(value) if value.__class__ is str else whole(value, where)


def modes_json(modes: Modes) -> dict[str, Any]:
    """Return modes as JSON."""
    regions = [[region.device, region.dtype.value, region.caches] for region in modes.autocast]
    return {
        "grad": modes.grad,
        "inference": modes.inference,
        "autocast": regions,
        "fixed": list(modes.fixed),
    }


def modes_of(value: Any, where: str) -> Modes:
    """Return the modes that :func:`modes_json` made a value of."""
    parts = fields(value, where, ("grad", "inference", "autocast", "fixed"))
    regions = [listed(region, where, 3) for region in listed(parts["autocast"], where)]
    return Modes(
        flag(parts["grad"], where),
        flag(parts["inference"], where),
        tuple([Autocast(text(d, where), _dtype(t, where), flag(c, where)) for d, t, c in regions]),
        tuple([text(name, where) for name in listed(parts["fixed"], where)]),
    )


def operator_json(operator: Operator, number_of: Callable[[Operator], int]) -> dict[str, Any]:
    """Return an operator with its schema as JSON; what is as usual is left out.

    ``number_of`` gives the number of the operator that it is another name of.
    """
    made: dict[str, Any] = {
        "name": operator.name,
        "effects": [effect.name for effect in operator.effects],
    }
    if operator.parameters:
        made["parameters"] = list(map(_parameter_json, operator.parameters))
    if operator.returns:
        made["returns"] = [[result.type, result.alias] for result in operator.returns]
    if operator.is_pointwise:
        made["pointwise"] = True
    if not operator.casts:
        made["casts"] = False
    if operator.canonical is not None:
        made["canonical"] = number_of(operator.canonical)
    return made


def _parameter_json(parameter: Parameter) -> dict[str, Any]:
    made: dict[str, Any] = {"name": parameter.name, "type": parameter.type}
    if parameter.is_keyword:
        made["keyword"] = True
    if not isinstance(parameter.default, Missing):
        made["default"] = literal_json(parameter.default)
    if parameter.alias:
        made["alias"] = parameter.alias
    if parameter.is_written:
        made["written"] = True
    return made


def operators_of(value: Any, where: str) -> list[Operator]:
    """Return a list of operators, each of which may be another name of an earlier one.

    One of opscope's own is the very one that code knows, if the file says the same of it.
    """
    operators: list[Operator] = []
    for number, entry in enumerate(listed(value, where)):
        operators.append(_operator_of(entry, f"{where}[{number}]", operators))
    return operators


_OF_OPERATOR: Final = ("parameters", "returns", "pointwise", "casts", "canonical")


def _operator_of(value: Any, where: str, known: Sequence[Operator]) -> Operator:
    parts = fields(value, where, ("name", "effects"), _OF_OPERATOR)
    effects = Effect.NONE
    for name in listed(parts["effects"], where):
        if name.__class__ is not str or name not in _EFFECTS:
            raise wrong(f"{where}.effects", "names of effects", name)
        effects |= _EFFECTS[name]
    returns = [listed(result, where, 2) for result in listed(parts.get("returns", []), where)]
    read = Operator(
        text(parts["name"], where),
        tuple([_parameter_of(each, where) for each in listed(parts.get("parameters", []), where)]),
        tuple([Return(text(type_, where), text(alias, where)) for type_, alias in returns]),
        effects,
        flag(parts.get("pointwise", False), where),
        flag(parts.get("casts", True), where),
        None
        if "canonical" not in parts
        else item(parts["canonical"], known, where, "earlier operators"),
    )
    for own in (OWN_OPERATORS.get(read.name) or scalar_named(read.name), OUTPLACE):
        if own is not None and _facts_of(own) == _facts_of(read):
            return own
    return read


def _facts_of(operator: Operator) -> str:
    """Return all that is said of an operator, as text, which tells 1 from True and 1.0."""
    of_own = (operator.name, operator.parameters, operator.returns, operator.effects)
    return repr((*of_own, operator.is_pointwise, operator.casts, operator.canonical))


def _parameter_of(value: Any, where: str) -> Parameter:
    where = f"{where}.parameters"
    parts = fields(value, where, ("name", "type"), ("keyword", "default", "alias", "written"))
    default: Default = MISSING
    if "default" in parts:
        default = literal_of(parts["default"], where)
    return Parameter(
        text(parts["name"], where),
        text(parts["type"], where),
        flag(parts.get("keyword", False), where),
        default,
        text(parts.get("alias", ""), where),
        flag(parts.get("written", False), where),
    )
