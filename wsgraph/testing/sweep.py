"""One pass over all edge blocks, node features and operators of a model, noting what is wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from wsgraph.events.blocks import ParamView
from wsgraph.testing.bench import is_learned
from wsgraph.testing.flow import check_attention, check_flow, check_learned
from wsgraph.testing.influence import check_pair
from wsgraph.testing.node_features import check_feature
from wsgraph.testing.pairs import find_pair, other_pair
from wsgraph.testing.report import WiringFault, WiringReport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsgraph.ir.graph import Op
    from wsgraph.lowering.builder import Edges
    from wsgraph.testing.bench import Bench

__all__ = ["Sweep"]


@dataclass(eq=False)
class Sweep:
    """One pass over everything that can be wired wrongly.

    Attributes:
        bench: the lowered model.
        samples: how much of each block and operator is tested.
        generator: source of randomness.
        pairs: pairs tested so far.
        features: node parameters tested so far.
        flows: neurons followed so far.
        faults: wrong connections found so far.
        unchecked: edge blocks about which nothing could be said.
    """

    bench: Bench
    samples: int
    generator: torch.Generator
    pairs: int = 0
    features: int = 0
    flows: int = 0
    faults: list[WiringFault] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    def run(self) -> WiringReport:
        """Test everything; call it once."""
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
        return WiringReport(self.pairs, self.features, self.flows, tuple(self.faults), tuple(self.unchecked))

    def edge_block(self, number: int, origin: Edges) -> None:
        """Pairs of an edge block whose feature is parameters."""
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
        """Pairs of an edge block whose feature is learned: residuals, gates, reductions."""
        assert origin.op is not None
        edge = self.bench.assembled.edges[number]
        for _ in range(self.samples):
            pair = find_pair(edge, origin, self.bench.assembled.indices, self.generator)
            problem = check_learned(self.bench, origin.op, pair.src_node, pair.dst_node)
            self.flows += 1
            if problem is not None:
                self.fault(f"e{number}", pair.src_node, pair.dst_node, origin.op, problem)

    def attention(self, number: int, origin: Edges) -> None:
        """Sources of an attention's mixing nodes."""
        for position in self.draw(len(origin.src)):
            problem = check_attention(self.bench, origin, position)
            self.flows += 1
            if problem is not None:
                self.fault(f"e{number}", int(origin.src[position]), None, origin.op, problem)

    def node_block(self, number: int) -> None:
        """The parameters of some nodes of a block."""
        block = self.bench.assembled.nodes[number]
        if block.attrs.get("opaque"):
            return
        for name, view in block.features.items():
            for row in self.draw(block.size):
                node = int(self.bench.assembled.members[number][row])
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
        """Some neurons that go into an operator."""
        nodes = self.nodes_into(op)
        for node in (nodes[k] for k in self.draw(len(nodes))):
            self.flows += 1
            problem = check_flow(self.bench, op, node)
            if problem is not None:
                self.fault(op.outputs[0].name, node, None, op, problem)

    def nodes_into(self, op: Op) -> list[int]:
        """Global numbers of all neurons among an operator's inputs."""
        found: set[int] = set()
        for _, state in self.bench.activations(op.inputs()):
            for axis in state.nodes:
                found.update(axis.ids().tolist())
        return sorted(found)

    def draw(self, size: int) -> Iterator[int]:
        """A few different positions out of ``size``."""
        yield from torch.randperm(size, generator=self.generator)[: self.samples].tolist()

    def fault(self, block: str, src: int, dst: int | None, op: Op | None, problem: str) -> None:
        """Note a wrong connection."""
        ends = [self.name(node) for node in (src, dst) if node is not None]
        scope, key = (op.scope, op.key) if op is not None else (self.scope(src), "feature")
        self.faults.append(WiringFault(block, " -> ".join(ends), scope, key, problem))

    def name(self, node: int) -> str:
        """``n2[5]``: a node by its block and position."""
        block, position = self.bench.assembled.places(torch.tensor([node]))[0].tolist()
        return f"n{block}[{position}]"

    def scope(self, node: int) -> str:
        """Place of a node's block in the module tree."""
        return str(self.bench.block_of(node).attrs.get("scope", ""))
