"""Bare state dicts: --arch, recognition by keys and shapes, configurations beside the weights."""

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from wsgraph.errors import CheckpointError, MissingDependencyError, SourceError
from wsgraph.events.bits import same_bits
from wsgraph.frontends.architecture_index import entries
from wsgraph.frontends.architectures import build
from wsgraph.frontends.skeleton import skeleton
from wsgraph.frontends.source import open_source


def resident() -> int:
    """Bytes of memory that the process has committed."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.parametrize(
    ("arch", "classes"),
    [
        ("torchvision.models:resnet18", 1000),
        ("torchvision.models:mobilenet_v3_small", 10),
        ("torchvision.models:squeezenet1_1", 7),
        ("timm:resnet10t", 5),
        ("timm:vit_tiny_patch16_224", 0),
    ],
)
def test_library_models_are_recognised_with_any_head(tmp_path, arch, classes):
    package, _, name = arch.partition(":")
    library = __import__(package, fromlist=["create_model"])
    make = library.get_model if package == "torchvision.models" else library.create_model
    model = make(name, num_classes=classes).eval()
    torch.save({"state_dict": {f"module.{k}": v for k, v in model.state_dict().items()}}, tmp_path / "m.pth")
    source = open_source(tmp_path / "m.pth")
    assert any(f"recognised as {arch}" in note for note in source.notes)
    state = model.state_dict()
    assert source.tensors.keys() == state.keys()
    assert all(same_bits(source.tensors[name], tensor) for name, tensor in state.items())
    x = torch.randn(1, 3, 224, 224)
    # Mapped weights lie elsewhere in memory, and with their alignment the last bits of a product may change.
    torch.testing.assert_close(source.module.eval()(x), model(x))
    assert source.inputs[0].shape[:2] == (1, 3)


def test_index_knows_both_libraries():
    archs = [entry.arch for entry in entries()]
    assert len(archs) == len(set(archs)) > 1000
    assert archs[0].startswith("torchvision.models:")


def test_architecture_given_with_arguments(tmp_path):
    from vit_pytorch import SimpleViT

    sizes = {
        "image_size": 16,
        "patch_size": 4,
        "num_classes": 3,
        "dim": 8,
        "depth": 1,
        "heads": 2,
        "mlp_dim": 16,
    }
    model = SimpleViT(**sizes).eval()
    torch.save(model.state_dict(), tmp_path / "vit.pt")
    arch = "vit_pytorch:SimpleViT?" + "&".join(f"{k}={v}" for k, v in sizes.items())
    source = open_source(tmp_path / "vit.pt", arch=arch)
    x = torch.randn(1, 3, 16, 16)
    assert torch.equal(source.module.eval()(x), model(x))
    assert source.inputs[0].shape == (1, 3, 16, 16)
    with pytest.raises(CheckpointError, match=r"linear_head.*has shape"):
        open_source(tmp_path / "vit.pt", arch=arch.replace("num_classes=3", "num_classes=4"))


@pytest.mark.parametrize(
    "arch", ["resnet18", "timm:", ":x", "torch.nn:Linear?in_features", "torch.nn:Nothing"]
)
def test_malformed_architectures(arch):
    with pytest.raises(SourceError, match="--arch"):
        build(arch)


def test_architecture_errors_name_the_cause():
    with pytest.raises(MissingDependencyError, match="no_such_package"):
        build("no_such_package:net")
    with pytest.raises(SourceError, match=r"failed: TypeError"):
        build("torch.nn:Linear?nonsense=1")
    with pytest.raises(SourceError, match=r"not an nn.Module"):
        build("builtins:dict")


def test_wrong_architecture_lists_differences(tmp_path):
    torch.save(nn.Linear(3, 4).state_dict() | {"more": torch.ones(1)}, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match=r"(?s)weight has shape \(4, 3\).*more is not in the model"):
        open_source(tmp_path / "m.pt", arch="torch.nn:Linear?in_features=5&out_features=4")
    torch.save({"weight": torch.ones(4, 3)}, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match="bias is missing"):
        open_source(tmp_path / "m.pt", arch="torch.nn:Linear?in_features=3&out_features=4")


def test_unknown_state_dict_lists_the_closest(tmp_path):
    import torchvision

    tensors = torchvision.models.resnet18(num_classes=3).state_dict()
    tensors["conv1.weight"] = torch.ones(64, 1, 7, 7)
    torch.save(tensors, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match=r"torchvision\.models:resnet18") as caught:
        open_source(tmp_path / "m.pt")
    assert "--arch" in caught.value.remedy


def test_a_known_model_whose_package_is_missing(tmp_path, monkeypatch):
    import torchvision

    torch.save(torchvision.models.squeezenet1_1().state_dict(), tmp_path / "m.pt")

    def missing(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr("wsgraph.frontends.architectures.import_library", missing)
    with pytest.raises(MissingDependencyError, match=r"looks like torchvision\.models:squeeze") as caught:
        open_source(tmp_path / "m.pt")
    assert caught.value.remedy.startswith("pip install torchvision")


def test_integer_weights_are_an_error_of_the_checkpoint(tmp_path):
    torch.save({"weight": torch.ones(2, 2, dtype=torch.int8), "bias": torch.ones(2)}, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match="does not fit Linear"):
        open_source(tmp_path / "m.pt", arch="torch.nn:Linear?in_features=2&out_features=2")


def tiny_gpt2():
    import transformers

    config = transformers.GPT2Config(
        n_embd=8, n_layer=1, n_head=2, vocab_size=20, bos_token_id=0, eos_token_id=0
    )
    return transformers.GPT2LMHeadModel(config).eval()


def test_transformers_folder_with_a_tied_head(tmp_path):
    model = tiny_gpt2()
    model.save_pretrained(tmp_path)
    for path in (tmp_path, tmp_path / "model.safetensors"):
        source = open_source(path)
        assert type(source.module) is type(model)
        assert source.module.lm_head.weight is source.module.transformer.wte.weight
        assert source.inputs[0].shape == (1, 16)
        ids = torch.arange(6).unsqueeze(0)
        assert torch.equal(source.module.eval()(ids).logits, model(ids).logits)
        assert {"lm_head.weight", "transformer.wte.weight"} <= source.tensors.keys()


def test_transformers_base_model_prefix_is_added(tmp_path):
    model = tiny_gpt2()
    model.save_pretrained(tmp_path)
    base = {k.removeprefix("transformer."): v for k, v in model.state_dict().items() if k != "lm_head.weight"}
    save_file(base, tmp_path / "model.safetensors")
    source = open_source(tmp_path)
    assert any("'transformer.' added" in note for note in source.notes)
    assert torch.equal(source.tensors["transformer.h.0.ln_1.weight"], model.transformer.h[0].ln_1.weight)


def test_code_beside_the_configuration_is_not_run(tmp_path):
    save_file({"w": torch.ones(1)}, tmp_path / "model.safetensors")
    marker = tmp_path / "marker"
    (tmp_path / "modeling.py").write_text(f"open({str(marker)!r}, 'w')\nclass Net: pass\n")
    config = {"model_type": "gpt2", "architectures": ["Net"], "auto_map": {"AutoModel": "modeling.Net"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"'Net', which transformers"):
        open_source(tmp_path)
    config["architectures"] = None
    config["model_type"] = "nothing-known"
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="makes no model"):
        open_source(tmp_path)
    assert not marker.exists()


def test_timm_folder(tmp_path):
    import timm

    model = timm.create_model("resnet10t", num_classes=4)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "resnet10t", "num_classes": 4}))
    source = open_source(tmp_path)
    assert torch.equal(source.tensors["fc.weight"], model.fc.weight)


def test_skeleton_takes_no_memory_and_leaves_random_numbers_alone():
    import transformers

    sizes = {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 6, "vocab_size": 32000}
    state, before = torch.get_rng_state(), resident()
    with skeleton():
        model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes))
    assert sum(p.numel() for p in model.parameters()) > 1.4e9
    assert resident() - before < 100e6
    assert torch.equal(torch.get_rng_state(), state)


def test_skeleton_computes_constants():
    import torchvision

    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.empty(100, 100))
            nn.init.xavier_uniform_(self.weight)
            self.table = nn.Parameter(torch.randn(100, 100))
            self.register_buffer("mask", torch.empty(100, 100).fill_(float("-inf")).triu_(1))

    with skeleton():
        masked, swin = Masked(), torchvision.models.swin_t()
    real = torchvision.models.swin_t()
    assert torch.equal(masked.mask, torch.full((100, 100), float("-inf")).triu(1))
    for (_, ours), (name, theirs) in zip(swin.named_buffers(), real.named_buffers(), strict=True):
        assert torch.equal(ours, theirs), name


def test_plain_modules_import_no_optional_library():
    import subprocess

    code = (
        "import sys, torch; from wsgraph.frontends.source import open_source; "
        "open_source(torch.nn.Linear(2, 3)); "
        "print([m for m in ('timm', 'torchvision', 'transformers', 'polars') if m in sys.modules])"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
