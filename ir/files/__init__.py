"""Programs and graphs in files: the ``.opscope`` format, without torch."""

from .archive import Archive, Data, Readable
from .file import VERSION, read_file, write_file
from .records import (
    Contents,
    PlaceRef,
    ProgramRecord,
    SavedCircumstance,
    SavedCondition,
    SavedGenerator,
    SavedHolder,
    SavedInputs,
    SavedPlace,
    SavedStored,
    SavedTensor,
    StateRecord,
    past,
)
from .stand_ins import Absent, Member, Named, TensorRef, TorchConstant
from .state import extent
from .tensors import Entry, header_bytes, read_header

__all__ = [
    "VERSION",
    "Absent",
    "Archive",
    "Contents",
    "Data",
    "Entry",
    "Member",
    "Named",
    "PlaceRef",
    "ProgramRecord",
    "Readable",
    "SavedCircumstance",
    "SavedCondition",
    "SavedGenerator",
    "SavedHolder",
    "SavedInputs",
    "SavedPlace",
    "SavedStored",
    "SavedTensor",
    "StateRecord",
    "TensorRef",
    "TorchConstant",
    "extent",
    "header_bytes",
    "past",
    "read_file",
    "read_header",
    "write_file",
]
