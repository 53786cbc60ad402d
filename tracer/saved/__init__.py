"""What a trace knows of its program's surroundings, as plain data for files, and in force again."""

from .circumstances import restored_circumstances, saved_circumstances
from .inputs import restored_inputs, saved_inputs
from .places import PlaceRestorer, PlaceWriter

__all__ = [
    "PlaceRestorer",
    "PlaceWriter",
    "restored_circumstances",
    "restored_inputs",
    "saved_circumstances",
    "saved_inputs",
]
