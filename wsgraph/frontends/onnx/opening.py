"""From an ONNX model to a source with its IR graph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wsgraph.errors import CheckpointError, FrontendError, InputShapeError
from wsgraph.frontends.onnx.convert import Converter
from wsgraph.frontends.onnx.emitter import Emitter
from wsgraph.frontends.onnx.initializers import Initializers
from wsgraph.frontends.onnx.reading import Opened, read_file, read_proto
from wsgraph.frontends.onnx.records import recorded_parameters
from wsgraph.frontends.onnx.scope import Scope
from wsgraph.frontends.onnx.shapes import candidates, given_inputs
from wsgraph.frontends.onnx.size_hints import size_hints
from wsgraph.frontends.source import Source
from wsgraph.ir.graph import Graph, Value, ValueKind
from wsgraph.rewrites.exported import undo_export
from wsgraph.rewrites.fuse_rms_norm import fuse_rms_norm
from wsgraph.rewrites.fuse_rsqrt import fuse_rsqrt

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from onnx import ModelProto, ValueInfoProto
    from torch import Tensor

    from wsgraph.frontends.input_spec import Inputs
    from wsgraph.frontends.onnx.emitter import Operand

__all__ = ["build_graph", "open_onnx"]


_RMS_NORM = "torch.nn.modules.normalization.RMSNorm"


def open_onnx(source: ModelProto | Path, inputs: Inputs = None) -> Source:
    """Open an ONNX model.

    Args:
        source: the model, or its file.
        inputs: shapes as text or example tensors; as declared if None, and tried where the model leaves
            sizes open.

    Raises:
        CheckpointError: the file is damaged, or its weights are missing or outside its folder.
        InputShapeError: the shapes do not fit, or none of the usual ones does.
        FrontendError: an operator is not supported, or the structure depends on the input's numbers.
    """
    if isinstance(source, Path):
        opened, origin = read_file(source), source.name
    else:
        opened, origin = read_proto(source), f"<ONNX model {source.graph.name}>"
    declared = [i for i in opened.model.graph.input if i.name not in opened.tensors]
    for info in declared:
        if not info.type.HasField("tensor_type"):
            raise FrontendError(
                f"input {info.name!r} of {origin} is no tensor",
                remedy="export the model with tensors as inputs",
            )
    if inputs is not None:
        examples, note = given_inputs(declared, inputs), ""
        graph, tensors = build_graph(opened, examples)
    else:
        graph, tensors, examples, note = _tried(opened, declared, origin)
    producer = " ".join(t for t in (opened.model.producer_name, opened.model.producer_version) if t)
    graph.notes.append(
        f"frontend: ONNX, opset {opened.opsets.get('', 1)}" + (f", from {producer}" if producer else "")
    )
    return Source(None, None, tensors, examples, (note,) if note else (), origin, undo_export(graph))


def _tried(
    opened: Opened, declared: list[ValueInfoProto], origin: str
) -> tuple[Graph, dict[str, Tensor], tuple[Tensor, ...], str]:
    """The graph for the first sizes of the inputs that fit the model."""
    failure: CheckpointError | None = None
    for examples, note in candidates(declared, size_hints(opened.model.graph, opened.tensors)):
        try:
            graph, tensors = build_graph(opened, examples)
        except CheckpointError as error:  # torch refuses the shapes; everything else holds for all shapes
            failure = failure or error
            if not note:
                raise
        else:
            return graph, tensors, examples, note
    assert failure is not None
    raise InputShapeError(
        f"the input shapes of {origin} cannot be guessed: none of the usual ones fits ({failure.message})",
        remedy="give them with --input 1x3x224x224, once for each input in the model's order",
    ) from failure


def build_graph(
    opened: Opened, inputs: Sequence[Tensor | list[Tensor]], known: Container[int] = ()
) -> tuple[Graph, dict[str, Tensor]]:
    """Translate a model for inputs of these shapes.

    Args:
        opened: the model.
        inputs: a tensor for each of its inputs that is not stored.
        known: positions of inputs whose numbers count as constants, such as the shape of a Reshape.

    Returns:
        The graph, and the stored tensors by name.
    """
    graph = Graph(frontend="onnx")
    recorded = recorded_parameters(opened.model)
    initializers = Initializers(graph, opened.tensors, opened.model.producer_name, recorded)
    emitter = Emitter(graph, initializers)
    converter = Converter(emitter, opened.opsets, opened.model.functions)
    operands = _operands(opened, inputs, known, emitter)
    results = converter.graph(opened.model.graph, Scope(converter), operands)
    graph.outputs = [
        emitter.output(r) for result in results for r in (result if isinstance(result, list) else [result])
    ]
    tensors = initializers.finish()
    written_out = frozenset(s for s, module in converter.modules.items() if module == _RMS_NORM)
    graph = fuse_rms_norm(fuse_rsqrt(graph), written_out)
    graph.verify()
    return graph, tensors


def _operands(
    opened: Opened, inputs: Sequence[Tensor | list[Tensor]], known: Container[int], emitter: Emitter
) -> list[Operand]:
    """What each of the model's inputs stands for: a stored tensor, a given one, or an input of the graph."""
    operands: list[Operand] = []
    free = iter(inputs)
    for position, info in enumerate(opened.model.graph.input):
        if info.name in opened.tensors:
            operands.append(emitter.initializers.operand(info.name))
            continue
        tensor = next(free)
        if isinstance(tensor, list) or position in known:
            operands.append(tensor)
        else:
            name = emitter.fresh_name(info.name)
            emitter.graph.inputs.append(Value(name, tuple(tensor.shape), tensor.dtype, ValueKind.INPUT))
            operands.append(emitter.graph.inputs[-1])
    return operands
