"""What is sent to other processes, without any: checkpoints and models survive pickling."""

import pickle

import pytest
import torch

from tests.zoo import layouts
from wsgraph.events.save import save_stream
from wsgraph.zoo import ImportOptions
from wsgraph.zoo.checkpoint import Checkpoint
from wsgraph.zoo.import_parts import CheckpointReader, Unreadable, parts_of
from wsgraph.zoo.importing import zoo_format

LAYOUTS = {
    "small-cnn-zoo": layouts.small_cnn_zoo,
    "wild-park": layouts.wild_park,
    "nfn-sirens": layouts.nfn_sirens,
    "dws-inrs": layouts.dws_mnist,
    "small-transformer-zoo": layouts.small_transformer_zoo,
    "dng-vits": layouts.dng_vits,
    "model-zoos": layouts.model_zoos,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_checkpoint_that_was_sent_gives_the_same_model(layout, tmp_path):
    LAYOUTS[layout](tmp_path / "src")
    checkpoint = next(iter(zoo_format(layout)(tmp_path / "src", ImportOptions())))
    sent = pickle.loads(pickle.dumps(checkpoint))
    assert len(pickle.dumps(checkpoint)) < 10_000
    (here,), (there,) = (CheckpointReader()([one]) for one in (checkpoint, sent))
    back = pickle.loads(pickle.dumps(there))
    assert back.labels == here.labels
    assert back.model.digest == here.model.digest
    for name, model in (("here", here.model), ("back", back.model)):
        save_stream(tmp_path / name, model.structure, None)
    assert (tmp_path / "here").read_bytes() == (tmp_path / "back").read_bytes()
    assert list(back.model.tensors) == list(here.model.tensors)
    for name, tensor in here.model.tensors.items():
        assert torch.equal(back.model.tensors[name], tensor)
        assert back.model.tensors[name].dtype == tensor.dtype


def test_a_model_is_sent_without_the_storage_that_it_is_a_view_of(tmp_path):
    layouts.dws_fashion(tmp_path / "src")
    checkpoint = next(iter(zoo_format("dws-inrs")(tmp_path / "src", ImportOptions())))
    read = CheckpointReader()([checkpoint])[0]
    size = len(pickle.dumps(read))
    everything = torch.zeros(1_000_000)
    for name, tensor in read.model.tensors.items():
        view = everything[: tensor.numel()].view(tensor.shape)
        view.copy_(tensor)
        read.model.tensors[name] = view
    assert len(pickle.dumps(read)) < size + 1000


def test_a_process_has_one_reader_an_import():
    reader = CheckpointReader()
    one, same = (pickle.loads(pickle.dumps(reader)) for _ in range(2))
    assert one is same
    assert pickle.loads(pickle.dumps(CheckpointReader())) is not one


def test_parts_are_limited_in_number_and_bytes(tmp_path):
    def checkpoint(name, size):
        path = tmp_path / name
        if size is not None and not path.exists():
            with path.open("wb") as file:
                file.truncate(size)
        return Checkpoint(name, path, lambda: None)

    small = [checkpoint(f"small{number}", 10) for number in range(7)]
    large = [checkpoint("large", 40 << 20), checkpoint("huge", 1 << 30)]
    assert [len(part) for part in parts_of([*small, *large, small[0]], 4)] == [4, 4, 1, 1]
    assert [len(part) for part in parts_of([large[1]] * 9, 4)] == [1, 4, 4]  # one file of many models
    assert [len(part) for part in parts_of([checkpoint("nowhere", None)] * 3, 4)] == [3]
    assert [len(part) for part in parts_of(large, 1)] == [1, 1]
    assert list(parts_of([], 4)) == []


def test_reasons_are_kept():
    def read():
        raise KeyError("weight")

    assert CheckpointReader()([Checkpoint("one", None, read)]) == [Unreadable("KeyError: 'weight'")]
