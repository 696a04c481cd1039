"""A network is encoded block by block: the same embedding, from few blocks of weights at a time."""

import weakref

import pytest
import torch
from torch import Tensor

import wsgraph
from tests.encoders.networks import NETWORKS, compiled, mlp, stream
from wsgraph.errors import CheckpointError, StructureError
from wsgraph_encoders import DNGConfig, DNGEncoder, collate, streaming
from wsgraph_encoders.streaming import encode_streamed
from wsgraph_encoders.transfer import Arrival

CONFIG = DNGConfig(frequencies=6, hidden=8)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("ahead", [1, 3])
def test_a_file_is_encoded_as_a_batch_is(name: str, ahead: int, tmp_path) -> None:
    torch.manual_seed(0)
    stream(name).save(tmp_path / "network.wsg")
    loaded = wsgraph.load(tmp_path / "network.wsg")
    encoder = DNGEncoder(DNGConfig(frequencies=6, hidden=8, passes=2))
    with torch.no_grad():
        expected = encoder(collate([loaded]), memories=False)
    found = encode_streamed(encoder, loaded, ahead=ahead)
    assert torch.equal(found.embedding, expected.embedding)
    assert found.memories[0].keys() == expected.memories[0].keys()


def test_few_blocks_of_weights_are_there_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks: list[weakref.ref[Tensor]] = []
    most = 0

    class Copying:
        """As a transfer to a device: each block is memory of its own."""

        def send(self, tensor: Tensor) -> Arrival:
            nonlocal most
            copy = tensor.clone()
            blocks.append(weakref.ref(copy))
            sizes = [block.numel() for ref in blocks if (block := ref()) is not None]
            most = max(most, sum(sizes))
            return Arrival(copy, None)

        def receive(self, arrival: Arrival) -> Tensor:
            return arrival.tensor

    monkeypatch.setattr(streaming, "transfer_to", lambda *_: Copying())
    deep = compiled(mlp(*[20] * 12), "1x20")
    encode_streamed(DNGEncoder(CONFIG), deep, ahead=2)
    assert len(blocks) > 11
    assert most <= 4 * (20 * 20) + 100


def test_what_cannot_be_encoded_is_said() -> None:
    encoder = DNGEncoder(CONFIG)
    state = {name: tensor.clone() for name, tensor in stream("mlp").state_dict().items()}
    state["2.weight"][1, 1] = torch.nan
    with pytest.raises(CheckpointError, match=r"2\.weight"):
        encode_streamed(encoder, stream("mlp").bind(state))
    with pytest.raises(StructureError, match="no weights"):
        encode_streamed(encoder, wsgraph.EventStream(stream("mlp").structure))
