"""The groups a person would list, derived by hand for each family, and proved on the model."""

from typing import Any

import torch
from torch import Tensor, nn

from tests.compiler.nets import Net
from tests.symmetry.proof import permutations, proved
from wsgraph.frontends.libraries import import_library


def test_mlp_each_hidden_layer() -> None:
    model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2))
    found = proved(model, "1x3")
    assert permutations(found) == {("neurons", 5): 1, ("neurons", 4): 1}
    (first,) = [s for s in found if (s.kind, s.size) == ("neurons", 5)]
    assert {(m.parameter, m.dimension) for m in first.members} == {
        ("0.weight", 0), ("0.bias", 0), ("2.weight", 1),
    }  # fmt: skip


def test_plain_cnn_with_flatten() -> None:
    """Channels move in blocks of positions through a Flatten: stride 9 in the linear layer."""
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.Flatten(), nn.Linear(54, 2)
    )
    found = proved(model, "1x3x7x7")
    assert permutations(found) == {("neurons", 4): 1, ("neurons", 6): 1}
    (last,) = [
        m for s in found if s.size == 6 for m in s.members if m.parameter == "5.weight" and not m.power
    ]
    assert (last.dimension, last.strided, last.positions.shape[1]) == (1, (0, 9, 1), 9)


def _resnet(*layers: int, **options: Any) -> nn.Module:
    resnet = import_library("torchvision").models.resnet
    block = resnet.BasicBlock if not options else resnet.Bottleneck
    model: nn.Module = resnet.ResNet(block, list(layers), num_classes=3, **options)
    return model


def test_residual_cnn() -> None:
    """Stem and first stage share a stream; later stages have one each; each block hides one more layer."""
    found = permutations(proved(_resnet(2, 1, 1, 1), "1x3x32x32", alone=False))
    streams = {("neurons", n): 1 for n in (64, 128, 256, 512)}
    inner = {("neurons", 64): 2, ("neurons", 128): 1, ("neurons", 256): 1, ("neurons", 512): 1}
    assert found == {key: streams[key] + inner[key] for key in streams}


def test_densenet() -> None:
    """The stem, each bottleneck, each layer's new channels, and the transition: nothing is tied."""
    models = import_library("torchvision").models
    found = permutations(proved(models.DenseNet(4, (2, 1), 6, bn_size=2, num_classes=3), "1x3x32x32"))
    assert found == {("neurons", 6): 1, ("neurons", 8): 3, ("neurons", 4): 3, ("neurons", 7): 1}


def test_grouped_and_depthwise_convolutions() -> None:
    grouped = nn.Sequential(nn.Conv2d(3, 6, 1), nn.Conv2d(6, 12, 3, groups=3), nn.Conv2d(12, 2, 1))
    # three groups as wholes; two inputs and four outputs inside each
    expected = {("groups", 3): 1, ("neurons", 2): 3, ("neurons", 4): 3}
    assert permutations(proved(grouped, "1x3x4x4")) == expected
    depthwise = nn.Sequential(
        nn.Conv2d(3, 5, 1), nn.Conv2d(5, 5, 3, groups=5), nn.ReLU6(), nn.Conv2d(5, 2, 1)
    )
    assert permutations(proved(depthwise, "1x3x4x4")) == {("neurons", 5): 1}


def test_resnext() -> None:
    found = permutations(proved(_resnet(1, 1, 1, 1, groups=2, width_per_group=4), "1x3x32x32", alone=False))
    # in each of four blocks: both groups as wholes; inputs and outputs of the grouped convolution inside each
    assert found[("groups", 2)] == 4
    inside = {("neurons", n): 4 for n in (4, 8, 16, 32)}
    streams = {("neurons", n): 1 for n in (64, 256, 512, 1024, 2048)}
    assert found == {("groups", 2): 4, **inside, **streams}


def _attention_block(width: int, heads: int) -> dict[tuple[str, int], int]:
    inner = width // heads
    return {("heads", heads): 1, ("query_key", inner): heads, ("value", inner): heads}


def _times(n: int, groups: dict[tuple[str, int], int]) -> dict[tuple[str, int], int]:
    return {key: n * count for key, count in groups.items()}


def test_vit() -> None:
    timm = import_library("timm")
    model = timm.models.VisionTransformer(
        img_size=8, patch_size=4, embed_dim=16, depth=2, num_heads=2, mlp_ratio=1.5, num_classes=3
    )
    block = {**_attention_block(16, 2), ("neurons", 24): 1}
    assert permutations(proved(model, "1x3x8x8")) == {**_times(2, block), ("neurons", 16): 1}


