"""What a file holds of a program besides its graph, as plain data: nothing of torch or of the program."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..conditions import Circumstance
from ..dtype import DType
from ..findings import Diagnostic
from ..graph import Graph
from ..identities import Way
from ..mutation import Mutation
from ..node import Node
from ..source import SourceRange, SourceText
from ..structure import Structure
from ..types import TensorType
from .stand_ins import Absent, TensorRef


@dataclass(frozen=True, slots=True)
class SavedInputs:
    """What a program takes; the fields are those of ``InputSpec`` and of its ``Arguments``.

    Attributes:
        signature: how arguments are bound to names; None where they keep their order.
        positional: how many arguments were given by position.
        by_name: the names of the others.
        structure: of the arguments by name.
        names: a readable name per tensor.
        types: the type per tensor.
        dimensions: per tensor, the dimensions whose size may differ, with their names.
        same_as: for a tensor that was an earlier one, the number of that.
        state: for a tensor that was one of the program's state, its name, and its number in the file if
            that holds tensors.
        is_exact: whether strides and gradients must be as they were.
    """

    signature: inspect.Signature | None
    positional: int
    by_name: tuple[str, ...]
    structure: Structure
    names: tuple[str, ...]
    types: tuple[TensorType, ...]
    dimensions: tuple[dict[int, str], ...]
    same_as: tuple[int | None, ...]
    state: tuple[tuple[str, int | None] | None, ...]
    is_exact: bool


@dataclass(frozen=True, slots=True)
class SavedTensor:
    """A tensor of a program's state.

    Attributes:
        kind: "strided"; "coo" and "compressed", whose parts are other tensors; "quantized", whose only part
            has the whole numbers; or "meta", which has no data.
        dtype: element type.
        shape: sizes, in elements.
        strides: steps, in elements.
        offset: where it begins in its memory, in elements.
        entry: the number of its memory, which others may share; None where it has none of its own.
        device: where it is.
        is_parameter: whether it is a ``torch.nn.Parameter``.
        requires_grad: whether autograd follows it.
        flags: "conj", "neg" and "inference", where these bits of it are set; "coalesced" of a sparse one.
        layout: of a sparse one.
        parts: the numbers of the tensors that it is made of.
        quantization: scheme, scale and zero point; or scheme and axis, whose numbers are further parts.
        gradient: the number of its ``.grad``; None if that was none, or is not held.
    """

    kind: str
    dtype: DType
    shape: tuple[int, ...]
    strides: tuple[int, ...] = ()
    offset: int = 0
    entry: int | None = None
    device: str = "cpu"
    is_parameter: bool = False
    requires_grad: bool = False
    flags: tuple[str, ...] = ()
    layout: str = ""
    parts: tuple[int, ...] = ()
    quantization: tuple[Any, ...] = ()
    gradient: int | None = None


@dataclass(frozen=True, slots=True)
class SavedHolder:
    """An object of the program, such as an optimizer, as far as the graph refers to what is in it.

    Attributes:
        name: what the graph calls it.
        class_name: its class.
        content: its attributes, or items, that matter, by name: plain data with tensors by number.
    """

    name: str
    class_name: str
    content: Any


@dataclass(frozen=True, slots=True)
class SavedPlace:
    """A place in such an object.

    Attributes:
        kind: "number", "tensor", or "place" where nothing is known of what is there.
        name: what the graph calls what is there.
        holder: the number of the object.
        keys: the steps from it on; tensors by number.
        type: of the tensor; for a number the name of its class.
        is_replaced: whether the program puts another list in the place of the one that a number is in.
    """

    kind: str
    name: str
    holder: int
    keys: tuple[Any, ...]
    type: TensorType | str = ""
    is_replaced: bool = False


@dataclass(frozen=True, slots=True)
class SavedStored:
    """What a program puts into an object; see ``Stored``. The place has a number if the file holds state."""

    name: str
    place: int | None
    structure: Structure | None
    is_whole: bool


@dataclass(frozen=True, slots=True)
class SavedCondition:
    """What must be so in a place before a replay: "absent", "alike" what was there, or of a "length"."""

    text: str
    place: int
    kind: str
    mark: Any = None


@dataclass(frozen=True, slots=True)
class SavedCircumstance(Circumstance):
    """A circumstance, and how to ask for it in another process.

    Attributes:
        asked: "setting" with the call and its answer; "fact" with its name, the answer, and numbers of
            tensors with what is so of each; "places" with conditions; or "past", for what the file fixes, as
            that modules trained, of which there is nothing to ask any more.
        details: these.
    """

    asked: str = "past"
    details: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class SavedGenerator:
    """A random number generator: where it is, and the number of the tensor that is its state.

    The default generator of a device has no such state: it is that of the process.
    """

    device: str
    state: int | None


@dataclass(frozen=True, slots=True)
class PlaceRef:
    """Stands for a place, by its number in the file."""

    number: int


@dataclass(frozen=True, slots=True)
class StateRecord:
    """The state of a program.

    Attributes:
        objects: for each entry of the graph's state, by its first name, a ``TensorRef``, a ``PlaceRef``, a
            ``SavedGenerator``, or an object as ``objects.py`` has it.
        tensors: by number.
        entries: the names of the memories that tensors lie in, by number.
        places: by number.
        holders: by number.
    """

    objects: Mapping[str, Any]
    tensors: tuple[SavedTensor, ...] = ()
    entries: tuple[str, ...] = ()
    places: tuple[SavedPlace, ...] = ()
    holders: tuple[SavedHolder, ...] = ()


@dataclass(frozen=True, slots=True)
class ProgramRecord:
    """A program besides its graph; the fields are those of ``TracedProgram``.

    Attributes:
        private: the names of the constants whose memory nobody else has.
        obstacles: why a replay from the file would not be exact, in words; it is refused then.
        absent: the objects that the file does not hold.
        state: None if the program was saved without it.
    """

    inputs: SavedInputs
    outputs: Structure
    depth: str
    diagnostics: tuple[Diagnostic, ...] = ()
    lengths: tuple[Node, ...] = ()
    mutations: tuple[Mutation, ...] = ()
    circumstances: tuple[SavedCircumstance, ...] = ()
    updates: Mapping[str, Structure] = field(default_factory=dict)
    stored: tuple[SavedStored, ...] = ()
    twins: Mapping[Way, frozenset[Way]] = field(default_factory=dict)
    private: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()
    state: StateRecord | None = None
    absent: tuple[Absent, ...] = ()

    def fitted_to(self, graph: Graph) -> ProgramRecord:
        """Return the same without the state that the graph has no more, which passes took out."""
        state = self.state
        if state is not None:
            objects = {name: state.objects[name] for name in graph.state if name in state.objects}
            state = replace(state, objects=objects)
        private = tuple([name for name in self.private if name in graph.state])
        return replace(self, private=private, state=state)


@dataclass(frozen=True, slots=True)
class Contents:
    """All that a file holds but the data of tensors.

    Attributes:
        graph: the graph.
        program: what else there is to its program; None for a graph alone.
        sources: the user's source files that stacks name.
        torch: the version of torch that the program was traced with; empty if none was.
        writer: what wrote the file.
    """

    graph: Graph
    program: ProgramRecord | None = None
    sources: tuple[SourceText, ...] = ()
    torch: str = ""
    writer: str = ""

    def without_state(self) -> Contents:
        """Return the same without the state of the program."""
        record = self.program
        if record is None:
            return self
        inputs = replace(
            record.inputs,
            signature=_without_tensors(record.inputs.signature),
            state=tuple([None if own is None else (own[0], None) for own in record.inputs.state]),
        )
        program = replace(
            record,
            inputs=inputs,
            state=None,
            stored=tuple([replace(each, place=None) for each in record.stored]),
            circumstances=tuple(
                [
                    past(each.text, each.source, each.advice)
                    if each.asked in ("fact", "places")
                    else each
                    for each in record.circumstances
                ]
            ),
        )
        return replace(self, program=program)


@dataclass(frozen=True, slots=True)
class ModuleContents:
    """All that the file of a module holds but the data of tensors.

    Attributes:
        name: the class of the module.
        methods: what the file holds of each method; their programs have one state, each its own part of
            the objects in it.
    """

    name: str
    methods: Mapping[str, Contents]


def _without_tensors(signature: inspect.Signature | None) -> inspect.Signature | None:
    """Return a signature whose defaults are no tensors of the file."""
    if signature is None:
        return None
    parameters = [
        parameter.replace(default=Absent(f"inputs.{parameter.name}", "torch.Tensor", "a tensor"))
        if isinstance(parameter.default, TensorRef)
        else parameter
        for parameter in signature.parameters.values()
    ]
    return signature.replace(parameters=parameters)


def no_longer_asked() -> str | None:
    """Return that nothing is to be found out about a circumstance of the past."""
    return None


def past(text: str, source: SourceRange | None, advice: str) -> SavedCircumstance:
    """Return a circumstance that the file fixes."""
    return SavedCircumstance(text, source, no_longer_asked, advice=advice)
