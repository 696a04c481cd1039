"""The Small CNN Zoo (Unterthiner et al. 2020): one matrix of flat weights a data set.

A folder with ``weights.npy`` [models, n], ``layout.csv`` and ``metrics.csv.gz``, or a folder of such
folders. Settings: ``step`` keeps the checkpoints of one training step (the published protocol: 86);
``split_csv`` names the permutation that the published protocol splits by.
"""

from __future__ import annotations

import random
import re
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from wsgraph.errors import ZooError
from wsgraph.zoo.checkpoint import Checkpoint, Model, Weights
from wsgraph.zoo.models.cnn import ParkCNN
from wsgraph.zoo.reading import read_csv
from wsgraph.zoo.table import label_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import polars as pl
    from numpy.typing import NDArray
    from torch import Tensor

    from wsgraph.zoo.options import ImportOptions

__all__ = ["checkpoints", "protocol_splits", "read_permutation"]

_ACTIVATION = "config.activation"
_STRIDE = 2


def checkpoints(source: Path, options: ImportOptions) -> Iterator[Checkpoint]:
    """One model a row; ``run`` is the row's ``modeldir``.

    Raises:
        ZooError: a file is missing or damaged, or the files do not belong together.
    """
    options.check("step", "split_csv")
    folders = (
        [source]
        if (source / "weights.npy").is_file()
        else sorted(p.parent for p in source.glob("*/weights.npy"))
    )
    for folder in folders:
        prefix = "" if folder == source else f"{folder.name}/"
        yield from _dataset(folder, prefix, options)


def _dataset(folder: Path, prefix: str, options: ImportOptions) -> Iterator[Checkpoint]:
    rows = _Rows(folder / "weights.npy")
    matrix = rows.matrix
    layout = _layout(folder / "layout.csv", matrix.shape[1])
    metrics = read_csv(folder / "metrics.csv.gz", ("modeldir", "step", _ACTIVATION))
    if len(metrics) != len(matrix):
        raise ZooError(f"{folder}: weights.npy has {len(matrix)} rows, metrics.csv.gz has {len(metrics)}")
    step = options.integer("step")
    order = _order(folder, len(matrix), options)
    steps = metrics["step"].to_list()
    kept = [row for row in order if step is None or steps[row] == step]
    splits = protocol_splits(len(kept)) if "split_csv" in options.settings else [None] * len(kept)
    for row, split in zip(kept, splits, strict=True):
        labels = metrics.row(row, named=True)
        yield Checkpoint(
            id=f"{prefix}{row:06d}",
            source=folder / "weights.npy",
            read=partial(_read, rows, row, layout, str(labels[_ACTIVATION])),
            run=f"{prefix}{labels['modeldir']}",
            split=split,
            labels={name: label_value(value) for name, value in labels.items() if name != "modeldir"},
        )


class _Rows:
    """The rows of a mapped matrix; other processes that it is sent to map the file themselves."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.matrix = _matrix(path)

    def __reduce__(self) -> tuple[type[_Rows], tuple[Path]]:
        return _Rows, (self.path,)


def _matrix(path: Path) -> NDArray[Any]:
    try:
        matrix: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ZooError(f"{path} cannot be read as an array of numbers: {error}") from error
    if matrix.ndim != 2 or matrix.dtype.kind != "f":
        raise ZooError(f"{path} is {list(matrix.shape)} {matrix.dtype}, expected floats [models, weights]")
    return matrix


class _Slot:
    """Where one tensor stands in a row, and how torch's differs from TensorFlow's."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        self.name = str(row["varname"])
        self.start, self.stop = int(row["start_idx"]), int(row["end_idx"])
        self.shape = tuple(int(size) for size in re.findall(r"\d+", str(row["shape"])))
        # Kernels HWIO to OIHW, dense (in, out) to (out, in).
        self.axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}.get(len(self.shape), ())
        if not self.axes or int(np.prod(self.shape)) != self.stop - self.start:
            raise ZooError(
                f"layout.csv: {self.name} has the shape {self.shape} and {self.stop - self.start} weights"
            )

    @property
    def torch_name(self) -> str:
        """``sequential/conv2d_1/kernel:0`` is ``layers.1.weight`` here, the dense layer ``fc``."""
        _, layer, kind = self.name.split("/")
        number = re.fullmatch(r"conv2d(?:_(\d+))?", layer)
        owner = f"layers.{number[1] or 0}" if number else "fc"
        return f"{owner}.{'weight' if kind.startswith('kernel') else 'bias'}"


