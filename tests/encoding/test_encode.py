"""``wsgraph encode``: what is in the table, going on after a kill, damaged weights, bounded memory."""

import json
import os
import signal
import subprocess
import sys
import time

import polars as pl
import pytest
import torch
from torch import nn

import wsgraph
from tests.encoding.zoos import make_zoo
from wsgraph.errors import ZooError
from wsgraph.zoo import ModelRecord, ZooWriter, open_zoo
from wsgraph.zoo.layout import lock_zoo
from wsgraph.zoo.shards import ShardReader
from wsgraph_encoders import DNGConfig, DNGEncoder, collate
from wsgraph_encoders.encoding import EncoderChoice, encode_zoo, pieces

CHOICE = EncoderChoice(hidden=8)


@pytest.fixture
def zoo(tmp_path):
    return make_zoo(tmp_path / "zoo")


def read(path):
    return pl.read_parquet(path, memory_map=False)


def test_embeddings_are_the_encoders_own(zoo, tmp_path):
    report = encode_zoo(zoo, CHOICE, tmp_path / "e.parquet")
    assert (report.models, report.encoded, report.present, report.failed) == (8, 8, 0, {})
    table = read(tmp_path / "e.parquet")
    assert table["id"].to_list() == [f"a{i}" for i in range(5)] + [f"b{i}" for i in range(3)]
    assert table.schema["embedding"] == pl.Array(pl.Float32, 8)
    torch.manual_seed(0)
    encoder = DNGEncoder(DNGConfig(hidden=8)).eval()
    with torch.no_grad():
        expected = encoder(collate([open_zoo(zoo).stream(model) for model in table["id"]])).embedding
    torch.testing.assert_close(torch.tensor(table["embedding"].to_list()), expected, rtol=1e-4, atol=1e-5)
    assert table.columns[:6] == ["id", "fingerprint", "run", "split", "digest", "embedding"]
    assert table["test_accuracy"].to_list() == [0.0, 0.1, 0.2, 0.3, 0.4, 0.0, 0.1, 0.2]
    assert set(table["label.embedding"]) == {"a label of that name"}
    assert not (tmp_path / "e.parquet.pieces").exists()


def test_permuted_neurons_have_the_same_embedding(tmp_path):
    module = nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 2))
    order = torch.randperm(6, generator=torch.Generator().manual_seed(0))
    state = module.state_dict()
    other = {
        "0.weight": state["0.weight"][order],
        "0.bias": state["0.bias"][order],
        "2.weight": state["2.weight"][:, order],
        "2.bias": state["2.bias"],
    }
    structure = wsgraph.compile(module, "1x3").structure
    with ZooWriter(tmp_path / "zoo") as writer:
        for name, weights in (("one", state), ("other", other)):
            writer.add(ModelRecord(name, "drawn"), structure, weights)
    encode_zoo(tmp_path / "zoo", CHOICE, tmp_path / "e.parquet")
    first, second = torch.tensor(read(tmp_path / "e.parquet")["embedding"].to_list())
    assert first.std() > 0.01
    torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-5)


def test_seed_and_width_are_the_callers(zoo, tmp_path):
    tables = {}
    for name, choice in (("one", CHOICE), ("seed", EncoderChoice(hidden=8, seed=1)), ("again", CHOICE)):
        encode_zoo(zoo, choice, tmp_path / f"{name}.parquet")
        tables[name] = (tmp_path / f"{name}.parquet").read_bytes()
    assert tables["one"] == tables["again"] != tables["seed"]


def test_a_grown_zoo_costs_its_new_models_only(zoo, tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "_MODELS", 2)
    encode_zoo(zoo, CHOICE, tmp_path / "e.parquet")
    before = read(tmp_path / "e.parquet")
    make_zoo(zoo, counts=(3, 0), first=5)
    report = encode_zoo(zoo, CHOICE, tmp_path / "e.parquet")
    assert (report.encoded, report.present) == (3, 8)
    table = read(tmp_path / "e.parquet")
    assert table["id"].to_list() == [f"a{i}" for i in range(8)] + [f"b{i}" for i in range(3)]
    kept = table.filter(pl.col("id").is_in(before["id"].to_list()))
    assert kept["embedding"].to_list() == before["embedding"].to_list()
    assert encode_zoo(zoo, EncoderChoice(hidden=4), tmp_path / "e.parquet").encoded == 11


