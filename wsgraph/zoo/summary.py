"""What there is to say about a zoo: its models, labels, failures, duplicates and leaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from wsgraph.zoo.duplicates import equal_models, equal_up_to_order
from wsgraph.zoo.leakage import leaking_runs
from wsgraph.zoo.table import MODELS

if TYPE_CHECKING:
    from wsgraph.zoo.reader import Zoo

__all__ = ["summarise"]


def summarise(zoo: Zoo) -> dict[str, Any]:
    """A report as JSON data; reads all weights once, for duplicates up to the order of neurons.

    Raises:
        ZooError: a shard is damaged.
    """
    models = zoo.models
    splits = models.group_by("split").len().sort("split", nulls_last=True)
    equal, reordered = equal_models(zoo), equal_up_to_order(zoo)
    return {
        "zoo": str(zoo.path),
        "models": len(models),
        "runs": models["run"].n_unique() if len(models) else 0,
        "architectures": [_architecture(zoo, fingerprint) for fingerprint in zoo.fingerprints],
        "splits": {split or "none": count for split, count in splits.iter_rows()},
        "labels": [_label(models[name]) for name in models.columns if name not in MODELS],
        "failures": zoo.failures.to_dicts(),
        "duplicates": {
            "exact": equal,
            "up_to_permutation": [group for group in reordered if group not in equal],
            "across_splits": [group for group in reordered if len(_splits_of(models, group)) > 1],
        },
        "leaking_runs": leaking_runs(models),
        "history": zoo.history,
    }


def _architecture(zoo: Zoo, fingerprint: str) -> dict[str, Any]:
    structure = zoo.structure(fingerprint)
    return {
        "fingerprint": fingerprint,
        "models": len(zoo.models.filter(pl.col("fingerprint") == fingerprint)),
        "nodes": sum(node.size for node in structure.nodes),
        "edges": sum(edge.num_edges for edge in structure.edges),
        "timestamps": structure.schedule.last_t,
    }


def _label(values: pl.Series) -> dict[str, Any]:
    """A label's range, or its most frequent values."""
    entry: dict[str, Any] = {"name": values.name, "type": str(values.dtype), "missing": values.null_count()}
    if values.dtype.is_numeric():
        finite = values.cast(pl.Float64).drop_nans().drop_nulls()
        numbers = (finite.min(), finite.mean(), finite.max())
        return entry | dict(zip(("min", "mean", "max"), numbers, strict=True))
    return entry | {"values": values.n_unique()}


def _splits_of(models: pl.DataFrame, ids: list[str]) -> set[str]:
    found = models.filter(pl.col("id").is_in(ids))["split"].drop_nulls()
    return set(found.to_list())
