"""Sources that are files: state dicts wrapped and bare, safetensors, exported programs."""

import json
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from wsgraph.errors import CheckpointError, SourceError, UnsafeCheckpointError
from wsgraph.frontends.safetensors_files import read_safetensors
from wsgraph.frontends.source import open_source


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))


def assert_same(tensors, expected):
    assert tensors.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(tensors[name], value), name


@pytest.mark.parametrize(
    "wrap",
    [
        lambda sd: sd,
        lambda sd: {"model": sd, "epoch": 3},
        lambda sd: {"state_dict": {f"module.{k}": v for k, v in sd.items()}},
        lambda sd: {"epoch": 1, "my_weights": sd, "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}}},
        lambda sd: {"a": {"b": {f"_orig_mod.module.{k}": v for k, v in sd.items()}}},
    ],
)
def test_state_dict_is_found_wherever_it_is(tmp_path, wrap):
    model = mlp()
    torch.save(wrap(model.state_dict()), tmp_path / "m.pt")
    source = open_source(tmp_path / "m.pt")
    assert_same(source.tensors, model.state_dict())
    x = torch.randn(2, 6)
    assert torch.equal(source.module(x), model(x))
    assert [tuple(x.shape) for x in source.inputs] == [(1, 6)]
    assert source.origin == "m.pt"
    assert any("MLP 6-5-4-3" in note for note in source.notes)


def test_plain_weights_are_preferred_to_averaged_ones_and_it_says_so(tmp_path):
    torch.save({"ema": mlp().state_dict(), "model": (model := mlp()).state_dict()}, tmp_path / "m.pt")
    source = open_source(tmp_path / "m.pt")
    assert_same(source.tensors, model.state_dict())
    assert any("'model'" in note and "ema" in note for note in source.notes)


def test_module_inside_a_dict(tmp_path):
    model = mlp()
    torch.save({"model": model, "epoch": 2}, tmp_path / "m.pt")
    assert_same(open_source(tmp_path / "m.pt").tensors, model.state_dict())


def test_checkpoint_without_tensors(tmp_path):
    torch.save({"epoch": 3, "config": {"a": 1}}, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match="'epoch', 'config'"):
        open_source(tmp_path / "m.pt")


@pytest.mark.parametrize("names", ["{i}", "net.{i}.linear", "seq.{i}", "layers.{i}"])
def test_chains_of_linear_layers_keep_their_names(tmp_path, names):
    # Twelve layers: safetensors sorts names as text, so that layer 10 comes before layer 2.
    tensors = {}
    for i in range(12):
        tensors[f"{names.format(i=i)}.weight"] = torch.randn(
            2 + i if i else 4, 1 + i if i > 1 else (4 if i else 2)
        )
        tensors[f"{names.format(i=i)}.bias"] = torch.randn(2 + i if i else 4)
    save_file(tensors, tmp_path / "siren.safetensors")
    source = open_source(tmp_path / "siren.safetensors")
    assert_same(source.tensors, dict(source.module.state_dict()) | tensors)
    assert any("SIREN 2-4" in note and "assumed" in note for note in source.notes)
    assert source.inputs[0].shape == (1, 2)
    x = out = torch.randn(3, 2)
    for i in range(12):
        out = nn.functional.linear(
            out, tensors[f"{names.format(i=i)}.weight"], tensors[f"{names.format(i=i)}.bias"]
        )
        out = torch.sin(30 * out) if i < 11 else out
    assert torch.allclose(source.module(x), out)


def test_weights_are_not_copied(tmp_path):
    save_file(
        {"0.weight": torch.ones(300, 300), "2.weight": torch.ones(300, 300)}, tmp_path / "m.safetensors"
    )
    source = open_source(tmp_path / "m.safetensors")
    assert source.tensors["0.weight"].data_ptr() == source.module.get_submodule("0").weight.data_ptr()
    assert str(tmp_path / "m.safetensors") in Path("/proc/self/maps").read_text()


def test_mapped_weights_are_not_looked_at(tmp_path):
    path = tmp_path / "hollow.safetensors"
    size, count = 1 << 20, 64
    header = {
        f"{k}": {"dtype": "F32", "shape": [size // 4], "data_offsets": [k * size, (k + 1) * size]}
        for k in range(count)
    }
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + count * size)
    tensors = read_safetensors(path)
    assert len(tensors) == count

    def resident() -> int:
        """KiB of the file that this process has touched."""
        mappings = Path("/proc/self/smaps").read_text().split(f"{path}\n")[1:]
        return sum(int(text.split("Rss:")[1].split()[0]) for text in mappings)

    assert resident() == 0
    assert not tensors["5"].any()
    assert resident() > 0


def test_safetensors_of_every_kind_and_alignment(tmp_path):
    tensors = {
        "matrix": torch.randn(3, 4),
        "scalar": torch.tensor(3.0),
        "empty": torch.empty(0, 3),
        "mask": torch.tensor([True, False, True]),
        "half": torch.randn(3).half(),
        "complex": torch.randn(2, dtype=torch.complex64),
        "unsigned": torch.tensor([1, 2, 3], dtype=torch.uint16),
        "eight bits": torch.randn(3).to(torch.float8_e4m3fn),
        "eight other bits": torch.randn(3).to(torch.float8_e4m3fnuz),
    }
    path = tmp_path / "m.safetensors"
    save_file(tensors, path, metadata={"who": "somebody"})
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    shifted = tmp_path / "shifted.safetensors"  # other writers do not align the data
    shifted.write_bytes((header - 7).to_bytes(8, "little") + content[8:header] + b" " + content[header:])
    for file in (path, shifted):
        found = read_safetensors(file)
        assert found.keys() == tensors.keys()
        for name, tensor in found.items():
            assert (tensor.dtype, tensor.shape) == (tensors[name].dtype, tensors[name].shape)
            assert torch.equal(
                tensor.reshape(-1).view(torch.uint8), tensors[name].reshape(-1).view(torch.uint8)
            )
    found["matrix"].add_(1)
    assert torch.equal(read_safetensors(shifted)["matrix"], tensors["matrix"])


def test_sharded_safetensors(tmp_path):
    model = mlp()
    first = {k: v for k, v in model.state_dict().items() if k.startswith("0")}
    second = {k: v for k, v in model.state_dict().items() if not k.startswith("0")}
    save_file(first, tmp_path / "a.safetensors")
    save_file(second, tmp_path / "b.safetensors")
    index = dict.fromkeys(first, "a.safetensors") | dict.fromkeys(second, "b.safetensors")
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": index}))
    assert_same(open_source(path).tensors, model.state_dict())
    (tmp_path / "b.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"b\.safetensors"):
        open_source(path)
    path.write_text(json.dumps({"weight_map": {"0.weight": "../a.safetensors"}}))
    with pytest.raises(CheckpointError, match="not beside it"):
        open_source(path)


def test_damaged_safetensors(tmp_path):
    for content in (b"", b"hello", b"\xff" * 64):
        (tmp_path / "m.safetensors").write_bytes(content)
        with pytest.raises(CheckpointError, match=r"m\.safetensors cannot be read"):
            open_source(tmp_path / "m.safetensors")


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(SourceError, match="no file"):
        open_source(tmp_path / "none.pt")
    (tmp_path / "m.onnx").write_bytes(b"onnx")
    with pytest.raises(SourceError, match="ONNX"):
        open_source(tmp_path / "m.onnx")
    with pytest.raises(SourceError, match="no weights"):
        open_source(tmp_path)
    with pytest.raises(SourceError, match="int is no model source"):
        open_source(3)


def test_exported_program_as_object_and_file(tmp_path):
    model = mlp()
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(model, (torch.randn(2, 6),), dynamic_shapes=({0: batch},))
    torch.export.save(program, tmp_path / "m.pt2")
    for given in (program, tmp_path / "m.pt2"):
        source = open_source(given)
        assert source.module is None
        assert source.inputs == ()
        assert_same(source.tensors, model.state_dict())
    x = torch.randn(3, 6)
    assert torch.equal(source.program.module()(x), model(x))


def rewritten(path, change):
    """The archive with every record passed through ``change``; a record that becomes None is left out."""
    with zipfile.ZipFile(path) as archive:
        records = {name: change(name, archive.read(name)) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in records.items():
            archive.writestr(name, content)


def edits():
    text = lambda old, new: lambda name, data: data.replace(old, new) if name.endswith("model.json") else data
    hostile = b"cos\nsystem\n(S'touch marker'\ntR."
    return {
        "target": text(b"torch.ops.aten.relu.default", b"torch.hub.load"),
        "expression": text(b"Symbol('s", b"__import__('os').system('s"),
        "container": text(b"builtins.tuple", b"collections.defaultdict"),
        "inputs": lambda name, data: hostile if "sample_inputs" in name else data,
        "pickled weight": lambda name, data: (
            data.replace(b'"use_pickle": false', b'"use_pickle": true')
            if name.endswith("weights_config.json")
            else hostile
            if name.endswith("weight_0")
            else data
        ),
        "object": text(b"", b""),
    }


@pytest.mark.parametrize("case", list(edits()))
def test_hostile_archives_are_refused(tmp_path, case, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "m.pt2"
    batch = torch.export.Dim("batch", min=1, max=64)
    torch.export.save(torch.export.export(mlp(), (torch.randn(2, 6),), dynamic_shapes=({0: batch},)), path)
    rewritten(path, edits()[case])
    if case == "object":
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("m/data/constants/opaque_obj_0", b"cos\nsystem\n(S'touch marker'\ntR.")
    with pytest.raises(UnsafeCheckpointError):
        open_source(path)
    assert not (tmp_path / "marker").exists()


def test_damaged_archive(tmp_path):
    (tmp_path / "m.pt2").write_bytes(b"PK\x03\x04nothing")
    with pytest.raises(CheckpointError, match=r"torch\.export archive"):
        open_source(tmp_path / "m.pt2")
