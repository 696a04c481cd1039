"""The operators that a recipe may use: pure arithmetic and data movement, nothing else.

A recipe comes from a file, so this list is the whole of what a file can make the program do. Operators
that draw random numbers, leave memory as they find it (``aten.empty``) or write to their arguments are
left out.
"""

from __future__ import annotations

import torch

from wsgraph.errors import StructureError

__all__ = ["FACTORIES", "lookup_operator"]

FACTORIES = frozenset(
    f"aten.{name}"
    for name in (
        "arange", "blackman_window", "eye", "full", "hamming_window", "hann_window", "kaiser_window",
        "linspace", "logspace", "ones", "scalar_tensor", "tril_indices", "triu_indices", "zeros",
    )
)  # fmt: skip
"""Operators that make a tensor from nothing, and so have to be told where to put it."""

_ALLOWED = frozenset(
    """
    __and__ __lshift__ __or__ __rshift__ __xor__ _conj _log_softmax _neg_view _reshape_alias
    _safe_softmax _softmax _to_copy _unsafe_view _upsample_bicubic2d_aa _upsample_bilinear2d_aa
    _upsample_nearest_exact1d _upsample_nearest_exact2d _weight_norm _weight_norm_interface abs absolute
    acos acosh adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool2d add addbmm addcdiv addcmul
    addmm addmv addr adjoint affine_grid_generator alias all amax amin aminmax angle any arccos arccosh
    arcsin arcsinh arctan arctan2 arctanh argmax argmin argsort asin asinh atan atan2 atanh atleast_1d
    atleast_2d atleast_3d avg_pool1d avg_pool2d baddbmm batch_norm bilinear bitwise_and
    bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor block_diag bmm
    broadcast_to bucketize cartesian_prod cat cdist ceil celu chain_matmul channel_shuffle cholesky
    cholesky_inverse cholesky_solve chunk clamp clamp_max clamp_min clip clone col2im column_stack
    combinations complex concat concatenate conj conj_physical constant_pad_nd contiguous conv1d conv2d
    conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution copy copysign cos
    cosh cosine_similarity cummax cummin cumprod cumsum deg2rad det detach diag diag_embed diagflat
    diagonal diagonal_scatter diff digamma dist div divide dot dsplit dstack einsum elu embedding eq erf
    erfc erfinv exp exp2 expand expand_as expand_copy expm1 fft_fft fft_fft2 fft_fftn fft_fftshift
    fft_hfft fft_ifft fft_ifft2 fft_ifftn fft_ifftshift fft_ihfft fft_irfft fft_irfft2 fft_irfftn
    fft_rfft fft_rfft2 fft_rfftn fill fix flatten flip fliplr flipud float_power floor floor_divide fmod
    frac frexp frobenius_norm full_like gather ge gelu ger glu grid_sampler_2d group_norm gt hardshrink
    hardsigmoid hardswish hardtanh heaviside hsplit hstack hypot im2col imag index index_add index_copy
    index_fill index_put index_select inner instance_norm inverse isclose isfinite isinf isnan isneginf
    isposinf kron layer_norm ldexp le leaky_relu lerp lgamma lift_fresh_copy linalg_cholesky
    linalg_cholesky_ex linalg_cross linalg_det linalg_diagonal linalg_eigh linalg_eigvalsh
    linalg_householder_product linalg_inv linalg_inv_ex linalg_lu linalg_lu_factor linalg_lu_solve
    linalg_matmul linalg_matrix_exp linalg_matrix_norm linalg_matrix_power linalg_multi_dot linalg_norm
    linalg_pinv linalg_qr linalg_slogdet linalg_solve linalg_solve_triangular linalg_svd linalg_svdvals
    linalg_tensorinv linalg_tensorsolve linalg_vander linalg_vecdot linalg_vector_norm linear log log1p
    log2 log_sigmoid log_softmax logaddexp logaddexp2 logcumsumexp logdet logical_and logical_not
    logical_or logical_xor logit logsumexp lt lu_unpack mH mT masked_fill masked_scatter matmul matrix_H
    matrix_exp matrix_power max max_pool2d maximum mean median meshgrid min minimum mish mm moveaxis
    movedim mul multiply mv nan_to_num nanmean nansum narrow narrow_copy native_channel_shuffle
    native_layer_norm ne neg negative new_full new_ones new_zeros norm numpy_T one_hot ones_like orgqr
    ormqr outer pad permute pinverse pixel_shuffle pixel_unshuffle polar positive pow prelu prod
    quantile rad2deg ravel real reciprocal reflection_pad1d reflection_pad2d reflection_pad3d relu relu6
    remainder renorm repeat repeat_interleave replication_pad1d replication_pad2d replication_pad3d
    reshape reshape_as resolve_conj resolve_neg rms_norm roll rot90 round row_stack rsqrt rsub scatter
    scatter_add scatter_reduce searchsorted select select_scatter selu sgn sigmoid sign signbit silu sin
    sinc sinh slice slice_scatter slogdet softmax softplus softshrink sort special_entr special_erf
    special_expit special_expm1 special_log1p special_logit special_sinc special_softmax special_xlogy
    split split_with_sizes sqrt square squeeze stack std std_mean sub subtract sum sum_to_size swapaxes
    swapdims t take take_along_dim tan tanh tensor_split tensordot threshold tile to topk trace
    transpose triangular_solve tril triu true_divide trunc type_as unbind unflatten unfold unfold_copy
    unsafe_chunk unsqueeze unsqueeze_copy upsample_bicubic2d upsample_bilinear2d upsample_linear1d
    upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_trilinear3d vander var var_mean
    vdot view view_as view_as_complex view_as_real vsplit vstack where xlogy zeros_like
    """.split()  # noqa: SIM905  a list literal would be a page of one name a line
)


def lookup_operator(name: str) -> torch._ops.OpOverload:
    """The operator of a qualified name such as ``aten.mul.Tensor``.

    Raises:
        StructureError: it is not on the list, does not exist, or writes to its arguments.
    """
    namespace, _, rest = name.partition(".")
    base, _, overload = rest.partition(".")
    if namespace != "aten" or (base not in _ALLOWED and f"aten.{base}" not in FACTORIES):
        raise StructureError(
            f"a recipe asks for operator {name!r}, which is not on the list of pure operators"
        )
    packet = getattr(torch.ops.aten, base, None)
    known = packet.overloads() if packet is not None else []
    if overload not in known:
        raise StructureError(f"a recipe asks for operator {name!r}; aten.{base} has the overloads {known}")
    operator: torch._ops.OpOverload = getattr(packet, overload)
    if operator._schema.is_mutable:  # noqa: SLF001  torch's only way to ask
        raise StructureError(f"a recipe asks for operator {name!r}, which writes to its arguments")
    return operator
