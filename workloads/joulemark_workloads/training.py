"""Training on the Hugging Face Trainer: the loss is ours, the loop is theirs."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from transformers import Trainer, TrainingArguments, set_seed

from . import logit_cache
from .config import Experiment
from .losses import TeacherLogits, cross_entropy, distillation_loss

_TEACHER = "teacher"


class CountsTokens(Protocol):
    """A stage that is told how many tokens were trained on."""

    def add_tokens(self, **counts: int) -> None:
        """Add tokens by kind."""


class _Student(Trainer):
    """A Trainer that counts every trained token; plain cross-entropy without a cache, distillation with one."""

    def __init__(self, experiment: Experiment, stage: CountsTokens, **options: Any) -> None:
        super().__init__(**options)
        self._experiment = experiment
        self._stage = stage

    def training_step(self, model: Any, inputs: Any, *args: Any, **options: Any) -> torch.Tensor:
        loss: torch.Tensor = super().training_step(model, inputs, *args, **options)
        self._stage.add_tokens(trained=inputs["input_ids"].numel())
        return loss

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        del num_items_in_batch
        ids = inputs["input_ids"]
        outputs = model(input_ids=ids)
        if _TEACHER not in inputs:
            loss = cross_entropy(outputs.logits, ids)
        else:
            wanted = self._experiment.distillation
            # A plain dict in the batch: the Trainer moves tensors to the device only in containers it knows.
            teacher = TeacherLogits(**inputs[_TEACHER])
            loss = distillation_loss(outputs.logits, ids, teacher, alpha=wanted.alpha, temperature=wanted.temperature)
        return (loss, outputs) if return_outputs else loss


def train(
    experiment: Experiment, student: Any, blocks: Any, cache: Any | None, stage: CountsTokens, out: Path
) -> float:
    """Train the student over all blocks once and save it; returns the last logged loss."""
    training = experiment.training
    set_seed(training.seed)
    rows = _Rows(blocks, cache)
    arguments = TrainingArguments(
        output_dir=str(out),
        per_device_train_batch_size=training.micro_batch_blocks,
        gradient_accumulation_steps=training.gradient_accumulation,
        learning_rate=training.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=training.warmup_steps,
        num_train_epochs=1,
        logging_steps=max(1, len(rows) // training.micro_batch_blocks // 8),
        logging_first_step=False,
        report_to=[],
        save_strategy="no",
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        use_cpu=not torch.cuda.is_available(),
        seed=training.seed,
    )
    trainer = _Student(
        experiment,
        stage,
        model=student.train(),
        args=arguments,
        train_dataset=rows,
        data_collator=_collator(experiment.logit_cache.top_k),
    )
    result = trainer.train()
    student.eval()
    student.save_pretrained(out)
    loss = float(result.training_loss)
    if not math.isfinite(loss):
        raise FloatingPointError(f"training loss is {loss}: lower training.learning_rate")
    return loss


class _Rows(torch.utils.data.Dataset[dict[str, Any]]):
    """A block, and the teacher's logits for it where there is a cache."""

    def __init__(self, blocks: Any, cache: Any | None) -> None:
        self._blocks = blocks
        self._cache = cache

    def __len__(self) -> int:
        return len(self._blocks)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = {"input_ids": self._blocks[index]["input_ids"]}
        if self._cache is not None:
            row[_TEACHER] = self._cache[index]
        return row


def _collator(top_k: int) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
    def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
        batch: dict[str, Any] = {"input_ids": torch.stack([row["input_ids"] for row in rows]).long()}
        if _TEACHER in rows[0]:
            columns = {name: np.stack([row[_TEACHER][name] for row in rows]) for name in rows[0][_TEACHER]}
            batch[_TEACHER] = logit_cache.collate(columns, top_k)._asdict()
        return batch

    return collate
