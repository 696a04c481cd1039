"""Small networks written as functions, and a stream's blocks as short lines of text."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

import wsgraph
from wsgraph.events.text import feature_text, node_view_text
from wsgraph.verification.report import Verification


class Net(nn.Module):
    """A module whose forward is ``function(self, *inputs)``; keyword arguments are its parts."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, function: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(self, *inputs)


def param(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(shape))


def over_neurons(function: Callable[..., Any], **parts: Any) -> Net:
    """A network of the six neurons of a first layer."""
    return Net(lambda s, x: function(s, s.first(x)), first=nn.Linear(4, 6), **parts)


def checked(model: nn.Module, x: Tensor | None = None) -> tuple[wsgraph.EventStream, Verification]:
    """The stream of a model with other weights, and what is proved of it; x defaults to four inputs."""
    torch.manual_seed(0)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            nn.init.uniform_(tensor, 0.2, 1)
    x = torch.rand(1, 4) if x is None else x
    stream = wsgraph.compile(model.eval(), x)
    return stream, wsgraph.verify(stream, model, x, samples=30)


def verified(model: nn.Module, x: Tensor | None = None) -> wsgraph.EventStream:
    """The stream of a model of which everything holds; see :func:`checked`."""
    stream, report = checked(model, x)
    assert report.ok, report
    return stream


def two_layers(join: Callable[[Net, Tensor, Tensor], Any]) -> Net:
    """Two layers of one input ``[batch, 6]``, joined with each other and with parameters w, v and u."""
    parts = {"a": nn.Linear(6, 8), "b": nn.Linear(6, 8), "w": param(8), "v": param(8, 8), "u": param(3, 8, 8)}
    return Net(lambda s, x: join(s, s.a(x), s.b(x)), **parts)


def nodes(stream: wsgraph.EventStream) -> list[str]:
    """``n1 t1 hidden 4`` for each node block."""
    return [f"n{n.id} t{n.t} {n.attrs['role']} {n.size}" for n in stream.node_blocks]


def edges(stream: wsgraph.EventStream) -> list[str]:
    """``n0 -> n1 dense 4x3x1 a.weight`` for each edge block, learned features by their tag."""
    lines = []
    for e in stream.edge_blocks:
        feature = feature_text(e.feature).partition("[")[0]
        size = "x".join(map(str, e.shape))
        lines.append(f"{node_view_text(e.src, stream.structure)} -> n{e.dst} {e.pattern} {size} {feature}")
    return lines


def roles(stream: wsgraph.EventStream) -> list[tuple[int, str, int]]:
    """Time, role and size of each node block."""
    return [(n.t, str(n.attrs["role"]), n.size) for n in stream.node_blocks]
