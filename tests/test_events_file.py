"""A ``.wsg`` file gives back what was put into it, bit for bit."""

import json
import pickle
import stat

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.events_samples import SAMPLES, mlp, residual, specs
from wsgraph.errors import FileFormatError, SourceError, StructureError
from wsgraph.events import EventStream, NodeBlock, ParamView, Structure, load
from wsgraph.events.bits import same_bits
from wsgraph.events.encode import encode_structure

DTYPES = [
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int8,
    torch.uint8,
    torch.bool,
    torch.complex64,
    torch.float8_e4m3fn,
]


def names_in(folder):
    return [path.name for path in folder.iterdir()]


def assert_same(a, b):
    assert a.keys() == b.keys()
    assert list(a) == list(b)
    for name in a:
        assert same_bits(a[name], b[name]), name


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_survive_the_trip(name, tmp_path):
    stream = SAMPLES[name]()
    stream.save(tmp_path / "x.wsg")
    loaded = load(tmp_path / "x.wsg")
    assert loaded.fingerprint == stream.fingerprint
    assert loaded.text() == stream.text()
    assert loaded.structure.meta == stream.structure.meta
    assert encode_structure(loaded.structure) == encode_structure(stream.structure)
    assert_same(loaded.state_dict(), stream.state_dict())


@st.composite
def state_dicts(draw):
    """Tensors of all dtypes and layouts, some of them tied or sharing part of their memory."""
    tensors, tied = {}, {}
    for i in range(draw(st.integers(0, 5))):
        shape = tuple(draw(st.lists(st.integers(0, 4), max_size=3)))
        dtype = draw(st.sampled_from(DTYPES))
        raw = torch.randint(0, 256, (*shape, 8), dtype=torch.uint8)
        tensor = (
            raw[..., :1].bool() if dtype is torch.bool else raw[..., : dtype.itemsize].clone().view(dtype)
        )
        tensor = tensor.squeeze(-1)
        layout = draw(st.sampled_from(["contiguous", "transposed", "shared"]))
        if layout == "transposed":
            tensor = tensor.permute(tuple(reversed(range(tensor.dim()))))
        tensors[f"t{i}"] = tensor
        if layout == "shared" and tensor.dim() and len(tensor) > 1:
            tensors[f"part{i}"] = tensor[1:]
        if draw(st.booleans()):
            tensors[f"tied{i}"] = tensor
            tied[f"tied{i}"] = f"t{i}"
    return tensors, tied


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(state_dicts())
def test_any_state_dict_survives_the_trip(tmp_path, generated):
    tensors, tied = generated
    nodes = tuple(
        NodeBlock(i, tensor.numel(), 0, {"bias": ParamView(name, (tensor.numel(),), (1,))})
        for i, (name, tensor) in enumerate(tensors.items())
    )
    stream = EventStream(Structure(nodes, (), specs(tensors, tied=tied.items())), tensors)
    path = tmp_path / "x.wsg"
    stream.save(path)
    loaded = load(path)
    state = loaded.state_dict()
    assert_same(state, tensors)
    for name, target in tied.items():
        assert state[name] is state[target]
    loaded.save(path)  # over the file that is mapped at this moment
    assert_same(load(path).state_dict(), tensors)
    assert names_in(tmp_path) == ["x.wsg"]


def test_the_file_is_a_safetensors_file(tmp_path):
    stream = residual()
    stream.save(tmp_path / "x.wsg")
    found = load_file(tmp_path / "x.wsg")
    assert found.keys() == stream.state_dict().keys() - {"head.weight"}
    with safe_open(tmp_path / "x.wsg", "pt") as handle:
        document = json.loads(handle.metadata()["wsgraph"])
    assert (document["format"], document["version"], document["weights"]) == ("wsgraph", 1, "inline")


