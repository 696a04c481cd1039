"""Unlike blocks in one launch, and a whole batch of unlike networks in step."""

import torch

from tests.encoders.networks import stream
from tests.triton.cases import DEVICE, REFERENCE, relative
from wsgraph_encoders import DNGConfig, DNGEncoder, collate
from wsgraph_encoders.fourier import ScalarMap
from wsgraph_encoders.messages import message_function
from wsgraph_encoders.messages.wiring import DenseWiring
from wsgraph_encoders.triton.grouped import Request, grouped_single
from wsgraph_encoders.triton.ladder import expand, ladder
from wsgraph_encoders.triton.message import TritonMessage
from wsgraph_encoders.triton.together import encode_together


def test_unlike_blocks_in_one_launch() -> None:
    torch.manual_seed(0)
    edge = ScalarMap(3 * torch.randn(4), torch.randn(5, 8).requires_grad_(), torch.randn(5).requires_grad_())
    wide = ScalarMap(*(x.detach().double().requires_grad_() for x in edge))
    requests, leaves, exact, expected = [], [*edge[1:]], [*wide[1:]], []
    for batch, groups, n_dst, n_src, shared in (
        (1, 1, 17, 3, False),
        (2, 1, 2, 18, True),
        (2, 2, 3, 5, False),
    ):
        wiring = DenseWiring(groups, n_dst, n_src)
        w = (0.05 * torch.randn(batch, *wiring.shape, 1)).index_fill(2, torch.tensor([1]), 2.0)
        u = torch.randn(1 if shared else batch, groups * n_src, 5)
        leaves += [w.requires_grad_(), u.requires_grad_()]
        requests.append(Request(wiring, w.to(DEVICE), u.to(DEVICE)))
        exact += [w.detach().double().requires_grad_(), u.detach().double().requires_grad_()]
        expected.append(REFERENCE.single(wiring, exact[-2], exact[-1].expand(batch, -1, -1), wide))
    on_device = ScalarMap(*(x.to(DEVICE) for x in edge))
    got = grouped_single(requests, expand(on_device, ladder(on_device.frequencies)), "ieee")
    for found, wanted in zip(got, expected, strict=True):
        assert relative(found, wanted) <= 1e-5
    upstream = [torch.randn_like(found) for found in got]
    grads = torch.autograd.grad(got, leaves, upstream)
    wanted_grads = torch.autograd.grad(expected, exact, [x.cpu().double() for x in upstream])
    for found, wanted in zip(grads, wanted_grads, strict=True):
        assert relative(found, wanted) <= 1e-5


def test_a_batch_of_unlike_networks_in_step() -> None:
    torch.manual_seed(0)
    streams = [stream(name) for name in ("mlp", "vit", "mlp")]
    encoder = DNGEncoder(DNGConfig(frequencies=3, hidden=5, passes=2, readout="mean")).to(DEVICE)
    groups = [group.fresh(DEVICE) for group in collate(streams).groups]
    with torch.no_grad():
        encoder.message = message_function("reference")
        alone = [encoder.encode_group(group.fresh(DEVICE), keep=False) for group in groups]
        together = encode_together(encoder, groups, TritonMessage("ieee"), keep=False)
    for (embedding, kept), (expected, expected_kept) in zip(together, alone, strict=True):
        assert relative(embedding, expected.cpu().double()) <= 1e-4
        assert kept.keys() == expected_kept.keys()
        for block, memory in expected_kept.items():
            assert relative(kept[block], memory.cpu().double()) <= 1e-4
