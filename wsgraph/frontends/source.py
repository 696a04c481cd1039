"""Where a model comes from: a module, an exported program, or a file, made ready for the tracer."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from wsgraph.errors import SourceError
from wsgraph.frontends.architectures import build, recognise
from wsgraph.frontends.exported import load_exported
from wsgraph.frontends.huggingface import build_from_config, describes_model, weights_in
from wsgraph.frontends.input_guess import float_dtype, guess_inputs
from wsgraph.frontends.input_spec import Inputs, make_inputs
from wsgraph.frontends.safetensors_files import read_safetensors
from wsgraph.frontends.state_dict import Found, bind_tensors, find, without_wrappers
from wsgraph.frontends.unpickle import load_pickle

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wsgraph.ir.graph import Graph

__all__ = ["ModelSource", "Source", "open_source"]

ModelSource: TypeAlias = nn.Module | ExportedProgram | str | os.PathLike[str]
"""What users may pass as a model."""


@dataclass(frozen=True)
class Source:
    """A model ready to be traced, with its weights.

    Attributes:
        module: the module; None when ``program`` or ``graph`` is given.
        program: an exported program, which needs no tracing; else None.
        tensors: parameters and buffers under the names that the module or program uses, memory-mapped
            where the format allows.
        inputs: example inputs of batch size 1; empty when ``program`` is given.
        notes: what was assumed, one sentence each.
        origin: the file's name, or ``<module ResNet>``.
        graph: the IR, from a frontend that makes it without torch's tracers (ONNX); else None.
    """

    module: nn.Module | None
    program: ExportedProgram | None
    tensors: Mapping[str, Tensor]
    inputs: tuple[Tensor, ...]
    notes: tuple[str, ...]
    origin: str
    graph: Graph | None = None


def open_source(
    source: ModelSource, *, inputs: Inputs = None, arch: str | None = None, allow: Sequence[str] = ()
) -> Source:
    """Open a model; nothing that a file contains is executed.

    Args:
        source: a module, an exported program, a file, or a folder with ``config.json`` and weights.
        inputs: shapes as text or example tensors; worked out where that is safe if None.
        arch: the architecture of a bare state dict, such as ``torchvision.models:resnet18``.
        allow: packages whose classes a pickle may name beside the trusted ones.

    Raises:
        SourceError: if the source cannot be found, read or recognised (see its subclasses).
        InputShapeError: if input shapes are malformed, or cannot be worked out.
    """
    if isinstance(source, ExportedProgram):
        return _from_program(source, "<exported program>")
    if isinstance(source, nn.Module):
        return _from_module(source, inputs, (), f"<module {type(source).__name__}>")
    if not isinstance(source, str | os.PathLike):
        raise SourceError(
            f"a {type(source).__name__} is no model source",
            remedy="pass an nn.Module, a torch.export.ExportedProgram, or the path of a model file",
        )
    path = Path(source)
    content, config, notes = _read(path, allow)
    if isinstance(content, ExportedProgram):
        return _from_program(content, path.name)
    if isinstance(content, nn.Module):
        return _from_module(content, inputs, notes, path.name)
    module, more = _with_weights(content, config, arch, path.name)
    return _from_module(module, inputs, (*notes, *more), path.name)


def _from_program(program: ExportedProgram, origin: str) -> Source:
    return Source(None, program, program.state_dict, (), (), origin)


def _from_module(module: nn.Module, inputs: Inputs, notes: tuple[str, ...], origin: str) -> Source:
    tensors = {name: value for name, value in module.state_dict().items() if isinstance(value, Tensor)}
    if inputs is not None:
        return Source(module, None, tensors, make_inputs(inputs, float_dtype(module)), notes, origin)
    examples, note = guess_inputs(module, origin)
    return Source(module, None, tensors, examples, (*notes, note), origin)


_Content: TypeAlias = ExportedProgram | nn.Module | dict[str, Tensor]


def _read(path: Path, allow: Sequence[str]) -> tuple[_Content, Path, tuple[str, ...]]:
    """Read a file or folder; returns the content, where its configuration would be, and notes."""
    if path.is_dir():
        path = weights_in(path)
    elif not path.exists():
        raise SourceError(f"there is no file {path}", remedy="check the path")
    reader = next((read for suffix, read in _READERS.items() if path.name.endswith(suffix)), _read_pickle)
    content, notes = reader(path, allow)
    return content, path.with_name("config.json"), notes


_Read: TypeAlias = tuple[_Content, tuple[str, ...]]


def _read_pickle(path: Path, allow: Sequence[str]) -> _Read:
    found: Found = find(load_pickle(path, allow), path.name)
    if isinstance(found.content, nn.Module):
        return found.content, found.notes
    tensors, notes = without_wrappers(found.content)
    return tensors, (*found.notes, *notes)


def _read_tensors(path: Path, _allow: Sequence[str]) -> _Read:
    return without_wrappers(read_safetensors(path))


def _read_program(path: Path, _allow: Sequence[str]) -> _Read:
    return load_exported(path), ()


def _refuse_onnx(path: Path, _allow: Sequence[str]) -> _Read:
    raise SourceError(
        f"{path.name} is an ONNX model, which its own frontend reads, and that is not asked here",
        remedy="call wsgraph.compile, and do not switch the plugin wsgraph.frontends.onnx.plugin off",
    )


def _refuse_compiled(path: Path, _allow: Sequence[str]) -> _Read:
    raise SourceError(
        f"{path.name} is compiled already",
        remedy=f"look into it with `wsgraph inspect {path.name}`, or wsgraph.load(...) in Python",
    )


_READERS: dict[str, Callable[[Path, Sequence[str]], _Read]] = {
    ".safetensors": _read_tensors,
    ".safetensors.index.json": _read_tensors,
    ".pt2": _read_program,
    ".onnx": _refuse_onnx,
    ".wsg": _refuse_compiled,
}
"""Readers by the file name's end; everything else is taken for a pickle of torch.save."""


def _with_weights(
    tensors: dict[str, Tensor], config: Path, arch: str | None, origin: str
) -> tuple[nn.Module, tuple[str, ...]]:
    """The module that a state dict belongs to, holding its tensors, with notes on how it was found."""
    if arch is not None:
        module = build(arch)
        notes: tuple[str, ...] = (f"architecture {arch} as given",)
    elif describes_model(config):
        module, tensors, notes = build_from_config(config, tensors)
    else:
        module, tensors, notes = recognise(tensors, origin)
    with torch.no_grad():
        bind_tensors(
            module, tensors, origin, remedy="check the architecture and its arguments: --arch NAME?key=value"
        )
    return module, notes
