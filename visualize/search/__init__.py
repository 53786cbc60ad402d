"""Searching graphs by words and filters: ``op:conv2d shape:1x3 -scope:head relu``.

    query = parse_query("op:add dtype:f16")
    for hit in query.find(graph):
        print(hit.node, hit.where)

``docs/terminal.md`` describes what can be written.
"""

from .fields import FILTERS
from .finding import Finder, Hit
from .looks import Match
from .query import Query, parse_query

__all__ = ["FILTERS", "Finder", "Hit", "Match", "Query", "parse_query"]