def test_new_weights_under_an_old_name_are_encoded_again(tmp_path):
    make_zoo(tmp_path / "one", (2, 0))
    encode_zoo(tmp_path / "one", CHOICE, tmp_path / "e.parquet")
    make_zoo(tmp_path / "two", (2, 0))
    table = read(tmp_path / "two" / "models.parquet")
    table.with_columns(id=pl.Series(["a1", "a0"])).write_parquet(tmp_path / "two" / "models.parquet")
    report = encode_zoo(tmp_path / "two", CHOICE, tmp_path / "e.parquet")
    assert (report.encoded, report.present) == (2, 0)


def test_a_damaged_shard_is_reported_and_stops_nothing_else(zoo, tmp_path, run):
    shard = next((zoo / "weights" / open_zoo(zoo).fingerprints[0]).iterdir())
    whole = shard.read_bytes()
    shard.write_bytes(whole[:50])
    code, out, err = run("encode", "zoo", "--untrained", "--hidden", "8", "-o", "e.parquet", "--json")
    assert code == 0
    report = json.loads(out)
    assert (report["encoded"], sorted(report["failed"])) == (3, [f"a{i}" for i in range(5)])
    assert shard.name in report["failed"]["a0"]
    assert "5 failed" in err
    assert "a0 and 4 more" in err
    assert read(tmp_path / "e.parquet")["id"].to_list() == ["b0", "b1", "b2"]
    shard.write_bytes(whole)
    code, out, _ = run("encode", "zoo", "--untrained", "--hidden", "8", "-o", "e.parquet")
    assert (code, out) == (0, "5 models encoded into e.parquet, 3 were there already, 0 failed\n")
    encode_zoo(zoo, CHOICE, tmp_path / "fresh.parquet")
    assert (tmp_path / "e.parquet").read_bytes() == (tmp_path / "fresh.parquet").read_bytes()


def test_a_damaged_structure_costs_its_own_models(zoo, tmp_path):
    fingerprint = open_zoo(zoo).fingerprints[1]
    (zoo / "structures" / f"{fingerprint}.wsg").write_bytes(b"damaged")
    report = encode_zoo(zoo, CHOICE, tmp_path / "e.parquet")
    assert (report.encoded, sorted(report.failed)) == (5, ["b0", "b1", "b2"])
    assert fingerprint in report.failed["b0"]


def test_a_weight_that_is_not_finite_fails_its_own_model(zoo, tmp_path):
    structure = open_zoo(zoo).stream("a0").structure
    weights = {name: torch.zeros(spec.shape) for name, spec in structure.tensors.items()}
    weights["0.bias"][1] = torch.nan
    with ZooWriter(zoo) as writer:
        writer.add(ModelRecord("broken", "drawn"), structure, weights)
    report = encode_zoo(zoo, CHOICE, tmp_path / "e.parquet")
    assert report.encoded == 8
    assert list(report.failed) == ["broken"]
    assert "0.bias" in report.failed["broken"]
    again = encode_zoo(zoo, CHOICE, tmp_path / "e.parquet")
    assert (again.encoded, again.present, list(again.failed)) == (0, 8, ["broken"])


