"""Reports: what a graph computes, moves and keeps, by module, source line and operator."""

from .formulas import flop_formula
from .options import SummaryOptions
from .summary import Summary, summarize

__all__ = ["Summary", "SummaryOptions", "flop_formula", "summarize"]
