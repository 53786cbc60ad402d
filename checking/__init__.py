"""Checking a traced program: its replay against its eager run, on any inputs."""

from .arguments import KeptArguments
from .check import check_program
from .report import CheckDifference, CheckReport, DifferenceKind, Origin
from .runs import Runs, Subject
from .state import own_tensors
from .storage import copy_of
from .undefined import undefined_nodes

__all__ = [
    "CheckDifference",
    "CheckReport",
    "DifferenceKind",
    "KeptArguments",
    "Origin",
    "Runs",
    "Subject",
    "check_program",
    "copy_of",
    "own_tensors",
    "undefined_nodes",
]
