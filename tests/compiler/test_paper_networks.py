"""The paper's own examples: SimpleViT (App. F.2), ResNets (App. F.1), and small real networks."""

from collections.abc import Callable
from typing import Any

import pytest
from torch import nn

import wsgraph

Prove = Callable[..., wsgraph.EventStream]


def simple_vit() -> nn.Module:
    from vit_pytorch import SimpleViT

    model: nn.Module = SimpleViT(
        image_size=32, patch_size=4, num_classes=10, dim=32, depth=2, heads=4, mlp_dim=64, dim_head=16
    )
    return model


def test_simple_vit_as_in_the_appendix(prove: Prove) -> None:
    stream = prove(simple_vit(), "1x3x32x32")
    assert stream.num_timestamps == 12
    d_model, heads, d_k = 32, 4, 16
    patch = next(e for e in stream.edge_blocks if e.attrs["scope"] == "to_patch_embedding.2")
    assert patch.shape == (d_model, 48, 1)
    for block in range(2):
        scope = f"transformer.layers.{block}.0"
        inside = [e for e in stream.edge_blocks if str(e.attrs.get("scope", "")).startswith(scope)]
        projections = [
            e for e in inside if stream.structure.node_by_id[e.dst].attrs["role"] in ("q", "k", "v")
        ]
        mixing = [e for e in inside if stream.structure.node_by_id[e.dst].attrs["role"] == "z"]
        assert sum(e.num_edges for e in projections) == heads * (d_model * d_k * 2 + d_model * d_k)
        assert sum(e.num_edges for e in mixing) == heads * (d_k * d_k * 2 + d_k * d_k)
        t = {e.t for e in projections} | {e.t for e in mixing}
        assert t == {2 + 5 * block, 3 + 5 * block}


def test_a_residual_network_adds_its_sources_again() -> None:
    from torchvision.models.resnet import BasicBlock, ResNet

    model = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=5, width_per_group=64)
    stream = wsgraph.compile(model, "1x3x32x32")
    assert stream.num_timestamps == 10
    residuals = [e for e in stream.edge_blocks if "residual" in str(e.feature)]
    assert len(residuals) == 4
    assert residuals[0].feature.scale == 2  # type: ignore[union-attr]  # learned
    assert all(r.feature.scale == 1 for r in residuals[1:])  # type: ignore[union-attr]  # downsampled: parallel


SMALL: dict[str, dict[str, Any]] = {
    "vit_tiny_patch16_224": {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2},
    "convnext_atto": {"depths": (1, 1, 1, 1), "dims": (8, 8, 16, 16)},
    "swin_tiny_patch4_window7_224": {
        "img_size": 32, "patch_size": 2, "window_size": 4, "embed_dim": 8,
        "depths": (2, 1), "num_heads": (2, 2),
    },
    "eva02_tiny_patch14_224": {"img_size": 28, "embed_dim": 16, "depth": 1, "num_heads": 2},
    "cait_xxs24_224": {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2},
    "beit_base_patch16_224": {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2},
}  # fmt: skip


def small(name: str) -> nn.Module:
    import timm

    model: nn.Module = timm.create_model(name, num_classes=3, **SMALL[name])
    return model


@pytest.mark.parametrize("name", list(SMALL))
def test_small_networks_of_timm(prove: Prove, name: str) -> None:
    size = SMALL[name].get("img_size", 32)
    assert prove(small(name), f"1x3x{size}x{size}").num_timestamps > 5


def test_mlp_mixer(prove: Prove) -> None:
    from timm.models.mlp_mixer import MlpMixer

    model = MlpMixer(num_classes=3, img_size=16, patch_size=4, num_blocks=2, embed_dim=8)
    stream = prove(model, "1x3x16x16")
    # The patch embedding, four layers a block, the head.
    assert stream.num_timestamps == 1 + 2 * 4 + 1
