"""From a lowered graph to an event stream with the model's tensors under it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgraph.errors import LoweringError
from wsgraph.events.stream import EventStream
from wsgraph.events.structure import Structure, TensorKind, TensorSpec
from wsgraph.ir.graph import Graph, Value, ValueKind
from wsgraph.ir.printer import type_text
from wsgraph.lowering.assemble import INDEX_PREFIX, assemble
from wsgraph.lowering.derive import DERIVED_PREFIX
from wsgraph.lowering.interchange import gather_notes

if TYPE_CHECKING:
    from wsgraph.events.blocks import AttrValue
    from wsgraph.frontends.source import Source
    from wsgraph.lowering.driver import Lowered
    from wsgraph.provenance.params import ParamValue

__all__ = ["make_stream"]


def make_stream(lowered: Lowered, source: Source) -> EventStream:
    """The finished stream.

    Raises:
        LoweringError: the model has no parameters.
        LedgerError: a parameter element would be lost.
        StructureError: the blocks contradict each other (a plugin's mistake).
    """
    graph = lowered.graph
    if not any(True for _ in graph.parameters()):
        raise LoweringError(
            f"{source.origin} has no parameters, so there is nothing to make a graph of",
            remedy="compile a model with at least one trainable tensor",
        )
    assembled = assemble(lowered)
    tensors = _tensor_specs(lowered, source, assembled.indices)
    structure = Structure(
        nodes=assembled.nodes,
        edges=assembled.edges,
        tensors=tensors,
        indices=assembled.indices,
        derived=assembled.derived,
        meta={**_meta(graph, source), "symmetry": gather_notes(lowered).lines(assembled)},
    )
    weights = {name: tensor.detach() for name, tensor in source.tensors.items()}
    stream = EventStream(structure, None if _on_meta(weights) else weights)
    stream.ledger()
    return stream


def _on_meta(weights: dict[str, Tensor]) -> bool:
    return any(t.is_meta or isinstance(t, torch._subclasses.FakeTensor) for t in weights.values())  # noqa: SLF001  torch has no public name for it


def _meta(graph: Graph, source: Source) -> dict[str, AttrValue]:
    from wsgraph import __version__

    return {
        "frontend": graph.frontend,
        "origin": source.origin,
        "notes": (*source.notes, *graph.notes),
        "inputs": tuple(f"{v.name}: {type_text(v)}" for v in graph.inputs),
        "version": __version__,
    }


def _tensor_specs(lowered: Lowered, source: Source, indices: dict[str, Tensor]) -> dict[str, TensorSpec]:
    graph = lowered.graph
    reads: dict[str, list[ParamValue]] = {}
    for name, views in lowered.reads.items():
        if not name.startswith(DERIVED_PREFIX):
            reads.setdefault(graph.ties.get(name, name), []).extend(views)
    specs = {}
    for name, tensor in source.tensors.items():
        value = graph.tensors.get(name)
        kind = _kind(value, tensor)
        unread = None
        tied_to = graph.ties.get(name)
        if kind == "parameter" and tied_to is None:
            unread = _unread(reads.get(name, []), tensor.numel(), indices)
        dtype = str(tensor.dtype).removeprefix("torch.")
        specs[name] = TensorSpec(name, tuple(tensor.shape), dtype, kind, tied_to, unread)
    return specs


def _kind(value: Value | None, tensor: Tensor) -> TensorKind:
    if value is None:
        return "parameter" if tensor.requires_grad else "buffer"
    return "parameter" if value.kind is ValueKind.PARAMETER else "buffer"


def _unread(views: list[ParamValue], numel: int, indices: dict[str, Tensor]) -> str | None:
    """``"all"``, the name of an index tensor of the elements that no operator reads, or None."""
    if not views:
        return "all" if numel else None
    if any(v.view is not None and v.layout.numel() == numel and _distinct(v.view) for v in views):
        return None
    read = torch.zeros(numel, dtype=torch.bool)
    for view in views:
        elements = view.elements().reshape(-1)
        read[elements[elements >= 0]] = True
    missing = (~read).nonzero().flatten()
    if not len(missing):
        return None
    name = f"{INDEX_PREFIX}{len(indices)}"
    indices[name] = missing.to(torch.int32 if numel < 2**31 else torch.int64)
    return name


def _distinct(view: Tensor) -> bool:
    """Whether a strided view reads no element twice."""
    return all(n == 1 or s != 0 for n, s in zip(view.shape, view.stride(), strict=True))
