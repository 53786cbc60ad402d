"""The explorer: a program as one HTML page, in which people fold and unfold its scopes."""

from .document import Exhibit, Measure, Remark, document
from .page import page

__all__ = ["Exhibit", "Measure", "Remark", "document", "page"]
