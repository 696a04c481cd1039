"""``wsgraph zoo`` from the command line: exit codes, JSON, messages."""

import json

import polars as pl
import pytest
import torch

from tests.zoo import layouts


@pytest.fixture
def source(tmp_path):
    layouts.dws_mnist(tmp_path / "src")
    return tmp_path / "src"


def test_import_info_and_split(run, source):
    (source / "mnist_png_training_1_7" / "checkpoints" / "model_final.pth").write_bytes(b"no checkpoint")
    code, out, err = run("zoo", "import", "dws-inrs", source, "-o", "zoo", "--json")
    assert code == 0
    report = json.loads(out)
    assert (report["imported"], report["present"], report["architectures"]) == (3, 0, 1)
    assert "not imported" in err
    code, out, _ = run("zoo", "import", "dws-inrs", source, "-o", "zoo")
    assert code == 0
    assert "3 were there already" in out
    code, out, _ = run("zoo", "split", "zoo", "--ratio", "1,1,1", "--seed", "4", "--json")
    assert code == 0
    assert json.loads(out)["splits"] == {"train": 1, "val": 1, "test": 1}
    code, out, _ = run("zoo", "info", "zoo", "--json")
    info = json.loads(out)
    assert (code, info["models"], info["splits"]) == (0, 3, {"test": 1, "train": 1, "val": 1})
    assert [failure["id"] for failure in info["failures"]] == [
        "mnist_png_training_1_7/checkpoints/model_final.pth"
    ]
    code, out, _ = run("zoo", "info", "zoo")
    assert code == 0
    assert "failed: mnist_png_training_1_7" in out
    assert "timestamps" in out


def test_info_names_duplicates_and_leaks(run, source):
    content = (source / "mnist_png_training_1_7" / "checkpoints" / "model_final.pth").read_bytes()
    (source / "mnist_png_testing_2_8" / "checkpoints" / "model_final.pth").write_bytes(content)
    (source / "mnist_png_training_1_7" / "checkpoints" / "again.pth").write_bytes(content)
    splits = {"train": ["mnist_png_training_1_7/checkpoints/again.pth"]}
    splits["test"] = ["mnist_png_training_1_7/checkpoints/model_final.pth"]
    (source / "splits.json").write_text(json.dumps(splits))
    run("zoo", "import", "dws-inrs", source, "-o", "zoo")
    code, out, _ = run("zoo", "info", "zoo")
    assert code == 0
    assert "equal models in different splits" in out
    assert "leak: run mnist_png_training_1_7 is in test and train" in out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("zoo", "import", "keras-zoo", "src", "-o", "zoo"), 1, "choose one of folder"),
        (("zoo", "import", "folder", "nowhere", "-o", "zoo"), 1, "no folder nowhere"),
        (("zoo", "import", "dng-vits", "src", "-o", "zoo"), 1, "results.json"),
        (("zoo", "import", "wild-park", "src", "-o", "zoo"), 1, "cnn_park_splits.json"),
        (("zoo", "import", "nfn-sirens", "src", "-o", "zoo"), 1, "no checkpoints"),
        (("zoo", "import", "dws-inrs", "src", "-o", "zoo", "--set", "x=1"), 1, "no setting 'x'"),
        (("zoo", "import", "dws-inrs", "src", "-o", "zoo", "--set", "x"), 2, "NAME=VALUE"),
        (("zoo", "import", "dws-inrs", "src"), 2, "--output"),
        (("zoo", "info", "src"), 1, "no zoo"),
        (("zoo", "split", "src"), 1, "no zoo"),
        (("zoo", "split", "src", "--ratio", "1,2"), 2, "ratio"),
        (("zoo", "train", "gan", "-o", "zoo"), 2, "siren"),
        (("zoo", "train", "vit", "-o", "src", "--images", "digits", "--count", "1"), 1, "no zoo"),
    ],
)
def test_what_goes_wrong_is_said_in_one_message(run, source, arguments, code, message):
    got, out, err = run(*arguments)
    assert (got, out) == (code, "")
    assert message in err
    assert "Traceback" not in err
    assert not (source.parent / "zoo").exists()


def test_an_import_of_nothing_but_failures_exits_with_1(run, tmp_path):
    layouts.dws_fashion(tmp_path / "src")
    for path in (tmp_path / "src").glob("*.pth"):
        path.write_bytes(path.read_bytes()[:100])
    code, _, _ = run("zoo", "import", "dws-inrs", "src", "-o", "zoo")
    assert code == 1


def test_nothing_in_a_checkpoint_is_executed(run, tmp_path):
    """A pickle that would write a file when loaded is a failure with a reason, in every reader."""

    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    layouts.wild_park(tmp_path / "park")
    layouts.dws_fashion(tmp_path / "inrs")
    torch.save({"model": {}, "config": Bomb()}, next((tmp_path / "park").rglob("*.pt")))
    torch.save({"seq.0.weight": torch.zeros(2, 2), "label": Bomb()}, tmp_path / "inrs" / "0.pth")
    run("zoo", "import", "wild-park", "park", "-o", "zoo1")
    run("zoo", "import", "dws-inrs", "inrs", "-o", "zoo2")
    assert not (tmp_path / "exploded").exists()
    for name in ("zoo1", "zoo2"):
        assert len(pl.read_parquet(tmp_path / name / "failures.parquet", memory_map=False)) == 1


def test_train_prints_json(run):
    arguments = ("zoo", "train", "siren", "--images", "digits", "--count", "2", "--steps", "2", "-o", "zoo")
    code, out, _ = run(*arguments, "--json")
    assert (code, json.loads(out)["trained"]) == (0, 2)
    code, out, _ = run(*arguments)
    assert (code, out) == (0, "0 models trained into zoo, 2 were there already\n")
