"""Small zoos with a label that is a known function of the weights."""

import pytest
import torch
from torch import nn

import wsgraph
from wsgraph.zoo import ModelRecord, ZooWriter


def mlp(hidden):
    return nn.Sequential(nn.Linear(3, hidden), nn.ReLU(), nn.Linear(hidden, 2))


def weights(module, scale, seed):
    draw = torch.Generator().manual_seed(seed)
    return {k: scale * torch.randn(v.shape, generator=draw) for k, v in module.state_dict().items()}


def build_zoo(path, count, hiddens=(5,), splits=True):
    """Accuracy is the scale of the weights, between 0.1 and 0.9; the class says which half."""
    structures = {hidden: wsgraph.compile(mlp(hidden), "1x3").structure for hidden in hiddens}
    with ZooWriter(path, {"command": "test"}) as writer:
        for number in range(count):
            hidden = hiddens[number % len(hiddens)]
            accuracy = 0.1 + 0.8 * ((number * 7) % count) / count
            split = None if not splits else ("test", "val", "train", "train", "train")[number % 5]
            labels = {
                "test_accuracy": accuracy,
                "half": "high" if accuracy > 0.5 else "low",
                "margin": 40 * accuracy - 7,
                "config.epochs": number % 3,
            }
            record = ModelRecord(f"m{number:03d}", "test", None, split, labels)
            writer.add(record, structures[hidden], weights(mlp(hidden), accuracy, number))
    return path


@pytest.fixture(scope="session")
def one_architecture(tmp_path_factory):
    return build_zoo(tmp_path_factory.mktemp("zoo") / "one", 40)


@pytest.fixture(scope="session")
def two_architectures(tmp_path_factory):
    return build_zoo(tmp_path_factory.mktemp("zoo") / "two", 40, hiddens=(4, 7))


@pytest.fixture
def make_zoo(tmp_path):
    """Make a zoo of your own: count, and the arguments of ``build_zoo``."""
    return lambda count, **how: build_zoo(tmp_path / "zoo", count, **how)


@pytest.fixture
def make_model():
    """A network as in the zoos: hidden width, scale of the weights, seed."""

    def make(hidden, scale, seed):
        module = mlp(hidden)
        module.load_state_dict(weights(module, scale, seed))
        return module

    return make
