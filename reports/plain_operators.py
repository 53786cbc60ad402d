"""Operators known to hold no product, convolution or attention: they count as no FLOPs.

An operator that is neither here nor has a formula is *not counted*, and a report says so. The one table to
edit for an operator that is missing; see Note [What counts as a FLOP] in ``reports/formulas.py``.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from ..ir import Operator
from ..ir.own_operators import OWN_OPERATORS
from ..ir.scalars import scalar_named

# Names without namespace, overload and what ``_bare`` strips.
_NAMES: Final = frozenset(
    """
    abs absolute acos acosh arccos arccosh add addcdiv addcmul addr angle arcsin arcsinh arctan arctan2
    arctanh asin asinh atan atan2 atanh bitwise_and bitwise_left_shift bitwise_not bitwise_or
    bitwise_right_shift bitwise_xor ceil celu clamp clamp_max clamp_min clip complex conj_physical
    copysign cos cosh deg2rad digamma div divide elu eq equal erf erfc erfinv exp exp2 expm1 fix
    float_power floor floor_divide fmax fmin fmod frac frexp gcd ge gelu greater greater_equal gt
    hardshrink hardsigmoid hardswish hardtanh heaviside hypot i0 igamma igammac
    infinitely_differentiable_gelu isclose isfinite isin isinf isnan isneginf isposinf isreal lcm ldexp
    le leaky_relu lerp less less_equal lgamma log log10 log1p log2 log_sigmoid log_sigmoid_forward
    logaddexp logaddexp2 logical_and logical_not logical_or logical_xor logit lt masked_fill max maximum
    min minimum mish mul multiply mvlgamma nan_to_num ne neg negative nextafter not_equal polar
    polygamma positive pow prelu _prelu_kernel rad2deg reciprocal relu relu6 remainder round rrelu
    rrelu_with_noise rsqrt rsub selu sgn sigmoid sign signbit silu sin sinc sinh softplus softshrink
    sqrt square sub subtract tan tanh threshold true_divide trunc where xlogy _conj_physical
    special_airy_ai special_bessel_j0 special_bessel_j1 special_bessel_y0 special_bessel_y1
    special_digamma special_entr special_erf special_erfc special_erfcx special_erfinv special_exp2
    special_expit special_expm1 special_gammainc special_gammaincc special_gammaln special_i0
    special_i0e special_i1 special_i1e special_log1p special_log_ndtr special_logit special_multigammaln
    special_ndtr special_ndtri special_polygamma special_psi special_round special_sinc special_xlog1py
    special_xlogy special_zeta special_chebyshev_polynomial_t special_chebyshev_polynomial_u
    special_chebyshev_polynomial_v special_chebyshev_polynomial_w special_hermite_polynomial_h
    special_hermite_polynomial_he special_laguerre_polynomial_l special_legendre_polynomial_p
    special_modified_bessel_i0 special_modified_bessel_i1 special_modified_bessel_k0
    special_modified_bessel_k1 special_scaled_modified_bessel_k0 special_scaled_modified_bessel_k1
    special_shifted_chebyshev_polynomial_t special_shifted_chebyshev_polynomial_u
    special_shifted_chebyshev_polynomial_v special_shifted_chebyshev_polynomial_w
    special_spherical_bessel_j0

    glu dropout native_dropout _fused_dropout alpha_dropout feature_dropout feature_alpha_dropout
    _masked_scale softmax _softmax log_softmax _log_softmax _safe_softmax _masked_softmax
    special_softmax special_log_softmax logsumexp special_logsumexp batch_norm native_batch_norm
    _batch_norm_impl_index _batch_norm_with_update _batch_norm_no_update _native_batch_norm_legit
    _native_batch_norm_legit_no_training cudnn_batch_norm miopen_batch_norm batch_norm_stats
    batch_norm_elemt batch_norm_gather_stats batch_norm_gather_stats_with_counts batch_norm_reduce
    batch_norm_update_stats instance_norm layer_norm native_layer_norm group_norm native_group_norm
    rms_norm _fused_rms_norm local_response_norm renorm norm native_norm _weight_norm
    _weight_norm_interface norm_except_dim linalg_norm linalg_vector_norm powsum linalg__powsum
    frobenius_norm quantized_batch_norm

    max_pool1d max_pool1d_with_indices max_pool2d max_pool2d_with_indices max_pool3d
    max_pool3d_with_indices avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d
    adaptive_avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_max_pool1d
    adaptive_max_pool2d adaptive_max_pool3d fractional_max_pool2d fractional_max_pool3d max_unpool2d
    max_unpool3d mkldnn_max_pool2d mkldnn_max_pool3d mkldnn_adaptive_avg_pool2d quantized_max_pool1d
    quantized_max_pool2d quantized_max_pool3d upsample_nearest1d upsample_nearest2d upsample_nearest3d
    _upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d upsample_linear1d
    upsample_bilinear2d upsample_bicubic2d upsample_trilinear3d _upsample_bilinear2d_aa
    _upsample_bicubic2d_aa _upsample_lanczos2d_aa grid_sampler grid_sampler_2d grid_sampler_3d
    cudnn_grid_sampler pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle

    all amax amin aminmax _aminmax any argmax argmin argsort count_nonzero cummax cummin cumprod cumsum
    _cummax_helper _cummin_helper logcumsumexp _logcumsumexp kthvalue mean median mode msort nanmean
    nanmedian nanquantile nansum prod quantile sort std std_mean sum sum_to_size topk trace var var_mean
    diff cumulative_trapezoid trapezoid trapz histc bincount bucketize searchsorted unique_consecutive
    _unique _unique2 unique_dim unique_dim_consecutive value_selecting_reduction _is_all_true
    _is_any_true allclose

    binary_cross_entropy binary_cross_entropy_with_logits cross_entropy_loss cosine_embedding_loss
    cosine_similarity ctc_loss _ctc_loss _cudnn_ctc_loss hinge_embedding_loss huber_loss kl_div l1_loss
    margin_ranking_loss mse_loss multi_margin_loss multilabel_margin_loss multilabel_margin_loss_forward
    nll_loss nll_loss2d nll_loss2d_forward nll_loss_forward nll_loss_nd pairwise_distance
    poisson_nll_loss smooth_l1_loss soft_margin_loss triplet_margin_loss dist linalg_cross cross outer
    ger kron

    _adjoint adjoint alias as_strided atleast_1d atleast_2d atleast_3d block_diag broadcast_tensors
    broadcast_to cartesian_prod cat chunk column_stack combinations concat concatenate conj _conj
    constant_pad_nd contiguous copy _copy_from detach diag diag_embed diagflat diagonal diagonal_scatter
    dsplit dstack expand expand_as fill fill_diagonal flatten flip fliplr flipud hsplit hstack im2col
    col2im imag lift lift_fresh linalg_diagonal mH mT matrix_H meshgrid moveaxis movedim narrow
    _neg_view numpy_T pad pad_sequence _pack_padded_sequence _pad_packed_sequence _pad_circular
    _pad_enum permute pin_memory ravel real reflection_pad1d reflection_pad2d reflection_pad3d repeat
    repeat_interleave replication_pad1d replication_pad2d replication_pad3d reshape _reshape_alias
    reshape_as resize resize_as resolve_conj resolve_neg roll rot90 row_stack select select_scatter
    slice slice_inverse slice_scatter split split_with_sizes squeeze stack swapaxes swapdims t take
    take_along_dim tensor_split tile to _to to_dense _to_dense to_padded_tensor transpose tril triu
    type_as unbind unflatten unfold _unsafe_view unsafe_chunk unsafe_split unsafe_split_with_sizes
    unsqueeze values _values indices _indices view view_as view_as_complex view_as_real vsplit vstack
    clone set _lazy_clone as_strided_scatter flatten_dense_tensors unflatten_dense_tensors _cast_Byte
    _cast_Char _cast_Double _cast_Float _cast_Half _cast_Int _cast_Long _cast_Short
    _autocast_to_full_precision _autocast_to_reduced_precision chalf coalesce _coalesce _coalesced
    _nested_view_from_jagged _nested_view_from_buffer _nested_get_values _nested_get_offsets
    _nested_get_lengths _nested_get_ragged_idx _nested_get_min_seqlen _nested_get_max_seqlen
    _nested_get_jagged_dummy _nested_tensor_from_tensor_list _jagged_to_padded_dense_forward
    _padded_dense_to_jagged_forward nested_to_padded_tensor _nested_from_padded
    _nested_from_padded_tensor

    embedding embedding_dense embedding_sparse embedding_renorm embedding_bag _embedding_bag
    _embedding_bag_forward_only _embedding_bag_dense _embedding_bag_sparse
    _embedding_bag_per_sample_weights gather index index_add index_copy index_fill index_put
    _index_put_impl index_reduce index_select _unsafe_index _unsafe_index_put _unsafe_masked_index
    _unsafe_masked_index_put_accumulate masked_scatter masked_select nonzero nonzero_numpy
    nonzero_static argwhere one_hot put scatter scatter_add scatter_reduce segment_reduce

    arange bernoulli binomial cauchy empty empty_like empty_permuted empty_quantized empty_strided
    exponential eye from_file full full_like geometric bartlett_window blackman_window hamming_window
    hann_window kaiser_window linspace log_normal logspace multinomial new_empty new_empty_strided
    new_full new_ones new_zeros normal ones ones_like poisson rand rand_like randint randint_like randn
    randn_like random randperm range scalar_tensor tensor tril_indices triu_indices uniform zero zeros
    zeros_like _efficientzerotensor vander sparse_coo_tensor sparse_csr_tensor sparse_csc_tensor
    sparse_bsr_tensor sparse_bsc_tensor sparse_compressed_tensor _sparse_coo_tensor_unsafe
    _sparse_csr_tensor_unsafe _sparse_compressed_tensor_unsafe to_sparse _to_sparse to_sparse_csr
    to_sparse_csc to_sparse_bsr to_sparse_bsc

    dequantize quantize_per_tensor quantize_per_tensor_dynamic quantize_per_channel int_repr q_scale
    q_zero_point q_per_channel_scales q_per_channel_zero_points q_per_channel_axis qscheme
    fake_quantize_per_tensor_affine fake_quantize_per_channel_affine
    fake_quantize_per_tensor_affine_cachemask fake_quantize_per_channel_affine_cachemask
    fused_moving_avg_obs_fake_quant _fused_moving_avg_obs_fq_helper choose_qparams_optimized
    _choose_qparams_per_tensor

    item _local_scalar_dense is_nonzero numel dim size stride storage_offset sym_size sym_stride
    sym_numel sym_storage_offset is_contiguous is_same_size is_set_to is_complex is_floating_point
    is_signed is_pinned is_coalesced dense_dim sparse_dim _nnz get_device result_type can_cast
    promote_types requires_grad retain_grad set_data _version _shape_as_tensor _assert_async
    _assert_scalar _assert_tensor_metadata _functional_assert_async _functional_assert_scalar
    sym_constrain_range sym_constrain_range_for_size record_stream _print _fused_sdp_choice

    __and__ __or__ __xor__ __lshift__ __rshift__ __iand__ __ior__ __ixor__ __ilshift__ __irshift__
    is_leaf is_conj is_neg is_inference output_nr retains_grad sym_is_contiguous crow_indices
    col_indices ccol_indices row_indices sparse_mask to_mkldnn _mkldnn_reshape _mkldnn_transpose
    _thnn_fused_lstm_cell _thnn_fused_gru_cell _thnn_fused_lstm_cell_backward_impl
    batch_norm_backward_elemt batch_norm_backward_reduce histogram _stack _reshape _sample_dirichlet
    _standard_gamma _pin_memory

    _amp_foreach_non_finite_check_and_unscale _amp_update_scale _fused_adam _fused_adamw _fused_adagrad
    _fused_sgd _chunk_cat
    """.split()
)
_NAMESPACES: Final = (
    "c10d",
    "_c10d_functional",
    "_c10d_functional_autograd",
    "_dtensor",
    "fsdp",
)
_SUFFIXES: Final = ("_backward", "_copy", "_functional", "_data", "_out", "_jvp")
_BRINGS_ITS_OWN: Final = frozenset(("prim::call", "prim::outplace", "prim::view_scatter"))


def is_plain(operator: Operator) -> bool:
    """Whether an operator is known to count as no FLOPs."""
    if operator.is_pointwise and operator.name.startswith("aten::"):
        return True
    return _is_plain_name(operator.name)


@cache
def _is_plain_name(name: str) -> bool:
    if name in OWN_OPERATORS or scalar_named(name) is not None:
        return name not in _BRINGS_ITS_OWN
    namespace, _, rest = name.partition("::")
    if namespace in _NAMESPACES:
        return True
    return namespace == "aten" and _bare(rest.partition(".")[0]) in _NAMES


def _bare(name: str) -> str:
    """Return a name as the table spells it: ``add`` for ``_foreach_add_``, ``gelu`` for ``gelu_backward``."""
    name = name.removeprefix("_foreach_")
    while name not in _NAMES:
        shorter = name.rstrip("_")
        for suffix in _SUFFIXES:
            shorter = shorter.removesuffix(suffix)
        if shorter in (name, ""):
            break
        name = shorter
    return name
