"""A language model of a few thousand weights, made here, for tests that need a model but not a good one."""

from __future__ import annotations

from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

VOCABULARY = 97
FOLDER_VOCABULARY = 300
_END = "<|end|>"


def tiny_model(layers: int = 3, seed: int = 0, vocabulary: int = VOCABULARY) -> Any:
    """A random Llama in evaluation mode."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=128,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=0,
    )
    model: Any = LlamaForCausalLM(config)
    return model.eval()


def tiny_folder(folder: Path, vocabulary: int = FOLDER_VOCABULARY, layers: int = 3) -> Path:
    """A model with a byte-level tokenizer of its own, as `from_pretrained` loads it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sorted(topics.values())[:20], trainer)
    wrapped: Any = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=_END, pad_token=_END)  # type: ignore[no-untyped-call]
    wrapped.save_pretrained(folder)
    tiny_model(layers, vocabulary=tokenizer.get_vocab_size()).save_pretrained(folder)
    return folder
