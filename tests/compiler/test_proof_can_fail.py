"""The influence test fails where the wiring is wrong: wrong lowerings of an operator of our own."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.compiler.nets import Net
from wsgraph.events.blocks import Learned, Pattern
from wsgraph.lowering.plugins import load_registry
from wsgraph.lowering.registry import Registry
from wsgraph.testing import assert_wiring, check_wiring
from wsgraph.testing.differences import disturbs, touches


@torch.library.custom_op("wsgraph_proof::layer", mutates_args=())
def layer(input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:  # noqa: A002  torch's name
    return nn.functional.linear(input, weight, bias)


@layer.register_fake
def _(input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:  # noqa: A002, ARG001  torch's names
    return input.new_empty(*input.shape[:-1], weight.shape[0])


class Layer(nn.Module):
    def __init__(self, n: int = 6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n, n))
        self.bias = nn.Parameter(torch.randn(n))

    def forward(self, x: Tensor) -> Any:
        return layer(x, self.weight, self.bias)


def lower_right(op: Any, graph: Any) -> Any:
    sources = graph.sources(op.activation("input"), dim=-1)
    nodes = graph.add_nodes(op.param("weight").shape[0], bias=op.param("bias"))
    graph.add_edges(sources, nodes, op.param("weight"))
    return graph.output(sources, nodes, dim=-1)


def lower_with_permuted_sources(op: Any, graph: Any) -> Any:
    sources = graph.sources(op.activation("input"), dim=-1)
    nodes = graph.add_nodes(op.param("weight").shape[0], bias=op.param("bias"))
    graph.add_edges(replace(sources, ids=sources.ids.roll(1, dims=1)), nodes, op.param("weight"))
    return graph.output(sources, nodes, dim=-1)


def lower_with_transposed_weight(op: Any, graph: Any) -> Any:
    sources = graph.sources(op.activation("input"), dim=-1)
    nodes = graph.add_nodes(op.param("weight").shape[0], bias=op.param("bias"))
    graph.add_edges(sources, nodes, op.param("weight").apply(lambda t: t.t()))
    return graph.output(sources, nodes, dim=-1)


def lower_with_wrong_bias(op: Any, graph: Any) -> Any:
    sources = graph.sources(op.activation("input"), dim=-1)
    bias = op.param("bias")
    nodes = graph.add_nodes(op.param("weight").shape[0], bias=bias.from_elements(bias.elements().roll(1)))
    graph.add_edges(sources, nodes, op.param("weight"))
    return graph.output(sources, nodes, dim=-1)


def lower_with_permuted_outputs(op: Any, graph: Any) -> Any:
    out = lower_right(op, graph)
    return replace(out, axes=tuple(a.with_labels(a.labels.flip(-1)) for a in out.axes))


def lower_half_the_edges(op: Any, graph: Any) -> Any:
    """Two groups, where the operator joins everything with everything; the rest of the weight is dropped."""
    sources = graph.sources(op.activation("input"), dim=-1)
    weight = op.param("weight")
    n = weight.shape[0] // 2
    nodes = graph.add_nodes(2 * n, bias=op.param("bias"))
    index = weight.elements().view(2, n, 2, n)[[0, 1], :, [0, 1]].unsqueeze(-1)
    half = weight.from_elements(index)
    graph.add_edge_block(sources.ids[0], nodes, half, Pattern.GROUPED, half.shape)
    return graph.output(sources, nodes, dim=-1)


def lower_with_one_weight_for_all(op: Any, graph: Any) -> Any:
    sources = graph.sources(op.activation("input"), dim=-1)
    weight = op.param("weight")
    nodes = graph.add_nodes(weight.shape[0], bias=op.param("bias"))
    graph.add_edges(sources, nodes, weight.apply(lambda t: t[:1, :1]).expand(*weight.shape))
    return graph.output(sources, nodes, dim=-1)


def lower_as_elementwise(op: Any, graph: Any) -> Any:
    """What the field does with unknown operators: neurons stay what they are."""
    del graph
    return op.activation("input")


def lower_as_residual(op: Any, graph: Any) -> Any:
    """A learned edge from each neuron to the next, although neuron i reads them all."""
    x = op.activation("input")
    sources = graph.sources(x, dim=-1)
    nodes = graph.add_nodes(op.param("weight").shape[0], bias=op.param("bias"))
    graph.one_to_one(sources.ids[0], nodes, Learned("residual"))
    return graph.output(sources, nodes, dim=-1)


def lower_indexed_wrongly(op: Any, graph: Any) -> Any:
    sources = graph.sources(op.activation("input"), dim=-1)
    weight = op.param("weight")
    n = weight.shape[0]
    nodes = graph.add_nodes(n, bias=op.param("bias"))
    rows, columns = torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij")
    coo = torch.stack([rows.reshape(-1), columns.reshape(-1)])
    shape = (n * n, 1)
    graph.add_edge_block(sources.ids[0], nodes, weight.reshape(*shape), Pattern.INDEXED, shape, coo=coo)
    return graph.output(sources, nodes, dim=-1)


Registered = Callable[..., Registry]


@pytest.fixture
def registry() -> Registered:
    """``registry(function, key)``: the standard lowerings with one added or replaced."""

    def with_lowering(function: Any, key: str = "wsgraph_proof.layer") -> Registry:
        made = Registry()
        for entry in load_registry().lowerings:
            if entry.key != key:
                made.lowerings.add(entry.key, entry.function, entry.owner)
        made.lowerings.add(key, function, "test")
        return made

    return with_lowering


def test_a_right_lowering_passes(registry: Registered) -> None:
    report = assert_wiring(nn.Sequential(Layer(), Layer()), "1x6", registry=registry(lower_right))
    assert report.ok
    assert report.pairs == 6
    assert report.features == 6
    assert "0 faults" in str(report)


@pytest.mark.parametrize(
    ("lowering", "problem"),
    [
        (
            lower_with_permuted_sources,
            "still influences the destination when all parameters of the pair are zero",
        ),
        (lower_with_transposed_weight, "still influences"),
        (lower_indexed_wrongly, "still influences"),
        (lower_with_one_weight_for_all, "still influences"),
        (lower_with_permuted_outputs, "still influences"),
        (lower_with_wrong_bias, "the node's parameter does not change it"),
        (lower_half_the_edges, "influences elements that no edge leads to"),
        (lower_as_elementwise, "influences elements that no edge leads to"),
        (lower_as_residual, "influences elements that no edge leads to"),
    ],
)
def test_a_wrong_lowering_fails(registry: Registered, lowering: Any, problem: str) -> None:
    report = check_wiring(Layer(), "1x6", samples=4, registry=registry(lowering))
    assert not report.ok
    assert any(problem in fault.problem for fault in report.faults), str(report)


def test_the_failure_names_block_pair_and_scope(registry: Registered) -> None:
    model = nn.Sequential(nn.Linear(3, 6), Layer())
    with pytest.raises(
        AssertionError, match=r"fault: e1 \(wsgraph_proof.layer at 1\), n1\[\d\] -> n2\[\d\]: "
    ) as caught:
        assert_wiring(model, "1x3", samples=4, registry=registry(lower_with_permuted_sources))
    assert "e0" not in str(caught.value)


def test_a_residual_from_the_wrong_neurons_fails(registry: Registered) -> None:
    def lower_rolled_sum(op: Any, graph: Any) -> Any:
        left, right = op.activation("self"), op.activation("other")
        rolled = replace(right, axes=tuple(a.with_labels(a.labels.roll(1, -1)) for a in right.axes))
        return graph.combine(left, rolled, "sum")

    model = Net(lambda s, x: s.a(x) + x, a=nn.Linear(4, 4))
    report = check_wiring(model, "1x4", registry=registry(lower_rolled_sum, "aten.add"))
    problems = {fault.problem for fault in report.faults}
    assert "a learned edge joins neurons of which the first has no influence on the second" in problems
    assert "a neuron influences elements that no edge leads to" in problems


def test_keys_of_the_wrong_head_fail(registry: Registered) -> None:
    def lower_swapped_heads(op: Any, graph: Any) -> Any:
        q, k, v = (op.activation(name) for name in ("query", "key", "value"))
        k = replace(k, axes=tuple(a.with_labels(a.labels.flip(1)) for a in k.axes))
        turned = tuple(a.with_labels(a.labels.transpose(-1, -2)) for a in k.axes)
        logits = graph.matmul(q, replace(k, shape=(1, 2, 4, 5), axes=turned), (1, 2, 5, 5))
        return graph.matmul(logits, v, (1, 2, 5, 4))

    def forward(s: Net, x: Tensor) -> Any:
        q, k, v = (m(x).view(1, 5, 2, 4).transpose(1, 2) for m in (s.q, s.k, s.v))
        return nn.functional.scaled_dot_product_attention(q, k, v)

    model = Net(forward, **{name: nn.Linear(6, 8) for name in "qkv"})
    key = "aten.scaled_dot_product_attention"
    report = check_wiring(model, "1x5x6", registry=registry(lower_swapped_heads, key))
    assert "a neuron influences another head's nodes" in {fault.problem for fault in report.faults}


def test_rounding_and_nan_are_no_influence() -> None:
    before = torch.tensor([1.0, 2.0, float("nan")], dtype=torch.float64)
    everywhere = [torch.ones(3, dtype=torch.bool)]
    rounded = before * (1 + 4e-16)
    assert touches([before], [rounded], everywhere)
    assert not disturbs([before], [rounded], everywhere)
    assert disturbs([before], [before + 1e-9], everywhere)
    assert disturbs([before], [torch.zeros_like(before)], [torch.tensor([False, False, True])])
    assert not touches([before], [before.clone()], everywhere)
