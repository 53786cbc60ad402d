"""Summary: what a program computes, moves and keeps, ready to be shown or read as data."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, Final

from ..errors import ReportError
from ..ir import Graph, SourceRange, TensorType, provenance
from ..ir.collector import paused_collector
from .communication import Communication
from .costs import Costs, Ledger, costs_of
from .flops import NO_FORMULA, Uncounted
from .grouping import FIGURES, Group, by_line, by_module, by_operator, sort_by
from .html_table import to_html
from .layout import lay_out
from .memory import Memory, memory_of
from .options import SummaryOptions
from .phases import Phase
from .table import Table
from .text_table import to_text
from .units import bytes_text


class Summary:
    """What a program computes, moves and keeps.

    ``print`` shows it as a table, and so does a notebook. ``rows`` is for programs, pandas for one:
    ``pandas.DataFrame(summary.rows)``.

    Attributes:
        name: the graph's name.
        options: how it is grouped and shown.
        memory: what state, inputs and intermediates take.
        uncounted: operators whose FLOPs are not known, and how often they run.
        communication: the collectives, by group and kind.
        notes: what else the figures leave out, in sentences.
    """

    def __init__(self, graph: Graph, options: SummaryOptions) -> None:
        self.name = graph.name
        self.options = options
        with paused_collector():
            self.memory: Memory = memory_of(graph)
            ledger = costs_of(graph, self.memory)
        self.uncounted: Counter[Uncounted] = ledger.uncounted
        self.communication: Communication = ledger.communication
        self.notes = tuple(_notes(ledger, self.memory))
        self._title = _title(graph)
        self._root = grouped(ledger, graph.name, options)
        sort = options.sort or ("flops" if options.by != "module" else None)
        if sort is not None:
            sort_by(self._root, FIGURES[sort])
        node = self.memory.peak_node
        self.peak_place = "" if node is None else f"{node.kind}, {provenance(node)}".rstrip(", ")

    @property
    def flops(self) -> int:
        """The FLOPs of all phases; a multiplication and an addition are two."""
        return self._root.total.flops

    @property
    def forward_flops(self) -> int:
        """The FLOPs of the forward."""
        return self._root.costs.get(Phase.FORWARD, Costs()).flops

    @property
    def backward_flops(self) -> int:
        """The FLOPs of backward passes inside the program."""
        return self._root.costs.get(Phase.BACKWARD, Costs()).flops

    @property
    def optimizer_nodes(self) -> int:
        """How many nodes belong to steps of optimizers."""
        return self._root.costs.get(Phase.OPTIMIZER, Costs()).nodes

    @property
    def moved_bytes(self) -> int:
        """The bytes that all nodes read and write."""
        return self._root.total.moved_bytes

    @property
    def activation_bytes(self) -> int:
        """The memory of all results, as if none were ever freed; views and in-place results have none."""
        return self._root.total.activation_bytes

    @property
    def saved_bytes(self) -> int:
        """What autograd keeps for a backward pass, without state and inputs; 0 where gradients are off."""
        return self._root.total.saved_bytes

    @property
    def message_bytes(self) -> int:
        """What processes send each other, each message once, whatever the number of processes."""
        return self._root.total.message_bytes

    @property
    def parameters(self) -> int:
        """The numbers in all parameters that the graph reads."""
        return self.memory.parameters

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Every group as a plain dictionary, the whole program first; ``depth`` and ``top`` omit none."""
        return list(self._rows(self._root, 0))

    def to_json(self, indent: int | None = None) -> str:
        """Return totals, rows and what is not counted as JSON."""
        memory = self.memory
        return json.dumps(
            {
                "name": self.name,
                "flop_convention": "a multiplication and an addition count as two",
                "flops": self.flops,
                "forward_flops": self.forward_flops,
                "backward_flops": self.backward_flops,
                "moved_bytes": self.moved_bytes,
                "activation_bytes": self.activation_bytes,
                "saved_bytes": self.saved_bytes,
                "message_bytes": self.message_bytes,
                "communication": [
                    {
                        "kind": messages.kind.value,
                        "group": messages.group,
                        "processes": messages.processes,
                        "calls": messages.count,
                        "message_bytes": messages.message_bytes,
                        "sent_bytes": messages.sent_bytes,
                    }
                    for messages in self.communication.messages.values()
                ],
                "parameters": memory.parameters,
                "trainable_parameters": memory.trainable,
                "parameter_bytes": memory.parameter_bytes,
                "buffer_bytes": memory.buffer_bytes,
                "input_bytes": memory.input_bytes,
                "output_bytes": memory.output_bytes,
                "peak_bytes": memory.peak_bytes,
                "peak_place": self.peak_place,
                "uncounted": [
                    {"operator": found.operator, "reason": found.reason, "calls": count}
                    for found, count in self.uncounted.items()
                ],
                "notes": list(self.notes),
                "rows": self.rows,
            },
            indent=indent,
        )

    def __str__(self) -> str:
        return to_text(self._table(), self.options.width)

    def _repr_html_(self) -> str:
        return to_html(self._table())

    def __repr__(self) -> str:
        return f"<Summary of {self.name}: {self.flops:,} FLOPs, {self.parameters:,} parameters>"

    def _table(self) -> Table:
        return lay_out(self._root, self.options, self._title, tuple(self._facts()))

    def _facts(self) -> Iterator[tuple[str, str]]:
        """Yield what is said below the table."""
        memory = self.memory
        trained = {memory.parameters: "all trainable", 0: "none trainable"}.get(
            memory.trainable, f"{memory.trainable:,} trainable"
        )
        state = [f"{memory.parameters:,} ({bytes_text(memory.parameter_bytes)}), {trained}"]
        if not memory.parameters:
            state = ["none"]
        if memory.buffer_bytes:
            state.append(f"buffers and constants {bytes_text(memory.buffer_bytes)}")
        yield "Parameters", " · ".join(state)
        phases = [
            f"{costs.flops:,} {phase.value}"
            for phase, costs in self._root.costs.items()
            if costs.flops
        ]
        flops = " + ".join(phases) if len(phases) > 1 else f"{self.flops:,}"
        if self.uncounted:
            flops = f"at least {flops}"
        yield "FLOPs", f"{flops} · a multiplication and an addition count as two"
        yield "Moved", f"{bytes_text(self.moved_bytes)} read and written by operators"
        if self.saved_bytes:
            yield "Saved", f"{bytes_text(self.saved_bytes)} kept by autograd for backward"
        for sentence in self.communication.sentences():
            yield "Messages", sentence
        peak = f"{bytes_text(memory.peak_bytes)} of results alive at once in a replay"
        if self.peak_place:
            peak += f", at {self.peak_place}"
        yield "Peak", f"{peak} · with state and inputs {bytes_text(memory.total_bytes)}"
        if self.uncounted:
            yield "Not counted", f"the FLOPs of {_listed(self.uncounted)}"
        for note in self.notes:
            yield "Note", note

    def _rows(self, group: Group, depth: int) -> Iterator[dict[str, Any]]:
        total = group.total
        yield {
            "name": group.name,
            "path": group.path,
            "class": group.class_name,
            "depth": depth,
            "members": list(group.members),
            "calls": group.calls,
            "nodes": total.nodes,
            "parameters": group.parameters,
            "parameter_bytes": group.parameter_bytes,
            "flops": total.flops,
            "flops_share": total.flops / self.flops if self.flops else 0.0,
            **{
                f"{phase.value}_flops": group.costs.get(phase, Costs()).flops
                for phase in (Phase.FORWARD, Phase.BACKWARD)
            },
            "moved_bytes": total.moved_bytes,
            "activation_bytes": total.activation_bytes,
            "saved_bytes": total.saved_bytes,
            "message_bytes": total.message_bytes,
        }
        for inner in group.inner.values():
            yield from self._rows(inner, depth + 1)


