"""Families of operators: which colour a box gets. The one table to edit for a new operator."""

from __future__ import annotations

from enum import Enum
from typing import Final

from ..ir import Operator


class Family(Enum):
    """A kind of computation; the value is its name in legends."""

    WEIGHTS = "linear · conv · matmul"
    NORM = "normalization"
    ACTIVATION = "activation"
    ATTENTION = "attention"
    ELEMENTWISE = "elementwise"
    REDUCTION = "pooling · reduction"
    SHAPE = "view · shape"
    INDEX = "index · gather"
    SOURCE = "constant · random"
    CONTROL = "control flow · call"
    LOSS = "loss"
    COMMUNICATION = "communication"
    OTHER = "other"


# Names without namespace, overload, the in-place underscore and "_backward".
_NAMES: Final[dict[Family, str]] = {
    Family.WEIGHTS: """
        linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution
        _convolution conv_tbc mkldnn_convolution cudnn_convolution miopen_convolution matmul mm bmm
        addmm addbmm baddbmm addmv mv dot vdot inner outer ger linalg_multi_dot linalg_matmul einsum
        tensordot chain_matmul bilinear embedding embedding_bag _embedding_bag lstm gru rnn_tanh
        rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell _addmm_activation _grouped_mm
        mkldnn_linear _scaled_mm kron embedding_dense
    """,
    Family.NORM: """
        batch_norm layer_norm group_norm instance_norm rms_norm _fused_rms_norm native_batch_norm
        native_layer_norm native_group_norm _native_batch_norm_legit cudnn_batch_norm
        _batch_norm_impl_index local_response_norm renorm weight_norm _weight_norm _weight_norm_interface
    """,
    Family.ACTIVATION: """
        relu relu6 gelu silu mish elu selu celu leaky_relu prelu rrelu hardtanh hardswish hardsigmoid
        hardshrink softshrink tanhshrink softplus softsign sigmoid tanh log_sigmoid threshold glu
        softmax _softmax log_softmax _log_softmax softmin gumbel_softmax dropout native_dropout
        alpha_dropout feature_dropout feature_alpha_dropout bernoulli_dropout logsigmoid
    """,
    Family.ATTENTION: """
        scaled_dot_product_attention _scaled_dot_product_flash_attention flex_attention
        _scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_efficient_attention
        _scaled_dot_product_cudnn_attention _scaled_dot_product_attention_math multi_head_attention
        _native_multi_head_attention _transformer_encoder_layer_fwd _safe_softmax
    """,
    Family.ELEMENTWISE: """
        add sub rsub mul div true_divide floor_divide remainder fmod pow float_power square sqrt rsqrt
        exp exp2 expm1 log log2 log10 log1p abs neg sign reciprocal sin cos tan asin acos atan atan2
        sinh cosh erf erfc erfinv floor ceil round trunc frac clamp clip clamp_min clamp_max minimum
        maximum fmax fmin lerp addcmul addcdiv eq ne lt le gt ge equal isclose allclose logical_and
        logical_or logical_not logical_xor bitwise_and bitwise_or bitwise_not bitwise_xor where
        masked_fill isnan isinf isfinite nan_to_num logaddexp logaddexp2 sigmoid_focal xlogy copy
        to _to_copy type_as float half double bfloat16 int long bool detach
        lift_fresh lift_fresh_copy zero fill fill_diagonal complex real imag conj angle polar
        view_as_real view_as_complex hypot sgn
    """,
    Family.REDUCTION: """
        max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d
        adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d
        adaptive_max_pool3d max_pool2d_with_indices fractional_max_pool2d lp_pool2d sum mean prod std
        var std_mean var_mean nansum nanmean norm linalg_norm linalg_vector_norm linalg_matrix_norm
        max min amax amin argmax argmin aminmax all any cumsum cumprod cummax cummin logsumexp median
        mode topk sort argsort kthvalue unique unique2 _unique2 bincount histc count_nonzero
        upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_bilinear2d
        upsample_bicubic2d upsample_trilinear3d upsample_linear1d grid_sampler grid_sampler_2d
        interpolate trace
    """,
    Family.SHAPE: """
        view _unsafe_view reshape _reshape_alias flatten unflatten squeeze unsqueeze permute transpose
        t swapaxes swapdims movedim moveaxis expand expand_as broadcast_to repeat repeat_interleave
        tile cat concat concatenate stack hstack vstack dstack split split_with_sizes chunk
        tensor_split unbind narrow as_strided unfold fold im2col col2im pixel_shuffle pixel_unshuffle
        channel_shuffle flip fliplr flipud rot90 roll pad constant_pad_nd reflection_pad1d
        reflection_pad2d replication_pad1d replication_pad2d numpy_T mT view_as adjoint ravel
        broadcast_tensors meshgrid tril triu diag diagonal diag_embed atleast_1d atleast_2d
        atleast_3d resize resize_ ListConstruct ListUnpack TupleConstruct TupleUnpack TupleIndex
        DictConstruct alias contiguous clone size sym_size numel sym_numel dim stride sym_stride
    """,
    Family.INDEX: """
        index select slice index_select gather scatter scatter_add scatter_reduce index_add index_copy
        index_fill index_put _unsafe_index masked_select masked_scatter take take_along_dim nonzero
        item _local_scalar_dense searchsorted bucketize one_hot slice_scatter select_scatter
        select_copy put
    """,
    Family.SOURCE: """
        zeros ones full empty empty_like zeros_like ones_like full_like new_zeros new_ones new_full
        new_empty new_tensor arange linspace logspace eye tensor scalar_tensor tril_indices
        triu_indices rand randn randint randperm rand_like randn_like randint_like normal uniform
        bernoulli multinomial exponential poisson random Constant GetAttr hann_window
    """,
    Family.CONTROL: """
        cond while_loop scan map map_impl associative_scan call Call checkpoint run_with_rng_state
        wrap invoke_subgraph If Loop custom_function_call while_loop_stack_output vmap legacy_vmap
        grad grad_and_value vjp jvp functionalize linearize strict_mode register_hook
    """,
    Family.LOSS: """
        cross_entropy cross_entropy_loss nll_loss nll_loss2d nll_loss_nd mse_loss l1_loss
        smooth_l1_loss huber_loss binary_cross_entropy binary_cross_entropy_with_logits kl_div
        poisson_nll_loss ctc_loss hinge_embedding_loss cosine_embedding_loss margin_ranking_loss
        multi_margin_loss multilabel_margin_loss soft_margin_loss triplet_margin_loss
        cosine_similarity pairwise_distance cdist
    """,
}
_TABLE: Final = {name: family for family, names in _NAMES.items() for name in names.split()}

