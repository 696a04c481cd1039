"""The influence test fails where the wiring is wrong: wrong lowerings of an operator of our own."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from wsgraph.events.blocks import Learned, Pattern
from wsgraph.lowering.plugins import load_registry
from wsgraph.lowering.registry import Registry
from wsgraph.testing import assert_wiring, check_wiring


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


Registered = Callable[[Any], Registry]


@pytest.fixture
def registry() -> Registered:
    def with_lowering(function: Any) -> Registry:
        loaded = load_registry()
        made = Registry()
        for entry in loaded.lowerings:
            made.lowerings.add(entry.key, entry.function, entry.owner)
        made.lowerings.add("wsgraph_proof.layer", function, "test")
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