def summarize(graph: Graph, **options: Any) -> Summary:
    """Return what a graph computes, moves and keeps: FLOPs, bytes, parameters and memory.

    It needs no torch, and nothing is run. For other sizes there is ``traced.summary(at=...)`` of a program.

    Args:
        graph: what to look at; a traced program's is ``traced.graph``.
        options: ``by``, what a row is: "module", "line" or "operator"; ``depth``, levels of modules shown;
            ``sort``, the figure of which most comes first: "flops", "moved", "activations", "saved",
            "messages", "parameters" or "calls"; ``top``, rows shown of each level; ``fold``, whether equal
            neighbours are one row; ``width``, columns that text takes at most.

    Raises:
        ReportError: what is given is no graph, an option is not as it should be, or a FLOP formula failed.
    """
    if not isinstance(graph, Graph):
        raise ReportError(
            f"a summary is of a graph, not of a {type(graph).__name__}\n"
            "  a traced program has a summary(), and its graph is its .graph"
        )
    unknown = [name for name in options if name not in _OPTIONS]
    if unknown:
        raise ReportError(f"a summary has no option {unknown[0]!r}; it has {', '.join(_OPTIONS)}")
    return Summary(graph, SummaryOptions(**options))


_OPTIONS: Final = tuple(field.name for field in fields(SummaryOptions))


