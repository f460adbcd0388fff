"""The Hugging Face Trainer with the distillation loss, and what its loop must be told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import EarlyStoppingCallback, PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from .. import ranks
from ..config.sections import Distillation, Training
from .finite_loss import FiniteLoss
from .losses import TeacherLogits, distillation_loss
from .progress import Progress
from .rows import TEACHER, Rows, collate

_OPTIMIZERS = {"adamw": "adamw_torch", "adafactor": "adafactor"}


class DistillationTrainer(Trainer):
    """A Trainer whose batches may hold the teacher's logits: then the loss is distillation, else the model's own.

    The evaluation set holds none, so that every pipeline's held-out loss is the same plain cross-entropy.
    """

    distillation: Distillation = Distillation()
    # Opens a stage inside the training's: the run's own.
    book: Callable[..., Any]
    # Tokens that went through this process's model since `take_tokens` was last asked.
    _tokens = 0

    def training_step(self, model: Any, inputs: Any, *args: Any, **options: Any) -> torch.Tensor:
        loss: torch.Tensor = super().training_step(model, inputs, *args, **options)
        self._tokens += inputs["input_ids"].numel()
        return loss

    def own_tokens(self) -> int:
        """Tokens of this process since they were last taken."""
        taken, self._tokens = self._tokens, 0
        return taken

    def take_tokens(self) -> int:
        """Tokens of all processes since they were last taken; every process must call it."""
        return ranks.total(self.own_tokens())

    def evaluate(self, *args: Any, **options: Any) -> dict[str, float]:
        with self.book("eval", phase="validation") as stage:
            figures: dict[str, float] = super().evaluate(*args, **options)
            blocks: Any = self.eval_dataset
            stage.add_tokens(evaluated=sum(row["input_ids"].numel() for row in blocks))
        return figures

    def _save_checkpoint(self, *args: Any, **options: Any) -> None:
        with self.book("student", phase="checkpoint"):
            super()._save_checkpoint(*args, **options)

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        teacher = inputs.get(TEACHER)
        if teacher is None:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        outputs = model(input_ids=inputs["input_ids"])
        loss = distillation_loss(
            outputs.logits,
            inputs["labels"],
            TeacherLogits(**teacher),
            alpha=self.distillation.alpha,
            temperature=self.distillation.temperature,
            items=num_items_in_batch,
        )
        if num_items_in_batch is not None and self.args.average_tokens_across_devices:
            # The items are those of all processes, and their gradients are averaged: as the Trainer's own losses do.
            loss = loss * self.accelerator.num_processes
        return (loss, outputs) if return_outputs else loss


def arguments(training: Training, out: Path, processes: int, steps: int) -> TrainingArguments:
    """The Trainer's arguments; gradient accumulation makes the effective batch what the experiment says."""
    cuda = torch.cuda.is_available()
    evaluate, save = training.evaluate_every_steps, training.save_every_steps
    early = training.early_stopping is not None
    return TrainingArguments(
        output_dir=str(out),
        optim=_OPTIMIZERS[training.optimizer],
        learning_rate=training.learning_rate,
        lr_scheduler_type=training.schedule,
        warmup_steps=training.warmup_steps,
        weight_decay=training.weight_decay,
        max_grad_norm=training.max_grad_norm,
        num_train_epochs=training.epochs,
        per_device_train_batch_size=training.micro_batch_blocks,
        per_device_eval_batch_size=training.micro_batch_blocks,
        gradient_accumulation_steps=accumulation(training, processes),
        bf16=training.precision == "mixed" or (training.precision == "auto" and cuda),
        eval_strategy="steps" if evaluate else "no",
        eval_steps=evaluate,
        prediction_loss_only=True,
        metric_for_best_model="loss" if early else None,
        greater_is_better=False if early else None,
        save_strategy="steps" if save else "no",
        save_steps=save or 500,
        save_total_limit=2,
        restore_callback_states_from_checkpoint=True,
        logging_steps=max(1, steps // 20),
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to=[],
        remove_unused_columns=False,
        dataloader_pin_memory=cuda,
        use_cpu=not cuda,
        seed=training.seed,
        data_seed=training.seed,
    )


def accumulation(training: Training, processes: int) -> int:
    """Micro batches per step and process; raises ValueError where the processes do not divide the effective batch."""
    together = training.micro_batch_blocks * processes
    if training.effective_batch_blocks % together:
        raise ValueError(
            f"training.effective_batch_blocks is {training.effective_batch_blocks}, but {processes} processes with "
            f"micro batches of {training.micro_batch_blocks} take {together} at a time: make it a multiple of that"
        )
    return training.effective_batch_blocks // together


def make_trainer(
    model: Any,
    training: Training,
    distillation: Distillation,
    train: Rows,
    heldout: Rows,
    out: Path,
    processes: int,
    callbacks: list[TrainerCallback],
) -> DistillationTrainer:
    """A Trainer that is ready to run."""
    if training.gradient_checkpointing:
        model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    steps = -(-len(train) // training.effective_batch_blocks) * training.epochs
    stopping = training.early_stopping
    if stopping:
        callbacks = [*callbacks, EarlyStoppingCallback(stopping.patience, stopping.tolerance)]
    trainer = DistillationTrainer(
        model=model,
        args=arguments(training, out, processes, steps),
        train_dataset=train,
        eval_dataset=heldout,
        data_collator=collate,
        callbacks=[FiniteLoss(), Progress(), *callbacks],
    )
    trainer.distillation = distillation
    # It prints every log as a dictionary; Progress shows the same as a bar.
    trainer.remove_callback(PrinterCallback)
    return trainer
