"""Tiny configurations of transformers' model families."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from coverage_models.case import Case, Inputs
from wsgraph.frontends.libraries import import_library

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

__all__ = ["transformers_cases"]

TEXT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": 99,
    "max_position_embeddings": 64,
}
GROUPED = {**TEXT, "num_key_value_heads": 2, "pad_token_id": 0}
"""Grouped-query attention: two query heads share a key and value head."""
IMAGE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "image_size": 32,
    "patch_size": 8,
}
BART = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
}
STAGES = {"depths": [1, 1, 2, 1], "hidden_sizes": [8, 16, 24, 32]}
TOKENS = "1x16:int64"

FAMILIES: dict[str, tuple[str, Mapping[str, Any], Inputs]] = {
    "BertForMaskedLM": ("BertConfig", TEXT, None),
    "RobertaForMaskedLM": ("RobertaConfig", TEXT, None),
    "AlbertForMaskedLM": ("AlbertConfig", {**TEXT, "embedding_size": 16}, None),
    "DistilBertForMaskedLM": (
        "DistilBertConfig",
        {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "vocab_size": 99},
        None,
    ),
    "ModernBertForMaskedLM": ("ModernBertConfig", {**TEXT, "pad_token_id": 0}, None),
    "GPT2LMHeadModel": ("GPT2Config", {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 99}, None),
    "GPTNeoXForCausalLM": ("GPTNeoXConfig", TEXT, None),
    "OPTForCausalLM": ("OPTConfig", {**TEXT, "ffn_dim": 64, "word_embed_proj_dim": 32}, None),
    "LlamaForCausalLM": ("LlamaConfig", GROUPED, None),
    "MistralForCausalLM": ("MistralConfig", GROUPED, None),
    "Qwen3ForCausalLM": ("Qwen3Config", {**GROUPED, "head_dim": 8}, None),
    "GemmaForCausalLM": ("GemmaConfig", {**GROUPED, "head_dim": 8}, None),
    "Phi3ForCausalLM": ("Phi3Config", GROUPED, None),
    "MixtralForCausalLM": ("MixtralConfig", {**GROUPED, "num_local_experts": 4}, None),
    "T5ForConditionalGeneration": (
        "T5Config",
        {"d_model": 32, "num_layers": 2, "num_heads": 4, "d_kv": 8, "d_ff": 64, "vocab_size": 99},
        None,
    ),
    "BartForConditionalGeneration": ("BartConfig", {**BART, "vocab_size": 99}, None),
    "WhisperForConditionalGeneration": (
        "WhisperConfig",
        {
            **BART,
            "vocab_size": 99,
            "max_source_positions": 20,
            "num_mel_bins": 8,
            "pad_token_id": 0,
            "bos_token_id": 0,
            "eos_token_id": 0,
            "decoder_start_token_id": 0,
        },
        None,
    ),
    "CLIPModel": (
        "CLIPConfig",
        {"text_config": {**TEXT, "eos_token_id": 98}, "vision_config": IMAGE, "projection_dim": 16},
        [TOKENS, "1x3x32x32"],
    ),
    "ViTForImageClassification": ("ViTConfig", IMAGE, None),
    "DeiTForImageClassification": ("DeiTConfig", IMAGE, None),
    "SwinForImageClassification": (
        "SwinConfig",
        {"image_size": 64, "patch_size": 4, "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4]}
        | {"window_size": 4},
        None,
    ),
    "SegformerForSemanticSegmentation": (
        "SegformerConfig",
        {**STAGES, "num_attention_heads": [1, 2, 3, 4], "decoder_hidden_size": 16},
        "1x3x64x64",
    ),
    "DetrForObjectDetection": (
        "DetrConfig",
        {
            **BART,
            "num_queries": 10,
            "use_timm_backbone": False,
            "use_pretrained_backbone": False,
            "backbone": None,
            "backbone_config": {
                "model_type": "resnet",
                "embedding_size": 8,
                **STAGES,
                "layer_type": "basic",
                "out_features": ["stage4"],
            },
        },
        "1x3x64x64",
    ),
    "Wav2Vec2ForCTC": (
        "Wav2Vec2Config",
        {
            **TEXT,
            "conv_dim": [8, 8],
            "conv_kernel": [8, 4],
            "conv_stride": [4, 2],
            "num_feat_extract_layers": 2,
            "num_conv_pos_embeddings": 16,
            "num_conv_pos_embedding_groups": 2,
        },
        "1x400",
    ),
    "Dinov2ForImageClassification": ("Dinov2Config", IMAGE, None),
    "MambaForCausalLM": (
        "MambaConfig",
        {"hidden_size": 16, "num_hidden_layers": 2, "vocab_size": 99, "state_size": 4},
        TOKENS,
    ),
}
"""Model class -> configuration class, its arguments, and what goes in."""


def build(name: str) -> tuple[nn.Module, Inputs]:
    """A transformers model of a tiny configuration, randomly initialised."""
    transformers = import_library("transformers")
    config, arguments, inputs = FAMILIES[name]
    return getattr(transformers, name)(getattr(transformers, config)(**arguments)), inputs


def transformers_cases() -> list[Case]:
    """One case a family."""
    return [
        Case("transformers", config.removesuffix("Config"), name, partial(build, name))
        for name, (config, *_) in FAMILIES.items()
    ]