def grouped(ledger: Ledger, name: str, options: SummaryOptions) -> Group:
    """Return the costs of a graph in the groups that were asked for."""
    if options.by == "line":
        return by_line(ledger, name, lambda file, line: _line_text(ledger.files.get(file), line))
    if options.by == "operator":
        return by_operator(ledger, name)
    return by_module(ledger, name, fold=options.fold)


def _line_text(file: SourceRange | None, line: int) -> str:
    return "" if file is None else file.line_text(line).strip()


def _title(graph: Graph) -> str:
    """Return the graph's name with the types of what goes in and comes out."""
    given, returned = (
        [
            str(value.type).partition("{")[0]
            for value in values
            if isinstance(value.type, TensorType)
        ]
        for values in (graph.inputs, graph.outputs)
    )
    return f"{graph.name}: {_few(given)} → {_few(returned)}"


def _few(types: list[str]) -> str:
    if len(types) <= 2:
        return ", ".join(types) or "nothing"
    return f"{types[0]} and {len(types) - 1} more"


def _listed(uncounted: Counter[Uncounted]) -> str:
    """Return operators with how often they run and why they are not counted, most frequent first."""
    by_reason: dict[str, list[str]] = {}
    for found, count in uncounted.most_common():
        name = found.operator.removeprefix("aten::")
        by_reason.setdefault(found.reason, []).append(name if count == 1 else f"{name} ×{count:,}")
    return "; ".join(f"{', '.join(names)} ({reason})" for reason, names in by_reason.items())


def _notes(ledger: Ledger, memory: Memory) -> Iterator[str]:
    """Yield what the figures leave out."""
    for note, _ in ledger.notes.most_common():
        yield note
    if any(found.reason == NO_FORMULA for found in ledger.uncounted):
        yield "opscope.flop_formula registers a formula for an operator"
    if any(tally.phase is Phase.BACKWARD and not tally.is_placed for tally in ledger.tallies):
        yield "backward counts where the program asks for it; the trace does not tell its modules"
    if memory.unknown_saved:
        kinds = ", ".join(name.removeprefix("aten::") for name in memory.unknown_saved)
        yield f"what autograd saves of these is not known, and not in any figure: {kinds}"
    if memory.unknown:
        count = f"{memory.unknown:,} tensor" + ("" if memory.unknown == 1 else "s")
        yield f"sparse and ragged tensors, {count} here, are in no figure of memory"
