"""Rewrite rules: patterns of nodes, what comes in their place, and the pass that applies them."""

from .building import NodeWriter, PatternWriter
from .captures import SIZES, AnyTensor, Anything, Capture, ListOf, LiteralOf, Number
from .matching import Match
from .rewriting import Refusal, RewriteRules, rewrite
from .rule import Rule, rewrite_rule

__all__ = [
    "SIZES",
    "AnyTensor",
    "Anything",
    "Capture",
    "ListOf",
    "LiteralOf",
    "Match",
    "NodeWriter",
    "Number",
    "PatternWriter",
    "Refusal",
    "RewriteRules",
    "Rule",
    "rewrite",
    "rewrite_rule",
]
