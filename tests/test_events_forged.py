"""Structures that contradict themselves, in files whose signatures are right: forged, not damaged."""

import pytest

from tests.events_samples import grouped
from tests.test_events_tampering import changed, repack, unpack
from wsgraph.errors import FileFormatError
from wsgraph.events import load

FORGERIES = {
    "size of a node block": (("nodes", 1, "size"), 7, "from 4 to 7 nodes"),
    "size of a source view": (("edges", 0, "src", "size"), 5, "size 5"),
    "source beyond its block": (("edges", 0, "src", "parts"), [[0, 1, 5]], "block 0"),
    "shape of a feature": (("edges", 2, "feature", "shape"), [4, 2, 2], "shape"),
    "feature beyond its tensor": (("edges", 2, "feature", "offset"), 1, "last"),
    "shape of a tensor": (("tensors", 2, "shape"), [4, 4], "last"),
    "unknown source block": (("edges", 0, "src", "parts"), [[9, 0, 4]], "9"),
    "unknown destination block": (("edges", 0, "dst"), 9, "9"),
    "unknown tensor": (("edges", 2, "feature", "tensor"), "nowhere", "nowhere"),
    "unknown index tensor": (("edges", 2, "src", "index"), "nowhere", "nowhere"),
    "unknown pattern": (("edges", 2, "pattern"), "sparse", "sparse"),
    "id used twice": (("nodes", 2, "id"), 1, "used twice"),
    "edge from a block to itself": (("edges", 0, "src", "parts"), [[1, 0, 4]], "before"),
    "edge back in time": (("edges", 0, "src", "parts"), [[3, 0, 4]], "before"),
    "edge at another time than its nodes": (("edges", 0, "t"), 2, "timestamp"),
    "time that runs backwards": (("nodes", 2, "t"), 0, "timestamp"),
    "time that jumps": (("nodes", 3, "t"), 5, "timestamp"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_structure_is_refused_with_a_reason(tmp_path, forgery):
    at, value, reason = FORGERIES[forgery]
    path = tmp_path / "x.wsg"
    grouped().save(path)
    document, tensors = unpack(path)
    repack(path, changed(document, ("structure", *at), lambda _: value), tensors, sign=True)
    with pytest.raises(FileFormatError, match=reason) as caught:
        load(path)
    assert str(path) in caught.value.message


@pytest.mark.parametrize(("version", "remedy"), [(2, "install a newer wsgraph"), (0, "")])
def test_other_versions(tmp_path, version, remedy):
    path = tmp_path / "x.wsg"
    grouped().save(path)
    document, tensors = unpack(path)
    repack(path, document | {"version": version}, tensors, sign=True)
    with pytest.raises(FileFormatError, match=f"format version {version}, this wsgraph reads") as caught:
        load(path)
    assert caught.value.remedy == remedy
