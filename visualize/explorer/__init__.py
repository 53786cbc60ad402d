"""The explorer: a program as one HTML page, in which people fold and unfold its scopes."""

from .exhibit import Change, Comparison, Exhibit, Remark, document
from .html_page import page

__all__ = ["Change", "Comparison", "Exhibit", "Remark", "document", "page"]
