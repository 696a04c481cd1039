"""Frontends that plugins register are asked before the built-in one."""

from itertools import pairwise

import pytest
import torch
from torch import nn

import wsgraph
from wsgraph.errors import PluginError, SourceError
from wsgraph.frontends.opening import open_model
from wsgraph.frontends.source import open_source
from wsgraph.lowering.plugins import BUILTIN_PLUGINS, load_plugins
from wsgraph.lowering.registry import Registry


def sizes_frontend(source, *, inputs, arch, allow):
    """A model source of its own kind: layer sizes as text, such as ``sizes:2-3-1``."""
    assert (arch, allow) == (None, ())
    if not (isinstance(source, str) and source.startswith("sizes:")):
        return None
    sizes = [int(size) for size in source.removeprefix("sizes:").split("-")]
    layers = [nn.Linear(n_src, n_dst) for n_src, n_dst in pairwise(sizes)]
    return open_source(nn.Sequential(*layers), inputs=inputs)


@pytest.fixture
def registry(monkeypatch):
    registry = load_plugins(BUILTIN_PLUGINS).registry()
    monkeypatch.setattr("wsgraph.compiler.load_registry", lambda: registry)
    return registry


def test_a_registered_frontend_opens_its_kind_of_source(registry):
    registry.frontends.add("sizes", sizes_frontend, "layers-plugin")
    stream = wsgraph.compile("sizes:2-3-1")
    assert [node.size for node in stream.node_blocks] == [2, 3, 1]
    assert stream.num_timestamps == 2


def test_other_sources_still_reach_the_built_in_frontend(registry, tmp_path):
    registry.frontends.add("sizes", sizes_frontend, "layers-plugin")
    torch.save(nn.Linear(2, 1).state_dict(), tmp_path / "net.pt")
    assert wsgraph.compile(nn.Linear(4, 2), "1x4").num_nodes == 6
    with pytest.raises(SourceError, match="there is no file"):
        wsgraph.compile("other:2-3-1")


def test_the_first_frontend_that_knows_the_source_opens_it():
    asked = []

    def declining(source, **_):
        asked.append(source)

    registry = Registry()
    registry.frontends.add("declining", declining, "a")
    registry.frontends.add("sizes", lambda *_, **__: open_source(nn.Linear(3, 1), inputs="1x3"), "b")
    registry.frontends.add("late", pytest.fail, "c")
    opened = open_model("anything", registry, inputs=None, arch=None, allow=())
    assert asked == ["anything"]
    assert opened.inputs[0].shape == (1, 3)


def test_a_frontend_that_returns_no_source_is_named():
    registry = Registry()
    registry.frontends.add("sizes", lambda *_, **__: nn.Linear(3, 1), "layers-plugin")
    with pytest.raises(PluginError, match=r"'sizes' of the plugin layers-plugin returns a Linear"):
        open_model("anything", registry)
