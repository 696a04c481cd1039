"""The operator compiles, no parameter is lost, and its edges are where the influence is."""

from torch import nn

from wsgraph.testing import assert_ledger, assert_wiring
from wsgraph_plugin_example.ops import ScaledLinear


def test_scaled_linear_becomes_dense_edges() -> None:
    model = nn.Sequential(ScaledLinear(3, 5), nn.ReLU(), ScaledLinear(5, 2))
    assert_wiring(model, "1x3")
    stream = assert_ledger(model, "1x3")
    assert stream.num_timestamps == 2
    assert stream.num_nodes == 3 + 5 + 2
    assert stream.num_edges == 3 * 5 + 5 * 2
