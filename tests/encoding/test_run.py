"""Encoding with what ``wsgraph train`` made, and the figures that ``wsgraph evaluate`` draws."""

import json

import polars as pl
import pytest
import torch

from tests.tasks.conftest import build_zoo
from wsgraph.errors import WsgraphError
from wsgraph.zoo import open_zoo
from wsgraph_encoders import collate
from wsgraph_encoders.encoding import EncoderChoice, encode_zoo

pytest.importorskip("lightning")
pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a zoo of two architectures and a run on it."""
    from wsgraph_encoders.tasks.settings import TrainSettings
    from wsgraph_encoders.tasks.study import train_task

    folder = tmp_path_factory.mktemp("trained")
    build_zoo(folder / "zoo", 20, hiddens=(4, 7))
    settings = TrainSettings(epochs=2, hidden=8, trees=5)
    methods = ("dng", "statistics")
    train_task(folder / "run", folder / "zoo", methods=methods, seeds=2, settings=settings)
    return folder


def embeddings(path):
    return torch.tensor(pl.read_parquet(path, memory_map=False)["embedding"].to_list())


def test_embeddings_are_the_trained_encoders(trained, tmp_path):
    from wsgraph_encoders.tasks import load_run

    found = {}
    for seed in (0, 1):
        choice = EncoderChoice(str(trained / "run"), "dng", seed)
        report = encode_zoo(trained / "zoo", choice, tmp_path / "e.parquet")
        assert (report.encoded, report.present) == (20, 0)  # the other seed's are not taken over
        ids = pl.read_parquet(tmp_path / "e.parquet", memory_map=False)["id"]
        batch = collate([open_zoo(trained / "zoo").stream(model) for model in ids])
        with torch.no_grad():
            expected = load_run(trained / "run").encoder("dng", seed).embed(batch)
        found[seed] = embeddings(tmp_path / "e.parquet")
        torch.testing.assert_close(found[seed], expected, rtol=1e-4, atol=1e-5)
    assert (found[0] - found[1]).abs().max() > 1e-2


def test_layer_statistics_are_embeddings_too(trained, tmp_path):
    encode_zoo(trained / "zoo", EncoderChoice(str(trained / "run"), "statistics"), tmp_path / "e.parquet")
    assert embeddings(tmp_path / "e.parquet").isfinite().all()
    with pytest.raises(WsgraphError, match="transformer"):
        encode_zoo(
            trained / "zoo", EncoderChoice(str(trained / "run"), "transformer"), tmp_path / "f.parquet"
        )


def test_the_command_line(trained, run, monkeypatch):
    monkeypatch.chdir(trained)
    code, out, _ = run("encode", "zoo", "--run", "run", "-o", "run/embeddings.parquet", "--json")
    assert (code, json.loads(out)["encoded"]) == (0, 20)
    code, out, _ = run("evaluate", "run", "--json")
    assert code == 0
    drawn = json.loads(out)["plots"]
    names = {
        "predicted_against_true",
        "scores_tau",
        "scores_r2",
        "scores_mse",
        "training_curves",
        "embeddings",
    }
    assert {path.split("/")[-1] for path in drawn} == {
        f"{n}.{kind}" for n in names for kind in ("png", "svg")
    }
    assert "τ = " in (trained / "run/plots/predicted_against_true.svg").read_text()
    code, out, _ = run("evaluate", "run", "--no-plots", "--json")
    assert (code, json.loads(out)["plots"]) == (0, [])
    code, _, err = run("encode", "zoo", "--run", "zoo", "-o", "e.parquet")
    assert code == 1
    assert "no run" in err
