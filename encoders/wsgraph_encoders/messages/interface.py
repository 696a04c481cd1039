"""What a message implementation offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

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

    def constant(self, wiring: Wiring, value: Tensor, sources: Tensor, node: nn.Linear) -> Tensor:
        """Eq. 4 with one feature for all edges (App. F.1, F.2): the sum over j of value ⊙ node(s_j).

        Args:
            wiring: who sends to whom.
            value: W_m1 e, ``[c]``.
            sources: s, the memories of the sources, ``[batch, n_src, hidden]``.
            node: W_m2, from hidden to c.
        """
        ...

    def evaluate(
        self, values: Sequence[Tensor], maps: Sequence[ScalarMap], after: nn.Linear | None = None
    ) -> list[Tensor]:
        """Scalar functions of nodes' own features and of the weights of edges that are one to one.

        Args:
            values: the numbers of each block, ``[batch, n]``, at least one number each.
            maps: the function of each block, with c outputs; all have the same frequencies.
            after: a linear map of the results.

        Returns:
            For each block ``[batch, n, c]``, or ``[batch, n, out]`` after the linear map.
        """
        ...


def message_function(name: MessageName) -> Message:
    """The implementation of a name."""
    if name == "reference":
        from wsgraph_encoders.messages.reference import ReferenceMessage

        return ReferenceMessage()
    from wsgraph_encoders.messages.automatic import AutomaticMessage

    return AutomaticMessage()
