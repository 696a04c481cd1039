"""Arguments and options that several commands take, said once."""

from typing import Annotated, TypeAlias

import typer

from wsgraph.engines import EngineName
from wsgraph.options import Attention, Unsupported

__all__ = [
    "AllowOption",
    "ArchOption",
    "AttentionOption",
    "EngineOption",
    "InputOption",
    "JsonOption",
    "ModelArgument",
    "UnsupportedOption",
]

ModelArgument: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="A checkpoint, an exported program or a model folder.", show_default=False
    ),
]
InputOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--input", metavar="SHAPE", help="An input's shape, 1x3x224x224 or 1x128:int64; repeat for several."
    ),
]
ArchOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="ARCH", help="What a bare state dict belongs to, such as torchvision.models:resnet18."
    ),
]
AllowOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(metavar="PACKAGE", help="Trust a package's module classes in a pickled model; repeatable."),
]
AttentionOption: TypeAlias = Annotated[
    Attention, typer.Option(help="Edges into an attention's mixing nodes.")
]
UnsupportedOption: TypeAlias = Annotated[
    Unsupported, typer.Option(help="What to do with an operator that no plugin lowers.")
]
EngineOption: TypeAlias = Annotated[
    EngineName, typer.Option(help="Where the work runs: this process, or a Ray cluster (see docs/zoos.md).")
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
