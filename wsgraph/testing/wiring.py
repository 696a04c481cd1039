"""Proof that the wiring is right, by influence: written once, used for every lowering.

For sampled pairs (i, j) of every edge block with parameters, zeroing all of the pair's parameters removes
every influence of neuron i on neuron j through that layer, and zeroing another pair's does not. Where no
activation stands behind i (a row of a table), the pair's parameters must change j and nothing else. A
node's bias must change that node alone. And no neuron influences, through any operator, a neuron that
no edge leads to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from wsgraph.compiler import lower, rewrite
from wsgraph.events.blocks import ParamView
from wsgraph.frontends.source import open_source
from wsgraph.frontends.trace import trace_source
from wsgraph.lowering.assemble import assemble
from wsgraph.lowering.plugins import load_registry
from wsgraph.options import CompileOptions
from wsgraph.testing.bench import Bench, is_learned
from wsgraph.testing.double import DoubleRun
from wsgraph.testing.flow import check_attention, check_flow, check_learned
from wsgraph.testing.influence import check_feature, check_pair
from wsgraph.testing.pairs import find_pair, other_pair
from wsgraph.testing.report import WiringFault, WiringReport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch.export import ExportedProgram

    from wsgraph.ir.graph import Op
    from wsgraph.lowering.builder import Edges
    from wsgraph.lowering.registry import Registry

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
    source = open_source(model, inputs=inputs)
    registry = registry or load_registry()
    graph = rewrite(trace_source(source), registry)
    lowered = lower(graph, registry, options or CompileOptions())
    generator = torch.Generator().manual_seed(seed)
    bench = Bench(lowered, assemble(lowered), DoubleRun(graph, source.inputs, generator))
    check = _Check(bench, samples, generator)
    check.run()
    return WiringReport(check.pairs, check.features, check.flows, tuple(check.faults), tuple(check.unchecked))


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


@dataclass(eq=False)
class _Check:
    """One pass over all edge blocks, node features and operators."""

    bench: Bench
    samples: int
    generator: torch.Generator
    pairs: int = 0
    features: int = 0
    flows: int = 0
    faults: list[WiringFault] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    def run(self) -> None:
        for edge in self.bench.assembled.edges:
            origin = self.bench.assembled.origin[edge.id]
            if origin.op is None or edge.attrs.get("opaque"):
                continue
            if isinstance(edge.feature, ParamView):
                self.edge_block(edge.id, origin)
            elif is_learned(origin, "query", "key", "value"):
                self.attention(edge.id, origin)
            else:
                self.learned(edge.id, origin)
        for number in range(len(self.bench.assembled.nodes)):
            self.node_block(number)
        for op in self.bench.lowered.graph.ops:
            self.flow(op)

    def edge_block(self, number: int, origin: Edges) -> None:
        edge = self.bench.assembled.edges[number]
        indices = self.bench.assembled.indices
        for _ in range(self.samples):
            pair = find_pair(edge, origin, indices, self.generator)
            if not len(pair.elements):
                continue
            other = other_pair(pair, edge, origin, indices, self.generator)
            try:
                problem = check_pair(self.bench, edge, origin, pair, other)
            except LookupError as reason:
                self.unchecked.append(f"e{number} ({edge.attrs.get('scope', '')}): {reason}")
                return
            self.pairs += 1
            if problem is not None:
                self.fault(f"e{number}", pair.src_node, pair.dst_node, origin.op, problem)

    def learned(self, number: int, origin: Edges) -> None:
        assert origin.op is not None
        edge = self.bench.assembled.edges[number]
        for _ in range(self.samples):
            pair = find_pair(edge, origin, self.bench.assembled.indices, self.generator)
            problem = check_learned(self.bench, origin.op, pair.src_node, pair.dst_node)
            self.flows += 1
            if problem is not None:
                self.fault(f"e{number}", pair.src_node, pair.dst_node, origin.op, problem)

    def attention(self, number: int, origin: Edges) -> None:
        for position in self.draw(len(origin.src)):
            problem = check_attention(self.bench, origin, position)
            self.flows += 1
            if problem is not None:
                self.fault(f"e{number}", int(origin.src[position]), None, origin.op, problem)

    def node_block(self, number: int) -> None:
        block = self.bench.assembled.nodes[number]
        place = self.bench.assembled.place
        if block.attrs.get("opaque"):
            return
        for name, view in block.features.items():
            for row in self.draw(block.size):
                node = int(((place[:, 0] == number) & (place[:, 1] == row)).nonzero()[0])
                problem = self.feature(view, row, node)
                if problem is not None:
                    self.fault(f"n{number}", node, None, None, f"{name}: {problem}")

    def feature(self, view: ParamView, row: int, node: int) -> str | None:
        """The parameter belongs to the operator that reads it and gives values of the node."""
        problem: str | None = "no operator that gives values of this node reads its parameter"
        for op in self.bench.readers(view.name):
            try:
                problem = check_feature(self.bench, op, view, row, node)
            except LookupError:
                continue
            self.features += 1
            if problem is None:
                return None
        return problem

    def flow(self, op: Op) -> None:
        nodes = self.nodes_into(op)
        for node in (nodes[k] for k in self.draw(len(nodes))):
            self.flows += 1
            problem = check_flow(self.bench, op, node)
            if problem is not None:
                self.fault(op.outputs[0].name, node, None, op, problem)

    def nodes_into(self, op: Op) -> list[int]:
        found: set[int] = set()
        for _, state in self.bench.activations(op.inputs()):
            for axis in state.nodes:
                found.update(axis.ids().tolist())
        return sorted(found)

    def draw(self, size: int) -> Iterator[int]:
        """A few different positions out of ``size``."""
        yield from torch.randperm(size, generator=self.generator)[: self.samples].tolist()

    def fault(self, block: str, src: int, dst: int | None, op: Op | None, problem: str) -> None:
        ends = [self.name(node) for node in (src, dst) if node is not None]
        scope, key = (op.scope, op.key) if op is not None else (self.scope(src), "feature")
        self.faults.append(WiringFault(block, " -> ".join(ends), scope, key, problem))

    def name(self, node: int) -> str:
        block, position = self.bench.assembled.place[node].tolist()
        return f"n{block}[{position}]"

    def scope(self, node: int) -> str:
        return str(self.bench.block_of(node).attrs.get("scope", ""))
