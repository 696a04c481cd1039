"""Plain folders with a table, and folders of model folders."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.zoo import layouts
from wsgraph.errors import ZooError
from wsgraph.zoo import ImportOptions, import_zoo, open_zoo


def chain(seed):
    return layouts.siren_state(("net.0", "net.1", "net.2"), seed=seed)


def convolutional(seed):
    return layouts.seeded(
        seed, lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3))
    )


def test_a_folder_mixes_formats_and_lists_what_fails(tmp_path, imported):
    root = tmp_path / "src"
    (root / "deep").mkdir(parents=True)
    torch.save(chain(0), root / "a.pth")
    save_file(chain(1), root / "deep" / "b.safetensors")
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in chain(2).items()}}, root / "c.pt")
    torch.save(convolutional(3), root / "whole.pt")
    torch.save(convolutional(4), root / "whole2.pt")
    (root / "empty.pt").write_bytes(b"")
    (root / "cut.pt").write_bytes((root / "a.pth").read_bytes()[:-300])
    torch.save({"odd": torch.zeros(3, 4, 5)}, root / "odd.pt")
    names = ["a.pth", "deep/b.safetensors", "c.pt", "whole.pt", "whole2.pt"]
    bad = ["empty.pt", "cut.pt", "odd.pt", "gone.pt"]
    rows = [
        {
            "path": name,
            "accuracy": i / 10,
            "run": f"r{i}",
            "split": "train" if i else "test",
            "id": f"model {i}",
        }
        for i, name in enumerate([*names, *bad])
    ]
    layouts.write_csv(root / "table.csv", rows)
    zoo, report = imported("folder", root)
    assert sorted(zoo.models["id"]) == [f"model {i}" for i in range(5)]
    assert report.architectures == 2  # the chain under three disguises, and the pickled modules
    assert sorted(zoo.failures["id"]) == [f"model {i}" for i in range(5, 9)]
    reasons = dict(zoo.failures.select("id", "reason").iter_rows())
    assert "empty" in reasons["model 5"]
    assert "odd" in reasons["model 7"]
    assert "no file" in reasons["model 8"]
    state = zoo.stream("model 1").state_dict()
    assert torch.equal(state["net.1.weight"], chain(1)["net.1.weight"])
    state = zoo.stream("model 4").state_dict()
    assert torch.equal(state["3.weight"], convolutional(4)[3].weight)
    assert zoo.models.filter(zoo.models["id"] == "model 0")["split"].item() == "test"


def test_a_mended_checkpoint_is_imported_and_no_longer_a_failure(tmp_path, imported):
    root = tmp_path / "src"
    root.mkdir()
    layouts.write_csv(root / "table.csv", [{"path": "a.pth", "x": 1}, {"path": "b.pth", "x": 2}])
    torch.save(chain(0), root / "a.pth")
    zoo, _ = imported("folder", root)
    assert zoo.failures["id"].to_list() == ["b.pth"]
    torch.save(chain(1), root / "b.pth")
    zoo, report = imported("folder", root)
    assert (report.imported, report.present, len(zoo), len(zoo.failures)) == (1, 1, 2, 0)


def test_equal_shapes_with_other_arguments_are_other_architectures(tmp_path, imported):
    root = tmp_path / "src"
    root.mkdir()
    rows = []
    for heads in (2, 4, 2):
        arch = f"torch.nn:TransformerEncoderLayer?d_model=8&nhead={heads}&dim_feedforward=16&batch_first=True"
        layer = nn.TransformerEncoderLayer(8, heads, 16, batch_first=True)
        torch.save(layer.state_dict(), root / f"{len(rows)}.pt")
        rows.append({"path": f"{len(rows)}.pt", "arch": arch, "input": "1x5x8"})
    layouts.write_csv(root / "table.csv", rows)
    zoo, report = imported("folder", root)
    assert (report.failed, report.architectures) == ({}, 2)
    fingerprints = dict(zoo.models.select("id", "fingerprint").iter_rows())
    assert fingerprints["0.pt"] == fingerprints["2.pt"] != fingerprints["1.pt"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ((), "one table"),
        (("a.csv", "b.csv"), "one table"),
    ],
)
def test_a_folder_needs_one_table(tmp_path, files, message):
    (tmp_path / "src").mkdir()
    for name in files:
        layouts.write_csv(tmp_path / "src" / name, [{"path": "x"}])
    with pytest.raises(ZooError, match=message):
        import_zoo("folder", tmp_path / "src", tmp_path / "zoo")


def test_a_table_without_paths_or_with_one_twice_is_an_error(tmp_path):
    (tmp_path / "src").mkdir()
    layouts.write_csv(tmp_path / "src" / "t.csv", [{"file": "x"}])
    with pytest.raises(ZooError, match="no column 'path'"):
        import_zoo("folder", tmp_path / "src", tmp_path / "zoo")
    layouts.write_csv(tmp_path / "src" / "t.csv", [{"path": "x"}, {"path": "x"}])
    with pytest.raises(ZooError, match="twice"):
        import_zoo("folder", tmp_path / "src", tmp_path / "zoo")


def test_two_sources_with_like_names_need_a_prefix(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        torch.save(chain(len(name)), tmp_path / name / "a.pth")
        layouts.write_csv(tmp_path / name / "t.csv", [{"path": "a.pth"}])
    import_zoo("folder", tmp_path / "one", tmp_path / "zoo")
    report = import_zoo("folder", tmp_path / "two", tmp_path / "zoo")
    assert "--prefix" in report.failed["a.pth"]
    import_zoo("folder", tmp_path / "two", tmp_path / "zoo", prefix="two/")
    assert sorted(open_zoo(tmp_path / "zoo").models["id"]) == ["a.pth", "two/a.pth"]


def tiny_gpt2():
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(n_layer=1, n_head=2, n_embd=8, vocab_size=20, n_positions=8)
    return transformers.GPT2LMHeadModel(config)


def test_model_folders_with_sorted_keys_shards_and_tied_heads(tmp_path, imported):
    root = tmp_path / "src"
    models = [layouts.seeded(i, tiny_gpt2) for i in range(2)]
    models[0].save_pretrained(root / "user" / "one")
    models[1].save_pretrained(root / "user" / "sharded", max_shard_size="2KB")
    assert (root / "user" / "sharded" / "model.safetensors.index.json").is_file()
    layouts.write_csv(root / "labels.csv", [{"path": "user/one", "loss": 1.5}])
    zoo, report = imported("hf", root, table="labels.csv")
    assert (report.failed, report.architectures) == ({}, 1)
    assert dict(zoo.models.select("id", "loss").iter_rows()) == {"user/one": 1.5, "user/sharded": None}
    state = zoo.stream("user/sharded").state_dict()
    want = models[1].state_dict()
    assert all(torch.equal(state[name], want[name]) for name in want)


def test_timm_folders(tmp_path, imported):
    timm = pytest.importorskip("timm")
    for i in range(2):
        folder = tmp_path / "src" / f"m{i}"
        folder.mkdir(parents=True)
        model = layouts.seeded(i, lambda: timm.create_model("test_vit", num_classes=5))
        save_file(model.state_dict(), folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps({"architecture": "test_vit", "num_classes": 5}))
    zoo, report = imported("hf", tmp_path / "src")
    assert (report.failed, report.architectures, len(zoo)) == ({}, 1, 2)


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # peft's
def test_adapters_are_put_on_their_base(tmp_path):
    peft = pytest.importorskip("peft")
    base = layouts.seeded(0, tiny_gpt2)
    base.save_pretrained(tmp_path / "base")
    for i in range(2):
        config = peft.LoraConfig(r=2, target_modules=["c_attn"], fan_in_fan_out=True, init_lora_weights=False)
        adapted = layouts.seeded(i, lambda config=config: peft.get_peft_model(tiny_gpt2(), config))
        adapted.save_pretrained(tmp_path / "src" / f"adapter{i}")
    options = ImportOptions(settings={"base": str(tmp_path / "base")})
    report = import_zoo("hf", tmp_path / "src", tmp_path / "zoo", options=options)
    assert report.failed == {}
    zoo = open_zoo(tmp_path / "zoo")
    first, second = (zoo.stream(f"adapter{i}").state_dict() for i in range(2))
    name = next(name for name in first if "lora_A" in name)
    assert not torch.equal(first[name], second[name])
    missing = import_zoo("hf", tmp_path / "src", tmp_path / "zoo2")
    assert "--set base" in missing.failed["adapter0"]
