"""Operators that are layers whatever goes in: with a parameter or a constant for an input, too."""

from __future__ import annotations

__all__ = ["TABLES", "WEIGHTS", "is_layer"]

TABLES = frozenset({"aten.embedding", "aten.embedding_bag"})
"""Look-ups: a position table is looked up by constants."""

WEIGHTS = {
    "aten.linear": "weight",
    **{f"aten.{cell}_cell": "w_ih" for cell in ("rnn_tanh", "rnn_relu", "lstm", "gru")},
}
"""Layers of learned queries, of a hypernetwork's embeddings, of a decoder's first step; and which argument
their weight is."""


def is_layer(key: str) -> bool:
    """Whether an operator's result holds neurons though nothing but parameters and constants went in."""
    return key in TABLES or key in WEIGHTS
