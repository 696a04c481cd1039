"""What a zoo format yields: checkpoints that are read one by one, each with how to build its model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from wsgraph.zoo.options import ImportOptions
    from wsgraph.zoo.table import Label

__all__ = ["Checkpoint", "Model", "Weights", "ZooFormat"]


@dataclass(frozen=True, slots=True)
class Model:
    """A model to trace.

    Attributes:
        module: the module; its weights are not looked at.
        inputs: input shapes as for ``wsgraph.compile``; None where they can be worked out.
    """

    module: nn.Module
    inputs: str | tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Weights:
    """A checkpoint's content.

    Attributes:
        tensors: the state dict.
        architecture: what fixes the graph besides the tensors' names and shapes, as text: hyperparameters
            such as the number of heads. Models of equal names, shapes and ``architecture`` are traced once.
        build: makes the model to trace; called once an architecture.
        labels: labels that stand inside the checkpoint.
        converted: the state dict as the model's own library reads it, where that may differ from the file's
            by more than names; slower, used only where ``tensors`` do not fit the model.
    """

    tensors: Mapping[str, Tensor]
    architecture: str
    build: Callable[[], Model]
    labels: Mapping[str, Label] = field(default_factory=dict)
    converted: Callable[[], Mapping[str, Tensor]] | None = None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One model of a zoo that is being imported, not read yet.

    Attributes:
        id: its name: stable, and unique in the zoo that is imported.
        source: the file or folder.
        read: reads it; any exception is noted as the reason why the model is missing.
        run: the training that it is a checkpoint of, None where it is the only one of it.
        split: ``train``, ``val``, ``test``, or None.
        labels: what the zoo's own tables say about it.
    """

    id: str
    source: Path
    read: Callable[[], Weights]
    run: str | None = None
    split: str | None = None
    labels: Mapping[str, Label] = field(default_factory=dict)


class ZooFormat(Protocol):
    """A zoo format, registered through ``wsgraph_register_zoo_formats``.

    It lists the checkpoints of a folder, in an order that does not change from one call to the next. A
    problem with one checkpoint is raised by its ``read``; a problem with the zoo as a whole (no metadata,
    another layout) is a :class:`~wsgraph.errors.ZooError` raised at once.
    """

    def __call__(self, source: Path, options: ImportOptions, /) -> Iterable[Checkpoint]:
        """List the checkpoints under ``source``."""
        ...
