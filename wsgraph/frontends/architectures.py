"""Which model a state dict belongs to: what ``--arch`` names, or what its keys and shapes say."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from wsgraph.errors import CheckpointError, MissingDependencyError, SourceError
from wsgraph.frontends.architecture_index import Entry, closest, matching
from wsgraph.frontends.chains import chain_of
from wsgraph.frontends.libraries import import_library
from wsgraph.frontends.skeleton import skeleton
from wsgraph.frontends.state_dict import differences

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["build", "recognise"]

_SYNTAX = (
    "name it as --arch package.module:callable or --arch timm:name, with arguments after a question mark: "
    "torchvision.models:resnet18?num_classes=10 or vit_pytorch:SimpleViT?image_size=32&patch_size=4"
)


def build(arch: str, **extra: object) -> nn.Module:
    """Build the named model for its structure, without initial weights.

    Args:
        arch: ``package.module:callable``, or ``timm:name``; keyword arguments after ``?``, separated by
            ``&``, each a Python literal or plain text.
        **extra: more keyword arguments.

    Raises:
        SourceError: if the name or the arguments are wrong.
        MissingDependencyError: if the package is not installed.
    """
    target, _, query = arch.partition("?")
    package, colon, name = target.partition(":")
    if not (colon and package and name):
        raise SourceError(f"{arch!r} names no architecture", remedy=_SYNTAX)
    arguments = {**_arguments(query, arch), **extra}
    try:
        owner: Any = import_library(package)
    except ImportError as error:
        raise MissingDependencyError(
            f"architecture {arch!r} needs {package}, which cannot be imported: {error}",
            remedy=f"install {package.partition('.')[0]}, or check the spelling",
        ) from error
    if package == "timm":
        factory: Any = owner.create_model
        arguments = {"model_name": name, **arguments}
    else:
        factory = owner
        for part in name.split("."):
            factory = getattr(factory, part, None)
    if not callable(factory):
        raise SourceError(f"{package} has no callable {name!r}", remedy=_SYNTAX)
    try:
        with skeleton():
            module = factory(**arguments)
    except Exception as error:  # whatever the user's or the library's constructor raises
        raise SourceError(
            f"building {arch!r} failed: {type(error).__name__}: {error}", remedy=_SYNTAX
        ) from error
    if not isinstance(module, nn.Module):
        raise SourceError(f"{arch!r} makes a {type(module).__name__}, not an nn.Module", remedy=_SYNTAX)
    return module


def _arguments(query: str, arch: str) -> dict[str, object]:
    """``a=1&b=(2,3)&c=text`` as keyword arguments."""
    arguments: dict[str, object] = {}
    for part in filter(None, query.split("&")):
        name, equals, text = part.partition("=")
        if not (equals and name.isidentifier()):
            raise SourceError(f"{part!r} in {arch!r} is no name=value", remedy=_SYNTAX)
        try:
            arguments[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            arguments[name] = text
    return arguments


def recognise(
    tensors: Mapping[str, Tensor], where: str
) -> tuple[nn.Module, dict[str, Tensor], tuple[str, ...]]:
    """The model whose keys and shapes these are.

    Torchvision's and timm's models come first, with any number of classes; then chains of linear layers.

    Returns:
        The module, not yet holding the weights; the tensors under the module's names; what was assumed.

    Raises:
        CheckpointError: if nothing fits; it lists the closest known models.
        MissingDependencyError: if a known model fits, but its package cannot be imported.
    """
    missing: list[str] = []
    for named, notes in _variants(tensors):
        shapes = {name: tuple(tensor.shape) for name, tensor in named.items()}
        fitting = sorted(matching(shapes), key=_preference)
        for entry in fitting:
            try:
                module = _build_entry(entry, shapes)
            except MissingDependencyError:
                missing.append(entry.arch)
                continue
            except SourceError:  # another version of the library builds this model differently
                continue
            if not differences(module, named):
                others = [other.arch for other in fitting if other is not entry]
                ties = f"; {', '.join(others[:3])} would fit as well (choose with --arch)" if others else ""
                note = f"architecture recognised as {entry.arch} by {len(named)} keys and shapes{ties}"
                return module, named, (*notes, note)
    if chain := chain_of(tensors):
        return chain[0], dict(tensors), (chain[1],)
    if missing:
        package = missing[0].partition(":")[0].partition(".")[0]
        raise MissingDependencyError(
            f"{where} looks like {missing[0]}, but {package} cannot be imported",
            remedy=f"pip install {package}, or name another architecture with --arch",
        )
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    near = closest(shapes)
    names = ", ".join(list(tensors)[:3])
    raise CheckpointError(
        f"{where}: {len(tensors)} tensors ({names}, ...) match no known architecture"
        + (f"; closest in size: {', '.join(near)}" if near else ""),
        remedy=_SYNTAX,
    )


def _preference(entry: Entry) -> tuple[bool, int]:
    """Sorts models of the same names and shapes: torchvision's first, then the shortest name."""
    return entry.arch.startswith("timm:"), len(entry.arch)


def _variants(tensors: Mapping[str, Tensor]) -> Iterator[tuple[dict[str, Tensor], tuple[str, ...]]]:
    """The tensors under their own names, then without a first part that all names share."""
    yield dict(tensors), ()
    firsts = {name.partition(".")[0] for name in tensors}
    if len(firsts) == 1 and all("." in name for name in tensors):
        prefix = f"{firsts.pop()}."
        stripped = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
        yield stripped, (f"prefix {prefix!r} removed from every name",)


def _build_entry(entry: Entry, shapes: Mapping[str, tuple[int, ...]]) -> nn.Module:
    """The known model with as many classes as the checkpoint's classifier has."""
    if not entry.heads:
        return build(entry.arch)
    weight = shapes.get(f"{entry.heads[0]}.weight")
    return build(entry.arch, num_classes=weight[0] if weight else 0)
