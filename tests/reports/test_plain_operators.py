"""Which operators count as no FLOPs: by schema or by name alike, and never one that multiplies matrices."""

import pytest
import torch

from opscope.ir import unknown_operator
from opscope.program.operators import operator_named
from opscope.reports.formulas import formula_of
from opscope.reports.plain_operators import is_plain


def operators() -> list[str]:
    return [n for n in torch._C._dispatch_get_all_op_names() if n.startswith("aten::")]  # type: ignore[attr-defined]


def test_pointwise_operators_and_views_are_known_by_their_names_alone() -> None:
    odd = ("_make_dual", "_unpack_dual", "_fw_primal", "_sparse_broadcast_to", "_test_autograd")
    missing = []
    for name in operators():
        operator = operator_named(name)
        if operator.is_pointwise or operator.is_view:
            if not is_plain(unknown_operator(name)) and not name[6:].startswith(odd):
                missing.append(name)
    assert missing == []


def test_no_operator_both_has_a_formula_and_counts_as_none() -> None:
    assert [
        name for name in operators() if formula_of(name) and is_plain(operator_named(name))
    ] == []


@pytest.mark.parametrize(
    "name",
    [
        "aten::fft_fft", "aten::linalg_svd", "aten::cholesky", "aten::_sparse_mm", "aten::cdist",
        "aten::bilinear", "aten::linalg_solve", "aten::matmul_backward", "mylib::relu",
        "torchvision::nms", "prim::call", "functorch::call", "torchscript::call",
    ],
)  # fmt: skip
def test_what_may_compute_something_is_not_taken_for_nothing(name: str) -> None:
    assert not is_plain(unknown_operator(name))


@pytest.mark.parametrize(
    "name",
    [
        "aten::relu_", "aten::_foreach_add_.Scalar", "aten::gelu_backward", "aten::view_copy",
        "aten::native_batch_norm_backward", "aten::_softmax_backward_data", "aten::add.out",
        "aten::__iand__.Tensor", "prim::data", "prim::guard", "aten::mul.int", "aten::sym_size.int",
        "_c10d_functional::all_reduce",
    ],
)  # fmt: skip
def test_variants_of_a_name_are_known(name: str) -> None:
    assert is_plain(unknown_operator(name))
