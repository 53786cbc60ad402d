from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

from opscope.errors import FootprintError
from opscope.footprint import executorch_footprint, executorch_report

PROGRAMS = Path(__file__).parent / "programs"


class Perceptron(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))

    def forward(self, x: torch.Tensor) -> Any:
        return self.layers(x).softmax(-1)

    def encode(self, xs: list[torch.Tensor]) -> Any:
        return torch.cat(xs).double()


class Flow(nn.Module):
    def forward(self, x: torch.Tensor, index: torch.Tensor) -> Any:
        chosen = torch.cond(x.sum() > 0, lambda t: t * 2, lambda t: t - 1, (x,))
        whole = torch.cat([chosen, x])
        whole = whole.reshape(whole.shape[0] * 4)
        return whole.index_put((index,), whole.new_zeros(2)), index + index, whole.sin().double()


@torch.library.custom_op("opscope_executorch::halve", mutates_args=())
def halve(x: torch.Tensor) -> torch.Tensor:
    return x / 2


@halve.register_fake
def _(x: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(x)


class Custom(nn.Module):
    def forward(self, x: torch.Tensor) -> Any:
        return halve(x)


class Choosing(nn.Module):
    def forward(self, x: torch.Tensor) -> Any:
        return x if x.sum() > 0 else -x


def test_a_perceptron_comes_out_as_executorch_makes_it() -> None:
    found = executorch_footprint(Perceptron(), [(torch.randn(1, 4),)])
    assert {name: sorted(keys) for name, keys in found.kernels.items()} == {
        "aten::_softmax.out": ["v1/6;0,1|6;0,1|6;0,1"],
        "aten::addmm.out": ["v1/6;0|6;0,1|6;0,1|6;0,1|6;0,1"],
        "aten::permute_copy.out": ["v1/6;0,1|6;0,1|6;0,1"],
        "aten::relu.out": ["v1/6;0,1|6;0,1|6;0,1"],
    }


def test_control_flow_and_types_come_out_nearly_as_executorch_makes_them() -> None:
    found = executorch_footprint(Flow(), [(torch.randn(2, 4), torch.tensor([0, 1]))])
    listed = yaml.safe_load((PROGRAMS / "flow.yaml").read_text())
    # Its sizes are fixed, and there the rows vary.
    assert set(listed["operators"]) - found.operators == {
        "aten::sym_size.int",
        "executorch_prim::mul.Scalar",
    }
    # A view may stay a copy or not.
    assert found.operators - set(listed["operators"]) == {"aten::view_copy.out"}
    exact = [
        name
        for name in found.operators & set(listed["operators"])
        if sorted(found.kernels[name]) == listed["et_kernel_metadata"][name]
    ]
    assert len(exact) == len(listed["operators"]) - 3


def test_an_estimate_is_labelled_and_restricts_no_build() -> None:
    found = executorch_footprint(Perceptron(), {"encode": [([torch.ones(2), torch.ones(1)],)]})
    assert found.is_approximate
    assert found.selected_kernels == {
        "aten::cat.out": ("default",),
        "dim_order_ops::_to_dim_order_copy.out": ("default",),
    }
    text = executorch_report(found)
    assert "Perceptron  (module, approximate)\n  encode     2 calls of 2 operators\n" in text
    assert "2 operators (approximate): 2 of libraries" in text
    assert "approximate: ExecuTorch has passes and backends of its own" in text


def test_operators_without_a_variant_are_named_by_rule_and_told() -> None:
    found = executorch_footprint(Custom(), [(torch.ones(2),)])
    assert found.operators == {"opscope_executorch::halve.out"}
    assert found.models[0].guessed == found.operators
    assert "torch has no such variant: opscope_executorch::halve.out" in executorch_report(found)


def test_the_module_and_its_inputs_stay_as_they_are() -> None:
    module, x = nn.BatchNorm1d(2), torch.randn(3, 2)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    executorch_footprint(module, [(x,)])
    assert module.training
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])


class Several(nn.Module):
    def forward(self, x: torch.Tensor) -> Any:
        return x.topk(1), x.split(1)


def test_several_results_count_as_executorch_counts_them() -> None:
    found = executorch_footprint(Several(), [(torch.randn(2, 3),)])
    assert {name: sorted(keys) for name, keys in found.kernels.items()} == {
        # what is read, memory for values and for indices, and the first of what is returned
        "aten::topk.values": ["v1/6;0,1|6;0,1|4;0,1|6;0,1"],
        # what is read, memory for the first, and the first
        "aten::split_with_sizes_copy.out": ["v1/6;0,1|6;0,1|6;0,1"],
    }


def test_what_cannot_be_exported_is_told() -> None:
    x = torch.ones(2)
    with pytest.raises(
        FootprintError, match=r"Choosing.forward cannot be exported: \w+: "
    ) as caught:
        executorch_footprint(Choosing(), [(x,)])
    assert "ExecuTorch exports models in this way too" in str(caught.value)
    with pytest.raises(FootprintError, match="Choosing is exported with inputs"):
        executorch_footprint(Choosing())
    with pytest.raises(FootprintError, match="Choosing has no method missing"):
        executorch_footprint(Choosing(), {"missing": [(x,)]})
