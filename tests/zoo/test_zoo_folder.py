"""The zoo's folder: round trips, lazy reading, commits, locks, damaged files."""

import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
import torch
from torch import nn

import wsgraph
from tests.zoo import layouts
from wsgraph.errors import CheckpointError, FileFormatError, ZooError
from wsgraph.zoo import ModelRecord, ZooWriter, import_zoo, open_zoo


def mlp(hidden, seed):
    return layouts.seeded(seed, lambda: nn.Sequential(nn.Linear(3, hidden), nn.Tanh(), nn.Linear(hidden, 2)))


@pytest.fixture
def zoo(tmp_path):
    """Five models of two architectures, in the order a, b, a, b, a, over two commits."""
    streams = [wsgraph.compile(mlp((4, 6)[i % 2], i), inputs="1x3") for i in range(5)]
    for part in (range(3), range(3, 5)):
        with ZooWriter(tmp_path / "zoo") as writer:
            for i in part:
                record = ModelRecord(f"m{i}", "here", f"run{i // 2}", None, {"score": i / 2, "n": i})
                writer.add(record, streams[i].structure, streams[i].state_dict())
    return open_zoo(tmp_path / "zoo"), streams


def test_models_come_back_bit_for_bit(zoo):
    zoo, streams = zoo
    for i, expected in enumerate(streams):
        got = zoo.stream(f"m{i}")
        assert got.fingerprint == expected.fingerprint
        state = got.state_dict()
        assert all(torch.equal(state[name], value) for name, value in expected.state_dict().items())
    assert set(zoo.models["score"]) == {0.0, 0.5, 1.0, 1.5, 2.0}


def test_batches_are_stacked_views_of_one_architecture(zoo):
    zoo, streams = zoo
    seen = []
    for batch in zoo.batches(batch=2):
        assert {tuple(tensor.shape[:1]) for tensor in batch.weights.values()} == {(len(batch),)}
        for model, stream in zip(batch.ids, batch.streams(), strict=True):
            expected = streams[int(model[1:])].state_dict()
            assert torch.equal(stream.state_dict()["0.weight"], expected["0.weight"])
            seen.append(model)
    assert sorted(seen) == [f"m{i}" for i in range(5)]
    one = [stream for _, stream in zoo.streams(streams[1].fingerprint)]
    assert [stream.num_nodes for stream in one] == [11, 11]


@pytest.mark.parametrize("change", [lambda t: t.to(torch.complex128), lambda t: t.to("meta")])
def test_weights_that_no_file_holds_stop_nothing_else(zoo, change):
    zoo, streams = zoo
    state = dict(streams[0].state_dict())
    with ZooWriter(zoo.path) as writer:
        with pytest.raises(CheckpointError, match=r"0\.bias is torch\.\w+ on"):
            writer.add(
                ModelRecord("odd", "here"), streams[0].structure, state | {"0.bias": change(state["0.bias"])}
            )
        writer.add(ModelRecord("next", "here"), streams[0].structure, state)
    assert sorted(open_zoo(zoo.path).models["id"]) == ["m0", "m1", "m2", "m3", "m4", "next"]


def test_ids_may_come_in_any_order(zoo):
    zoo, streams = zoo
    got = dict(zoo.streams(["m4", "m1", "m0"], batch=8))
    assert set(got) == {"m0", "m1", "m4"}
    for name, stream in got.items():
        assert torch.equal(stream.state_dict()["2.bias"], streams[int(name[1:])].state_dict()["2.bias"])


def test_a_zoo_travels_to_other_processes(zoo):
    zoo, streams = zoo
    copy = pickle.loads(pickle.dumps(zoo))
    assert torch.equal(copy.stream("m3").state_dict()["0.bias"], streams[3].state_dict()["0.bias"])


def test_what_is_not_in_a_zoo_is_an_error(zoo, tmp_path):
    zoo, _ = zoo
    for call in (
        lambda: zoo.stream("m9"),
        lambda: zoo.structure("0" * 64),
        lambda: next(zoo.batches(batch=0)),
        lambda: open_zoo(tmp_path),
    ):
        with pytest.raises(ZooError):
            call()


def test_a_taken_id_and_other_shapes_are_refused(zoo):
    zoo, streams = zoo
    with ZooWriter(zoo.path) as writer:
        with pytest.raises(CheckpointError, match="m0"):
            writer.add(ModelRecord("m0", "x"), streams[0].structure, streams[0].state_dict())
        with pytest.raises(CheckpointError, match="another shape"):
            writer.add(ModelRecord("m9", "x"), streams[0].structure, streams[1].state_dict())
    assert len(open_zoo(zoo.path)) == 5


def test_readers_keep_what_they_opened_while_a_writer_adds(zoo):
    zoo, streams = zoo
    with ZooWriter(zoo.path) as writer:
        writer.add(ModelRecord("later", "x"), streams[0].structure, streams[0].state_dict())
        assert len(open_zoo(zoo.path)) == 5
        writer.commit()
        assert len(open_zoo(zoo.path)) == 6
        assert len(list(zoo.streams())) == 5


def test_only_one_process_writes(zoo):
    zoo, _ = zoo
    with ZooWriter(zoo.path), pytest.raises(ZooError, match="another process"), ZooWriter(zoo.path):
        pass


