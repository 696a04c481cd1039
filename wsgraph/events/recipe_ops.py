"""The operators that a recipe may use: pure arithmetic and data movement, nothing else.

A recipe comes from a file, so this list is the whole of what a file can make the program do. Operators
that make tensors from nothing (``aten.full``) or whose result's size depends on values are left out.
"""

from __future__ import annotations

import torch

from wsgraph.errors import StructureError

__all__ = ["lookup_operator"]

_ALLOWED = frozenset(
    """
    _safe_softmax _softmax _to_copy _unsafe_view _weight_norm _weight_norm_interface abs acos acosh add
    addcdiv addcmul addmm addmv alias amax amin asin asinh atan atan2 atanh baddbmm batch_norm
    bitwise_and bitwise_not bitwise_or bitwise_xor bmm bucketize cat ceil chunk clamp clamp_max
    clamp_min clone constant_pad_nd contiguous copy cos cosh cumsum detach diag_embed diagonal div dot
    elu embedding eq erf erfinv exp expand expm1 fill flatten flip floor floor_divide fmod full_like
    gather ge gelu group_norm gt hardsigmoid hardtanh index index_select layer_norm le leaky_relu lerp
    linalg_cross linalg_householder_product linalg_inv_ex linalg_matrix_exp linalg_solve_triangular
    linalg_vector_norm linear log log1p log2 logical_and logical_not logical_or logit logsumexp lt
    masked_fill matmul matrix_exp maximum mean minimum mish mm movedim mul mv narrow native_layer_norm
    ne neg norm numpy_T ones_like permute pixel_shuffle pixel_unshuffle pow prod reciprocal relu
    remainder repeat reshape roll rot90 round rsqrt rsub select sgn sigmoid sign silu sin sinh slice
    softmax softplus split split_with_sizes sqrt square squeeze stack std sub sum swapaxes t tan tanh to
    transpose tril triu trunc unbind unflatten unfold unsafe_chunk unsqueeze upsample_bicubic2d
    upsample_bilinear2d upsample_nearest2d var var_mean view view_as where zeros_like
    """.split()  # noqa: SIM905  a list literal would be a page of one name a line
)


def lookup_operator(name: str) -> torch._ops.OpOverload:
    """The operator of a qualified name such as ``aten.mul.Tensor``.

    Raises:
        StructureError: it is not on the list, does not exist, or writes to its arguments.
    """
    namespace, _, rest = name.partition(".")
    base, _, overload = rest.partition(".")
    if namespace != "aten" or base not in _ALLOWED:
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
