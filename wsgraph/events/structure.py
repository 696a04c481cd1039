"""The structure of an event stream: blocks, tensor specifications, index tensors; no weights.

A structure is compiled once an architecture; any checkpoint of that architecture can be bound to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from wsgraph.events.fingerprint import structure_fingerprint
from wsgraph.events.schedule import Schedule, make_schedule
from wsgraph.events.validate import validate_structure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from wsgraph.events.blocks import AttrValue, Derived, EdgeBlock, NodeBlock

__all__ = ["Structure", "TensorKind", "TensorSpec"]

TensorKind = Literal["parameter", "buffer"]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """What is known of one tensor of the model's state dict.

    Attributes:
        name: its name in the state dict.
        shape: its shape.
        dtype: its dtype as torch prints it, without ``torch.`` (``"float32"``).
        kind: parameter or buffer.
        tied_to: name of the tensor whose storage this one shares element for element, or None.
        unread: which elements the model never reads: ``"all"``, the name of an index tensor ``[n]`` of
            flat positions, or None.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    kind: TensorKind
    tied_to: str | None = None
    unread: str | None = None


@dataclass(frozen=True, eq=False)
class Structure:
    """Everything of an event stream but its weights.

    Two structures are equal for users when their ``fingerprint`` is; objects compare by identity.

    Attributes:
        nodes: node blocks in topological order, timestamps never falling.
        edges: edge blocks; those into one destination keep their order here.
        tensors: the model's state dict, name by name, in its own order.
        indices: index tensors that views, gathers and COO patterns name (int32 or int64).
        derived: tensors computed from parameters, by name.
        meta: where it came from: ``frontend``, ``origin``, ``notes``, ``version``, ``inputs``.
    """

    nodes: tuple[NodeBlock, ...]
    edges: tuple[EdgeBlock, ...]
    tensors: Mapping[str, TensorSpec]
    indices: Mapping[str, Tensor] = field(default_factory=dict)
    derived: Mapping[str, Derived] = field(default_factory=dict)
    meta: Mapping[str, AttrValue] = field(default_factory=dict)

    def validate(self) -> None:
        """Check that the structure does not contradict itself.

        Raises:
            StructureError: it does; the message names the block or tensor.
        """
        validate_structure(self)

    @cached_property
    def node_by_id(self) -> Mapping[int, NodeBlock]:
        """Node blocks by their id."""
        return {node.id: node for node in self.nodes}

    @cached_property
    def edge_by_id(self) -> Mapping[int, EdgeBlock]:
        """Edge blocks by their id."""
        return {edge.id: edge for edge in self.edges}

    @cached_property
    def schedule(self) -> Schedule:
        """When each block is added and deleted (Eq. 3, App. F.1)."""
        return make_schedule(self.nodes, self.edges)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hexadecimal) of what two checkpoints of one architecture have in common."""
        return structure_fingerprint(self)

    def storage_name(self, name: str) -> str:
        """The tensor that holds the elements of ``name``: itself, or the one that it is tied to."""
        return self.tensors[name].tied_to or name
