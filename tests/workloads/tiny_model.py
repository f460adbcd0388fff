"""A language model of a few thousand weights, made here, for tests that need a model but not a good one."""

from __future__ import annotations

from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

VOCABULARY = 97


def tiny_model(layers: int = 3, seed: int = 0) -> Any:
    """A random Llama in evaluation mode."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=64,
        tie_word_embeddings=True,
    )
    model: Any = LlamaForCausalLM(config)
    return model.eval()
