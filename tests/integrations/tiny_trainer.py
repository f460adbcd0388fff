"""A real Trainer on a model so small that it trains in a moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

LENGTH = 8


def tiny_model() -> LlamaForCausalLM:
    """A Llama of a few thousand weights."""
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=32, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
            max_position_embeddings=32, pad_token_id=0,
        )
    )  # fmt: skip


def rows(count: int) -> list[dict[str, Any]]:
    """Rows of 8 tokens, of which the last two are padding."""
    ids = [1, 2, 3, 4, 5, 6, 0, 0]
    return [{"input_ids": ids, "labels": ids, "attention_mask": [1] * 6 + [0] * 2} for _ in range(count)]


def arguments(folder: Path, **options: Any) -> TrainingArguments:
    """Twelve rows of training are three optimizer steps of two batches."""
    return TrainingArguments(
        **{
            "output_dir": str(folder / "out"), "per_device_train_batch_size": 2, "per_device_eval_batch_size": 2,
            "gradient_accumulation_steps": 2, "num_train_epochs": 1, "report_to": [], "use_cpu": True,
            "save_strategy": "no", "disable_tqdm": True, "dataloader_pin_memory": False, **options,
        }
    )  # fmt: skip


def trainer(args: TrainingArguments, callback: Any, **options: Any) -> Trainer:
    """With twelve rows to train on and four to evaluate."""
    chosen = {"model": tiny_model(), "train_dataset": rows(12), "eval_dataset": rows(4), **options}
    return Trainer(args=args, callbacks=[callback], **chosen)
