"""A run's folder, opened: what was trained, and the trained models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError
from safetensors.torch import load_file

from wsgraph.events.file import load
from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.tasks.embedders import MemoryEmbedder, StatisticsEmbedder
from wsgraph_encoders.tasks.examples import COLUMNS
from wsgraph_encoders.tasks.folder import EXAMPLES, RUN, finished_pairs, pair_folder, read_json, read_parquet
from wsgraph_encoders.tasks.methods import FITTED, build_model
from wsgraph_encoders.tasks.predictor import Predictor
from wsgraph_encoders.tasks.settings import TrainSettings
from wsgraph_encoders.tasks.task import Task

if TYPE_CHECKING:
    from os import PathLike

    import polars as pl
    from torch import nn

    from wsgraph.events.stream import EventStream

__all__ = ["FORMAT", "VERSION", "Run", "load_run"]

FORMAT, VERSION = "wsgraph-run", 1


class Run:
    """A run: methods and seeds of one task that are trained, in one folder. It needs the zoo no more.

    Args:
        path: the folder.

    Raises:
        EncoderError: the folder is no run, is damaged, or of another version.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        if not (self.path / RUN).is_file():
            raise EncoderError(
                f"{self.path} is no run: it has no {RUN}",
                remedy=f"make one: wsgraph train accuracy --zoo ZOO -o {self.path}",
            )
        data = read_json(self.path / RUN)
        if data.get("format") != FORMAT or data.get("version") != VERSION:
            raise EncoderError(
                f"{self.path / RUN} has format {data.get('format')!r} and version {data.get('version')!r}, "
                f"this wsgraph reads {FORMAT!r} and {VERSION}",
            )
        try:
            self.task = Task.from_json(data["task"])
            self.settings = TrainSettings(**data["settings"])
            self.zoo = Path(data["zoo"])
            self.skipped: dict[str, str] = dict(data["skipped"])
            self.notes: list[str] = list(data["notes"])
            order = [str(name) for name in data["methods"]]
        except (KeyError, TypeError, ValueError) as error:
            raise EncoderError(f"{self.path / RUN} is damaged: {type(error).__name__}: {error}") from error
        pairs = finished_pairs(self.path)
        self.pairs = sorted(
            (pair for pair in pairs if pair[0] in order), key=lambda pair: (order.index(pair[0]), pair[1])
        )

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods with at least one finished seed, ours first."""
        return tuple(dict.fromkeys(method for method, _ in self.pairs))

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds with at least one finished method, ascending."""
        return tuple(sorted({seed for _, seed in self.pairs}))

    @property
    def examples(self) -> pl.DataFrame:
        """Columns id, fingerprint, split, label of the models that took part."""
        return read_parquet(self.path / EXAMPLES, COLUMNS)

    def seeds_of(self, method: str) -> tuple[int, ...]:
        """Finished seeds of a method.

        Raises:
            EncoderError: there is none.
        """
        found = tuple(seed for name, seed in self.pairs if name == method)
        if not found:
            why = f": {self.skipped[method]}" if method in self.skipped else ""
            raise EncoderError(
                f"{self.path} has no finished training of {method!r}{why}",
                remedy=f"it has {', '.join(self.methods) or 'none at all'}; run wsgraph train again",
            )
        return found

    def model(self, method: str, seed: int) -> nn.Module:
        """A trained predictor, or INR2JLS, in evaluation mode.

        Raises:
            EncoderError: it is not there or damaged, or the method has no parameters.
        """
        if seed not in self.seeds_of(method):
            raise EncoderError(f"{self.path} has no finished training of {method!r} with seed {seed}")
        if method in FITTED:
            raise EncoderError(f"{method!r} is not a model with parameters, but fitted to features")
        path = pair_folder(self.path, method, seed) / "model.safetensors"
        model = build_model(method, self.task, self.settings, self.architecture())
        try:
            model.load_state_dict(load_file(path))
        except (OSError, SafetensorError, RuntimeError) as error:
            raise EncoderError(
                f"{path} cannot be read: {error}", remedy="train it again, in a new folder"
            ) from error
        return model.eval()

    def encoder(
        self, method: str | None = None, seed: int | None = None
    ) -> Predictor | MemoryEmbedder | StatisticsEmbedder:
        """A trained encoder, in evaluation mode, with ``embed(batch) -> Tensor [batch, features]``.

        Args:
            method: of ``methods``; the first one by default, which is ours.
            seed: of ``seeds``; the method's first one by default.

        Raises:
            EncoderError: it is not there, or the method embeds nothing.
        """
        method = method if method is not None else next(iter(self.methods), "dng")
        seeds = self.seeds_of(method)
        if method == "statistics":
            return StatisticsEmbedder().eval()
        model = self.model(method, seeds[0] if seed is None else seed)
        return model if isinstance(model, Predictor) else MemoryEmbedder(model).eval()

    def architectures(self) -> list[EventStream]:
        """The architectures that it was trained on, without weights.

        Raises:
            FileFormatError: a file is damaged.
        """
        return [load(path) for path in sorted((self.path / "structures").glob("*.wsg"))]

    def architecture(self) -> EventStream | None:
        """The architecture, without weights, where the run is for one only."""
        found = self.architectures()
        return found[0] if len(found) == 1 else None


def load_run(path: str | PathLike[str]) -> Run:
    """Open a run's folder; also while it is still being trained: what is finished is there.

    Raises:
        EncoderError: the folder is no run, is damaged, or of another version.
    """
    return Run(path)