def test_equal_streams_give_equal_files(tmp_path):
    for name in ("a.wsg", "b.wsg"):
        mlp().save(tmp_path / name)
    assert (tmp_path / "a.wsg").read_bytes() == (tmp_path / "b.wsg").read_bytes()


def test_weights_are_mapped_when_they_are_asked_for(tmp_path):
    mlp().save(tmp_path / "x.wsg")
    loaded = load(tmp_path / "x.wsg")
    assert loaded.weights is not None
    assert loaded.weights["net.0.bias"].data_ptr() == loaded.weights["net.0.bias"].data_ptr()
    assert len(loaded.weights) == 6
    restored = pickle.loads(pickle.dumps(loaded.weights))
    assert_same(restored, mlp().state_dict())


def test_without_weights_a_stream_needs_bind(tmp_path):
    stream = residual()
    stream.save(tmp_path / "x.wsg", weights=False)
    loaded = load(tmp_path / "x.wsg")
    assert loaded.fingerprint == stream.fingerprint
    assert loaded.weights is None
    assert "no weights" in repr(loaded)
    with pytest.raises(StructureError, match="bind"):
        loaded.state_dict()
    with pytest.raises(StructureError, match="bind"):
        loaded.save(tmp_path / "y.wsg")
    assert_same(loaded.bind(stream.state_dict()).state_dict(), stream.state_dict())


def test_dtypes_of_other_weights_are_written(tmp_path):
    stream = residual()
    half = stream.bind({name: tensor.bfloat16() for name, tensor in stream.state_dict().items()})
    half.save(tmp_path / "x.wsg")
    loaded = load(tmp_path / "x.wsg")
    assert loaded.structure.tensors["head.weight"].dtype == "bfloat16"
    assert loaded.fingerprint == stream.fingerprint
    assert_same(loaded.state_dict(), half.state_dict())


def test_permissions_follow_the_umask(tmp_path):
    mlp().save(tmp_path / "x.wsg")
    (tmp_path / "plain").touch()
    assert stat.S_IMODE((tmp_path / "x.wsg").stat().st_mode) == stat.S_IMODE(
        (tmp_path / "plain").stat().st_mode
    )


def test_a_folder_that_does_not_exist_is_one_clear_error(tmp_path):
    with pytest.raises(FileFormatError, match="cannot write"):
        mlp().save(tmp_path / "gone" / "x.wsg")
    with pytest.raises(FileFormatError, match="cannot write"):
        mlp().save(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(FileFormatError, match="cannot write"):
        mlp().save(tmp_path / "file" / "x.wsg")
    assert names_in(tmp_path) == ["file"]


def test_a_failed_write_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = tmp_path / "x.wsg"
    mlp().save(path)
    before = path.read_bytes()

    def interrupted(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr("wsgraph.events.save.save_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        residual().save(path)
    assert path.read_bytes() == before
    assert names_in(tmp_path) == ["x.wsg"]


@pytest.mark.parametrize("tensor", [torch.zeros(2, dtype=torch.complex128), torch.zeros(2, device="meta")])
def test_tensors_without_a_place_in_the_format(tmp_path, tensor):
    stream = EventStream(
        Structure((NodeBlock(0, 2, 0),), (), specs({"w": tensor}, buffers="w")), {"w": tensor}
    )
    with pytest.raises(FileFormatError, match="'w' cannot be stored"):
        stream.save(tmp_path / "x.wsg")


def test_files_that_are_no_wsg_files(tmp_path):
    with pytest.raises(SourceError, match="there is no file"):
        load(tmp_path / "gone.wsg")
    path = tmp_path / "x.wsg"
    for content in (b"", b"text", b"\xff" * 64):
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match="damaged"):
            load(path)
    save_file({"w": torch.zeros(2)}, path)
    with pytest.raises(FileFormatError, match="without a wsgraph structure"):
        load(path)


def test_a_truncated_file(tmp_path):
    path = tmp_path / "x.wsg"
    mlp().save(path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(FileFormatError, match="damaged"):
        load(path)
