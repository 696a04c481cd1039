"""The main frontend: torch.export, and the IR from its result (DESIGN section 3)."""

from __future__ import annotations

import contextlib
import warnings
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import torch
import torch.fx.config
from torch import Tensor, nn
from torch.export.graph_signature import InputKind
from torch.fx._lazy_graph_module import _use_lazy_graph_module

from wsgraph.frontends.convert import convert_body
from wsgraph.frontends.meta import without_meta
from wsgraph.frontends.quiet import quiet_torch
from wsgraph.ir.graph import Graph, Value, ValueKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch.export import ExportedProgram

__all__ = ["export_module", "graph_from_program", "tracing_mode"]

_WITHOUT_TRACES = "do_not_emit_stack_traces"


@contextlib.contextmanager
def tracing_mode(module: nn.Module) -> Iterator[None]:
    """Evaluation mode, no gradients, and no fused fast path, restored afterwards.

    ``nn.MultiheadAttention`` and ``nn.TransformerEncoderLayer`` have a fused path that hides their
    operators; it is switched off. So are transformers' key-value caches, which are no tensors.
    """
    training = {m: m.training for m in module.modules()}
    configs = _caching_configs(module)
    fastpath = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    module.eval()
    for config in configs:
        config.use_cache = False
    try:
        with torch.no_grad():
            yield
    finally:
        for config in configs:
            config.use_cache = True
        torch.backends.mha.set_fastpath_enabled(fastpath)
        for m, flag in training.items():
            m.training = flag


def _caching_configs(module: nn.Module) -> list[Any]:
    """The configurations of transformers' modules that ask for a cache, each once."""
    found = {id(c): c for m in module.modules() if (c := getattr(m, "config", None)) is not None}
    return [c for c in found.values() if getattr(c, "use_cache", False) is True]


def export_module(module: nn.Module, inputs: tuple[Tensor, ...]) -> ExportedProgram:
    """``torch.export.export`` on the module as it stands; its arithmetic is not run.

    Raises:
        Exception: whatever torch.export raises; the caller words it.
    """
    with tracing_mode(module), quiet_torch(), warnings.catch_warnings():
        # Recurrent layers keep a list of their weights, which torch takes for new attributes.
        warnings.filterwarnings("ignore", "The tensor attribute", UserWarning)
        with without_meta(module, inputs) as examples, _graphs_alone():
            return torch.export.export(module, examples, strict=False)


class _GradientsStayOff(torch.set_grad_enabled):
    """``torch.set_grad_enabled``, and so ``torch.no_grad``, where gradients are off anyway."""

    def __init__(self, mode: bool) -> None:
        self.mode, self.prev = mode, False

    def __enter__(self) -> None:
        return

    def __exit__(self, *_: object) -> None:
        return


