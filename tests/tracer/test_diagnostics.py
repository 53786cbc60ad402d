"""What a trace cannot record exactly is listed once per site, with the line, and warned about."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

import opscope


def reads_data(x: torch.Tensor) -> torch.Tensor:
    total = 0.0
    for _ in range(3):
        total += float(x.sum())
    return x * total


def test_data_handed_to_python_is_reported_once_per_site() -> None:
    with pytest.warns(
        opscope.TracerWarning, match=r"turned into a plain float; it was 2.0"
    ) as warned:
        traced = opscope.trace(reads_data, torch.ones(2))
    assert len(warned) == 1
    assert warned[0].filename == __file__
    (diagnostic,) = traced.diagnostics
    assert diagnostic.source is not None
    assert diagnostic.source.text.strip() == "total += float(x.sum())"
    assert "float(x.sum())\n             ^^^^^^^^^^^^^^" in str(diagnostic)


def test_a_diagnostic_holds_what_leaked_where_and_what_to_do() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        for row in (x, x * 2, x - 9):
            if row.sum() > 0:
                x = x + 1
        return x

    traced = opscope.trace(program, torch.ones(2), warn=False)
    (diagnostic,) = traced.diagnostics
    assert diagnostic.kind is opscope.DiagnosticKind.DATA_READ
    assert diagnostic.severity is opscope.Severity.WARNING
    assert diagnostic.value == "True, False"
    assert diagnostic.count == 3
    assert [node.kind for node in diagnostic.nodes] == ["aten::is_nonzero"] * 3
    assert "torch.where" in diagnostic.hint
    assert str(diagnostic) == (
        "data read: a number that the data of a tensor gave decides, through aten::is_nonzero, which way "
        "the program goes; it was True, and a replay is refused where it is not (3 times)\n"
        f"  from {diagnostic.source} in {program.__qualname__}\n"
        "    if row.sum() > 0:\n"
        "       ^^^^^^^^^^^^^\n"
        f"  {diagnostic.hint}"
    )


def test_one_place_is_one_site_whoever_calls_it() -> None:
    def decide(x: torch.Tensor) -> torch.Tensor:
        return x + 1 if x.sum() > 0 else x

    def program(x: torch.Tensor) -> torch.Tensor:
        y = decide(x)
        return decide(y)

    (diagnostic,) = opscope.trace(program, torch.ones(2), warn=False).diagnostics
    assert diagnostic.count == 2


def test_severities_are_ordered() -> None:
    severity = opscope.Severity
    assert sorted([severity.ERROR, severity.INFO, severity.WARNING]) == list(severity)


POOL = ThreadPoolExecutor(1)
POOL.submit(int).result()  # its thread is there before any trace


def writes_elsewhere(x: torch.Tensor) -> torch.Tensor:
    POOL.submit(x.add_, 1).result()
    return x + 1


def test_a_replay_that_must_be_wrong_is_an_error_unless_it_is_allowed() -> None:
    with pytest.raises(
        opscope.CaptureError, match="wrong even for the inputs of the trace"
    ) as raised:
        opscope.trace(writes_elsewhere, torch.ones(4))
    assert "was written in place while the program ran" in str(raised.value)
    assert str(raised.value).endswith("to trace it all the same, allow 'untracked write'")
    assert not opscope.is_tracing()
    for allow in ({"untracked write"}, "untracked write", [opscope.DiagnosticKind.UNTRACKED_WRITE]):
        traced = opscope.trace(writes_elsewhere, torch.ones(4), allow=allow)
        (diagnostic,) = traced.diagnostics
        assert diagnostic.severity is opscope.Severity.ERROR


def test_what_is_allowed_is_listed_and_neither_warned_about_nor_an_error() -> None:
    traced = opscope.trace(reads_data, torch.ones(2), allow={"data read"})
    assert len(traced.diagnostics) == 1
    assert opscope.trace(reads_data, torch.ones(2), strict=True, allow={"data read"}).diagnostics


def test_a_kind_that_does_not_exist_cannot_be_allowed() -> None:
    with pytest.raises(opscope.CaptureError, match="no kind of diagnostics 'reads'"):
        opscope.trace(reads_data, torch.ones(2), allow={"reads"})


def test_mere_information_is_no_warning_and_no_error() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        str(x)
        return x + 1

    for strict in (False, True):
        (diagnostic,) = opscope.trace(program, torch.ones(2), strict=strict).diagnostics
        assert diagnostic.severity is opscope.Severity.INFO


def test_a_custom_backward_that_cannot_be_kept_is_reported() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        doubled = x * 2

        class Square(torch.autograd.Function):
            @staticmethod
            def forward(ctx: object, x: torch.Tensor) -> torch.Tensor:
                return x * doubled

            @staticmethod
            def backward(ctx: object, gradient: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
                return gradient * 3

        return Square.apply(x)  # type: ignore[no-any-return]

    with pytest.warns(opscope.TracerWarning, match="no gradient flows through it"):
        opscope.trace(program, torch.ones(2, requires_grad=True))


def test_strict_makes_it_an_error_and_warn_false_makes_it_silent() -> None:
    with pytest.raises(opscope.CaptureError, match="turned into a plain float"):
        opscope.trace(reads_data, torch.ones(2), strict=True)
    assert not opscope.is_tracing()
    traced = opscope.trace(reads_data, torch.ones(2), warn=False)
    assert len(traced.diagnostics) == 1


def test_gradients_that_a_functional_graph_cannot_store_are_reported() -> None:
    linear = torch.nn.Linear(2, 2)

    def step(x: torch.Tensor) -> torch.Tensor:
        loss = linear(x).pow(2).sum()
        loss.backward()
        return loss.detach()

    with pytest.warns(opscope.TracerWarning, match=r"wrote the \.grad of 2 tensors"):
        opscope.trace(step, torch.ones(1, 2), force_outplace=True)


def test_what_a_module_holds_that_the_program_builds_is_no_state() -> None:
    traced = opscope.trace(lambda x: torch.nn.BatchNorm1d(3)(x), torch.randn(4, 3))
    assert traced.diagnostics == ()
    x = torch.randn(5, 3)
    assert torch.equal(traced(x), torch.nn.BatchNorm1d(3)(x))
