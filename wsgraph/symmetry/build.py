"""From a stream's structure to the coloured graph whose automorphisms are its symmetries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from wsgraph.events.blocks import Learned, ParamView, Pattern
from wsgraph.symmetry.derived import add_derived
from wsgraph.symmetry.incidence import Incidence
from wsgraph.symmetry.notes import Notes, read_notes
from wsgraph.symmetry.parameters import add_parameters
from wsgraph.symmetry.uses import indexed_names, node_vertices, uses_of

if TYPE_CHECKING:
    from torch import Tensor

    from wsgraph.events.blocks import EdgeBlock
    from wsgraph.events.structure import Structure

__all__ = ["build_incidence"]


def build_incidence(structure: Structure) -> Incidence:
    """The coloured graph of a structure; weights are not needed.

    Raises:
        StructureError: the notes of the compiler are malformed.
    """
    graph, notes = Incidence(), read_notes(structure)
    for node in structure.nodes:
        strip = graph.add("nodes", node.size, notes.classes.get(node.id))
        graph.node_base[node.id] = strip.base
    _add_notes(graph, notes)
    uses = list(uses_of(structure, graph.node_base))
    for edge in structure.edges:
        _add_edge(graph, structure, edge)
    irregular = set(indexed_names(structure))
    for use in uses:
        if use.view.name in irregular:
            graph.pin(use.dst)
            graph.pin(use.src)
    sources = {name for derived in structure.derived.values() for name in derived.sources}
    coordinates = add_parameters(graph, uses, structure.derived.keys() | sources)
    add_derived(structure, coordinates, [*irregular, *(use.view.name for use in uses)])
    if not notes.known:
        graph.pin(torch.arange(graph.size))
    return graph


def _add_notes(graph: Incidence, notes: Notes) -> None:
    sizes = [s.size for s in graph.strips]
    by_block = dict(zip(graph.node_base, sizes, strict=True))
    for block in notes.pinned:
        graph.pin(torch.arange(by_block[block]) + graph.node_base[block])
    for block, groups in notes.couples:
        present = (groups >= 0).nonzero().flatten()
        values, inverse = torch.unique(groups[present], return_inverse=True)
        if len(values) > 1 or len(present) < by_block[block]:
            hubs = graph.add("hub", len(values))
            graph.link(present + graph.node_base[block], inverse + hubs.base, hub=True)
    for left, right, pairs in notes.meetings:
        graph.link(pairs[0] + graph.node_base[left], pairs[1] + graph.node_base[right], shares=True)


def _add_edge(graph: Incidence, structure: Structure, edge: EdgeBlock) -> None:
    src = node_vertices(edge.src, graph.node_base, structure.indices)
    dst = torch.arange(structure.node_by_id[edge.dst].size) + graph.node_base[edge.dst]
    match edge.pattern:
        case Pattern.ONE_TO_ONE:
            graph.link(src, dst)
        case Pattern.INDEXED:
            _add_pairs(graph, structure, edge, src, dst)
        case Pattern.GROUPED:
            groups = edge.shape[0]
            hubs = graph.add("hub", groups)
            for ids in (src, dst):
                each = torch.arange(groups).repeat_interleave(len(ids) // groups)
                graph.link(ids, each + hubs.base, hub=True)
        case Pattern.DENSE:
            if not _covers(structure, edge):
                hub = graph.add("hub", 1)
                graph.link(src, torch.full_like(src, hub.base), hub=True)


def _covers(structure: Structure, edge: EdgeBlock) -> bool:
    """Whether the sources are whole blocks: then membership tells no node from another."""
    if edge.src.index is not None:
        return False
    blocks = [p.block for p in edge.src.parts]
    whole = all(p.start == 0 and p.stop == structure.node_by_id[p.block].size for p in edge.src.parts)
    return whole and len(set(blocks)) == len(blocks)


def _add_pairs(graph: Incidence, structure: Structure, edge: EdgeBlock, src: Tensor, dst: Tensor) -> None:
    """Irregular edges: pairs of nodes where each has weights of its own, else nothing is claimed."""
    assert edge.coo is not None
    coo = structure.indices[edge.coo].long()
    left, right = src[coo[0]], dst[coo[1]]
    distinct = len(torch.unique(left * graph.size + right)) == len(left)
    if distinct and (isinstance(edge.feature, Learned) or _own_weights(structure, edge.feature)):
        graph.link(left, right)
    else:
        graph.pin(left)
        graph.pin(right)


def _own_weights(structure: Structure, view: ParamView) -> bool:
    """Whether no other edge or node reads an element of the view, and none is read twice."""
    elements = view.elements(structure.indices).reshape(-1)
    views = [v for n in structure.nodes for v in n.features.values()]
    views += [e.feature for e in structure.edges if isinstance(e.feature, ParamView)]
    others = sum(v.name == view.name for v in views)
    alone = others == 1 and view.name not in structure.derived
    return alone and int(elements.min()) >= 0 and len(torch.unique(elements)) == len(elements)
