"""Tracing a source: torch.export first, torch.fx's symbolic trace as the fallback, always saying which."""

from __future__ import annotations

import contextlib
import copy
from typing import TYPE_CHECKING
from unittest.mock import patch

import torch
from torch import Tensor, fx, nn

from wsgraph.errors import UnsupportedOperatorError
from wsgraph.frontends.known_values import telling_constants
from wsgraph.frontends.quiet import first_line
from wsgraph.frontends.selection import selecting_everything
from wsgraph.frontends.symbolic import is_data_dependent
from wsgraph.frontends.torch_export import export_module, graph_from_program, tracing_mode
from wsgraph.frontends.trace_errors import worded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from wsgraph.frontends.source import Source
    from wsgraph.ir.graph import Graph

__all__ = ["trace_source"]

_READS = frozenset({"data_ptr", "item", "numpy", "tolist"})
"""Methods that hand a tensor's numbers to something other than torch."""


def trace_source(source: Source) -> Graph:
    """The IR of a source.

    Raises:
        InputShapeError: the input does not fit the model.
        FrontendError: neither frontend can trace the model.
    """
    if source.graph is not None:
        return source.graph
    if source.program is not None:
        graph = graph_from_program(source.program, None)
        graph.notes.append("frontend: the exported program as it was given")
        return graph
    assert source.module is not None
    module = source.module
    try:
        graph = graph_from_program(export_module(module, source.inputs), module)
    except UnsupportedOperatorError:
        raise
    except Exception as error:  # noqa: BLE001  torch.export raises errors of every kind; the fallback decides
        return _again(source, module, error) or _fallback(source, module, error)
    graph.notes.append("frontend: torch.export")
    return graph


def _again(source: Source, module: nn.Module, error: Exception) -> Graph | None:
    """Trace under other circumstances; None where none helps."""
    attempts = _FOR_DATA if is_data_dependent(error) else _FOR_ANYTHING
    for context, note in attempts:
        try:
            with context():
                graph = graph_from_program(export_module(module, source.inputs), module)
        except Exception:  # noqa: BLE001, S112  the first reason is the one to report
            continue
        graph.notes.append(f"frontend: torch.export, {note}")
        graph.keeps_everything = context is selecting_everything
        return graph
    return None


@contextlib.contextmanager
def _telling_nobody() -> Iterator[None]:
    """A forward that asks whether it is being traced hears that it is not."""
    with contextlib.ExitStack() as stack:
        for question in ("is_compiling", "is_dynamo_compiling", "is_exporting"):
            stack.enter_context(patch.object(torch.compiler, question, new=lambda: False))
        yield


_FOR_ANYTHING: tuple[tuple[Callable[[], AbstractContextManager[None]], str], ...] = (
    (_telling_nobody, "the forward not told that it is traced"),
)
_FOR_DATA: tuple[tuple[Callable[[], AbstractContextManager[None]], str], ...] = (
    (telling_constants, "with branches that constants decide"),
    (selecting_everything, "with selections by value (thresholds, nms) that keep everything"),
    *_FOR_ANYTHING,
)
"""What may help against an error, and the note that says so."""


def _fallback(source: Source, module: nn.Module, error: Exception) -> Graph:
    """Trace symbolically into straight-line code, and export that."""
    try:
        with tracing_mode(module):
            straight = _without_reads(fx.symbolic_trace(_sharing_copy(module)))
        program = export_module(straight, source.inputs)
    except Exception as second:  # noqa: BLE001  both reasons go into the message
        raise worded(source, module, error, second) from error
    graph = graph_from_program(program, module)
    graph.frontend = "torch.fx"
    graph.notes.append(f"frontend: torch.fx symbolic_trace, because torch.export failed: {first_line(error)}")
    return graph


def _without_reads(module: fx.GraphModule) -> fx.GraphModule:
    """Drop what only records numbers, such as ``self.seen.append(x.numpy())``: no graph depends on it."""

    def needed(node: fx.Node) -> bool:
        return node.op != "call_method" or node.target not in _READS

    module.graph.eliminate_dead_code(is_impure_node=needed)
    module.recompile()
    return module


def _sharing_copy(module: nn.Module) -> nn.Module:
    """A copy with the same tensors: a forward that is traced symbolically may leave proxies in attributes."""
    shared: dict[int, Tensor] = {id(t): t for t in (*module.parameters(), *module.buffers())}
    return copy.deepcopy(module, shared)