# Where the table knows nothing, the first part that stands in the name decides.
_PARTS: Final = (
    ("attention", Family.ATTENTION),
    ("loss", Family.LOSS),
    ("norm", Family.NORM),
    ("pool", Family.REDUCTION),
    ("conv", Family.WEIGHTS),
    ("linear", Family.WEIGHTS),
    ("softmax", Family.ACTIVATION),
    ("matmul", Family.WEIGHTS),
    ("_mm", Family.WEIGHTS),
)
_COMMUNICATION: Final = ("c10d", "_c10d_functional", "_c10d_functional_autograd", "_dtensor")


def bare_name(operator: Operator) -> str:
    """Return an operator's name as the tables spell it: ``relu`` for ``aten::relu_.Tensor``."""
    name = operator.base_name.rpartition("::")[2].removeprefix("_foreach_")
    name = name.removesuffix("_backward")
    return name.rstrip("_") or name


def family_of(operator: Operator) -> Family:
    """Return the family of an operator; ``OTHER`` where nothing in its name tells."""
    if operator.name.partition("::")[0] in _COMMUNICATION:
        return Family.COMMUNICATION
    name = bare_name(operator)
    family = _TABLE.get(name)
    if family is not None:
        return family
    return next((kind for part, kind in _PARTS if part in name), Family.OTHER)
