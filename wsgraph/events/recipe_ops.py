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
    f"aten.{name}" for name in ("arange", "eye", "full", "linspace", "ones", "scalar_tensor", "zeros")
)
"""Operators that make a tensor from nothing, and so have to be told where to put it."""

_ALLOWED = frozenset(
    """
    _log_softmax _safe_softmax _softmax _to_copy _unsafe_view _upsample_bicubic2d_aa
    _upsample_bilinear2d_aa _weight_norm _weight_norm_interface abs absolute acos acosh
    adaptive_avg_pool1d adaptive_avg_pool2d add addcdiv addcmul addmm addmv addr alias all amax amin any
    arctan2 argsort asin asinh atan atan2 atanh avg_pool1d avg_pool2d baddbmm batch_norm bitwise_and
    bitwise_not bitwise_or bitwise_xor block_diag bmm broadcast_to bucketize cat ceil celu chunk clamp
    clamp_max clamp_min clone complex concat concatenate constant_pad_nd contiguous conv1d conv2d conv3d
    conv_transpose1d conv_transpose2d conv_transpose3d convolution copy cos cosh cumprod cumsum detach
    diag_embed diagonal div divide dot dstack einsum elu embedding eq erf erfinv exp exp2 expand
    expand_as expm1 fill flatten flip float_power floor floor_divide fmod frac frobenius_norm full_like
    gather ge gelu ger glu group_norm gt hardshrink hardsigmoid hardswish hardtanh hstack hypot im2col
    imag index index_add index_copy index_fill index_put index_select isnan kron layer_norm le
    leaky_relu lerp linalg_cross linalg_householder_product linalg_inv linalg_inv_ex linalg_matrix_exp
    linalg_matrix_norm linalg_norm linalg_qr linalg_solve linalg_solve_triangular linalg_vector_norm
    linear log log1p log2 log_softmax logaddexp logcumsumexp logical_and logical_not logical_or logit
    logsumexp lt masked_fill matmul matrix_exp maximum mean meshgrid minimum mish mm moveaxis movedim
    mul multiply mv nan_to_num narrow native_layer_norm ne neg negative new_full new_ones new_zeros norm
    numpy_T one_hot ones_like outer permute pixel_shuffle pixel_unshuffle polar pow prelu prod ravel
    real reciprocal relu remainder repeat repeat_interleave reshape reshape_as rms_norm roll rot90 round
    rsqrt rsub scatter scatter_add select select_scatter selu sgn sigmoid sign silu sin sinc sinh slice
    slice_scatter softmax softplus softshrink sort split split_with_sizes sqrt square squeeze stack std
    sub subtract sum swapaxes swapdims t tan tanh tensordot tile to trace transpose tril triu
    true_divide trunc type_as unbind unflatten unfold unsafe_chunk unsqueeze upsample_bicubic2d
    upsample_bilinear2d upsample_linear1d upsample_nearest1d upsample_nearest2d var var_mean vdot view
    view_as view_as_complex view_as_real vstack where zeros_like
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
