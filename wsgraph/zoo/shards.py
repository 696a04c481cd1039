"""Stacked weights on disk: writing shards, and reading rows of them memory-mapped."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from wsgraph.errors import ZooError
from wsgraph.zoo.layout import replacing, shard_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["ShardReader", "write_shard"]

_OPEN = 32
"""Shards of one architecture that stay open: each costs an address range, not memory."""


def write_shard(path: Path, models: Sequence[Mapping[str, Tensor]]) -> None:
    """Write the models' tensors stacked, name by name, ``[n, *shape]``.

    Raises:
        ZooError: the file system refuses, or a tensor is of a kind that safetensors does not hold.
    """
    stacked = {
        name: torch.stack([model[name].detach() for model in models]).contiguous() for name in models[0]
    }
    with replacing(path) as temporary:
        try:
            temporary.touch()
            mode = temporary.stat().st_mode  # what the umask says; safetensors makes private files
            save_file(stacked, temporary)
            temporary.chmod(mode)
        except (SafetensorError, ValueError) as error:
            raise ZooError(f"cannot store weights in {path}: {error}") from error


class ShardReader:
    """The rows of one architecture, over its shards.

    Args:
        zoo: the zoo's folder.
        fingerprint: the architecture.
        rows: number of rows that the table of models has; later shards are not part of the zoo yet.
    """

    def __init__(self, zoo: Path, fingerprint: str, rows: int) -> None:
        self._zoo = zoo
        self._fingerprint = fingerprint
        self._rows = rows
        folder = shard_path(zoo, fingerprint, 0).parent
        starts = sorted(int(path.stem) for path in folder.glob("*.safetensors") if path.stem.isdigit())
        self._starts = [start for start in starts if start < rows]
        self._open: OrderedDict[int, Any] = OrderedDict()

    def stacks(self, rows: Sequence[int], batch: int) -> Iterator[tuple[list[int], dict[str, Tensor]]]:
        """Rows in ascending order, at most ``batch`` at a time, each batch from one shard.

        Yields:
            The positions in ``rows`` and the tensors ``[n, *shape]``: views of the mapped file where the
            rows are consecutive, else copies.

        Raises:
            ZooError: a shard is missing or damaged.
        """
        order = sorted(range(len(rows)), key=rows.__getitem__)
        at = 0
        while at < len(order):
            start, stop = self._shard_of(rows[order[at]])
            end = at + 1
            while end < len(order) and end - at < batch and rows[order[end]] < stop:
                end += 1
            positions = order[at:end]
            yield positions, self._take(start, [rows[position] - start for position in positions])
            at = end

    def _shard_of(self, row: int) -> tuple[int, int]:
        """First row of the shard that holds ``row``, and of the one after it."""
        index = bisect_right(self._starts, row) - 1
        if index < 0 or not 0 <= row < self._rows:
            raise ZooError(f"{self._zoo} has no weights for row {row} of {self._fingerprint}")
        following = self._starts[index + 1] if index + 1 < len(self._starts) else self._rows
        return self._starts[index], following

    def _take(self, start: int, rows: list[int]) -> dict[str, Tensor]:
        handle = self._handle(start)
        index = torch.tensor(rows)
        consecutive = rows == list(range(rows[0], rows[-1] + 1))
        taken = {}
        try:
            for name in handle.keys():  # noqa: SIM118  a safetensors handle is no mapping
                stack: Tensor = handle.get_tensor(name)
                # narrow() complains where a slice would silently be shorter.
                taken[name] = stack.narrow(0, rows[0], len(rows)) if consecutive else stack[index]
        except (SafetensorError, RuntimeError, IndexError) as error:
            path = shard_path(self._zoo, self._fingerprint, start)
            raise ZooError(f"{path} is damaged: {error}") from error
        return taken

    def _handle(self, start: int) -> Any:
        if start in self._open:
            self._open.move_to_end(start)
            return self._open[start]
        path = shard_path(self._zoo, self._fingerprint, start)
        try:
            handle: Any = safe_open(path, framework="pt")
        except (SafetensorError, OSError) as error:
            raise ZooError(f"{path} cannot be read: {error}") from error
        self._open[start] = handle
        if len(self._open) > _OPEN:
            self._open.popitem(last=False)
        return handle
