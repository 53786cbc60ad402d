"""Programs in the terminal: browsing scopes, nodes and source lines. Needs Textual, which is an extra."""

from .app import Browser, browse
from .subject import Subject

__all__ = ["Browser", "Subject", "browse"]
