"""Checking a traced program: its replay against its eager run, on any inputs."""

from .arguments import KeptArguments
from .check import check_program
from .report import CheckDifference, CheckReport, DifferenceKind, Origin
from .runs import Subject
from .state import own_tensors

__all__ = [
    "CheckDifference",
    "CheckReport",
    "DifferenceKind",
    "KeptArguments",
    "Origin",
    "Subject",
    "check_program",
    "own_tensors",
]