@contextlib.contextmanager
def _graphs_alone() -> Iterator[None]:
    """torch.export without what nothing here reads.

    Each pass's graph as Python, each node's stack trace, and switches of gradients: torch.export makes a
    graph of its own of what is between two of them, and puts it back.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(patch.object(torch, "set_grad_enabled", new=_GradientsStayOff))
        stack.enter_context(_use_lazy_graph_module(should_use=True))
        if hasattr(torch.fx.config, _WITHOUT_TRACES):  # torch >= 2.12
            stack.enter_context(patch.object(torch.fx.config, _WITHOUT_TRACES, new=True))
        yield


def graph_from_program(program: ExportedProgram, module: nn.Module | None = None) -> Graph:
    """The IR of an exported program.

    Args:
        program: torch.export's result.
        module: the module it came from, if there is one: it knows which names share storage.
    """
    graph = Graph(frontend="torch.export")
    tensors = _declare_tensors(graph, program)
    _declare_unused(graph, module)
    placeholders: dict[str, Value] = {}
    examples = {n.name: n.meta.get("val") for n in program.graph.find_nodes(op="placeholder")}
    for spec in program.graph_signature.input_specs:
        name = spec.arg.name
        example = examples[name]
        if not isinstance(example, Tensor):
            continue
        if spec.kind is InputKind.USER_INPUT:
            placeholders[name] = _input(graph, name, example)
        elif spec.target is not None and spec.target in tensors:
            placeholders[name] = tensors[spec.target]
        else:
            target = str(spec.target or name)
            constant = program.constants.get(target)
            placeholders[name] = graph.tensors[target] = _tensor(
                target, example, ValueKind.CONSTANT, _real(constant)
            )
    _record_ties(graph, program, module)
    convert_body(graph, program.graph_module, placeholders)
    graph.verify()
    return graph


def _declare_tensors(graph: Graph, program: ExportedProgram) -> dict[str, Value]:
    """Parameters and buffers, those that the forward never reads included."""
    signature = program.graph_signature
    parameters, buffers = set(signature.parameters), set(signature.buffers)
    unsaved = set(signature.non_persistent_buffers)
    tensors = {**program.state_dict}
    for name in signature.non_persistent_buffers:
        if name in program.constants:
            tensors[name] = program.constants[name]
    for name, tensor in tensors.items():
        kind = ValueKind.PARAMETER
        if name in unsaved:
            kind = ValueKind.CONSTANT  # the state dict does not have it
        elif name in buffers or (name not in parameters and not isinstance(tensor, nn.Parameter)):
            kind = ValueKind.BUFFER
        data = None if kind is ValueKind.PARAMETER else _real(tensor)
        graph.tensors[name] = _tensor(name, tensor, kind, data)
    return graph.tensors


def _declare_unused(graph: Graph, module: nn.Module | None) -> None:
    """The module's tensors that the program does not have: torch.fx drops those that nothing reads."""
    if module is None:
        return
    for name, parameter in module.named_parameters():
        graph.tensors.setdefault(name, _tensor(name, parameter, ValueKind.PARAMETER, None))
    persistent = module.state_dict().keys()
    for name, buffer in module.named_buffers():
        if name in persistent:
            graph.tensors.setdefault(name, _tensor(name, buffer, ValueKind.BUFFER, _real(buffer)))


def _record_ties(graph: Graph, program: ExportedProgram, module: nn.Module | None) -> None:
    """Names that share one tensor: the first in the state dict's order is the canonical one."""
    named: list[tuple[str, Tensor]] = [*program.state_dict.items()]
    if module is not None:
        named = [*module.named_parameters(remove_duplicate=False)]
        named += module.named_buffers(remove_duplicate=False)
    first: dict[object, str] = {}
    for name, tensor in named:
        canonical = first.setdefault(_identity(tensor), name)
        if canonical != name and canonical in graph.tensors:
            graph.ties[name] = canonical
            original = graph.tensors[canonical]
            graph.tensors.setdefault(name, _tensor(name, tensor, original.kind, original.data))


def _identity(tensor: Tensor) -> object:
    """Equal for tensors that are the same elements of one storage."""
    real = _real(tensor)
    if real is None or not real.numel():
        return id(tensor)
    return real.data_ptr(), real.dtype, tuple(real.shape), real.stride()


def _input(graph: Graph, name: str, example: Tensor) -> Value:
    value = _tensor(name, example, ValueKind.INPUT, None)
    graph.inputs.append(value)
    return value


def _tensor(name: str, tensor: Tensor, kind: ValueKind, data: Tensor | None) -> Value:
    return Value(name, tuple(int(s) for s in tensor.shape), tensor.dtype, kind, data)


def _real(tensor: Any) -> Tensor | None:
    """The tensor if its values are at hand: not on meta, not fake."""
    if not isinstance(tensor, Tensor) or tensor.is_meta:
        return None
    if isinstance(tensor, torch._subclasses.FakeTensor):  # noqa: SLF001  torch has no public name for it
        return None
    return tensor.detach()
