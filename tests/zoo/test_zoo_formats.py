"""Every layout of ZOO_FORMATS.md is read, with its pitfalls."""

import json

import numpy as np
import polars as pl
import pytest
import torch
from torch.nn import functional

from tests.zoo import layouts
from wsgraph.errors import ZooError
from wsgraph.zoo import ImportOptions, import_zoo, zoo_formats


def test_all_nine_layouts_are_registered_through_the_hook():
    assert zoo_formats() == (
        "folder",
        "hf",
        "small-cnn-zoo",
        "wild-park",
        "nfn-sirens",
        "dws-inrs",
        "model-zoos",
        "small-transformer-zoo",
        "dng-vits",
    )


def test_small_cnn_zoo_converts_tensorflow_weights(tmp_path, imported):
    weights = layouts.small_cnn_zoo(tmp_path / "src")
    zoo, report = imported("small-cnn-zoo", tmp_path / "src")
    assert (report.imported, report.failed, report.architectures) == (12, {}, 2)
    # The activation is an attribute of the structure, not a weight: two architectures of equal shapes.
    row = zoo.models.row(by_predicate=pl.col("id") == "000005", named=True)
    assert (row["config.activation"], row["step"], row["run"]) == ("relu", 86, "/cns/home/run1")
    assert row["test_accuracy"] == pytest.approx(5 / 12)
    state = zoo.stream("000005").state_dict()
    kernel = weights[5][: 9 * 16].reshape(3, 3, 1, 16)
    for height, width, out in ((0, 1, 3), (2, 0, 15)):
        assert state["layers.0.weight"][out, 0, height, width] == kernel[height, width, 0, out]
    dense = weights[5][-170:-10].reshape(16, 10)
    assert np.array_equal(state["fc.weight"].numpy(), dense.T)
    stream = zoo.stream("000005")
    assert [node.size for node in stream.node_blocks] == [1, 16, 16, 16, 10]
    assert stream.num_edges == 4970 - 16 * 3 - 10
    assert zoo.models["config.activation"].n_unique() == 2


def test_small_cnn_zoo_follows_the_published_protocol(tmp_path, imported):
    layouts.small_cnn_zoo(tmp_path / "src", models=40)
    order = np.random.default_rng(1).permutation(40)
    # The published files have one line too many.
    (tmp_path / "src" / "split.csv").write_text("0\n" + "\n".join(map(str, order)) + "\n")
    zoo, _ = imported("small-cnn-zoo", tmp_path / "src", split_csv="split.csv", step="86")
    final = [f"{row:06d}" for row in order if row % 2]  # odd rows are of step 86
    assert zoo.models.sort("row").height == 20
    splits = dict(zoo.models.select("id", "split").iter_rows())
    assert {splits[name] for name in final[10:]} == {"test"}
    assert sorted(splits[name] for name in final[:10]) == ["train"] * 8 + ["val"] * 2
    # random.Random(0).shuffle(list(range(10))) ends in [..., 1, 6]: these two positions validate.
    shuffled = list(range(10))
    __import__("random").Random(0).shuffle(shuffled)
    assert {final[i] for i in shuffled[8:]} == {name for name in final if splits[name] == "val"}


def test_small_cnn_zoo_says_what_is_wrong(tmp_path):
    layouts.small_cnn_zoo(tmp_path / "src")
    for settings, message in (
        ({"split_csv": "nowhere.csv"}, "no split file"),
        ({"split_csv": "layout.csv"}, "no list of row numbers"),
        ({"step": "last"}, "whole number"),
        ({"stepp": "86"}, "no setting 'stepp'"),
    ):
        options = ImportOptions(settings=settings)
        with pytest.raises(ZooError, match=message):
            import_zoo("small-cnn-zoo", tmp_path / "src", tmp_path / "zoo", options=options)
    (tmp_path / "src" / "metrics.csv.gz").unlink()
    with pytest.raises(ZooError, match=r"metrics\.csv\.gz"):
        import_zoo("small-cnn-zoo", tmp_path / "src", tmp_path / "zoo")
    assert not (tmp_path / "zoo").exists()


