"""Input shapes: given as text, or worked out and said."""

import pytest
import torch
from torch import nn

from wsgraph.errors import InputShapeError
from wsgraph.frontends.input_spec import make_inputs, parse_spec
from wsgraph.frontends.source import open_source


def test_specs():
    assert parse_spec("1x3x8x8").shape == (1, 3, 8, 8)
    assert parse_spec("1x128:int64").dtype == torch.int64
    first, second = make_inputs(["1x2", "1x3:bool"])
    assert (first.dtype, second.dtype) == (torch.float32, torch.bool)
    tensor = torch.ones(1, 4)
    assert make_inputs(tensor) == (tensor,)
    assert make_inputs((tensor, "2"))[1].shape == (2,)
    assert parse_spec("1x2", torch.float16).dtype == torch.float16


@pytest.mark.parametrize(
    "spec", ["", "x", "1x", "0x3", "-1x3", "1,3,224,224", "1x3:", "1x3:floaty", "1x3:nn", "1x3.5"]
)
def test_malformed_specs(spec):
    with pytest.raises(InputShapeError) as caught:
        parse_spec(spec)
    assert "1x3x224x224" in caught.value.remedy


def test_inputs_that_are_neither_text_nor_tensors():
    with pytest.raises(InputShapeError, match="neither"):
        make_inputs([3])


class SimpleCNN(nn.Module):
    def __init__(self, side: int):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.out = nn.Linear(4 * side * side, 10)

    def forward(self, x):
        return self.out(self.conv(x).flatten(1))


class OutOfOrder(nn.Module):
    """The layer that takes the input is declared last."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(7, 2)
        self.body = nn.Linear(5, 7)

    def forward(self, x):
        return self.head(self.body(x).relu())


class Caching(nn.Module):
    """Keeps what it last computed."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.last = None

    def forward(self, x):
        self.last = self.layer(x)
        return self.last


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Sequential(nn.Linear(9, 4), nn.Linear(4, 2)), (1, 9)),
        (nn.Sequential(nn.Conv2d(5, 4, 3), nn.AdaptiveAvgPool2d(1)), (1, 5, 32, 32)),
        (SimpleCNN(28), (1, 1, 28, 28)),
        (SimpleCNN(64), (1, 1, 64, 64)),
        (nn.Sequential(nn.Conv1d(2, 4, 3)), (1, 2, 32)),
        (nn.Sequential(nn.Conv3d(2, 4, 3)), (1, 2, 8, 8, 8)),
        (nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 2)), (1, 16)),
        (nn.LSTM(6, 4, batch_first=True), (1, 16, 6)),
        (nn.GRU(6, 4), (16, 1, 6)),
        (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (1, 16, 8)),
        (OutOfOrder(), (1, 5)),
        (nn.Linear(3, 2).half(), (1, 3)),
    ],
)
def test_shapes_are_guessed_and_said(module, shape):
    source = open_source(module)
    assert tuple(source.inputs[0].shape) == shape
    assert "x".join(map(str, shape)) in source.notes[-1]
    assert "assumed" in source.notes[-1]
    parameter = next(module.parameters())
    assert source.inputs[0].dtype == (
        torch.int64
        if isinstance(module, nn.Sequential) and isinstance(module[0], nn.Embedding)
        else parameter.dtype
    )


def test_guessing_leaves_the_module_alone():
    module = Caching().train()
    open_source(module)
    assert module.training
    assert module.last is None


def test_image_size_of_library_models():
    import timm
    import torchvision
    from vit_pytorch import SimpleViT

    assert open_source(torchvision.models.resnet18()).inputs[0].shape == (1, 3, 224, 224)
    with torch.device("meta"):
        small = timm.create_model("test_vit")
    assert tuple(open_source(small).inputs[0].shape[1:]) == small.pretrained_cfg["input_size"]
    assert "timm" in open_source(small).notes[-1]
    sizes = {"num_classes": 3, "dim": 8, "depth": 1, "heads": 2, "mlp_dim": 16}
    for side in (32, 64):
        model = SimpleViT(image_size=side, patch_size=4, **sizes)
        assert open_source(model).inputs[0].shape == (1, 3, side, side)


def test_transformers_models():
    import transformers

    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    bert = transformers.BertModel(transformers.BertConfig(vocab_size=20, **small))
    vit = transformers.ViTModel(transformers.ViTConfig(image_size=32, num_channels=1, patch_size=8, **small))
    t5 = transformers.T5Model(
        transformers.T5Config(d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, vocab_size=20)
    )
    assert open_source(bert).inputs[0].dtype == torch.int64
    assert open_source(vit).inputs[0].shape == (1, 1, 32, 32)
    with torch.no_grad():
        for model in (bert, vit, t5):
            model.eval()(*open_source(model).inputs)
    assert len(open_source(t5).inputs) == 3


def test_several_inputs_must_be_given():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x, y):
            return self.layer(x) + y

    with pytest.raises(InputShapeError, match="takes 2 inputs") as caught:
        open_source(Two())
    assert "--input" in caught.value.remedy
    assert [tuple(x.shape) for x in open_source(Two(), inputs=["1x2", "1x2"]).inputs] == [(1, 2), (1, 2)]


def test_shape_that_cannot_be_guessed():
    with pytest.raises(InputShapeError, match=r"cannot be guessed.*last try"):
        open_source(SimpleCNN(45))


def test_speech_encoder_decoders_get_spectrograms_and_tokens():
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    from wsgraph.frontends.input_guess import guess_inputs

    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "vocab_size": 9, "num_mel_bins": 4}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "max_source_positions": 10}
    tokens = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), 0)
    config = WhisperConfig(**sizes, **heads, **tokens, encoder_ffn_dim=16, decoder_ffn_dim=16)
    examples, _ = guess_inputs(WhisperForConditionalGeneration(config), "whisper")
    assert [tuple(example.shape) for example in examples] == [(1, 4, 20), (1, 20), (1, 16)]
