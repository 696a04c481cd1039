"""An operator that nobody lowers: an error that names it, or an opaque block that the ledger shows."""

import textwrap
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import wsgraph
from wsgraph.errors import UnsupportedOperatorError
from wsgraph.lowering.plugins import BUILTIN_PLUGINS, load_plugins
from wsgraph.lowering.registry import Registry
from wsgraph.testing import assert_ledger, assert_wiring


@torch.library.custom_op("wsgraph_unknown::layer", mutates_args=())
def unknown(input: Tensor, weight: Tensor) -> Tensor:  # noqa: A002  torch's name
    return input @ weight.t()


@unknown.register_fake
def _(input: Tensor, weight: Tensor) -> Tensor:  # noqa: A002  torch's name
    return input.new_empty(*input.shape[:-1], weight.shape[0])


class Unknown(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 5))

    def forward(self, x: Tensor) -> Any:
        return unknown(x, self.weight)


def model() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 5), nn.Sequential(nn.ReLU(), Unknown()), nn.Linear(4, 2))


def test_the_error_names_operator_and_place_and_shows_a_plugin() -> None:
    with pytest.raises(UnsupportedOperatorError) as caught:
        wsgraph.compile(model(), "1x3")
    assert "'wsgraph_unknown.layer'" in caught.value.message
    assert "at 1.1" in caught.value.message
    assert "def lower_wsgraph_unknown_layer(op, graph):" in caught.value.remedy
    assert "--unsupported opaque" in caught.value.remedy


def test_opaque_on_request() -> None:
    stream = assert_ledger(model(), "1x3", options=wsgraph.CompileOptions(unsupported="opaque"))
    ledger = stream.ledger()
    assert ledger.total("opaque") == 20
    assert ledger.total("lowered") == 15 + 5 + 8 + 2
    opaque = [n for n in stream.node_blocks if n.attrs.get("opaque")]
    assert 4 in [n.size for n in opaque]


def test_a_built_in_operator_without_a_lowering() -> None:
    class Spectrum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 4)

        def forward(self, x: Tensor) -> Any:
            return torch.linalg.svdvals(self.layer(x))  # made of others, not all of which are lowered

    with pytest.raises(UnsupportedOperatorError, match=r"aten\.linalg_svdvals"):
        wsgraph.compile(Spectrum(), "2x3")


def register_shown_plugin(registry: Registry, remedy: str) -> None:
    """Run the plugin that an error shows, as its reader would."""
    module: dict[str, Any] = {}
    exec(textwrap.dedent(remedy.partition(":\n\n")[2]), module)
    module["wsgraph_register_lowerings"](lambda key, lower: registry.lowerings.add(key, lower, "shown"))


def test_the_plugin_that_the_error_shows_works() -> None:
    registry = load_plugins(BUILTIN_PLUGINS).registry()
    with pytest.raises(UnsupportedOperatorError) as caught:
        wsgraph.compile(model(), "1x3")
    register_shown_plugin(registry, caught.value.remedy)
    assert_wiring(model(), "1x3", registry=registry)


def test_the_plugin_shown_for_an_operator_without_parameters_works() -> None:
    @torch.library.custom_op("wsgraph_unknown::mix", mutates_args=())
    def mix(x: Tensor) -> Tensor:
        return x.cumsum(-1).flip(-1)

    @mix.register_fake
    def _(x: Tensor) -> Tensor:
        return torch.empty_like(x)

    class Mix(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return mix(x)

    network = nn.Sequential(nn.Linear(3, 5), Mix(), nn.Linear(5, 2))
    registry = load_plugins(BUILTIN_PLUGINS).registry()
    with pytest.raises(UnsupportedOperatorError, match="between neurons") as caught:
        wsgraph.compile(network, "1x3")
    register_shown_plugin(registry, caught.value.remedy)
    assert_wiring(network, "1x3", registry=registry)
