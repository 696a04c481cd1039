"""The ledger counts every element once, from the views."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.events_samples import dense, grouped, mlp, residual, specs, whole
from wsgraph.errors import LedgerError
from wsgraph.events import EdgeBlock, NodeBlock, ParamView, Pattern, Structure
from wsgraph.events.coverage import consecutive_elements, covers_all, mark_elements
from wsgraph.events.ledger import make_ledger


def counts(stream):
    return {row.name: dict(row.counts) for row in stream.ledger().rows}


def test_every_status_is_counted():
    assert counts(residual()) == {
        "stem.weight": {"lowered": 12},
        "a.weight": {"lowered": 16},
        "b.g": {"derived": 4},
        "b.v": {"derived": 16},
        "bn.weight": {"lowered": 4},
        "bn.bias": {"lowered": 4},
        "bn.running_mean": {"lowered": 4},
        "bn.running_var": {"lowered": 4},
        "bn.num_batches_tracked": {"constant": 1},
        "head.weight": {"tied": 16},
        "table": {"unused": 6},
    }


def test_indexed_views_and_partly_unread_tensors():
    assert counts(grouped())["sparse"] == {"lowered": 3, "unused": 2}


def test_lost_elements_are_an_error_that_counts_them():
    structure = grouped().structure
    tensors = dict(structure.tensors)
    tensors["sparse"] = replace(tensors["sparse"], unread=None)
    with pytest.raises(LedgerError, match=r"1 parameters would be lost: sparse \(2 of 5\)"):
        make_ledger(replace(structure, tensors=tensors))


def test_a_parameter_without_views_is_lost():
    structure = mlp().structure
    with pytest.raises(LedgerError, match=r"net\.2\.weight \(1,024 of 1,024\)"):
        make_ledger(replace(structure, edges=(structure.edges[0], structure.edges[2])))


def test_opaque_blocks_count_apart():
    structure = mlp().structure
    edges = list(structure.edges)
    edges[1] = replace(edges[1], attrs={"opaque": True})
    ledger = make_ledger(replace(structure, edges=tuple(edges)))
    assert ledger.total("opaque") == 1024
    assert ledger.total("lowered") == 1185 - 1024


def test_a_view_of_a_tied_name_counts_for_the_shared_tensor():
    structure = residual().structure
    edges = tuple(edge for edge in structure.edges if edge.id != 2)
    assert make_ledger(replace(structure, edges=edges)).total("tied") == 16


def test_totals_add_up_and_print():
    ledger = residual().ledger()
    for kind in ("parameter", "buffer"):
        totals = ledger.to_dict()["totals"][kind]
        assert totals.pop("elements") == sum(totals.values()) == ledger.numel(kind)
    assert sum(ledger.totals.values()) == 78 + 9
    assert str(ledger) == (
        "                  parameters           buffers\n"
        "lowered                   36                 8\n"
        "derived                   20                 0\n"
        "tied                      16                 0\n"
        "unused                     6                 0\n"
        "constant                   0                 1\n"
        "total                     78                 9"
    )


@st.composite
def strided_views(draw):
    """A view that stays inside 64 elements."""
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=3)))
    strides = tuple(draw(st.integers(0, 5)) for _ in shape)
    return ParamView("w", shape, strides, draw(st.integers(0, 4)))


@given(st.lists(strided_views(), max_size=4))
def test_coverage_agrees_with_the_elements_themselves(views):
    mask = torch.zeros(64, dtype=torch.bool)
    mark_elements(views, mask, {})
    read = {int(element) for view in views for element in view.elements({}).reshape(-1)}
    assert set(mask.nonzero().flatten().tolist()) == read
    for view in views:
        elements = sorted(view.elements({}).reshape(-1).tolist())
        interval = consecutive_elements(view)
        if interval is not None:
            assert elements == list(range(*interval))
        elif elements:
            assert elements != list(range(elements[0], elements[0] + len(elements)))


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)).map(lambda pair: tuple(sorted(pair)))))
def test_intervals_cover_all(intervals):
    covered = {element for start, stop in intervals for element in range(start, stop)}
    assert covers_all(intervals, 9) == (covered >= set(range(9)))


def test_whole_tensors_are_counted_by_sizes_alone(monkeypatch):
    def no_mask(*_args):
        pytest.fail("a mask was made, where sizes settle the question")

    monkeypatch.setattr("wsgraph.events.ledger.mark_elements", no_mask)
    n = 5000
    weight = torch.empty(n, n, device="meta")
    nodes = (NodeBlock(0, n, 0), NodeBlock(1, n, 1))
    edge = EdgeBlock(0, whole(0, n), 1, 1, Pattern.DENSE, (n, n, 1), dense("w", n, n))
    structure = Structure(nodes, (edge,), specs({"w": weight}))
    assert make_ledger(structure).total("lowered") == n * n
