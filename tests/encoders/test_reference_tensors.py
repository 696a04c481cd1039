"""The paper's released encoder, tensor by tensor (``../shared/reference``)."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import wsgraph
from tests.encoders.networks import mlp
from wsgraph_encoders import DNGEncoder, collate
from wsgraph_encoders.errors import EncoderError

FOUND = [folder for p in Path(__file__).parents if (folder := p / "shared" / "reference").is_dir()]
FOLDER = FOUND[0] if FOUND else Path()
pytestmark = pytest.mark.skipif(
    not FOUND, reason="the reference tensors lie in a folder beside the repository"
)

Tensors = dict[str, Tensor]


class Pooled(nn.Module):
    """conv 1→4→6, pooling, a dense layer to 5."""

    def __init__(self, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(1, 4, 3), nn.Conv2d(4, 6, 3), nn.Linear(6, 5)])
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:2]:
            x = self.activation(layer(x))
        return self.layers[2](x.mean((2, 3)))


def load(name: str) -> tuple[Tensors, Tensors]:
    """A file's tensors, and the encoder's parameters among them."""
    tensors = load_file(FOLDER / f"{name}.safetensors")
    return tensors, {k.removeprefix("param."): v for k, v in tensors.items() if k.startswith("param.")}


def bound(
    structure: wsgraph.EventStream, tensors: Tensors, row: int, key: Callable[[int], str]
) -> wsgraph.EventStream:
    """The network of one row of the file."""
    parts = ("weight", "bias")
    return structure.bind({f"{key(n)}.{p}": tensors[f"input.{p}.{n}"][row] for n in range(3) for p in parts})


def assert_near(got: Tensor, expected: Tensor) -> None:
    assert got.shape == expected.shape
    assert (got - expected).norm() <= 1e-5 * expected.norm()


def mlp_case(name: str) -> tuple[Tensors, Tensors, list[wsgraph.EventStream]]:
    tensors, parameters = load(name)
    structure = wsgraph.compile(mlp(2, 5, 7, 3), "1x2")
    return tensors, parameters, [bound(structure, tensors, row, lambda n: str(2 * n)) for row in range(2)]


def cnn_case() -> tuple[Tensors, Tensors, list[wsgraph.EventStream]]:
    tensors, parameters = load("cnn_encoder")
    activations = (torch.relu, torch.tanh)
    models = [Pooled(activations[int(a)]) for a in tensors["input.activation"]]
    streams = [wsgraph.compile(model, "1x1x8x8") for model in models]
    return (
        tensors,
        parameters,
        [bound(s, tensors, row, lambda n: f"layers.{n}") for row, s in enumerate(streams)],
    )


@pytest.mark.parametrize("message", ["spectral", "reference"])
@pytest.mark.parametrize("name", ["mlp_encoder", "mlp_encoder_two_passes", "cnn_encoder"])
def test_published_encoders(name: str, message: str) -> None:
    from wsgraph_encoders.messages import message_function

    tensors, parameters, streams = cnn_case() if name == "cnn_encoder" else mlp_case(name)
    encoder = DNGEncoder.from_published(parameters, streams[0])
    encoder.message = message_function(message)
    out = encoder(collate(streams))
    assert_near(out.embedding, tensors["output"])
    for row in range(2):
        for layer in range(3):
            expected = tensors[f"memory.{encoder.config.passes - 1}.{layer}"][row]
            assert_near(out.memories[row][layer + 1], expected)


def test_the_first_of_two_passes_is_a_pass_of_its_own() -> None:
    tensors, parameters, streams = mlp_case("mlp_encoder_two_passes")
    first = {name: tensor for name, tensor in parameters.items() if "_1_" not in name and "rnn_1" not in name}
    out = DNGEncoder.from_published(first, streams[0])(collate(streams))
    for row in range(2):
        for layer in range(3):
            assert_near(out.memories[row][layer + 1], tensors[f"memory.0.{layer}"][row])


def test_a_checkpoint_for_another_architecture_is_refused() -> None:
    _, parameters, _ = mlp_case("mlp_encoder")
    with pytest.raises(EncoderError, match="does not fit a stream of 2 timestamps"):
        DNGEncoder.from_published(parameters, wsgraph.compile(mlp(2, 5, 3), "1x2"))
    with pytest.raises(EncoderError, match="no checkpoint of a published encoder"):
        DNGEncoder.from_published({"weight": torch.zeros(2)}, wsgraph.compile(mlp(2, 5, 3), "1x2"))
