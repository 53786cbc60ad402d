"""Data that goes to Python is reported where it goes, with its value, and only if it can change."""

import json
import pickle
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch
from torch._dynamo._trace_wrapped_higher_order_op import TransformGetItemToIndex

import opscope
from opscope.ir.structure import take_apart
from support.replays import check_replay

READS: dict[str, tuple[Callable[[torch.Tensor], Any], str, str]] = {
    "bool": (lambda x: bool(x[0]), "decides, through aten::is_nonzero, which way", "True"),
    "not": (lambda x: not x[0], "decides, through aten::is_nonzero, which way", "True"),
    "contains": (
        lambda x: x[0] in [x[1], x[0]],
        "decides, through aten::is_nonzero, which way",
        "True",
    ),
    "int": (lambda x: int(x[0]), "is turned into a plain int", "3"),
    "float": (lambda x: float(x[0]), "is turned into a plain float", "3.0"),
    "complex": (lambda x: complex(x[0]), "is needed as a plain float", "3.0"),
    "index": (lambda x: [0, 1, 2, 3][x[0].long()], "is used where Python needs a plain int", "3"),
    "range": (lambda x: list(range(x[0].long())), "is used where Python needs a plain int", "3"),
    "tolist": (lambda x: x.tolist(), "tolist() gives", "[3.0, 4.0]"),
    "numpy": (lambda x: x.numpy(), "numpy() gives", "array([3., 4.], dtype=float32)"),
    "asarray": (lambda x: numpy.asarray(x), "the conversion to a NumPy array gives", "array([3"),
    "dlpack": (lambda x: numpy.from_dlpack(x), "the exchange through DLPack gives", ""),
    "pickle": (lambda x: pickle.dumps(x), "pickling gives", ""),
    "equal": (lambda x: torch.equal(x, x), "decides, through aten::equal, which way", "True"),
}


@pytest.mark.parametrize("name", READS)
def test_data_that_goes_to_python_is_reported(name: str) -> None:
    read, message, value = READS[name]

    def program(x: torch.Tensor) -> torch.Tensor:
        read(x * 1)
        return x + 1

    with pytest.warns(opscope.TracerWarning, match="data read: ") as warned:
        traced = opscope.trace(program, torch.tensor([3.0, 4.0]))
    assert warned[0].filename == __file__
    found = traced.diagnostics[0]
    assert message in found.message
    assert value in found.value
    assert found.nodes


def test_text_leaves_no_nodes() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        if x.sum() > 0:
            print(f"{x} {x.sum():.3f}", repr(x))
        return x + 1

    traced = opscope.trace(program, torch.ones(2), warn=False)
    kinds = [node.kind for node in traced.graph.walk()]
    assert kinds == [
        "aten::sum",
        "aten::gt.Scalar",
        "aten::is_nonzero",
        "prim::guard",
        "aten::sum",
        "aten::add.Tensor",
    ]


def test_a_printed_tensor_is_information(capsys: pytest.CaptureFixture[str]) -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        print(x)
        return x + 1

    traced = check_replay(program, torch.tensor([1.0, 2.0]))
    assert capsys.readouterr().out == "tensor([1., 2.])\n" * 2  # eagerly and traced; not replayed
    (found,) = traced.diagnostics
    assert found.kind is opscope.DiagnosticKind.PRINTED
    assert found.severity is opscope.Severity.INFO
    assert found.value == "'tensor([1., 2.])'"
    assert [node.kind for node in traced.graph.walk()] == ["aten::add.Tensor"]


@pytest.mark.parametrize(
    "read",
    [
        lambda: torch.linspace(0, 1, 3).tolist(),
        lambda: int(torch.tensor(3)),
        lambda: torch.arange(6).view(2, 3).sum(1).numpy(),
        lambda: bool(torch.ones(2).sum() > 0),
        lambda: list(torch.eye(2).nonzero()),
    ],
)
def test_data_that_is_the_same_at_every_run_is_not_reported(read: Callable[[], Any]) -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        read()
        return x + 1

    assert opscope.trace(program, torch.ones(2)).diagnostics == ()


def test_a_constant_that_others_can_change_still_decides() -> None:
    threshold = torch.tensor(0.0)

    def program(x: torch.Tensor) -> torch.Tensor:
        return x + 1 if threshold < 1 else x

    traced = opscope.trace(program, torch.ones(2), warn=False)
    threshold.fill_(2)
    with pytest.raises(opscope.GuardError):
        traced(torch.ones(2))


def test_a_branch_on_a_fresh_constant_needs_no_guard() -> None:
    traced = check_replay(lambda x: x + 1 if torch.tensor(2.0) > 1 else x, torch.ones(2))
    assert traced.guards == ()


