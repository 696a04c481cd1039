"""Tracing a source: torch.export first, torch.fx's symbolic trace as the fallback, always saying which."""

from __future__ import annotations

from torch import fx, nn

from wsgraph.errors import FrontendError, InputShapeError
from wsgraph.frontends.source import Source
from wsgraph.frontends.torch_export import export_module, graph_from_program, tracing_mode
from wsgraph.ir.graph import Graph

__all__ = ["trace_source"]


def trace_source(source: Source) -> Graph:
    """The IR of a source.

    Raises:
        InputShapeError: the input does not fit the model.
        FrontendError: neither frontend can trace the model.
    """
    if source.program is not None:
        graph = graph_from_program(source.program, None)
        graph.notes.append("frontend: the exported program as it was given")
        return graph
    assert source.module is not None
    module = source.module
    try:
        program = export_module(module, source.inputs)
    except Exception as error:  # noqa: BLE001  torch.export raises errors of every kind; the fallback decides
        return _fallback(source, module, error)
    graph = graph_from_program(program, module)
    graph.notes.append("frontend: torch.export")
    return graph


def _fallback(source: Source, module: nn.Module, error: Exception) -> Graph:
    """Trace symbolically into straight-line code, and export that."""
    reason = _first_line(error)
    try:
        with tracing_mode(module):
            straight = fx.symbolic_trace(module)
        program = export_module(straight, source.inputs)
    except Exception as second:  # noqa: BLE001  both reasons are reported below
        raise _worded(source, error, second) from error
    graph = graph_from_program(program, straight)
    graph.frontend = "torch.fx"
    graph.notes.append(f"frontend: torch.fx symbolic_trace, because torch.export failed: {reason}")
    return graph


def _worded(source: Source, error: Exception, second: Exception) -> FrontendError:
    shapes = ", ".join("x".join(map(str, t.shape)) or "scalar" for t in source.inputs)
    text = str(error)
    if isinstance(second, fx.proxy.TraceError) or _depends_on_data(text):
        return FrontendError(
            f"the forward of {source.origin} depends on the data, so it has no fixed graph: {_first_line(error)}",
            remedy="rewrite the branch so that shapes alone decide it, or compile the part of the model "
            "that does not branch",
        )
    if isinstance(error, RuntimeError | TypeError | ValueError | IndexError | AssertionError):
        return InputShapeError(
            f"{source.origin} does not run on an input of {shapes}: {_first_line(error)}",
            remedy="give the shape that the model takes: --input 1x3x224x224 (one --input an argument)",
        )
    return FrontendError(
        f"{source.origin} cannot be traced: torch.export says {_first_line(error)}; torch.fx says "
        f"{_first_line(second)}",
        remedy="if the model is third-party code, compile the exported program that its authors provide",
    )


def _depends_on_data(text: str) -> bool:
    return any(
        sign in text
        for sign in ("data-dependent", "Data-dependent", "GuardOnDataDependentSymNode", "local_scalar_dense")
    )


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    name = type(error).__name__
    return f"{name}: {lines[0][:300]}" if lines else name


