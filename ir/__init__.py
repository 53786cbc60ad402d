"""The intermediate representation: graphs as data and as text, without torch."""

from .arguments import Argument
from .block import Block
from .dtype import DType
from .functions import take_in
from .graph import Graph
from .literals import CPU, STRIDED, Device, FunctionRef, Layout, Literal, MemoryFormat
from .modes import DEFAULT_MODES, Autocast, Modes
from .names import value_names
from .node import Node
from .operator import MISSING, Effect, Operator, OperatorTable, Parameter, Return, unknown_operator
from .parser import parse
from .printer import literal_text, print_graph, print_node, provenance
from .rules import CALL
from .scope import Scope, ScopeKind
from .source import Frame, SourceRange
from .type_parser import parse_type
from .types import (
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
    row_major_strides,
)
from .value import StateEntry, StateKind, Use, Value
from .verify import verify

__all__ = [
    "CALL",
    "CPU",
    "DEFAULT_MODES",
    "MISSING",
    "STRIDED",
    "Argument",
    "Autocast",
    "Block",
    "DType",
    "Device",
    "DictType",
    "Dim",
    "Effect",
    "Frame",
    "FunctionRef",
    "Graph",
    "GroupType",
    "Layout",
    "ListType",
    "Literal",
    "MemoryFormat",
    "Modes",
    "Node",
    "Operator",
    "OperatorTable",
    "Parameter",
    "RecordType",
    "Return",
    "ScalarType",
    "Scope",
    "ScopeKind",
    "SourceRange",
    "StateEntry",
    "StateKind",
    "SymDim",
    "TensorType",
    "TupleType",
    "Type",
    "Use",
    "Value",
    "literal_text",
    "parse",
    "parse_type",
    "print_graph",
    "print_node",
    "provenance",
    "row_major_strides",
    "take_in",
    "unknown_operator",
    "value_names",
    "verify",
]