def test_a_shard_without_rows_is_not_part_of_the_zoo(zoo):
    """What a writer leaves that was killed between the shard and the table."""
    zoo, streams = zoo
    fingerprint = streams[0].fingerprint
    folder = zoo.path / "weights" / fingerprint
    (folder / "000000003.safetensors").write_bytes(b"half a shard")
    (folder / ".000000003.safetensors.99.tmp").write_bytes(b"less")
    (folder / ".tmp4mhOEX").write_bytes(b"what safetensors leaves when it is killed")
    assert len(list(open_zoo(zoo.path).streams(fingerprint))) == 3
    with ZooWriter(zoo.path) as writer:
        writer.add(ModelRecord("m5", "x"), streams[0].structure, streams[4].state_dict())
    got = open_zoo(zoo.path).stream("m5").state_dict()
    assert torch.equal(got["0.weight"], streams[4].state_dict()["0.weight"])
    assert not list(folder.glob(".*tmp*"))


def test_models_of_two_dtypes_share_an_architecture(zoo):
    zoo, streams = zoo
    half = {name: value.half() for name, value in streams[0].state_dict().items()}
    with ZooWriter(zoo.path) as writer:
        writer.add(ModelRecord("half", "x"), streams[0].structure, half)
        writer.add(ModelRecord("full", "x"), streams[0].structure, streams[0].state_dict())
    zoo = open_zoo(zoo.path)
    assert zoo.stream("half").state_dict()["0.weight"].dtype is torch.float16
    assert zoo.stream("full").state_dict()["0.weight"].dtype is torch.float32


def test_columns_may_differ_from_model_to_model(zoo):
    zoo, streams = zoo
    with ZooWriter(zoo.path) as writer:
        for name, labels in (("x", {"score": 3}), ("y", {"score": "high", "fingerprint": "mine"}), ("z", {})):
            writer.add(
                ModelRecord(name, "s", None, None, labels), streams[0].structure, streams[0].state_dict()
            )
            writer.commit()
    models = open_zoo(zoo.path).models
    assert models.filter(pl.col("id") == "y")["score"].item() == "high"
    assert models.filter(pl.col("id") == "y")["label.fingerprint"].item() == "mine"
    assert models.filter(pl.col("id") == "z")["score"].item() is None


def damage_manifest(path):
    (path / "zoo.json").write_text("{")


def damage_version(path):
    (path / "zoo.json").write_text(json.dumps({"format": "wsgraph-zoo", "version": 9, "history": []}))


def damage_table(path):
    (path / "models.parquet").write_bytes(b"PAR1 or not")


def damage_shard(path):
    next(path.glob("weights/*/*.safetensors")).write_bytes(b"\x00" * 20)


def lose_shard(path):
    for shard in path.glob("weights/*/*.safetensors"):
        shard.unlink()


def damage_structure(path):
    for structure in path.glob("structures/*"):
        structure.write_bytes(structure.read_bytes()[:-7])


@pytest.mark.parametrize(
    "damage", [damage_manifest, damage_version, damage_table, damage_shard, lose_shard, damage_structure]
)
def test_damage_is_an_error_that_names_the_file(zoo, damage):
    zoo, _ = zoo
    damage(zoo.path)
    with pytest.raises((ZooError, FileFormatError), match=str(zoo.path)):
        list(open_zoo(zoo.path).streams())


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "precious.txt").write_text("text")
    with pytest.raises(ZooError, match="no zoo"), ZooWriter(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


KILLED = """
import sys
import wsgraph.zoo.writer as writer
writer._COMMIT_MODELS = 7
from wsgraph.zoo import import_zoo
import_zoo("dws-inrs", sys.argv[1], sys.argv[2])
"""


def contents(zoo):
    return {path.relative_to(zoo): path.read_bytes() for path in zoo.rglob("*") if path.is_file()}


def names(zoo):
    """How many there are; files that are being written come and go."""
    return sum(1 for _ in zoo.rglob("*"))


def test_a_killed_import_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    """Killed twice at random moments, then finished: every file is that of a run in one go."""
    for i in range(60):
        path = tmp_path / "src" / f"mnist_png_training_{i % 10}_{i}" / "model.pth"
        path.parent.mkdir(parents=True)
        torch.save(layouts.siren_state(("seq.0", "seq.1", "seq.2"), seed=i), path)
    (tmp_path / "src" / "mnist_png_training_0_10" / "model.pth").write_bytes(b"damaged")
    monkeypatch.setattr("wsgraph.zoo.writer._COMMIT_MODELS", 7)
    report = import_zoo("dws-inrs", tmp_path / "src", tmp_path / "whole")
    assert (report.imported, list(report.failed)) == (59, ["mnist_png_training_0_10/model.pth"])
    killed = tmp_path / "killed"
    draw = random.Random(5)
    for _ in range(2):
        process = start_import(tmp_path / "src", killed)
        seen = names(killed)
        while process.poll() is None and names(killed) < seen + 2:
            time.sleep(0.002)
        time.sleep(draw.uniform(0, 0.03))
        process.send_signal(signal.SIGKILL)
        process.wait()
        if (killed / "zoo.json").is_file():
            list(open_zoo(killed).streams())  # readable at every moment
    import_zoo("dws-inrs", tmp_path / "src", killed)
    assert contents(killed) == contents(tmp_path / "whole")


def start_import(source, zoo):
    root = Path(__file__).parents[2]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, (root, root / "plugins", root / "encoders")))
    }
    return subprocess.Popen([sys.executable, "-c", KILLED, str(source), str(zoo)], env=environment)
