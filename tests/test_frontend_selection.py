"""Forwards that select by value: thresholds, masks, non-maximum suppression."""

import torch
from torch import nn

import wsgraph
from wsgraph.frontends.selection import selecting_everything
from wsgraph.testing import assert_ledger


class Threshold(nn.Module):
    """Scores and boxes a position; those above a threshold are kept, as detectors do."""

    def __init__(self):
        super().__init__()
        self.backbone, self.score, self.box = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 1, 1), nn.Conv2d(8, 4, 1)

    def forward(self, x):
        h = self.backbone(x).relu()
        scores, boxes = self.score(h).flatten(), self.box(h).flatten(2)[0].t()
        kept = torch.where(scores > 0)[0]
        boxes, scores = boxes[kept], scores[kept]
        likely = scores.sigmoid() > 0.5
        return boxes[likely] if boxes.shape[0] > 2 else boxes


def test_a_detector_has_the_graph_of_its_layers():
    stream = assert_ledger(Threshold(), "1x3x6x6")
    assert [n.size for n in stream.node_blocks] == [3, 8, 4]
    assert any("keep everything" in note for note in stream.structure.meta["notes"])


def test_what_the_selections_leave_out_is_said_to_be_unused():
    """The scores decide which boxes are kept, and no value of theirs is in the result."""
    ledger = wsgraph.compile(Threshold(), "1x3x6x6").ledger()
    assert ledger.total("lowered") == sum(p.numel() for p in Threshold().parameters()) - 9
    assert ledger.total("unused") == 9


def test_masks_keep_every_element_in_its_order():
    x = torch.arange(12.0).view(3, 4)
    with selecting_everything():
        assert torch.equal(x[x > 100], x.flatten())
        assert torch.equal(x[torch.zeros(3, dtype=torch.bool)], x)
        assert torch.equal(x[:, torch.zeros(4, dtype=torch.bool)], x)
        assert torch.equal(torch.nonzero(x < 0), torch.cartesian_prod(torch.arange(3), torch.arange(4)))
        assert torch.equal(torch.masked_select(x, x < 0), x.flatten())
    assert torch.nonzero(x < 0).numel() == 0


class Masking(nn.Module):
    """A mask that torch.export follows: only the sizes that it gives depend on the data."""

    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.layer(x)[x.sum(-1) > 0])


def test_a_mask_that_only_the_sizes_depend_on():
    stream = assert_ledger(Masking(), "3x4")
    assert [n.size for n in stream.node_blocks] == [4, 4, 2]
    assert any("keep everything" in note for note in stream.structure.meta["notes"])


class Experts(nn.Module):
    """Rows sorted by expert and cut where the router says, as JetMoE does."""

    def __init__(self):
        super().__init__()
        self.router, self.experts = nn.Linear(4, 2), nn.ModuleList(nn.Linear(4, 3) for _ in range(2))

    def forward(self, x):
        chosen = self.router(x).argmax(-1)
        counts = torch.zeros(2, dtype=torch.int64).scatter_add(0, chosen, torch.ones_like(chosen)).tolist()
        parts = x[chosen.argsort()].split(counts, dim=0)
        return torch.cat([expert(part) for expert, part in zip(self.experts, parts, strict=True)])


def test_rows_are_dealt_out_to_experts_in_equal_parts():
    stream = wsgraph.compile(Experts(), "5x4")
    experts = [n for n in stream.node_blocks if str(n.attrs.get("scope", "")).startswith("experts")]
    assert [(n.size, n.attrs["sites"]) for n in experts] == [(3, 3), (3, 2)]
