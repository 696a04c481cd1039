"""Loading pickles: what trusted libraries save loads and computes the same; nothing else runs."""

import collections
import functools
import os
import pickle
import subprocess
import types
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from wsgraph.errors import CheckpointError, SourceError, UnsafeCheckpointError
from wsgraph.frontends.unpickle import load_pickle


class Calls:
    """Pickles to a call of any function with any arguments."""

    def __init__(self, function, *args, state=None):
        self.reduced = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.reduced


def saved(path: Path, thing: object) -> Path:
    torch.save(thing, path)
    return path


def torchvision_model(name: str) -> nn.Module:
    import torchvision

    small = {"vit_b_16": {"image_size": 32}}.get(name, {})
    return torchvision.models.get_model(name, weights=None, **small)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5", "efficientnet_b0"])
def test_pickled_torchvision_module_computes_the_same(tmp_path, name):
    model = torchvision_model(name).eval()
    loaded = load_pickle(saved(tmp_path / "m.pt", model))
    x = torch.randn(1, 3, 64, 64)
    assert torch.equal(loaded.eval()(x), model(x))


@pytest.mark.parametrize("name", ["vit_b_16", "convnext_tiny", "densenet121", "swin_t"])
def test_larger_torchvision_modules_load(tmp_path, name):
    with torch.device("meta"):
        model = torchvision_model(name)
    loaded = load_pickle(saved(tmp_path / "m.pt", model))
    assert type(loaded) is type(model)
    assert list(loaded.state_dict()) == list(model.state_dict())


@pytest.mark.parametrize("name", ["resnet10t", "vit_tiny_patch16_224", "fasternet_t0", "test_convnext"])
def test_pickled_timm_module_computes_the_same(tmp_path, name):
    import timm

    model = timm.create_model(name, num_classes=5).eval()
    loaded = load_pickle(saved(tmp_path / "m.pt", model))
    x = torch.randn(1, *model.pretrained_cfg["input_size"])
    assert torch.equal(loaded.eval()(x), model(x))


def test_pickled_transformers_module_computes_the_same(tmp_path):
    import transformers

    config = transformers.GPT2Config(
        n_embd=8, n_layer=1, n_head=2, vocab_size=20, bos_token_id=0, eos_token_id=0
    )
    model = transformers.GPT2LMHeadModel(config).eval()
    loaded = load_pickle(saved(tmp_path / "m.pt", model))
    ids = torch.arange(5).unsqueeze(0)
    assert torch.equal(loaded.eval()(ids).logits, model(ids).logits)


def test_package_named_by_the_user_is_allowed(tmp_path):
    from vit_pytorch import SimpleViT

    model = SimpleViT(image_size=8, patch_size=4, num_classes=3, dim=8, depth=1, heads=2, mlp_dim=8).eval()
    path = saved(tmp_path / "m.pt", model)
    with pytest.raises(UnsafeCheckpointError, match=r"(?s)einops.*--allow einops"):
        load_pickle(path)
    with pytest.raises(UnsafeCheckpointError, match=r"(?s)vit_pytorch.*--allow vit_pytorch"):
        load_pickle(path, allow=["einops"])
    x = torch.randn(1, 3, 8, 8)
    loaded = load_pickle(path, allow=["einops", "vit_pytorch"])
    assert torch.equal(loaded.eval()(x), model(x))


class Marker(nn.Module):
    """A module whose constructor would write a file."""

    def __init__(self, path="marker"):
        super().__init__()
        Path(path).write_text("ran")


def hostile(marker: Path) -> dict[str, object]:
    command = f"touch {marker}"
    return {
        "os.system": Calls(os.system, command),
        "eval": Calls(eval, f"open({str(marker)!r}, 'w')"),
        "exec": Calls(exec, f"open({str(marker)!r}, 'w')"),
        "import": Calls(__import__, "os"),
        "open": Calls(open, str(marker), "w"),
        "subprocess": Calls(subprocess.check_call, ["touch", str(marker)]),
        "torch.load": Calls(torch.load, str(marker)),
        "torch.hub.load": Calls(torch.hub.load, "owner/name", "model"),
        "partial": functools.partial(os.system, command),
        "partial of a constructor": Calls(functools.partial(nn.Linear, 2, 2)),
        "getattr": Calls(getattr, nn.Linear(1, 1), "register_forward_hook"),
        "getattr chain": Calls(getattr, Calls(getattr, nn.Linear(1, 1), "forward"), "__globals__"),
        "constructor": Calls(nn.Linear, 2, 2),
        "class outside torch.nn": Calls(torch.fx.Graph),
        "fx": torch.fx.symbolic_trace(nn.Linear(2, 2)),
        "built type": Calls(type, "Name", (), {}),
        "library function": Calls(torch.nn.utils.parameters_to_vector, []),
        "types": Calls(types.SimpleNamespace),
        "module code": collections.UserDict(),
    }


