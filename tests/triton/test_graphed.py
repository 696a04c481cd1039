"""CUDA graphs: what the encoder gives; refused where there is no GPU."""

import pytest
import torch

from tests.encoders.networks import stream
from tests.triton.cases import DEVICE, ON_GPU, relative
from wsgraph_encoders import DNGConfig, DNGEncoder, collate
from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.triton.graphed import GraphedEncoder


@pytest.mark.skipif(ON_GPU, reason="there is a GPU")
def test_without_a_gpu_it_is_refused() -> None:
    with pytest.raises(EncoderError, match="on cpu"):
        GraphedEncoder(DNGEncoder(DNGConfig(frequencies=3, hidden=4)), stream("mlp"))


@pytest.mark.skipif(not ON_GPU, reason="needs a GPU")
@pytest.mark.parametrize("name", ["mlp", "vit"])
def test_replays_encode_other_weights(name: str) -> None:
    torch.manual_seed(0)
    encoder = DNGEncoder(DNGConfig(frequencies=6, hidden=16)).to(DEVICE)
    network = stream(name)
    graphed = GraphedEncoder(encoder, network)
    for scale in (1.0, 0.7):
        state = {key: (scale * tensor).to(DEVICE) for key, tensor in network.state_dict().items()}
        with torch.no_grad():
            expected = encoder(collate([network.bind(state)])).embedding[0]
        assert relative(graphed(state), expected.cpu().double()) <= 1e-5
