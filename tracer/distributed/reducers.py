"""The memory of replicated modules: buckets, in which ``DistributedDataParallel`` reduces gradients.

Its reducer hangs on autograd's graph, in C++. As gradients are collected it puts each into its place in a
bucket, and has the processes add up a bucket when it is full. Buckets are made once and used at every step,
so they are state of the program, though no attribute leads to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, Final, cast

import torch
from torch.nn.parallel import DistributedDataParallel

from ...ir import Node
from ..dispatch.gradients import leaf_of, running_history

_THREADED_HOOK: Final = "BuiltinCommHookType.FP16_COMPRESS"


class Reducers:
    """Tells, for one trace, the memory of reducers from other tensors that nothing recorded has made.

    Args:
        modules: gives the modules of the program with their paths.
    """

    def __init__(self, modules: Callable[[], Iterable[tuple[str, torch.nn.Module]]]) -> None:
        self._modules = modules
        self._counters: set[str] = set()  # names of the state that says which parameters took part
        self._buckets: set[str] = set()
        self._settled: dict[int, bool] = {}

    def counts_in(self, node: Node) -> bool:
        """Whether a node reads, for a reducer, which parameters took part: a replay is held to that."""
        if not self._counters or not node.inputs:
            return False
        value = node.inputs[0]
        while value.node is not None and value.node.inputs:  # a part of it, written in place
            value = value.node.inputs[0]
        return value.state is not None and value.state.names[0] in self._counters

    def is_bucket(self, name: str | None) -> bool:
        """Whether state of this name is a bucket."""
        return name in self._buckets

    def name_for(self, tensor: torch.Tensor) -> str | None:
        """Return what to call a tensor that the engine's C++ reads; None if it is not a reducer's."""
        path = self.running()
        if path is None:
            return None
        start = f"{path}." if path else ""
        if tensor.dtype.is_floating_point:
            self._buckets.add(f"{start}bucket")
            return f"{start}bucket"
        # Which parameters took part is counted in integers: here, and in a copy for all processes.
        name = f"{start}used_parameters"
        if name in self._counters:
            name = f"{start}used_anywhere"
        self._counters.add(name)
        return name

    def forward_begins(self, module: DistributedDataParallel) -> None:
        """Note whether a module has its buckets for good, before the first forward of the run."""
        self._settled.setdefault(id(module), module._has_rebuilt_buckets)

    def problem(self, module: DistributedDataParallel) -> tuple[str, bool] | None:
        """Return in words what a replay would miss, and whether that is certain; None for nothing."""
        hook = cast(Any, module)._get_ddp_logging_data().get("comm_hook", "")
        if hook == _THREADED_HOOK:
            return f"{hook} unpacks gradients in threads of C++, which a replay would not do", True
        if self._settled.get(id(module), True) or (
            module.find_unused_parameters and not module.static_graph
        ):
            return None
        return (
            "after its first step it sorts gradients into other buckets than in this trace",
            False,
        )

    def running(self) -> str | None:
        """Return the path of the replicated module whose reducer may be at work: by the gradient it is given.

        When all gradients are there it goes on without one; then it is told for the only such module.
        """
        history = running_history()
        if history is None:
            paths = set(self._paths.values())
            return paths.pop() if len(paths) == 1 else None
        leaf = leaf_of(history)
        return None if leaf is None else self._paths.get(id(leaf))

    @cached_property
    def _paths(self) -> dict[int, str]:
        """The paths of replicated modules by their parameters."""
        return {
            id(parameter): path
            for path, module in self._modules()
            if isinstance(module, DistributedDataParallel)
            for parameter in module.parameters()
        }
