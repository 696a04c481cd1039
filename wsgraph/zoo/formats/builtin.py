"""The zoo formats that wsgraph brings itself, registered through the hook that everybody else uses."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

import wsgraph

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from wsgraph.lowering.hookspecs import Register
    from wsgraph.zoo.checkpoint import Checkpoint, ZooFormat
    from wsgraph.zoo.options import ImportOptions

__all__ = ["FORMATS", "wsgraph_register_zoo_formats"]

FORMATS = {
    "folder": "folder",
    "hf": "hf",
    "small-cnn-zoo": "small_cnn_zoo",
    "wild-park": "wild_park",
    "nfn-sirens": "nfn_sirens",
    "dws-inrs": "dws_inrs",
    "model-zoos": "model_zoos",
    "small-transformer-zoo": "small_transformer_zoo",
    "dng-vits": "dng_vits",
}
"""Formats and the modules of this package that list their checkpoints."""


def _list(module: str, source: Path, options: ImportOptions) -> Iterable[Checkpoint]:
    """Call a format's module, imported when it is first used."""
    listed: Iterable[Checkpoint] = import_module(f"wsgraph.zoo.formats.{module}").checkpoints(source, options)
    return listed


@wsgraph.hookimpl
def wsgraph_register_zoo_formats(register: Register[ZooFormat]) -> None:
    """Add the layouts of published zoos, of model folders and of plain folders."""
    for name, module in FORMATS.items():
        register(name, partial(_list, module))
