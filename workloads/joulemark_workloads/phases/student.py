"""The student's training; what happens inside it that is not training is booked as what it is."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, set_seed
from transformers.trainer_utils import get_last_checkpoint

from .. import ranks
from ..data import pack
from ..errors import WorkloadError
from ..models.load import load_tokenizer
from ..student.lora import merged, with_lora
from ..student.progress import Progress
from ..student.rows import Rows
from ..student.trainer import DistillationTrainer, accumulation, make_trainer
from ..teacher import synthetic_set
from ..teacher.artifact import Artifact
from ..terminal import console
from .context import TRAINED, Context, Stage
from .teacher import artifact_of
from .untrained import untrained_student

_CHECKPOINTS = "checkpoints"


def run(context: Context) -> dict[str, Any]:
    """Train and save; a training that was interrupted goes on from its last checkpoint."""
    context.record.facts("data")
    training = context.experiment.training
    try:
        micro_batches = accumulation(training, ranks.world_size())
    except ValueError as error:
        raise WorkloadError(str(error)) from error
    artifact = None if context.cell.pipeline == "sft" else artifact_of(context)
    blocks = _training_blocks(context, artifact)
    if artifact is not None:
        context.run.artifact(artifact.identity, kind=artifact.kind, role="consumed")
    set_seed(training.seed)
    with context.run.stage("student", phase="init"):
        model = untrained_student(context)
        model = with_lora(model, training.lora) if training.lora else model
    tokens = training.effective_batch_blocks * context.experiment.data.block_tokens
    console.print(
        f"effective batch {training.effective_batch_blocks} blocks ({tokens:,} tokens): micro batch "
        f"{training.micro_batch_blocks} x accumulation {micro_batches} x {ranks.world_size()} process(es)"
    )
    cache = artifact.read() if artifact is not None and context.cell.pipeline == "kd" else None
    with context.run.stage("student", phase=context.cell.pipeline) as stage:
        return _train(context, model, Rows(blocks, cache), stage)


def _training_blocks(context: Context, artifact: Artifact | None) -> Any:
    if context.cell.pipeline != "synthetic_sft":
        return pack.read(context.folder / "data" / "train")
    assert artifact is not None
    folder = context.folder / "data" / "synthetic"
    if ranks.is_first():
        with context.run.stage("data", phase="pack") as stage:
            end = load_tokenizer(context.teacher).eos_token_id
            blocks = pack.pack_responses(synthetic_set.pairs(artifact), end, context.experiment.data)
            if not len(blocks.ids):
                raise WorkloadError(
                    f"the teacher's {artifact.tokens} tokens do not fill one block of "
                    f"{context.experiment.data.block_tokens}: raise generation.prompts or generation.max_new_tokens"
                )
            pack.keep(blocks, folder)
            stage.add_tokens(prompt=blocks.ids.size)
    ranks.barrier()
    return pack.read(folder)


def _train(context: Context, model: Any, rows: Rows, stage: Stage) -> dict[str, Any]:
    experiment, out = context.experiment, context.folder / _CHECKPOINTS
    trainer = make_trainer(
        model.train(),
        experiment.training,
        experiment.distillation,
        rows,
        Rows(pack.read(context.folder / "data" / "heldout")),
        out,
        ranks.world_size(),
        [_Budget(context)],
    )
    trainer.book = context.run.stage
    trainer.add_callback(_Tokens(trainer, stage))
    checkpoint: str | None = get_last_checkpoint(str(out)) if out.is_dir() else None  # type: ignore[no-untyped-call]
    if checkpoint:
        console.print(f"[green]going on from[/] {Path(checkpoint).name}")
    try:
        result = trainer.train(resume_from_checkpoint=checkpoint)
    finally:
        for callback in trainer.callback_handler.callbacks:
            if isinstance(callback, Progress):
                callback.close()
        # Of a training that broke off, what this process knows: to ask the others might wait for ever.
        stage.add_tokens(trained=trainer.own_tokens())
    facts = {
        "steps": trainer.state.global_step,
        "epochs": trainer.state.epoch,
        "training_loss": float(result.training_loss),
        "stopped_early": trainer.state.global_step < trainer.state.max_steps,
        "history": [entry for entry in trainer.state.log_history if "loss" in entry or "eval_loss" in entry],
    }
    if ranks.is_first():
        facts["weights"] = _save(trainer, context)
    ranks.barrier()
    return facts


def _save(trainer: DistillationTrainer, context: Context) -> str:
    """Keep the student, whole or not at all, and drop the checkpoints that led to it; the weights' digest."""
    student = merged(trainer.accelerator.unwrap_model(trainer.model)).eval()
    target, partial = context.folder / TRAINED, context.folder / f".{TRAINED}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    student.save_pretrained(partial)
    load_tokenizer(context.teacher).save_pretrained(partial)
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    shutil.rmtree(context.folder / _CHECKPOINTS, ignore_errors=True)
    digest = hashlib.sha256()
    for file in sorted(target.glob("*.safetensors")):
        digest.update(file.read_bytes())
    return f"sha256:{digest.hexdigest()}"


class _Tokens(TrainerCallback):
    """Adds everybody's tokens to the stage whenever something is logged, saved or over."""

    def __init__(self, trainer: DistillationTrainer, stage: Stage) -> None:
        self._trainer = trainer
        self._stage = stage

    def on_log(self, *_: Any, **__: Any) -> None:
        self._stage.add_tokens(trained=self._trainer.take_tokens())

    def on_save(self, *_: Any, **__: Any) -> None:
        self._stage.add_tokens(trained=self._trainer.take_tokens())

    def on_train_end(self, *_: Any, **__: Any) -> None:
        self._stage.add_tokens(trained=self._trainer.take_tokens())


class _Budget(TrainerCallback):
    """Stops where a checkpoint has just been written, so that nothing is lost."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_save(self, *_: Any, **__: Any) -> None:
        self._context.check_budget()
