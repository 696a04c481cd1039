"""compile(): from a model to its event stream, the whole pipeline on one screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wsgraph.frontends.opening import open_model
from wsgraph.frontends.trace import trace_source
from wsgraph.lowering.driver import Lowered, lower_graph
from wsgraph.lowering.finish import make_stream
from wsgraph.lowering.plugins import load_registry
from wsgraph.options import CompileOptions
from wsgraph.provenance.moves import only_shape_matters
from wsgraph.rewrites.dce import remove_dead_code
from wsgraph.rewrites.decompose import decompose
from wsgraph.rewrites.functionalize import functionalize
from wsgraph.rewrites.split_complex import is_complex, split_complex
from wsgraph.rewrites.split_einsum import split_einsum
from wsgraph.rewrites.split_fused import is_fused, split_fused
from wsgraph.rewrites.split_writes import split_writes
from wsgraph.rewrites.static_shapes import fix_shapes
from wsgraph.torch_mode import compiling

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

    from onnx import ModelProto
    from torch import nn
    from torch.export import ExportedProgram

    from wsgraph.events.stream import EventStream
    from wsgraph.ir.graph import Graph, Op
    from wsgraph.lowering.registry import Registry

__all__ = ["compile", "lower", "rewrite", "trace"]

PASSES: tuple[Callable[[Graph], Graph], ...] = (
    functionalize,
    split_writes,
    split_fused,
    split_complex,
    split_einsum,
    remove_dead_code,
)
"""The built-in rewrites, in order, after shapes are fixed and operators without a lowering taken apart;
plugins' follow."""


def compile(  # noqa: A001  the public name says what users expect, as re.compile does
    source: nn.Module | ExportedProgram | ModelProto | str | PathLike[str],
    inputs: Any = None,
    arch: str | None = None,
    options: CompileOptions | None = None,
) -> EventStream:
    """Compile a model to its dynamic neural graph (section 4).

    Args:
        source: a module, an exported program, an ONNX model, or the path of a model file.
        inputs: example inputs or shapes (``"1x3x224x224"``, several for several inputs); worked out
            where that is safe when left out.
        arch: the architecture of a bare state dict, ``torchvision.models:resnet18``.
        options: see :class:`wsgraph.CompileOptions`.

    Returns:
        The event stream; its weights are the model's own tensors, not copied.

    Raises:
        WsgraphError: the source cannot be read, traced or lowered; the message says where and what to do.
    """
    options, registry = options or CompileOptions(), load_registry()
    with compiling():
        opened = open_model(source, registry, inputs=inputs, arch=arch, allow=options.allow)
        graph = rewrite(trace_source(opened), registry)
        return make_stream(lower(graph, registry, options), opened)


def trace(
    source: nn.Module | ExportedProgram | ModelProto | str | PathLike[str],
    inputs: Any = None,
    arch: str | None = None,
    options: CompileOptions | None = None,
) -> Graph:
    """The IR of a model after the rewrites; arguments and errors as for :func:`compile`."""
    options, registry = options or CompileOptions(), load_registry()
    with compiling():
        opened = open_model(source, registry, inputs=inputs, arch=arch, allow=options.allow)
        return rewrite(trace_source(opened), registry)


def rewrite(graph: Graph, registry: Registry) -> Graph:
    """Run every pass; each result is checked before the next one sees it."""

    def known(op: Op) -> bool:
        lowered = registry.lowering_for(op) is not None or only_shape_matters(op.key)
        return lowered or is_fused(op) or is_complex(op)

    graph = decompose(fix_shapes(graph), known)
    for step in (*PASSES, *(entry.function for entry in registry.rewrites)):
        graph = step(graph)
        graph.verify()
    return graph


def lower(graph: Graph, registry: Registry, options: CompileOptions) -> Lowered:
    """Lower every operator through its plugin."""
    return lower_graph(graph, registry, options)
