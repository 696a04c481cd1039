"""``wsgraph.verify``: a compiled stream against the model that it was compiled from."""

from __future__ import annotations

import inspect
import math
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from wsgraph.compiler import lower, rewrite
from wsgraph.errors import CheckpointError, WsgraphError
from wsgraph.events.bits import same_bits
from wsgraph.events.file import load
from wsgraph.frontends.opening import open_model
from wsgraph.frontends.trace import trace_source
from wsgraph.ir.printer import spec_of
from wsgraph.lowering.assemble import assemble
from wsgraph.lowering.finish import make_stream
from wsgraph.lowering.plugins import load_registry
from wsgraph.options import CompileOptions
from wsgraph.testing.bench import Bench
from wsgraph.testing.double import DoubleRun
from wsgraph.testing.sweep import Sweep
from wsgraph.torch_mode import compiling
from wsgraph.verification.outputs import DoubleModel
from wsgraph.verification.permutations import check_permutations
from wsgraph.verification.report import Check, Verification

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

    from torch import Tensor
    from torch.export import ExportedProgram

    from wsgraph.events.stream import EventStream
    from wsgraph.frontends.source import Source
    from wsgraph.ir.graph import Graph
    from wsgraph.lowering.registry import Registry

__all__ = ["verify"]


def verify(
    stream: EventStream | None,
    model: nn.Module | ExportedProgram | str | PathLike[str],
    inputs: Any = None,
    *,
    arch: str | None = None,
    options: CompileOptions | None = None,
    samples: int = 2,
    seed: int = 0,
) -> Verification:
    """Check a stream against its model by running the model.

    Args:
        stream: what was compiled from the model; None compiles it first.
        model: the model, as :func:`wsgraph.compile` takes it.
        inputs: example inputs or shapes, those that the stream was compiled with; read off the stream, or
            worked out, when left out.
        arch: the architecture of a bare state dict.
        options: the compiler's options.
        samples: pairs of neurons an edge block, permutations and groups that are tried.
        seed: seed of all random choices.

    Returns:
        A report: the ledger, the bit-for-bit round trip, the influence of neurons along edges, and the
        symmetries, in float64.

    Raises:
        WsgraphError: the model cannot be opened, traced or lowered.
    """
    options, registry = options or CompileOptions(), load_registry()
    with compiling():
        source, graph = _traced(stream, model, registry, inputs=inputs, arch=arch, allow=options.allow)
        fresh = make_stream(lower(graph, registry, options), source)
    own = fresh if stream is None else stream
    checks = [_same_structure(own, fresh), _ledger(own, source.tensors)]
    if fresh.weights is None:
        detail = "the model has no weights (it lies on the meta device)"
        return Verification((*checks, Check("round trip", passed=False, detail=detail)))
    checks.append(_round_trip(own, source.tensors))
    generator = torch.Generator().manual_seed(seed)
    checks.append(_influence(graph, source, registry, options, samples, generator))
    if all(check.passed for check in checks[:3]):
        double = DoubleModel(graph, source.inputs, generator)
        checks.extend(check_permutations(own, double, samples, generator))
    return Verification(tuple(checks))


def _traced(
    stream: EventStream | None, model: Any, registry: Registry, *, inputs: Any, **arguments: Any
) -> tuple[Source, Graph]:
    """The model and its graph, for the inputs given; else for the stream's, if it is that model's at all."""
    noted = _compiled_with(stream, model) if inputs is None else None
    if noted is not None:
        with suppress(WsgraphError):
            return _traced(None, model, registry, inputs=noted, **arguments)
    source = open_model(model, registry, inputs=inputs, **arguments)
    return source, rewrite(trace_source(source), registry)


def _compiled_with(stream: EventStream | None, model: Any) -> list[str] | None:
    """The inputs' shapes that a stream notes; None where they are not the first arguments of a module."""
    noted = stream.structure.meta.get("inputs") if stream is not None else None
    if not isinstance(noted, tuple) or not isinstance(model, nn.Module):
        return None
    named = [str(text).partition(": ") for text in noted]
    names = [name for name, _, _ in named]
    if names != [*inspect.signature(model.forward).parameters][: len(names)]:
        return None
    return [spec_of(kind) for _, _, kind in named]


def _same_structure(stream: EventStream, fresh: EventStream) -> Check:
    same = stream.fingerprint == fresh.fingerprint
    own, other = stream.fingerprint[:12], fresh.fingerprint[:12]
    detail = f"{stream.num_nodes:,} nodes and {stream.num_edges:,} edges, fingerprint {own}"
    if not same:
        detail = f"compiling the model gives fingerprint {other}, the stream's is {own}"
    return Check("structure", same, detail)


def _ledger(stream: EventStream, tensors: Mapping[str, Tensor]) -> Check:
    try:
        ledger = stream.ledger()
    except WsgraphError as error:
        return Check("ledger", passed=False, detail=error.message)
    expected = sum(t.numel() for t in tensors.values())
    total = sum(ledger.totals.values())
    names = set(stream.structure.tensors) == set(tensors)
    elements = sum(math.prod(spec.shape) for spec in stream.structure.tensors.values())
    detail = f"{total:,} elements accounted for, the model has {expected:,}"
    return Check("ledger", names and total == expected == elements, detail)


def _round_trip(stream: EventStream, tensors: Mapping[str, Tensor]) -> Check:
    """Through a file and back, bit for bit."""
    try:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "stream.wsg"
            (stream if stream.weights is not None else stream.bind(tensors)).save(path)
            back = load(path).state_dict()
            wrong = [n for n, t in tensors.items() if n not in back or not same_bits(back[n], t)]
    except CheckpointError as error:
        return Check("round trip", passed=False, detail=error.message)
    wrong += [name for name in back if name not in tensors]
    detail = f"{len(tensors)} tensors through a file, bit for bit"
    if wrong:
        detail = f"not the same after a round trip through a file: {', '.join(wrong[:5])}"
    return Check("round trip", not wrong, detail)


def _influence(
    graph: Graph,
    source: Source,
    registry: Registry,
    options: CompileOptions,
    samples: int,
    generator: torch.Generator,
) -> Check:
    lowered = lower(graph, registry, options)
    bench = Bench(lowered, assemble(lowered), DoubleRun(graph, source.inputs, generator))
    report = Sweep(bench, samples, generator).run()
    detail = f"{report.pairs} pairs, {report.features} node parameters and {report.flows} flows tested"
    if report.unchecked:
        detail += f", {len(report.unchecked)} edge blocks unchecked"
    if report.faults:
        detail += f"; {len(report.faults)} faults: {report.faults[0]}"
    return Check("influence", report.ok, detail)
