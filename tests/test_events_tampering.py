"""Whatever is done to a file, reading it gives one clear error or a valid stream, never anything else."""

import json
import struct
from contextlib import suppress

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from tests.events_samples import SAMPLES, grouped
from wsgraph.errors import FileFormatError, LedgerError
from wsgraph.events import load
from wsgraph.events.bits import same_bits
from wsgraph.events.format import document_digest

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def unpack(path):
    with safe_open(path, "pt") as handle:
        tensors = {name: handle.get_tensor(name).clone() for name in handle.keys()}  # noqa: SIM118  no mapping
        return json.loads(handle.metadata()["wsgraph"]), tensors


def repack(path, document, tensors, *, sign):
    if sign and isinstance(document, dict):
        document = document | {"sha256": document_digest(document)}
    save_file(tensors, path, {"wsgraph": json.dumps(document)})


def places(value, at=()):
    """Every place in a JSON document."""
    yield at
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, child in children:
        yield from places(child, (*at, key))


def changed(value, at, change):
    """A copy of a JSON document, changed at one place."""
    if not at:
        return change(value)
    copy = value.copy()
    if at[1:]:
        copy[at[0]] = changed(copy[at[0]], at[1:], change)
    elif change is remove:
        del copy[at[0]]
    else:
        copy[at[0]] = change(copy[at[0]])
    return copy


def remove(_value):
    return None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 12) | st.integers() | st.floats(0, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)


def mutate(data, document):
    at = data.draw(st.sampled_from(list(places(document))[1:]))
    kind = data.draw(st.sampled_from(["replace", "remove", "step", "double"]))
    if kind == "remove":
        return changed(document, at, remove)
    if kind == "step":
        return changed(document, at, lambda v: v + 1 if type(v) is int else v)
    if kind == "double":
        return changed(document, at, lambda v: v + v if isinstance(v, list | str) else v)
    return changed(document, at, lambda _: data.draw(JSON))


@pytest.mark.parametrize("name", SAMPLES)
@quick
@given(data=st.data())
def test_a_changed_structure_is_noticed(tmp_path, name, data):
    path = tmp_path / "x.wsg"
    SAMPLES[name]().save(path)
    document, tensors = unpack(path)
    tampered = mutate(data, document)
    repack(path, tampered, tensors, sign=False)
    if json.dumps(tampered) == json.dumps(document):
        assert load(path).text() == SAMPLES[name]().text()
    else:
        with pytest.raises(FileFormatError):
            load(path)


@pytest.mark.parametrize("name", SAMPLES)
@quick
@given(data=st.data())
def test_a_changed_and_signed_structure_is_refused_or_valid(tmp_path, name, data):
    path = tmp_path / "x.wsg"
    SAMPLES[name]().save(path)
    document, tensors = unpack(path)
    repack(path, mutate(data, document), tensors, sign=True)
    try:
        stream = load(path)
    except FileFormatError:
        return
    stream.structure.validate()
    assert stream.text()
    with suppress(LedgerError):
        assert sum(row.numel for row in stream.ledger().rows) > 0


@quick
@given(data=st.data())
def test_a_changed_header_is_refused_or_changes_nothing(tmp_path, data):
    path = tmp_path / "x.wsg"
    grouped().save(path)
    content = bytearray(path.read_bytes())
    (length,) = struct.unpack("<Q", content[:8])
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, 7 + length))
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        stream = load(path)
    except FileFormatError:
        return
    assert stream.fingerprint == grouped().fingerprint
    for name, tensor in grouped().state_dict().items():
        assert same_bits(tensor, stream.state_dict()[name])


HUGE = 1 << 52


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (("nodes", 0, "size"), HUGE),
        (("nodes", 3, "t"), HUGE),
        (("tensors", 0, "shape"), [HUGE, HUGE]),
        (("edges", 0, "shape"), [2, 3, 2, HUGE]),
        (("edges", 1, "shape"), [HUGE, 1]),
        (("edges", 1, "src", "parts"), [[0, 0, HUGE]]),
        (("indices", 0, "shape"), [HUGE]),
    ],
)
def test_huge_sizes_are_refused(tmp_path, at, value):
    path = tmp_path / "x.wsg"
    grouped().save(path)
    document, tensors = unpack(path)
    repack(path, changed(document, ("structure", *at), lambda _: value), tensors, sign=True)
    with pytest.raises(FileFormatError):
        load(path)


def test_a_newer_version_says_so(tmp_path):
    path = tmp_path / "x.wsg"
    grouped().save(path)
    document, tensors = unpack(path)
    repack(path, document | {"version": 2}, tensors, sign=True)
    with pytest.raises(FileFormatError, match="install a newer wsgraph"):
        load(path)


def test_tensors_that_are_not_those_of_the_structure(tmp_path):
    path = tmp_path / "x.wsg"
    grouped().save(path)
    document, tensors = unpack(path)
    for name in tensors:
        repack(path, document, {key: tensor for key, tensor in tensors.items() if key != name}, sign=False)
        with pytest.raises(FileFormatError, match="missing"):
            load(path)
    repack(path, document, tensors | {"more": torch.zeros(1)}, sign=False)
    with pytest.raises(FileFormatError, match="unexpected"):
        load(path)
    repack(path, document, tensors | {"sparse": torch.zeros(5, dtype=torch.float64)}, sign=False)
    with pytest.raises(FileFormatError, match="float64, expected"):
        load(path)
    repack(path, document, tensors | {"__wsgraph__.index.gather": torch.tensor([0, 5])}, sign=False)
    with pytest.raises(FileFormatError, match="SHA-256"):
        load(path)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "[]", "1" * 5000, '{"format": NaN}', '{"a": 1, "a": 1}', "{}"]
)
def test_documents_that_are_no_structures(tmp_path, text):
    path = tmp_path / "x.wsg"
    save_file({"w": torch.zeros(1)}, path, {"wsgraph": text})
    with pytest.raises(FileFormatError):
        load(path)
