"""Programs and graphs in files: the ``.opscope`` format, without torch."""

from .archive import Archive, Data, Readable
from .file import VERSION, read_file, read_module, write_file, write_module
from .records import (
    Contents,
    ModuleContents,
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
    "ModuleContents",
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
    "read_module",
    "write_file",
    "write_module",
]