@pytest.mark.parametrize("case", list(hostile(Path("x"))))
def test_nothing_in_a_file_runs(tmp_path, case):
    marker = tmp_path / "marker"
    path = tmp_path / "m.pt"
    torch.save({"weight": torch.ones(2), "extra": hostile(marker)[case]}, path)
    with pytest.raises(UnsafeCheckpointError) as caught:
        load_pickle(path)
    assert not marker.exists()
    assert caught.value.remedy


def test_constructor_of_an_allowed_package_does_not_run(tmp_path, monkeypatch):
    module = types.ModuleType("weightspace_user_package")
    module.Marker = Marker
    monkeypatch.setitem(__import__("sys").modules, "weightspace_user_package", module)
    monkeypatch.setattr(Marker, "__module__", "weightspace_user_package")
    marker = tmp_path / "marker"
    path = saved(tmp_path / "m.pt", Calls(Marker, str(marker)))
    with pytest.raises(UnsafeCheckpointError, match="not run its constructor"):
        load_pickle(path, allow=["weightspace_user_package"])
    path = saved(tmp_path / "m.pt", Marker.__new__(Marker))
    assert isinstance(load_pickle(path, allow=["weightspace_user_package"]), Marker)
    assert not marker.exists()


def test_class_left_in_an_attribute_stays_uncallable(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2))
    model.norm_layer = functools.partial(nn.LayerNorm, eps=1e-6)
    loaded = load_pickle(saved(tmp_path / "m.pt", model))
    with pytest.raises(UnsafeCheckpointError, match="LayerNorm"):
        loaded.norm_layer(4)
    assert torch.equal(loaded(torch.ones(1, 2)), model(torch.ones(1, 2)))


def test_builtin_activations_load(tmp_path):
    model = nn.Linear(1, 1)
    model.acts = [torch.sin, torch.nn.functional.relu, torch.nn.functional.gelu, torch.nn.functional.softplus]
    loaded = load_pickle(saved(tmp_path / "m.pt", model))
    x = torch.linspace(-1, 1, 5)
    for ours, theirs in zip(loaded.acts, model.acts, strict=True):
        assert torch.equal(ours(x), theirs(x))


def test_weights_are_memory_mapped(tmp_path):
    path = saved(tmp_path / "m.pt", {"weight": torch.ones(1000)})
    assert str(path) not in Path("/proc/self/maps").read_text()
    tensors = load_pickle(path)
    assert str(path) in Path("/proc/self/maps").read_text()
    assert torch.equal(tensors["weight"], torch.ones(1000))


def test_files_of_old_torch(tmp_path):
    path = tmp_path / "old.pth"
    torch.save({"weight": torch.arange(3.0)}, path, _use_new_zipfile_serialization=False)
    assert torch.equal(load_pickle(path)["weight"], torch.arange(3.0))
    torch.save(nn.Linear(1, 1), path, _use_new_zipfile_serialization=False)
    with pytest.raises(UnsafeCheckpointError, match="state_dict"):
        load_pickle(path)
    torch.save({"x": Calls(os.system, "true")}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(UnsafeCheckpointError):
        load_pickle(path)


def test_bad_numbers_are_only_numbers(tmp_path):
    bad = torch.tensor([float("nan"), float("inf")])
    assert torch.equal(load_pickle(saved(tmp_path / "m.pt", {"w": bad}))["w"].isnan(), bad.isnan())


def test_damaged_files_give_one_clear_error(tmp_path):
    whole = saved(tmp_path / "whole.pt", nn.Linear(100, 100).state_dict()).read_bytes()
    contents = {
        "empty": b"",
        "truncated": whole[: len(whole) // 2],
        "flipped": whole[:100] + b"\xff" * 60 + whole[160:],
        "text": b"hello, I am no model",
        "html": b"<!DOCTYPE html><html>not found</html>",
        "pickle": pickle.dumps({"a": 1}),
        "old pickle": b"\x80\x02}q\x00.",
        "zip": b"PK\x05\x06" + bytes(18),
    }
    for name, content in contents.items():
        path = tmp_path / f"{name}.pt"
        path.write_bytes(content)
        with pytest.raises(CheckpointError) as caught:
            load_pickle(path)
        assert path.name in caught.value.message
        assert caught.value.remedy


def test_torchscript_archive_is_named(tmp_path):
    path = tmp_path / "scripted.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("scripted/constants.pkl", b"")
    with pytest.raises(SourceError, match="TorchScript"):
        load_pickle(path)
