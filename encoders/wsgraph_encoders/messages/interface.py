"""What a message implementation offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

    from wsgraph_encoders.fourier import ScalarMap
    from wsgraph_encoders.messages.wiring import Wiring

__all__ = ["Message", "MessageName", "message_function"]

MessageName: TypeAlias = Literal["reference", "spectral"]


class Message(Protocol):
    """Messages of one edge block, summed over sources.

    ``weights`` are ``[batch, *wiring.shape, m]`` in the dtype they are stored in; everything else is in
    the encoder's own. ``batch`` may be 1 for sources where all networks share them.
    """

    def single(self, wiring: Wiring, weights: Tensor, sources: Tensor, edge: ScalarMap) -> Tensor:
        """Eq. 4: the sum over j of g(w_ij) ⊙ u_j.

        Args:
            wiring: who sends to whom.
            weights: ``[batch, *wiring.shape, 1]``.
            sources: u, the mapped memories of the sources, ``[batch, n_src, c]``.
            edge: g.

        Returns:
            ``[batch, n_dst, c]``.
        """
        ...

    def multi(
        self,
        wiring: Wiring,
        weights: Tensor,
        heads: Tensor,
        offset: Tensor,
        edge: ScalarMap,
        first: Tensor,
    ) -> Tensor:
        """Eq. 5 up to the second linear map of φ_h: the sum over j of relu(offset_j + Σ_n first_n head_n).

        Args:
            wiring: who sends to whom.
            weights: ``[batch, *wiring.shape, m]``.
            heads: W_n s_j, ``[batch, n_src, m, e]``.
            offset: what the pair's hidden units start from (bias, padded heads), ``[batch, n_src, c]``.
            edge: W_m1 with its Fourier features, c = e.
            first: first linear map of φ_h, ``[m, e, c]``.

        Returns:
            ``[batch, n_dst, c]``.
        """
        ...

    def constant(self, wiring: Wiring, value: Tensor, sources: Tensor) -> Tensor:
        """Eq. 4 with one feature for all edges (App. F.1, F.2): the sum over j of value ⊙ u_j.

        Args:
            wiring: who sends to whom.
            value: W_m1 e, ``[c]``.
            sources: u, ``[batch, n_src, c]``.
        """
        ...

    def project(self, values: Tensor, inner: ScalarMap, weight: Tensor, bias: Tensor) -> Tensor:
        """A linear map of a scalar function: ``weight @ inner(values) + bias``, for nodes' own features.

        Args:
            values: ``[batch, n]``.
            inner: scalar function with c outputs.
            weight: ``[out, c]``.
            bias: ``[out]``.

        Returns:
            ``[batch, n, out]``.
        """
        ...


def message_function(name: MessageName) -> Message:
    """The implementation of a name."""
    if name == "reference":
        from wsgraph_encoders.messages.reference import ReferenceMessage

        return ReferenceMessage()
    from wsgraph_encoders.messages.automatic import AutomaticMessage

    return AutomaticMessage()
