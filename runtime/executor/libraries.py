"""Operators that engines leave to libraries: nothing is gained where most of the time goes to them."""

from __future__ import annotations

from typing import Final

_CALLED: Final = frozenset((
    # Products of matrices.
    "linear", "matmul", "mm", "bmm", "addmm", "addbmm", "baddbmm", "addmv", "mv", "dot", "einsum",
    "tensordot", "chain_matmul", "linalg_multi_dot", "bilinear", "_addmm_activation", "inner",
    # Convolutions.
    "conv1d", "conv2d", "conv3d", "convolution", "_convolution", "conv_transpose1d", "conv_transpose2d",
    "conv_transpose3d", "convolution_backward", "mkldnn_convolution",
    # Attention.
    "scaled_dot_product_attention", "_native_multi_head_attention",
    # Recurrent networks.
    "lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell",
    # Sorting, and what solves equations.
    "sort", "topk", "fft_fft", "fft_rfft", "fft_ifft", "fft_irfft", "linalg_svd", "linalg_qr",
    "linalg_eigh", "linalg_solve", "linalg_inv", "linalg_cholesky",
))  # fmt: skip


def calls_library(kind: str) -> bool:
    """Whether an operator, such as ``aten::matmul``, is one that a library computes."""
    namespace, _, name = kind.partition("::")
    return namespace == "aten" and name.partition(".")[0] in _CALLED
