"""What is to be learned: plain data, stored in the run's folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

__all__ = ["Goal", "Kind", "Task"]

Kind: TypeAlias = Literal["accuracy", "regress", "classify", "reconstruct"]

_METRICS = {
    "accuracy": ("tau", "r2", "mse"),
    "regress": ("tau", "r2", "mse"),
    "classify": ("accuracy",),
    "reconstruct": ("psnr", "mse"),
}


@dataclass(frozen=True, slots=True)
class Goal:
    """A metric and which way is better."""

    metric: str
    higher: bool = True


@dataclass(frozen=True, slots=True)
class Task:
    """A task over the models of a zoo.

    Attributes:
        kind: ``accuracy``, a number in [0, 1] learned by binary cross entropy (section 8.2); ``regress``, any
            number, learned by squared error; ``classify``, one of ``classes``; ``reconstruct``, the image
            that an INR holds (section 6).
        label: the zoo's column; for ``reconstruct`` the number of each model's image.
        classes: the values of a categorical label, sorted.
        mean: of a number over the training models.
        deviation: of a number over the training models, at least a tiny one.
        images: for ``reconstruct``, where the images come from: ``mnist``, ``digits`` or a ``.npy`` file.
        image_shape: for ``reconstruct``, channels, rows and columns.
    """

    kind: Kind
    label: str
    classes: tuple[str | int, ...] = ()
    mean: float = 0.0
    deviation: float = 1.0
    images: str = ""
    image_shape: tuple[int, int, int] = (0, 0, 0)

    @property
    def name(self) -> str:
        """What the task is called in tables."""
        return self.kind

    @property
    def outputs(self) -> int:
        """Width of a predictor's output; reconstructions have a decoder of their own."""
        return len(self.classes) if self.kind == "classify" else 1

    @property
    def metrics(self) -> tuple[str, ...]:
        """What is reported, the one that decides first."""
        return _METRICS[self.kind]

    @property
    def goal(self) -> Goal:
        """What decides which epoch is best: an accuracy of a few models is too coarse for it."""
        return Goal("loss", higher=False) if self.kind == "classify" else Goal(self.metrics[0])

    @property
    def numeric(self) -> bool:
        """Whether a label is a number that is predicted as one."""
        return self.kind in ("accuracy", "regress")

    def to_json(self) -> dict[str, Any]:
        """The task as JSON data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Task:
        """The task that :meth:`to_json` wrote.

        Raises:
            TypeError: the data has other fields.
        KeyError: it lacks some.
        """
        tuples: dict[str, Any] = {key: tuple(data[key]) for key in ("classes", "image_shape")}
        return cls(**(data | tuples))
