"""Exports to networkx, PyTorch Geometric and polars: each scalar where it belongs."""

import sys

import polars as pl
import pytest
import torch

from tests.events_samples import SAMPLES, grouped, mlp, residual
from wsgraph.errors import MissingDependencyError
from wsgraph.events.scalar_edges import scalar_edges

# Importing PyTorch Geometric uses torch.jit.script, which torch has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")


def played(stream, edges):
    """The network's forward pass at one point, edge by edge: Eq. 3 played by hand."""
    offsets = [0, 2, 34, 66]
    value = torch.zeros(67, dtype=torch.float64)
    value[:2] = torch.tensor([0.3, -0.7])
    for layer in (1, 2, 3):
        total = stream.feature(stream.node_blocks[layer].features["bias"]).double().clone()
        for t, src, dst, weight in edges:
            if t == layer:
                total[dst - offsets[layer]] += weight * value[src]
        value[offsets[layer] : offsets[layer] + len(total)] = total if layer == 3 else total.sin()
    return value[66]


def expected_output(stream):
    weights = {name: tensor.double() for name, tensor in stream.state_dict().items()}
    x = torch.tensor([0.3, -0.7], dtype=torch.float64)
    for layer in (0, 2, 4):
        x = weights[f"net.{layer}.weight"] @ x + weights[f"net.{layer}.bias"]
        x = x if layer == 4 else x.sin()
    return x[0]


def test_networkx_computes_what_the_network_computes():
    stream = mlp()
    graph = stream.to_networkx()
    assert (graph.number_of_nodes(), graph.number_of_edges()) == (67, 1120)
    edges = [(data["t"], src, dst, data["value"]) for src, dst, data in graph.edges(data=True)]
    torch.testing.assert_close(played(stream, edges), expected_output(stream))
    bias = stream.state_dict()["net.0.bias"]
    assert graph.nodes[4] == {
        "block": 1, "index": 2, "t": 1, "role": "hidden", "scope": "net.0", "bias": bias[2].item(),
    }  # fmt: skip


def test_temporal_data_computes_what_the_network_computes():
    stream = mlp()
    data = stream.to_pyg()
    edges = zip(data.t.tolist(), data.src.tolist(), data.dst.tolist(), data.msg.double()[:, 0], strict=True)
    torch.testing.assert_close(played(stream, list(edges)), expected_output(stream))
    assert data.t.tolist() == sorted(data.t.tolist())


def test_edge_table_computes_what_the_network_computes():
    stream = mlp()
    table = pl.concat(stream.to_table(edges=True))
    edges = list(table.select("t", "src", "dst", "value").iter_rows())
    torch.testing.assert_close(played(stream, edges), expected_output(stream))


def test_a_snapshot_as_a_graph():
    graph = mlp().to_networkx(t=2)
    assert (graph.number_of_nodes(), graph.number_of_edges()) == (64, 1024)
    assert {data["block"] for _, data in graph.nodes(data=True)} == {1, 2}


def test_learned_edges_are_marked():
    stream = residual()
    learned = [data for _, _, data in stream.to_networkx().edges(data=True) if "learned" in data]
    assert [(data["learned"], data["value"]) for data in learned] == [("residual", 2.0)] * 4
    assert int(stream.to_pyg().learned.sum()) == 4
    table = pl.concat(stream.to_table(edges=True))
    assert table.filter(pl.col("learned") == "residual").height == 4


def test_grouped_gathered_and_indexed_edges():
    stream = grouped()
    weights = stream.state_dict()
    graph = stream.to_networkx()
    conv = weights["conv.weight"]
    for channel in range(6):
        for source in range(4):
            inside = channel // 3 == source // 2
            found = graph.get_edge_data(source, 4 + channel, default={})
            values = {data["parallel"]: data["value"] for data in found.values()}
            expected = conv[channel, source % 2].tolist() if inside else []
            assert values == dict(enumerate(expected))
    sparse = weights["sparse"].tolist()
    coo = {(0, 10): sparse[4], (1, 10): sparse[0], (9, 11): 0.0, (3, 12): sparse[2]}
    assert {edge: graph.edges[*edge, 0]["value"] for edge in coo} == coo
    assert graph.edges[9, 13, 0]["value"] == weights["last"].reshape(-1)[0]
    assert graph.edges[4, 13, 0]["value"] == weights["last"].reshape(-1)[4]


@pytest.mark.parametrize("name", SAMPLES)
def test_chunks_are_bounded_and_change_nothing(name):
    stream = SAMPLES[name]()
    whole = list(scalar_edges(stream, stream.edge_blocks))
    small = list(scalar_edges(stream, stream.edge_blocks, chunk=5))
    assert max(len(chunk.src) for chunk in small) <= 5
    for field in ("src", "dst", "parallel", "value"):
        joined = [torch.cat([getattr(chunk, field) for chunk in chunks]) for chunks in (whole, small)]
        assert torch.equal(*joined)


@pytest.mark.parametrize("name", SAMPLES)
def test_event_table_has_a_row_an_event(name):
    stream = SAMPLES[name]()
    table = stream.to_table()
    assert list(table.select("event", "block", "t").iter_rows()) == list(stream.events())
    added = table.filter(pl.col("event") == "+E")
    assert added["size"].sum() == stream.num_edges


def test_without_pytorch_geometric(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_geometric.data", None)
    with pytest.raises(MissingDependencyError, match="PyTorch Geometric"):
        mlp().to_pyg()
