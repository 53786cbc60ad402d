"""Reports: what a graph computes, moves and keeps, by module, source line and operator."""

from .formulas import flop_formula
from .node_costs import NodeCosts, node_costs
from .options import SummaryOptions
from .profile import Profile
from .statistics import Statistics
from .summary import Summary, summarize

__all__ = [
    "NodeCosts",
    "Profile",
    "Statistics",
    "Summary",
    "SummaryOptions",
    "flop_formula",
    "node_costs",
    "summarize",
]
