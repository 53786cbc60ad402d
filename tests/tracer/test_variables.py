"""Values take the names of the user's variables."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

import opscope


def names(function: Any, *args: torch.Tensor) -> list[str]:
    graph = opscope.trace(function, args, warn=False).graph
    from opscope.ir import value_names

    given = value_names(graph)
    return [given[value] for node in graph.walk() for value in node.outputs]


X = torch.ones(4)


def test_assignments_in_the_function_itself() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        first = x + 1
        second = first.relu().neg()
        first *= 2
        return second + first

    assert names(program, X) == ["first", "0", "second", "first.1", "1"]


def test_results_of_module_calls_and_helpers_take_the_callers_name() -> None:
    def helper(x: torch.Tensor) -> torch.Tensor:
        return x.relu()

    linear = nn.Linear(4, 4)

    def program(x: torch.Tensor) -> torch.Tensor:
        hidden = linear(x)
        active = helper(hidden)
        return active

    assert names(program, X) == ["hidden", "active"]


def test_unpacking_names_every_part() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        query, key = x.chunk(2)
        values, _ = torch.max(x.view(2, 2), 1)
        return query + key + values

    assert names(program, X)[:5] == ["query", "key", "0", "values", "1"]


def test_attributes_globals_and_closure_cells() -> None:
    class Holder(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.cache = x + 1
            return self.cache * 2

    def program(x: torch.Tensor) -> torch.Tensor:
        cell = x * 3

        def inner() -> torch.Tensor:
            return cell + 1

        return inner()

    assert names(Holder(), X) == ["cache", "0"]
    assert names(program, X) == ["cell", "0"]


def test_a_name_given_by_hand_wins() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        state = opscope.get_tracing_state()
        assert state is not None
        state.lookup_var_name_fn = lambda tensor: "mine"
        y = x + 1
        state.lookup_var_name_fn = None
        z = y + 1
        return z

    assert names(program, X) == ["mine", "z"]


def test_long_functions_with_extended_arguments() -> None:
    lines = ["def program(x):"]
    lines += [f"    v{n} = x + {n}" for n in range(300)]
    lines += ["    last = v299.neg()", "    return last"]
    namespace: dict[str, Any] = {}
    exec("\n".join(lines), namespace)
    assert names(namespace["program"], X) == [*(f"v{n}" for n in range(300)), "last"]


def _counting() -> Iterator[int]:
    number = 0
    while True:
        number += 1
        yield number


@pytest.mark.parametrize(
    "numbers",
    [iter([1, 2, 3]), iter(range(9)), itertools.count(), _counting(), (n for n in (1, 2))],
)
def test_an_iterator_that_the_program_advances_is_told(numbers: Iterator[int]) -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return x * next(numbers)

    with pytest.warns(opscope.TracerWarning, match="the variable numbers was advanced"):
        opscope.trace(program, torch.ones(2))
    assert not opscope.trace(lambda x: x * isinstance(numbers, object), torch.ones(2)).diagnostics