@pytest.mark.parametrize(
    "read",
    [
        lambda x: torch.rand(2).tolist(),
        lambda x: torch.zeros(2).copy_(x).tolist(),
        lambda x: torch.empty(2).tolist(),
    ],
)
def test_data_of_a_constant_that_chance_or_an_input_went_into_is_reported(
    read: Callable[[torch.Tensor], Any],
) -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        read(x)
        return x + 1

    assert opscope.trace(program, torch.ones(2), warn=False).diagnostics


def test_a_write_through_a_view_makes_a_constant_depend_on_the_input() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        table = torch.zeros(2)
        table[0] = x[0]
        return x * table.tolist()[0]

    with pytest.warns(opscope.TracerWarning, match=r"tolist\(\) gives Python the data"):
        opscope.trace(program, torch.ones(2))


@pytest.mark.parametrize(
    ("count", "how"),
    [
        (lambda x: [row + 1 for row in (x > 0).nonzero()], "iterating over"),
        (lambda x: list(torch.where(x > 0)[0] * 2), "iterating over"),
        (lambda x: [*x.unique()], "iterating over"),
    ],
)
def test_a_number_of_rows_that_data_decides_is_reported(
    count: Callable[[torch.Tensor], Any], how: str
) -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        count(x)
        return x + 1

    traced = opscope.trace(program, torch.tensor([1.0, 0.0, 2.0]), warn=False)
    found = traced.diagnostics[0]
    assert found.message.startswith(how)
    assert found.value in ("2", "3")
    assert found.nodes


def test_a_length_that_data_decides_is_guarded_and_told() -> None:
    with pytest.warns(opscope.TracerWarning, match=r"taken by len\(\)"):
        traced = opscope.trace(lambda x: x + len(x[x > 0]), torch.tensor([1.0, 0.0, 2.0]))
    assert traced(torch.tensor([0.0, 1.0, 2.0])).tolist() == [2.0, 3.0, 4.0]
    with pytest.raises(opscope.GuardError):
        traced(torch.ones(3))


def test_a_branch_on_how_many_there_are_is_guarded_and_told() -> None:
    def program(boxes: torch.Tensor) -> torch.Tensor:
        kept = boxes[boxes[:, 0] > 0]
        assert kept.shape[1] == 2, "that is no matter of data"
        return kept if kept.numel() > 0 else boxes

    with pytest.warns(opscope.TracerWarning, match="decides which way the program goes") as warned:
        traced = opscope.trace(program, torch.tensor([[1.0, 2.0], [-1.0, 3.0]]))
    assert len(warned) == 1
    assert [guard.text for guard in traced.guards] == ["boxes.size(1) == 2", "kept.numel() > 0"]
    with pytest.raises(opscope.GuardError):
        traced(-torch.ones(3, 2))


def test_a_list_of_data_fixes_its_length() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        for _ in x.tolist():
            x = x + 1
        return x

    traced = opscope.trace(program, torch.ones(3), warn=False)
    with pytest.raises(opscope.GuardError):
        traced(torch.ones(4))


def test_a_number_of_rows_that_sizes_decide_is_not_reported() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        first, second = x
        return first + second * len(x) + x[torch.tensor([0, 1])].sum()

    check_replay(program, torch.ones(2, 3))


def test_hash_identity_and_address_are_harmless() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        seen = {x: 1}, {id(x): 2}, {x.data_ptr(): 3}
        return x + len(seen)

    check_replay(program, torch.ones(2))


def test_reads_in_a_trace_inside_a_trace_are_reported_to_both() -> None:
    inner: list[opscope.TracedProgram] = []

    def program(x: torch.Tensor) -> torch.Tensor:
        inner.append(opscope.trace(lambda t: t + 1 if t.sum() > 0 else t, x, warn=False))
        return x * 2

    outer = opscope.trace(program, torch.ones(2), warn=False)
    for traced in (outer, inner[0]):
        assert opscope.DiagnosticKind.DATA_READ in [found.kind for found in traced.diagnostics]


def test_a_number_beside_the_tensors_that_an_operator_returns_is_guarded() -> None:
    @torch.library.custom_op("opscope_tests::with_count", mutates_args=())
    def with_count(x: torch.Tensor) -> tuple[torch.Tensor, int]:
        return x.clone(), x.shape[0]

    def program(x: torch.Tensor) -> torch.Tensor:
        y, count = with_count(x)
        return y * count

    traced = opscope.trace(program, torch.ones(3), warn=False)
    (found,) = traced.diagnostics
    assert "comes to Python through opscope_tests::with_count; it was 3" in found.message
    assert torch.equal(traced(torch.ones(3)), program(torch.ones(3)))
    with pytest.raises(opscope.GuardError):
        traced(torch.ones(4))


