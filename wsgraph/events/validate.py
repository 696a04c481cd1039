"""Checks that a structure's blocks fit together.

Everything here is arithmetic on sizes: nothing is allocated in proportion to them, since the structure
may come from a file that somebody has tampered with.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from wsgraph.errors import StructureError
from wsgraph.events.blocks import EdgeBlock, Learned, NodeBlock, NodeView, Pattern
from wsgraph.events.recipe import parse_recipe
from wsgraph.events.validate_tensors import TensorChecks, check_attrs, check_sizes

if TYPE_CHECKING:
    from wsgraph.events.structure import Structure

__all__ = ["validate_structure"]

# More nodes than any layer has; what is beyond comes from a damaged file.
_MAX_NODES = 1 << 31


def validate_structure(structure: Structure) -> None:
    """Check a whole structure; see :meth:`Structure.validate`.

    Raises:
        StructureError: something contradicts something else; the message says what, and where.
    """
    tensors = TensorChecks(structure)
    tensors.check_specs()
    for derived in structure.derived.values():
        parse_recipe(derived)
    check_attrs(structure.meta, "the structure's meta")
    order = _check_nodes(structure.nodes, tensors)
    seen: set[int] = set()
    for edge in structure.edges:
        if edge.id in seen:
            raise StructureError(f"edge block id {edge.id} is used twice")
        seen.add(edge.id)
        _check_edge(edge, structure, order, tensors)


def _check_nodes(nodes: tuple[NodeBlock, ...], tensors: TensorChecks) -> dict[int, int]:
    """Check the node blocks one after the other; returns each id's place in the order."""
    order: dict[int, int] = {}
    t = 0
    for position, node in enumerate(nodes):
        where = f"node block {node.id}"
        if node.id in order:
            raise StructureError(f"node block id {node.id} is used twice")
        if not 0 <= node.size <= _MAX_NODES or node.id < 0:
            raise StructureError(f"{where}: size {node.size}, expected 0 to {_MAX_NODES}, and no negative id")
        if not t <= node.t <= (t + 1 if position else 0):
            raise StructureError(
                f"{where}: timestamp {node.t} after {t}; timestamps start at 0 and rise by at most 1 a block"
            )
        t = node.t
        for name, view in node.features.items():
            tensors.check_view(view, (node.size,), f"{where}, feature {name!r}")
        check_attrs(node.attrs, where)
        order[node.id] = position
    return order


def _check_edge(edge: EdgeBlock, structure: Structure, order: dict[int, int], tensors: TensorChecks) -> None:
    where = f"edge block {edge.id}"
    if edge.dst not in order:
        raise StructureError(f"{where}: its destination, node block {edge.dst}, does not exist")
    dst = structure.node_by_id[edge.dst]
    if edge.t != dst.t:
        raise StructureError(
            f"{where}: timestamp {edge.t}, expected {dst.t} as for its destination, node block {dst.id}"
        )
    for part in edge.src.parts:
        if part.block not in order:
            raise StructureError(f"{where}: its source, node block {part.block}, does not exist")
        if order[part.block] >= order[dst.id]:
            raise StructureError(
                f"{where}: its source, node block {part.block}, does not come before "
                f"its destination, node block {dst.id}: a cycle, or a wrong order"
            )
        if not 0 <= part.start <= part.stop <= structure.node_by_id[part.block].size:
            raise StructureError(
                f"{where}: slice {part.start}:{part.stop} of node block {part.block}, "
                f"which has {structure.node_by_id[part.block].size} nodes"
            )
    _check_source_size(edge.src, tensors, where)
    _check_shape(edge, dst.size, where)
    _check_coo(edge, dst.size, tensors, where)
    if isinstance(edge.feature, Learned):
        if not edge.feature.tag or not math.isfinite(edge.feature.scale):
            raise StructureError(f"{where}: a learned feature needs a tag and a finite scale")
    else:
        tensors.check_view(edge.feature, edge.shape, where)
    check_attrs(edge.attrs, where)


def _check_source_size(view: NodeView, tensors: TensorChecks, where: str) -> None:
    total = sum(part.size for part in view.parts)
    if view.index is not None:
        tensors.check_index(view.index, (view.size,), range(total), f"{where}, source index")
    elif view.size != total:
        raise StructureError(f"{where}: its source view has size {view.size}, its parts have {total} nodes")


def _check_shape(edge: EdgeBlock, n_dst: int, where: str) -> None:
    """Check the feature's shape against pattern and sizes; see :class:`Pattern`."""
    n_src = edge.src.size
    match edge.pattern, edge.shape:
        case Pattern.DENSE, (rows, columns, _):
            fits = (rows, columns) == (n_dst, n_src)
        case Pattern.GROUPED, (groups, rows, columns, _):
            fits = (groups * rows, groups * columns) == (n_dst, n_src)
        case Pattern.ONE_TO_ONE, (n, _):
            fits = n == n_dst == n_src
        case Pattern.INDEXED, (_, _):
            fits = True
        case _:
            fits = False
    check_sizes(edge.shape, where)
    if not fits:
        raise StructureError(
            f"{where}: shape {list(edge.shape)} does not fit the pattern {edge.pattern} "
            f"from {n_src} to {n_dst} nodes"
        )


def _check_coo(edge: EdgeBlock, n_dst: int, tensors: TensorChecks, where: str) -> None:
    if edge.pattern is not Pattern.INDEXED:
        if edge.coo is not None:
            raise StructureError(f"{where}: only an indexed pattern has a COO tensor, this is {edge.pattern}")
        return
    if edge.coo is None:
        raise StructureError(f"{where}: an indexed pattern needs a COO tensor")
    coo = tensors.check_index(edge.coo, (2, edge.shape[0]), None, f"{where}, COO")
    for row, size, side in ((coo[0], edge.src.size, "source"), (coo[1], n_dst, "destination")):
        if row.numel() and not 0 <= int(row.min()) <= int(row.max()) < size:
            raise StructureError(
                f"{where}: COO {side} positions {int(row.min())} to {int(row.max())}, "
                f"expected 0 to {size - 1}"
            )
