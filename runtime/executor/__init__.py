"""Profiling executor: plans made of what runs were found to be like, each behind guards."""

from .chains import Chains
from .complaints import Complaints
from .debug_state import ChainState, ExecutorState, LevelState, state_of
from .differentiable import Declined
from .engines import Engine, EngineChoice, engine_of
from .level import Settings
from .program import Program
from .strategy import Kind, Strategy

__all__ = [
    "ChainState",
    "Chains",
    "Complaints",
    "Declined",
    "Engine",
    "EngineChoice",
    "ExecutorState",
    "Kind",
    "LevelState",
    "Program",
    "Settings",
    "Strategy",
    "engine_of",
    "state_of",
]
