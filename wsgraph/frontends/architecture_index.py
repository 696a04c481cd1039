"""Which model of torchvision or timm has these keys and shapes: a table made once, shipped with wsgraph.

Building all of timm's models takes minutes, so their signatures are stored in
``known_architectures.json``, one line a model: keys of the classifier, number of tensors and of elements
without it, and a hash of the sorted (key, shape) pairs without it. A match is only a candidate: the caller
builds that one model with the installed library and compares. Make the table again with
``python -m wsgraph.frontends.architecture_index``.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Entry", "Shapes", "closest", "entries", "matching", "signature"]

Shapes = Mapping[str, Sequence[int]]
"""The shape of every tensor of a state dict, by name."""

_TABLE = Path(__file__).with_name("known_architectures.json")


@dataclass(frozen=True, slots=True)
class Entry:
    """One known model.

    Attributes:
        arch: how ``--arch`` names it, such as ``timm:resnet50``.
        heads: prefixes of the classifier's keys, whose shapes depend on the number of classes.
        tensors: number of tensors without the classifier.
        elements: number of their elements.
        signature: hash of their names and shapes.
    """

    arch: str
    heads: tuple[str, ...]
    tensors: int
    elements: int
    signature: str


def signature(shapes: Shapes, heads: Iterable[str]) -> tuple[int, int, str]:
    """Number of tensors, number of elements and hash of the (key, shape) pairs outside the heads."""
    prefixes = tuple(f"{head}." for head in heads)
    kept = {key: tuple(shape) for key, shape in shapes.items() if not key.startswith(prefixes)}
    text = "\n".join(f"{key} {shape}" for key, shape in sorted(kept.items()))
    return len(kept), sum(map(math.prod, kept.values())), hashlib.sha256(text.encode()).hexdigest()[:16]


@functools.cache
def entries() -> tuple[Entry, ...]:
    """All known models, torchvision's first, in the order in which ties are resolved."""
    table: dict[str, list[str]] = json.loads(_TABLE.read_text(encoding="utf-8"))
    return tuple(_entry(arch, line) for arch, line in table.items())


def _entry(arch: str, line: Sequence[str]) -> Entry:
    heads, tensors, elements, digest = line
    return Entry(arch, tuple(heads.split()), int(tensors), int(elements), digest)


def matching(shapes: Shapes) -> Iterator[Entry]:
    """Models whose tensors outside the classifier have exactly these names and shapes."""
    hashes: dict[tuple[str, ...], str] = {}
    for entry in entries():
        if entry.heads not in hashes:
            hashes[entry.heads] = signature(shapes, entry.heads)[2]
        if entry.signature == hashes[entry.heads]:
            yield entry


def closest(shapes: Shapes, count: int = 3) -> list[str]:
    """Models of about as many tensors and elements: a hint for an error message, no more."""

    def distance(entry: Entry) -> float:
        tensors, elements, _ = signature_of[entry.heads]
        return abs(math.log((entry.tensors + 1) / (tensors + 1))) + abs(
            math.log((entry.elements + 1) / (elements + 1))
        )

    fitting = [e for e in entries() if all(any(k.startswith(f"{h}.") for k in shapes) for h in e.heads)]
    signature_of = {heads: signature(shapes, heads) for heads in {entry.heads for entry in fitting}}
    return [entry.arch for entry in sorted(fitting, key=distance)[:count] if distance(entry) < 1]


def _torchvision_models() -> Iterator[tuple[str, Shapes, tuple[str, ...]]]:
    """Torchvision's classifiers; the head is whatever changes with the number of classes."""
    from wsgraph.frontends.libraries import import_library
    from wsgraph.frontends.skeleton import skeleton

    models: Any = import_library("torchvision.models")
    for name in models.list_models(module=models):
        with skeleton():
            first, second = (models.get_model(name, num_classes=n) for n in (1000, 7))
        shapes = {key: tuple(value.shape) for key, value in first.state_dict().items()}
        other = second.state_dict()
        heads = {key.rpartition(".")[0] for key, shape in shapes.items() if tuple(other[key].shape) != shape}
        yield f"torchvision.models:{name}", shapes, tuple(sorted(heads))


def _timm_models() -> Iterator[tuple[str, Shapes, tuple[str, ...]]]:
    """Timm's models that can be built without weights; the head is what their configuration says."""
    from wsgraph.frontends.libraries import import_library
    from wsgraph.frontends.skeleton import skeleton

    timm: Any = import_library("timm")
    for name in timm.list_models():
        with skeleton():
            model: Any = timm.create_model(name)
        classifier = model.pretrained_cfg.get("classifier") or ()
        heads = (classifier,) if isinstance(classifier, str) else tuple(classifier)
        yield f"timm:{name}", {key: tuple(value.shape) for key, value in model.state_dict().items()}, heads


def _main() -> None:
    """Write the table: one line a model, so that a difference between versions reads as a difference."""
    warnings.simplefilter("ignore")
    lines = []
    for models in (_torchvision_models, _timm_models):
        for arch, shapes, heads in models():
            tensors, elements, digest = signature(shapes, heads)
            line = [" ".join(heads), str(tensors), str(elements), digest]
            lines.append(f"{json.dumps(arch)}: {json.dumps(line)}")
            sys.stderr.write(f"\r{len(lines)} {arch:60}")
    _TABLE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    _main()
