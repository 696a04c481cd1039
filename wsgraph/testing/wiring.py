"""Proof that the wiring is right, by influence: written once, used for every lowering.

For sampled pairs (i, j) of every edge block with parameters, zeroing all of the pair's parameters removes
every influence of neuron i on neuron j through that layer, and zeroing another pair's does not. Where no
activation stands behind i (a row of a table), the pair's parameters must change j and nothing else. A
node's bias must change that node alone. And no neuron influences, through any operator, a neuron that
no edge leads to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from wsgraph.compiler import lower, rewrite
from wsgraph.frontends.opening import open_model
from wsgraph.frontends.trace import trace_source
from wsgraph.lowering.assemble import assemble
from wsgraph.lowering.plugins import load_registry
from wsgraph.options import CompileOptions
from wsgraph.testing.bench import Bench
from wsgraph.testing.double import DoubleRun
from wsgraph.testing.sweep import Sweep

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

    from wsgraph.lowering.registry import Registry
    from wsgraph.testing.report import WiringReport

__all__ = ["assert_wiring", "check_wiring"]


def check_wiring(
    model: nn.Module | ExportedProgram,
    inputs: Any = None,
    *,
    samples: int = 3,
    seed: int = 0,
    options: CompileOptions | None = None,
    registry: Registry | None = None,
) -> WiringReport:
    """Compile a model and test its wiring by influence, in float64 with random weights.

    Args:
        model: the model; plugin authors pass a small module around their operator.
        inputs: example inputs or shapes, as :func:`wsgraph.compile` takes them.
        samples: pairs tested an edge block, and neurons followed an operator.
        seed: seed of all random choices.
        options: the compiler's options.
        registry: lowerings to use instead of those of all installed plugins.

    Returns:
        What was tested and what is wrong.

    Raises:
        WsgraphError: the model cannot be compiled.
    """
    registry = registry or load_registry()
    options = options or CompileOptions()
    source = open_model(model, registry, inputs=inputs, arch=None, allow=options.allow)
    graph = rewrite(trace_source(source), registry)
    lowered = lower(graph, registry, options)
    generator = torch.Generator().manual_seed(seed)
    bench = Bench(lowered, assemble(lowered), DoubleRun(graph, source.inputs, generator))
    return Sweep(bench, samples, generator).run()


def assert_wiring(
    model: nn.Module | ExportedProgram,
    inputs: Any = None,
    *,
    samples: int = 3,
    seed: int = 0,
    options: CompileOptions | None = None,
    registry: Registry | None = None,
) -> WiringReport:
    """Like :func:`check_wiring`, for tests.

    Raises:
        AssertionError: something is wired wrongly, or an edge block could not be tested; the message names
            the edge blocks, the pairs and their places in the model.
    """
    report = check_wiring(model, inputs, samples=samples, seed=seed, options=options, registry=registry)
    if report.faults or report.unchecked:
        raise AssertionError(str(report))
    return report