def _layout(path: Path, width: int) -> list[_Slot]:
    table: pl.DataFrame = read_csv(path, ("varname", "start_idx", "end_idx", "shape"))
    slots = [_Slot(row) for row in table.iter_rows(named=True)]
    foreign = [
        s.name for s in slots if not re.fullmatch(r"[^/]+/(conv2d(_\d+)?|dense)/(kernel|bias):0", s.name)
    ]
    if foreign:
        raise ZooError(f"{path} has a variable {foreign[0]!r}, expected convolutions and one dense layer")
    if max((slot.stop for slot in slots), default=0) != width:
        raise ZooError(f"{path} describes other rows than weights.npy has: {width} weights a row")
    return slots


def _order(folder: Path, count: int, options: ImportOptions) -> list[int]:
    if "split_csv" not in options.settings:
        return list(range(count))
    named = folder / options.settings["split_csv"]  # an absolute path stays what it is
    return read_permutation(named, count)


def read_permutation(path: Path, count: int) -> list[int]:
    """The permutation of rows in a published split CSV, without the ``0`` that heads it.

    Raises:
        ZooError: the file is missing, or is no permutation of ``count`` rows.
    """
    if not path.is_file():
        raise ZooError(
            f"there is no split file {path}", remedy="leave split_csv out to import without a split"
        )
    try:
        lines = [int(line) for line in path.read_text(encoding="utf-8").split()]
    except ValueError as error:
        raise ZooError(f"{path} is no list of row numbers: {error}") from error
    rows = lines[1:] if len(lines) == count + 1 and lines[0] == 0 else lines
    if sorted(rows) != list(range(count)):
        raise ZooError(f"{path} is no permutation of {count} rows: it has {len(lines)} lines")
    return rows


def protocol_splits(count: int) -> list[str]:
    """The splits of published results: the last half is test, of the first a shuffled fifth validates."""
    half = count // 2
    shuffled = list(range(half))
    random.Random(0).shuffle(shuffled)  # noqa: S311  the protocol's own generator
    splits = ["test"] * count
    for place, position in enumerate(shuffled):
        splits[position] = "train" if place < int(0.8 * half) else "val"
    return splits


def _read(rows: _Rows, row: int, layout: list[_Slot], activation: str) -> Weights:
    flat = np.array(rows.matrix[row])
    tensors: dict[str, Tensor] = {}
    for slot in layout:
        values = flat[slot.start : slot.stop].reshape(slot.shape).transpose(slot.axes)
        tensors[slot.torch_name] = torch.from_numpy(np.ascontiguousarray(values))
    return Weights(tensors, f"small-cnn-zoo {activation}", partial(_build, tensors, activation))


def _build(tensors: Mapping[str, Tensor], activation: str) -> Model:
    kernels = [tensors[f"layers.{i}.weight"] for i in range(sum(t.ndim == 4 for t in tensors.values()))]
    count = len(kernels)
    network = ParkCNN(
        channels=[kernels[0].shape[1], *(kernel.shape[0] for kernel in kernels)],
        kernel_size=[kernel.shape[-1] for kernel in kernels],
        stride=[_STRIDE] * count,
        padding=[0] * count,
        activations=[activation] * count,
        residual=[-1] * count,
        n_classes=tensors["fc.weight"].shape[0],
    )
    return Model(network, f"1x{kernels[0].shape[1]}x32x32")
