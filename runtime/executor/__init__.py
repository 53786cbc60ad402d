"""Profiling executor: plans made of what runs were found to be like, each behind guards."""

from .chain import Chain
from .complaints import Complaints
from .debug_state import ExecutorState, LevelState, state_of
from .engines import Engine, engine_of
from .level import Settings
from .program import Program
from .strategy import Kind, Strategy

__all__ = [
    "Chain",
    "Complaints",
    "Engine",
    "ExecutorState",
    "Kind",
    "LevelState",
    "Program",
    "Settings",
    "Strategy",
    "engine_of",
    "state_of",
]
