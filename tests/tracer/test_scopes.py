"""Scopes: module calls by the path they were really called through, and the user's functions."""

import contextlib
import sys
from typing import Any

import torch
from torch import nn

import opscope
from support.replays import check_replay


def places(traced: opscope.TracedProgram) -> list[tuple[str, str]]:
    return [(node.operator.base_name, str(node.scope)) for node in traced.graph.walk()]


class AddOne(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1


class Parent(nn.Module):
    def __init__(self, child: nn.Module) -> None:
        super().__init__()
        self.child = child

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.child(x) * 2


def test_a_child_shared_by_two_parents_gets_the_path_it_was_called_through() -> None:
    class Root(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            shared = AddOne()
            self.left = Parent(shared)
            self.right = Parent(shared)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.right(self.left(x))

    assert places(check_replay(Root(), torch.randn(2))) == [
        ("aten::add", "left.child (AddOne)"),
        ("aten::mul", "left (Parent)"),
        ("aten::add", "right.child (AddOne)"),
        ("aten::mul", "right (Parent)"),
    ]


def test_each_call_of_a_module_is_a_scope_of_its_own() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.step = AddOne()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.step(self.step(x))

    traced = check_replay(Twice(), torch.randn(2))
    assert places(traced) == [("aten::add", "step (AddOne)"), ("aten::add", "step#2 (AddOne)")]
    assert [node.scope.path for node in traced.graph.walk()] == ["step", "step"]


def test_a_direct_call_of_forward_is_a_scope_too() -> None:
    class Direct(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.user = AddOne()
            self.torch = nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.torch.forward(self.user.forward(x))

    assert places(check_replay(Direct(), torch.randn(1, 2))) == [
        ("aten::add", "user (AddOne)"),
        ("aten::linear", "torch (Linear)"),
    ]


def test_containers_and_plain_lists_give_their_names() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([AddOne(), AddOne()])
            self.hidden = [nn.Linear(2, 2)]  # not registered

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for layer in self.layers:
                x = layer(x)
            return self.hidden[0](x)

    traced = check_replay(Mixed(), torch.randn(1, 2))
    assert places(traced) == [
        ("aten::add", "layers.0 (AddOne)"),
        ("aten::add", "layers.1 (AddOne)"),
        ("aten::linear", "hidden.0 (Linear)"),
    ]
    assert list(traced.state) == ["hidden.0.weight", "hidden.0.bias"]


def helper(x: torch.Tensor) -> torch.Tensor:
    return x.relu()


def loops(x: torch.Tensor) -> torch.Tensor:
    for _ in range(2):
        x = helper(x)
    (x,) = [item + 1 for item in (x,)]
    return x


def test_functions_between_modules_are_scopes_and_each_call_is_one() -> None:
    assert places(check_replay(lambda x: loops(x), torch.randn(2))) == [
        ("aten::relu", "loops()/helper()"),
        ("aten::relu", "loops()/helper()#2"),
        ("aten::add", "loops()"),
    ]


def test_a_modules_other_methods_are_functions_of_its_scope() -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.project = nn.Linear(2, 2)

        def _attend(self, x: torch.Tensor) -> torch.Tensor:
            return self.project(x).softmax(-1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self._attend(x)

    traced = check_replay(Parent(Attention()), torch.randn(1, 2))
    assert places(traced) == [
        ("aten::linear", "child/_attend()/project (Linear)"),
        ("aten::softmax", "child/_attend()"),
        ("aten::mul", ""),
    ]
    assert traced.graph.nodes(scope="child.project") == list(traced.graph.walk())[:1]
    assert len(traced.graph.nodes(scope="child")) == 2


def test_hooks_run_inside_the_scope_of_their_module() -> None:
    model = Parent(AddOne())
    model.child.register_forward_pre_hook(lambda module, args: (args[0] * 3,))
    model.child.register_forward_hook(lambda module, args, result: result - 1)
    traced = check_replay(model, torch.randn(2))
    kinds = [(kind, scope.partition("/")[0].partition(" ")[0]) for kind, scope in places(traced)]
    assert kinds == [
        ("aten::mul", "child"),
        ("aten::add", "child"),
        ("aten::sub", "child"),
        ("aten::mul", ""),
    ]


def test_a_traced_function_names_the_models_it_refers_to() -> None:
    model = Parent(AddOne())

    def step(x: torch.Tensor) -> torch.Tensor:
        return model(x) + 1

    assert places(check_replay(step, torch.randn(2))) == [
        ("aten::add", "model.child (AddOne)"),
        ("aten::mul", "model (Parent)"),
        ("aten::add", ""),
    ]


def test_decorated_and_inherited_forwards_open_no_scope_of_their_own() -> None:
    import functools

    def decorate(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs) + 1

        return wrapper

    class Base(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2

    class Derived(Base):
        @decorate
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) - 1

    traced = check_replay(Parent(Derived()), torch.randn(2))
    assert {scope for _, scope in places(traced)} == {"child (Derived)", ""}


def test_scopes_survive_a_debugger() -> None:
    """Coverage tools and debuggers use the slot that marks are kept in."""
    events = 0

    def hook(frame: Any, event: str, arg: Any) -> Any:
        nonlocal events
        events += 1
        return hook

    previous = sys.gettrace()
    sys.settrace(hook)
    try:
        traced = opscope.trace(Parent(AddOne()), torch.ones(2))
    finally:
        sys.settrace(previous)
    assert events > 0
    assert places(traced) == [("aten::add", "child (AddOne)"), ("aten::mul", "")]


def test_scopes_opened_by_hand() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        state = opscope.get_tracing_state()
        assert state is not None
        x = x + 1
        state.push_scope("phase")
        x = helper(x)
        x = x * 2
        state.pop_scope()
        return x - 1

    traced = opscope.trace(program, torch.ones(2))
    assert places(traced) == [
        ("aten::add", ""),
        ("aten::relu", "phase<region>/helper()"),
        ("aten::mul", "phase<region>"),
        ("aten::sub", ""),
    ]


def test_regions_named_for_the_profiler_are_scopes_and_no_nodes() -> None:
    class Annotated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.step = AddOne()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.profiler.record_function("attention"):
                x = self.step(x)
                with torch.profiler.record_function("its end"):
                    x = x.relu()
            return x * 2

    assert places(check_replay(Annotated(), torch.randn(2))) == [
        ("aten::add", "attention<region>/step (AddOne)"),
        ("aten::relu", "attention<region>/its%20end<region>"),
        ("aten::mul", ""),
    ]


def test_a_region_that_decorates_a_function_is_the_scope_around_it() -> None:
    @torch.profiler.record_function("doubled")
    def double(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    def program(x: torch.Tensor) -> torch.Tensor:
        return double(x).relu()

    assert places(check_replay(program, torch.randn(2))) == [
        ("aten::mul", "doubled<region>/double()"),
        ("aten::relu", ""),
    ]
    assert places(check_replay(double, torch.randn(2))) == [("aten::mul", "doubled<region>")]


def test_a_region_that_an_error_leaves_is_closed() -> None:
    def fail(x: torch.Tensor) -> None:
        with torch.profiler.record_function("tried"):
            x.relu()
            raise ValueError

    def program(x: torch.Tensor) -> torch.Tensor:
        with contextlib.suppress(ValueError):
            fail(x)
        return x * 2

    assert places(check_replay(program, torch.randn(2))) == [
        ("aten::relu", "fail()/tried<region>"),
        ("aten::mul", ""),
    ]


def test_regions_that_torch_names_for_itself_are_no_scopes() -> None:
    weight = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.SGD([weight], foreach=False)
    weight.grad = torch.ones(2)
    graph = opscope.trace(optimizer.step).graph
    assert {str(node.scope) for node in graph.nodes(op="aten::*")} == {"SGD<optimizer> (SGD)"}
    assert not graph.nodes(op="profiler::*")
