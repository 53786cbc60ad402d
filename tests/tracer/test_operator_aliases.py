"""Which operators are another name of one: against TorchScript, which has a table of its own, and kernels."""

import warnings

import pytest
import torch

from opscope.ir import Operator
from opscope.program.operators import operator_named


def aliases() -> dict[str, Operator]:
    names = sorted(
        name for name in torch._C._dispatch_get_all_op_names() if name.startswith("aten::")
    )
    return {
        name: canonical
        for name in names
        if (canonical := operator_named(name).canonical) is not None
    }


def test_what_everyone_knows_is_found() -> None:
    found = {name: canonical.name for name, canonical in aliases().items()}
    assert len(found) > 100
    for alias, canonical in {
        "aten::multiply.Tensor": "aten::mul.Tensor",
        "aten::multiply_.Scalar": "aten::mul_.Scalar",
        "aten::multiply.out": "aten::mul.out",
        "aten::clip.Tensor": "aten::clamp.Tensor",
        "aten::concatenate": "aten::cat",
        "aten::swapdims_": "aten::transpose_",
        "aten::special_erf": "aten::erf",
        "aten::special_expit": "aten::sigmoid",
        "aten::det": "aten::linalg_det",
        "aten::moveaxis.intlist": "aten::movedim.intlist",
    }.items():
        assert found[alias] == canonical


def test_what_only_looks_like_one_is_none() -> None:
    for name in (
        "aten::mul.Tensor", "aten::sigmoid", "aten::reshape", "aten::matmul", "aten::to.dtype",
        "aten::softmax.int", "aten::pinverse", "aten::linear", "aten::square", "aten::mul.left_t",
        "prim::guard",
    ):  # fmt: skip
        assert operator_named(name).canonical is None, name


def test_an_alias_takes_the_same_arguments_and_writes_the_same() -> None:
    for name, canonical in aliases().items():
        alias = operator_named(name)
        assert len(alias.parameters) == len(canonical.parameters)
        for one, other in zip(alias.parameters, canonical.parameters, strict=True):
            assert (one.type, one.is_keyword, one.is_written) == (
                other.type,
                other.is_keyword,
                other.is_written,
            )
        assert alias.effects == canonical.effects


CALLS = {
    name: call
    for call, names in {
        "x": "absolute arccos arccosh arcsin arcsinh arctan arctanh det inverse negative fix slogdet"
        " matrix_exp special_digamma special_erf special_erfc special_erfinv special_exp2 special_expit"
        " special_expm1 special_i0 special_log1p special_sinc special_psi",
        "x, y": "arctan2 divide greater greater_equal less less_equal linalg_matmul multiply not_equal"
        " subtract true_divide special_xlogy special_gammainc special_gammaincc",
        "x, 0, 1": "swapaxes swapdims moveaxis",
        "x, 0": "special_logsumexp",
        "[x, y], 0": "concat concatenate",
        "[x, y]": "row_stack",
    }.items()
    for name in names.split()
}


@pytest.mark.parametrize("name", CALLS)
def test_torchscript_says_the_same(name: str) -> None:
    _, _, function = name.rpartition("special_")
    module = "torch.special" if name.startswith("special_") else "torch"
    if name.startswith("linalg_"):
        module, function = "torch.linalg", name.removeprefix("linalg_")
    source = f"def f(x, y):\n  return {module}.{function}({CALLS[name]})\n"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = torch.jit.CompilationUnit(source).f.graph  # type: ignore[no-untyped-call]
    theirs = {node.kind() for node in graph.nodes() if node.kind().startswith("aten::")}
    ours = {
        canonical.base_name
        for alias, canonical in aliases().items()
        if alias.partition(".")[0] == f"aten::{name}"
    }
    if name == "special_psi":  # a name of a name, which our pass follows one by one
        ours = {operator_named("aten::special_digamma").canonical.base_name}  # type: ignore[union-attr]
    if theirs != {f"aten::{name}"}:  # else it is no alias to TorchScript
        assert ours == theirs
    assert len(ours) == 1


def test_autocast_is_told_from_what_it_leaves_alone() -> None:
    casts = {
        "aten::mm", "aten::linear", "aten::exp", "aten::pow.Tensor_Scalar", "aten::softmax.int",
        "aten::prelu", "mylib::unknown",
    }  # fmt: skip
    keeps = {"aten::add.Tensor", "aten::neg", "aten::relu", "aten::mul_.Tensor", "aten::where.self"}
    assert {name for name in casts | keeps if operator_named(name).casts} == casts
