"""What is sent to other processes, without any: checkpoints and models survive pickling."""

import pickle
import sys
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.encoding.zoos import make_zoo
from tests.zoo import layouts
from wsgraph.engines import LocalEngine
from wsgraph.events.save import save_stream
from wsgraph.zoo import ImportOptions, import_parts
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


@given(st.lists(st.integers(0, 40 << 20), max_size=30), st.integers(2, 9))
def test_parts_keep_all_checkpoints_in_order(sizes, most):
    checkpoints = [Checkpoint(str(n), Path(f"{n}/{size}"), lambda: None) for n, size in enumerate(sizes)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(import_parts, "_size", lambda source: int(source.name))
        parts = list(parts_of(checkpoints, most))
    assert [one for part in parts for one in part] == checkpoints
    assert all(0 < len(part) <= most for part in parts)
    for part in parts:  # without its last checkpoint, a part is below the limit
        assert sum(int(one.source.name) for one in part[:-1]) < 32 << 20


@pytest.mark.parametrize("command", [("zoo", "import", "dws-inrs", "src"), ("encode", "zoo", "--untrained")])
def test_without_ray_the_engine_names_the_extra(run, tmp_path, monkeypatch, command):
    layouts.dws_fashion(tmp_path / "src")
    make_zoo(tmp_path / "zoo", (1, 0))
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.data", None)
    code, out, err = run(*command, "-o", "out.parquet", "--engine", "ray")
    assert (code, out) == (1, "")
    assert "wsgraph[ray]" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_keep_the_order_and_raise_what_is_raised(threads):
    def half(items):
        time.sleep(0.02 / (1 + items[0]))
        return [12 // item for item in items]

    found = LocalEngine(threads).run(half, [[1], [2, 3], [0], [4]], str)
    assert [next(found), next(found)] == [[12], [6, 4]]
    with pytest.raises(ZeroDivisionError):
        next(found)


def test_reasons_are_kept():
    def read():
        raise KeyError("weight")

    assert CheckpointReader()([Checkpoint("one", None, read)]) == [Unreadable("KeyError: 'weight'")]