def test_killed_at_any_moment_it_goes_on_and_ends_the_same(tmp_path):
    make_zoo(tmp_path / "zoo", (40, 20))
    script = (
        "import sys, time\n"
        "from wsgraph_encoders.encoding import EncoderChoice, encode_zoo, pieces, piece_encoder\n"
        "pieces._MODELS = 4\n"
        "encode = piece_encoder._embeddings\n"
        "def slowly(*args):\n"
        "    time.sleep(0.05)\n"
        "    return encode(*args)\n"
        "piece_encoder._embeddings = slowly\n"
        "print(encode_zoo('zoo', EncoderChoice(hidden=8), sys.argv[1]).present)\n"
    )
    command = [sys.executable, "-c", script]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    whole = [*command, "whole.parquet"]
    subprocess.run(whole, cwd=tmp_path, env=environment, check=True, capture_output=True)
    with subprocess.Popen([*command, "killed.parquet"], cwd=tmp_path, env=environment) as process:
        limit = time.monotonic() + 60
        while len(list(tmp_path.glob("killed.parquet.pieces/*/*.parquet"))) < 3:
            assert process.poll() is None
            assert time.monotonic() < limit
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "killed.parquet").exists()
    done = subprocess.run(
        [*command, "killed.parquet"],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    assert int(done.stdout) >= 12
    assert (tmp_path / "killed.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_memory_is_bounded_by_a_piece(tmp_path, monkeypatch):
    """No more rows are ever mapped at once than a batch has, and pieces follow the size of the models."""
    make_zoo(tmp_path / "zoo", (20, 0))
    stream = open_zoo(tmp_path / "zoo").stream("a0")
    size = pieces.model_bytes(stream.structure)
    assert size == 4 * (3 * 4 + 4 + 4 * 2 + 2)
    monkeypatch.setattr(pieces, "_BYTES", 6 * size)
    monkeypatch.setattr("wsgraph_encoders.encoding.piece_encoder._BATCH_BYTES", 4 * size)
    taken, take = [], ShardReader._take

    def counted(self, start, rows):
        taken.append(len(rows))
        return take(self, start, rows)

    monkeypatch.setattr(ShardReader, "_take", counted)
    encode_zoo(tmp_path / "zoo", CHOICE, tmp_path / "e.parquet")
    assert sorted(taken) == [2, 2, 2, 2, 4, 4, 4]


def test_the_table_does_not_depend_on_the_number_of_threads(zoo, tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "_MODELS", 2)
    before = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            encode_zoo(zoo, CHOICE, tmp_path / f"{threads}.parquet")
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "3.parquet").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("encode", "zoo", "-o", "e.parquet"), 2, "--untrained"),
        (("encode", "zoo", "--untrained", "--run", "run", "-o", "e.parquet"), 2, "--untrained"),
        (("encode", "zoo", "--untrained", "--method", "dng", "-o", "e.parquet"), 2, "--untrained"),
        (("encode", "zoo", "--untrained", "-o", "e.csv"), 2, "parquet"),
        (("encode", "nowhere", "--untrained", "-o", "e.parquet"), 1, "no zoo"),
        (("encode", "zoo", "--untrained", "-o", "e.parquet", "--map", "colour"), 1, "no column 'colour'"),
    ],
)
def test_what_goes_wrong_is_said_in_one_message(run, zoo, arguments, code, message):  # noqa: ARG001
    got, out, err = run(*arguments)
    assert (got, out) == (code, "")
    assert message in err
    assert "Traceback" not in err


def test_one_process_writes_a_table(zoo, tmp_path):
    (tmp_path / "e.parquet.pieces").mkdir()
    with lock_zoo(tmp_path / "e.parquet.pieces"), pytest.raises(ZooError, match="another process"):
        encode_zoo(zoo, CHOICE, tmp_path / "e.parquet")
    (tmp_path / "file").touch()
    with pytest.raises(ZooError, match="cannot make"):
        encode_zoo(zoo, CHOICE, tmp_path / "file" / "e.parquet")


def test_an_empty_zoo_has_nothing_to_encode(tmp_path):
    with ZooWriter(tmp_path / "zoo"):
        pass
    with pytest.raises(ZooError, match="no models"):
        encode_zoo(tmp_path / "zoo", CHOICE, tmp_path / "e.parquet")


def test_nothing_encoded_exits_with_1_and_leaves_no_table(zoo, tmp_path, run):
    for shard in zoo.glob("weights/*/*"):
        shard.write_bytes(b"")
    code, _, err = run("encode", "zoo", "--untrained", "-o", "e.parquet")
    assert code == 1
    assert "not encoded" in err + _
    assert not list(tmp_path.glob("e.parquet*"))


def test_a_map_is_drawn(run, zoo, tmp_path):  # noqa: ARG001
    code, out, _ = run("encode", "zoo", "--untrained", "-o", "e.parquet", "--map", "test_accuracy", "--json")
    assert code == 0
    assert json.loads(out)["map"] == "e.png"
    assert (tmp_path / "e.png").read_bytes().startswith(b"\x89PNG")