def test_wild_park_is_read_without_its_classes(tmp_path, imported):
    states = layouts.wild_park(tmp_path / "src")
    zoo, report = imported("wild-park", tmp_path / "src")
    assert (report.imported, report.failed, report.architectures) == (4, {}, 2)
    for path, state in states.items():
        got = zoo.stream(path).state_dict()
        assert list(got) == list(state)
        assert all(torch.equal(got[name], state[name]) for name in state)
    row = zoo.models.row(by_predicate=pl.col("id").str.contains("run_1/checkpoint_000010"), named=True)
    assert (row["split"], row["step"], row["run"]) == ("test", 10, "cifar10_zooV2/run_1")
    assert json.loads(row["config.channels"]) == [3, 8, 4, 6]


def test_wild_park_residuals_join_the_first_channels_before_the_activation():
    from wsgraph.zoo.models.cnn import ParkCNN

    model = ParkCNN(
        channels=[3, 8, 4, 6],
        kernel_size=[3, 5, 3],
        stride=[1] * 3,
        padding=[1, 2, 1],
        activations=["relu", "gelu", "tanh"],
        residual=[-1, -1, 0],
        n_classes=10,
    )
    x = torch.randn(2, 3, 9, 9)
    first = functional.relu(model.layers[0](x))
    second = functional.gelu(model.layers[1](first))
    third = model.layers[2](second)
    third[:, :6] += first[:, :6]
    expected = model.fc(torch.tanh(third).mean((2, 3)))
    torch.testing.assert_close(model(x), expected)


def test_nfn_sirens_leave_augmented_copies_out(tmp_path, imported):
    layouts.nfn_sirens(tmp_path / "src")
    zoo, _ = imported("nfn-sirens", tmp_path / "src")
    assert len(zoo) == 6
    splits = dict(zoo.models.select("image", "split").iter_rows())
    assert splits == {
        3: "train",
        44_999: "train",
        45_000: "val",
        49_999: "val",
        50_000: "test",
        59_999: "test",
    }
    assert set(zoo.models["copy"]) == {0}
    assert dict(zoo.models.select("image", "label").iter_rows())[44_999] == 1
    assert zoo.stream(zoo.models["id"][0]).num_timestamps == 3


def test_nfn_sirens_take_copies_of_training_images_only(tmp_path, imported):
    layouts.nfn_sirens(tmp_path / "src")
    zoo, _ = imported(
        "nfn-sirens", tmp_path / "src" / "siren_mnist_wts", augmented="true", split_points="1,4"
    )
    assert len(zoo) == 6  # no image is before index 1, so no copy is taken
    zoo, report = imported("nfn-sirens", tmp_path / "src", augmented="true")
    copies = zoo.models.filter(pl.col("id").str.contains("_aug0_"))
    assert set(copies["split"]) == {"train"}
    assert set(copies["image"]) == {3, 44_999}
    assert (report.imported, report.present) == (8, 0)


def test_dws_inrs_take_labels_from_folders_and_from_inside(tmp_path, imported):
    layouts.dws_mnist(tmp_path / "mnist-inrs")
    zoo, _ = imported("dws-inrs", tmp_path / "mnist-inrs")
    rows = {(row["split"], row["image"]): row["label"] for row in zoo.models.iter_rows(named=True)}
    assert rows == {("train", "7"): 1, ("train", "8"): 2, ("test", "7"): 1, ("test", "8"): 2}
    assert zoo.models["run"].n_unique() == 4


def test_dws_fashion_labels_stand_in_the_state_dict(tmp_path, imported):
    layouts.dws_fashion(tmp_path / "src")
    zoo, report = imported("dws-inrs", tmp_path / "src")
    assert report.failed == {}
    assert sorted(zoo.models.select("split", "label").rows()) == [("test", 6), ("train", 4), ("train", 5)]
    assert "label" not in zoo.stream(zoo.models["id"][0]).state_dict()


