"""Leakage between the splits of a zoo, and splits that have none."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import polars as pl

from wsgraph.errors import ZooError
from wsgraph.zoo.layout import lock_zoo, models_path, read_manifest
from wsgraph.zoo.table import MODELS, read_table, write_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

__all__ = ["SPLITS", "leaking_runs", "split_zoo", "splits_of"]

SPLITS = ("train", "val", "test")


def leaking_runs(models: pl.DataFrame) -> dict[str, list[str]]:
    """Runs with checkpoints in more than one split, and those splits."""
    runs = (
        models.drop_nulls(["run", "split"])
        .group_by("run", maintain_order=True)
        .agg(pl.col("split").unique(maintain_order=True))
        .filter(pl.col("split").list.len() > 1)
    )
    return {run: sorted(splits) for run, splits in runs.iter_rows()}


def split_zoo(
    path: str | PathLike[str], ratio: Sequence[float] = (0.7, 0.15, 0.15), seed: int = 0
) -> dict[str, int]:
    """Put every model of a zoo into train, val or test, and write that into its table.

    Checkpoints of one run stay together, and so do models with the same weights. The result depends on the
    ids, runs and weights, the ratio and the seed, not on the order of the models.

    Args:
        path: the zoo.
        ratio: shares of train, val and test; they are made to sum to 1.
        seed: which of the possible splits.

    Returns:
        Number of models in each split.

    Raises:
        ZooError: the ratio is none, the folder is no zoo, or another process is writing to it.
    """
    from pathlib import Path

    if len(ratio) != len(SPLITS) or min(ratio) < 0 or not 0 < sum(ratio) < float("inf"):
        raise ZooError(f"the ratio is {list(ratio)}, expected three shares such as 0.7,0.15,0.15")
    zoo = Path(path)
    read_manifest(zoo)
    with lock_zoo(zoo):
        models = read_table(models_path(zoo), MODELS)
        splits = splits_of(models, ratio, seed)
        column = pl.Series("split", [splits[model] for model in models["id"]], dtype=pl.String)
        write_table(models_path(zoo), models.with_columns(column))
    return {name: int((column == name).sum()) for name in SPLITS}


def splits_of(models: pl.DataFrame, ratio: Sequence[float], seed: int) -> dict[str, str]:
    """A split for each id of a table of models; nothing is written. Arguments as for :func:`split_zoo`."""
    return _assign(_groups(models), ratio, seed)


def _groups(models: pl.DataFrame) -> list[list[str]]:
    """Ids that have to stay together: linked by a run or by equal weights."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = name = parent[parent[name]]
        return name

    rows = models.select("id", "run", "fingerprint", "digest").rows()
    for model, run, fingerprint, digest in rows:
        for link in (f"run {run}" if run is not None else f"id {model}", f"bits {fingerprint} {digest}"):
            parent[root(f"id {model}")] = root(link)
    groups: dict[str, list[str]] = {}
    for model, *_ in rows:
        groups.setdefault(root(f"id {model}"), []).append(model)
    return sorted(sorted(group) for group in groups.values())


def _assign(groups: list[list[str]], ratio: Sequence[float], seed: int) -> dict[str, str]:
    """Groups in random order, each to the split that is furthest below its share."""
    random.Random(seed).shuffle(groups)  # noqa: S311  a split is no secret
    total = sum(map(len, groups))
    wanted = [share / sum(ratio) * total for share in ratio]
    splits: dict[str, str] = {}
    for group in groups:
        place = max(range(len(wanted)), key=wanted.__getitem__)
        wanted[place] -= len(group)
        splits.update(dict.fromkeys(group, SPLITS[place]))
    return splits
