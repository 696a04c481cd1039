"""The paper's own examples: SimpleViT (App. F.2), ResNets (App. F.1), and small real networks."""

from collections.abc import Callable

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
        inside = [e for e in stream.edge_blocks if e.attrs["scope"].startswith(f"transformer.layers.{block}.0")]  # type: ignore[union-attr]  # scopes are text
        projections = [e for e in inside if stream.structure.node_by_id[e.dst].attrs["role"] in ("q", "k", "v")]
        mixing = [e for e in inside if stream.structure.node_by_id[e.dst].attrs["role"] == "z"]
        assert sum(e.num_edges for e in projections) == heads * (d_model * d_k * 2 + d_model * d_k)
        assert sum(e.num_edges for e in mixing) == heads * (d_k * d_k * 2 + d_k * d_k)
        t = {e.t for e in projections} | {e.t for e in mixing}
        assert t == {2 + 5 * block, 3 + 5 * block}


def test_a_residual_network_adds_its_sources_again(prove: Prove) -> None:
    from torchvision.models.resnet import BasicBlock, ResNet

    model = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=5, width_per_group=64)
    stream = wsgraph.compile(model, "1x3x32x32")
    assert stream.num_timestamps == 10
    residuals = [e for e in stream.edge_blocks if "residual" in str(e.feature)]
    assert len(residuals) == 4
    assert residuals[0].feature.scale == 2  # type: ignore[union-attr]  # learned
    assert all(r.feature.scale == 1 for r in residuals[1:])  # type: ignore[union-attr]  # downsampled: parallel


def small(name: str) -> nn.Module:
    import timm

    options: dict[str, dict[str, object]] = {
        "resnet18": {"channels": (8, 8, 16, 16)},
        "vit_tiny_patch16_224": {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2},
        "convnext_atto": {"depths": (1, 1, 1, 1), "dims": (8, 8, 16, 16)},
        "swin_tiny_patch4_window7_224": {
            "img_size": 32, "patch_size": 2, "window_size": 4, "embed_dim": 8, "depths": (2, 1), "num_heads": (2, 2),
        },
        "gmixer_12_224": {"img_size": 32},
        "eva02_tiny_patch14_224": {"img_size": 28, "embed_dim": 16, "depth": 1, "num_heads": 2},
        "cait_xxs24_224": {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2},
        "beit_base_patch16_224": {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2},
    }  # fmt: skip
    model: nn.Module = timm.create_model(name, num_classes=3, **options.get(name, {}))
    return model


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("vit_tiny_patch16_224", "1x3x32x32"),
        ("convnext_atto", "1x3x32x32"),
        ("swin_tiny_patch4_window7_224", "1x3x32x32"),
        ("gmixer_12_224", "1x3x32x32"),
        ("eva02_tiny_patch14_224", "1x3x28x28"),
        ("cait_xxs24_224", "1x3x32x32"),
        ("beit_base_patch16_224", "1x3x32x32"),
    ],
)
def test_small_networks_of_timm(prove: Prove, name: str, inputs: str) -> None:
    assert prove(small(name), inputs).num_timestamps > 5