def _small(**more: Any) -> dict[str, Any]:
    tokens = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    fixed = {"vocab_size": 11, "num_hidden_layers": 2, "max_position_embeddings": 16, "use_cache": False}
    return {**fixed, **tokens, **more}


def test_bert() -> None:
    transformers = import_library("transformers")
    sizes = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 12}
    model = transformers.BertForSequenceClassification(transformers.BertConfig(**_small(**sizes)))
    found = permutations(proved(model, "1x5:int64"))
    block = {**_attention_block(16, 2), ("neurons", 12): 1}
    # the residual stream, tied to the embeddings, and the pooler's output
    assert found == {**_times(2, block), ("neurons", 16): 2}


def test_gpt2_with_its_tied_vocabulary() -> None:
    transformers = import_library("transformers")
    config = transformers.GPT2Config(
        vocab_size=11,
        n_embd=8,
        n_layer=2,
        n_head=2,
        n_positions=8,
        n_inner=12,
        bos_token_id=1,
        eos_token_id=2,
        use_cache=False,
    )
    found = proved(transformers.GPT2LMHeadModel(config), "1x5:int64")
    block = {**_attention_block(8, 2), ("neurons", 12): 1}
    assert permutations(found) == {**_times(2, block), ("neurons", 8): 1}


def test_llama_heads_with_their_keys_and_values() -> None:
    transformers = import_library("transformers")
    sizes = {"hidden_size": 16, "num_attention_heads": 4, "intermediate_size": 12, "num_key_value_heads": 2}
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**_small(**sizes)))
    # its normalisations and rotations round to float32, whatever the weights are
    found = permutations(proved(model, "1x5:int64", tolerance=2e-6))
    # two key/value groups as wholes, two query heads in each, four value dimensions in each; the rotary
    # dimensions of queries and keys are pinned
    block = {("heads", 2): 1 + 2, ("value", 4): 2, ("neurons", 12): 1}
    assert found == {**_times(2, block), ("neurons", 16): 1}


def test_mixer_tokens_are_pinned_and_both_hidden_layers_free() -> None:
    mixer = import_library("timm").models.mlp_mixer.MlpMixer
    model = mixer(img_size=8, patch_size=4, num_classes=3, num_blocks=2, embed_dim=8, mlp_ratio=(0.75, 2.0))
    assert permutations(proved(model, "1x3x8x8")) == {
        ("neurons", 6): 2, ("neurons", 16): 2, ("neurons", 8): 1,
    }  # fmt: skip


def _unet(s: Net, x: Tensor) -> Tensor:
    down = torch.relu(s.a(x))
    middle = torch.relu(s.b(nn.functional.max_pool2d(down, 2)))
    out: Tensor = s.d(torch.relu(s.c(torch.cat([down, s.up(middle)], 1))))
    return out


def test_unet() -> None:
    model = Net(
        _unet, a=nn.Conv2d(3, 4, 3, padding=1), b=nn.Conv2d(4, 6, 3, padding=1),
        up=nn.ConvTranspose2d(6, 5, 2, 2), c=nn.Conv2d(9, 7, 3, padding=1), d=nn.Conv2d(7, 2, 1),
    )  # fmt: skip
    assert permutations(proved(model, "1x3x8x8")) == {("neurons", n): 1 for n in (4, 5, 6, 7)}


def test_swiglu_halves_move_together() -> None:
    def forward(s: Net, x: Tensor) -> Tensor:
        a, b = s.w(x).chunk(2, -1)
        out: Tensor = s.o(nn.functional.silu(a) * b)
        return out

    assert permutations(proved(Net(forward, w=nn.Linear(3, 10), o=nn.Linear(5, 2)), "1x3")) == {
        ("neurons", 5): 1
    }


def test_squeeze_and_excitation() -> None:
    def forward(s: Net, x: Tensor) -> Tensor:
        y = s.a(x)
        gate = torch.sigmoid(s.up(torch.relu(s.down(y.mean((2, 3), keepdim=True)))))
        out: Tensor = s.o(y * gate)
        return out

    parts = {"a": nn.Conv2d(3, 6, 1), "down": nn.Conv2d(6, 2, 1), "up": nn.Conv2d(2, 6, 1)}
    found = proved(Net(forward, **parts, o=nn.Conv2d(6, 2, 1)), "1x3x4x4")
    assert permutations(found) == {("neurons", 6): 1, ("neurons", 2): 1}
