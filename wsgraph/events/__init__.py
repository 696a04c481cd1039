"""The event stream: its data model, timeline, ledger, text form, file and exports."""

from __future__ import annotations

from wsgraph.events.blocks import (
    AttrValue,
    Derived,
    EdgeBlock,
    Feature,
    Learned,
    NodeBlock,
    NodeSlice,
    NodeView,
    ParamView,
    Pattern,
)
from wsgraph.events.derived import evaluate
from wsgraph.events.file import load
from wsgraph.events.ledger import Ledger, LedgerRow
from wsgraph.events.recipe import RecipeBuilder, Result, Source
from wsgraph.events.schedule import Event
from wsgraph.events.stream import EventStream, Snapshot
from wsgraph.events.structure import Structure, TensorSpec

__all__ = [
    "AttrValue",
    "Derived",
    "EdgeBlock",
    "Event",
    "EventStream",
    "Feature",
    "Learned",
    "Ledger",
    "LedgerRow",
    "NodeBlock",
    "NodeSlice",
    "NodeView",
    "ParamView",
    "Pattern",
    "RecipeBuilder",
    "Result",
    "Snapshot",
    "Source",
    "Structure",
    "TensorSpec",
    "evaluate",
    "load",
]