@pytest.mark.parametrize("layers", [layouts.trial_small, layouts.trial_large])
def test_model_zoos_read_both_networks(tmp_path, imported, layers):
    layouts.model_zoos(tmp_path / "src", layers)
    zoo, report = imported("model-zoos", tmp_path / "src")
    assert (report.imported, report.failed) == (4, {})
    row = zoo.models.filter(pl.col("epoch") == 50, pl.col("run").str.ends_with("0")).row(0, named=True)
    assert (row["test_acc"], row["config.model::nlin"]) == (0.5, "tanh")
    stream = zoo.stream(row["id"])
    sizes = [node.size for node in stream.node_blocks]
    assert sizes == ([1, 8, 6, 4, 20, 10] if layers is layouts.trial_small else [3, 16, 32, 15, 20, 10])


def test_sane_samples_are_put_together_again(tmp_path, imported):
    from wsgraph.zoo.formats.sane_samples import detokenise

    state = layouts.trial_state(layouts.trial_small())
    tokens = tokenise(state, width=17)
    got = detokenise(tokens, {name: tensor.shape for name, tensor in state.items()})
    assert all(torch.equal(got[name], state[name]) for name in state)
    for split in ("trainset", "testset"):
        folder = tmp_path / "src" / f"dataset_torch.{split}"
        folder.mkdir(parents=True)
        torch.save(
            {"w": tokens, "m": tokens != 0, "p": torch.zeros(len(tokens), 3), "props": {"test_acc": 0.5}},
            folder / "sample_0.pt",
        )
    torch.save(state, tmp_path / "src" / "reference.pt")
    with pytest.raises(ZooError, match="reference"):
        imported("model-zoos", tmp_path / "src")
    zoo, _ = imported("model-zoos", tmp_path / "src", reference="reference.pt", activation="tanh")
    assert sorted(zoo.models["split"]) == ["test", "train"]
    assert torch.equal(
        zoo.stream(zoo.models["id"][0]).state_dict()["module_list.9.weight"], state["module_list.9.weight"]
    )


def tokenise(state, width):
    """Rows of [weight, bias] cut into tokens, the last one of a row padded with zeros."""
    tokens = []
    for name in [name for name in state if name.endswith("weight")]:
        matrix = torch.cat([state[name].flatten(1), state[name.replace("weight", "bias")][:, None]], dim=1)
        for row in matrix:
            tokens += [functional.pad(piece, (0, width - len(piece))) for piece in row.split(width)]
    return torch.stack(tokens)


@pytest.mark.parametrize("text", [False, True])
def test_small_transformer_zoo(tmp_path, imported, text):
    layouts.small_transformer_zoo(tmp_path / "src", text=text)
    zoo, report = imported("small-transformer-zoo", tmp_path / "src", epoch="75")
    assert (report.imported, report.failed, report.architectures) == (2, {}, 1)
    assert set(zoo.models["accuracy"]) == {0.9075}
    assert zoo.models["run"].n_unique() == 2
    stream = zoo.stream(zoo.models["id"][0])
    heads = {node.attrs.get("role") for node in stream.node_blocks}
    assert {"q", "k", "v", "z"} <= heads


def test_dng_vits_are_the_paper_s_streams(tmp_path, imported):
    networks = layouts.dng_vits(tmp_path / "src")
    zoo, report = imported("dng-vits", tmp_path / "src")
    assert (report.imported, report.failed, report.architectures) == (6, {}, 1)
    assert zoo.models.filter(pl.col("run") == "5").row(0, named=True)["split"] == "test"
    assert dict(zoo.models.select("run", "accuracy").iter_rows())["3"] == 43.0
    stream = zoo.stream("model_4_9")
    assert stream.num_timestamps == 12  # App. F.2, two blocks
    want = networks[4].state_dict()
    got = stream.state_dict()
    assert set(got) == set(want)
    assert all(torch.equal(got[name], want[name]) for name in want)


def test_our_simple_vit_computes_what_vit_pytorch_s_does(tmp_path):
    from wsgraph.zoo.models.vit import SimpleViT

    theirs = next(iter(layouts.dng_vits(tmp_path / "src", models=3).values())).eval()
    ours = SimpleViT(
        image_size=32, patch_size=8, num_classes=10, dim=16, depth=2, heads=2, mlp_dim=32, dim_head=8
    ).eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(ours(x), theirs(x))