WEIGHTS = torch.arange(12.0).view(4, 3)


def picked(x: torch.Tensor, at: torch.Tensor) -> Any:
    y = x.clone()
    y[at, :2] = x.sum()
    return x[at], WEIGHTS[at] + y, x[..., at], x[at, 1:], x[None, at, None], y[at.int()]


def test_a_tensor_of_one_position_indexes_as_the_number_that_it_holds() -> None:
    traced = check_replay(picked, torch.randn(3, 3), torch.tensor(1))
    assert not traced.diagnostics
    assert not traced.guards
    for rows, position in ((3, 2), (3, -3), (3, 0)):
        x, at = torch.randn(rows, 3), torch.tensor(position)
        for ours, theirs in zip(traced(x, at), picked(x, at), strict=True):
            assert torch.equal(ours, theirs)
    with pytest.raises(IndexError):
        traced(torch.randn(3, 3), torch.tensor(5))


def test_rows_that_data_chose_are_looked_up_again() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        for row in torch.topk(x[:, 0], 2).indices:
            x = x + WEIGHTS[row]
        return x[x.argmax() % 3]

    traced = check_replay(program, torch.randn(4, 3))
    assert not traced.diagnostics
    for _ in range(4):
        x = torch.randn(4, 3)
        assert torch.equal(traced(x), program(x))


def test_a_tensor_that_stands_for_many_positions_is_left_to_vmap() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        with TransformGetItemToIndex():
            return torch.vmap(lambda at: WEIGHTS[at] + x[at])(x[:, 0].argsort())

    check_replay(program, torch.randn(4, 3))


LISTED: dict[str, Callable[[torch.Tensor, torch.Tensor], Any]] = {
    "lengths": lambda x, n: x.split(n.tolist()),
    "bounds": lambda x, n: [x[:end] for end in n.cumsum(0).tolist()],
    "nested": lambda x, n: [x[:a] * b for a, b in n.view(1, -1).tolist()],
    "arithmetic": lambda x, n: x * sum(n.tolist()),
    "tensor": lambda x, n: torch.tensor(n.tolist()) + 1,
    "no dimensions": lambda x, n: x[: n[0].tolist()],
    "small integers": lambda x, n: x.split(n.to(torch.uint8).tolist()),
    "itself": lambda x, n: [x, *n.tolist()],
}


@pytest.mark.parametrize("program", LISTED.values(), ids=LISTED)
def test_a_short_list_of_integers_is_data(program: Callable[..., Any]) -> None:
    traced = check_replay(program, torch.randn(5, 2), torch.tensor([2, 3]))
    assert not traced.diagnostics
    for rows, counts in ((5, [4, 1]), (7, [3, 4])):
        x, n = torch.randn(rows, 2), torch.tensor(counts)
        ours, theirs = take_apart(traced(x, n), is_atom)[0], take_apart(program(x, n), is_atom)[0]
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert torch.equal(torch.as_tensor(one), torch.as_tensor(other))
    with pytest.raises((opscope.GuardError, opscope.InputError)):
        traced(torch.randn(5, 2), torch.tensor([[1, 2], [1, 1]]))


def is_atom(part: Any) -> bool:
    return isinstance(part, torch.Tensor | int)


def test_a_list_of_integers_that_decides_is_guarded_and_a_long_one_is_told() -> None:
    def program(x: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
        return x * 2 if 3 in n.tolist() else x

    n = torch.tensor([2, 3])
    with pytest.warns(opscope.TracerWarning, match="decides which way the program goes"):
        traced = opscope.trace(program, (torch.ones(2), n))
    with pytest.raises(opscope.GuardError):
        traced(torch.ones(2), torch.tensor([2, 2]))
    with pytest.warns(opscope.TracerWarning, match=r"tolist\(\) gives Python the data"):
        opscope.trace(program, (torch.ones(2), torch.arange(65)))


def test_numbers_of_the_graph_go_to_json_as_what_they_are() -> None:
    def program(x: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
        text = json.dumps({"rows": x.shape[0], "list": n.tolist(), "mean": n.float().mean().item()})
        assert text == '{"rows": 2, "list": [1, 3], "mean": 2.0}'
        return x * 2

    traced = opscope.trace(program, (torch.ones(2), torch.tensor([1, 3])), warn=False)
    *sizes, first, second = [guard.text for guard in traced.guards]
    assert sizes == ["x.size(0) == 2", "len(unbind(n)) == 2"]
    assert first.endswith(".item() == 1")
    assert second.endswith(".item() == 3")
    with pytest.raises(TypeError, match="not JSON serializable"):
        opscope.trace(lambda x: json.dumps(x), torch.ones(2))
