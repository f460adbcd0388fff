"""Training: the effective batch is what it says, a resumed run is the run, distillation teaches, every token counts."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from tiny_model import VOCABULARY, tiny_model
from transformers import TrainerCallback, set_seed

from joulemark_workloads.config import cells_of, read_document
from joulemark_workloads.config.sections import Distillation, EarlyStopping, Lora, Training
from joulemark_workloads.errors import WorkloadError
from joulemark_workloads.evaluation.heldout import heldout_loss
from joulemark_workloads.phases.context import SilentRun
from joulemark_workloads.phases.sequence import run_phases
from joulemark_workloads.student.lora import merged, with_lora
from joulemark_workloads.student.rows import Rows
from joulemark_workloads.student.trainer import DistillationTrainer, accumulation, make_trainer
from joulemark_workloads.teacher.artifact import open_artifact
from joulemark_workloads.teacher.logit_cache import KIND, fill

HERE = Path(__file__).parent
BLOCKS, TOKENS = 24, 16
BASE = Training(effective_batch_blocks=4, micro_batch_blocks=2, warmup_steps=2, learning_rate=1e-2)


def blocks_of(seed: int, count: int = BLOCKS) -> Any:
    """Text that can be learnt: each token is the one before plus one, from a random start."""
    start = torch.randint(0, VOCABULARY, (count, 1), generator=torch.Generator().manual_seed(seed))
    ids = ((start + torch.arange(TOKENS)) % VOCABULARY).tolist()
    return datasets.Dataset.from_dict({"input_ids": ids, "labels": ids}).with_format("torch")


def trainer_of(
    tmp_path: Path,
    training: Training = BASE,
    model: Any = None,
    cache: Any = None,
    callbacks: tuple[TrainerCallback, ...] = (),
    distillation: Distillation | None = None,
) -> DistillationTrainer:
    set_seed(training.seed)
    trainer = make_trainer(
        (model or tiny_model(2)).train(),
        training,
        distillation or Distillation(),
        Rows(blocks_of(0), cache),
        Rows(blocks_of(1, 4)),
        tmp_path / "checkpoints",
        1,
        list(callbacks),
    )
    trainer.book = SilentRun("r").stage
    return trainer


def weights(trainer: DistillationTrainer) -> dict[str, torch.Tensor]:
    model: Any = trainer.model
    return {name: value.detach().clone() for name, value in merged(model).state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], tolerance: float) -> bool:
    return all(torch.allclose(one[name], other[name], atol=tolerance) for name in one)


def cached(tmp_path: Path, teacher: Any) -> Any:
    key = {"top_k": 20, "temperature": 1.0, "dtype": "float16", "blocks_per_shard": 8}
    cache = open_artifact(tmp_path, KIND, key, 3)
    list(fill(cache, cache.missing, teacher, blocks_of(0), 4, "kd-1"))
    return cache.read()


@pytest.mark.parametrize(("effective", "micro", "processes", "wanted"), [(4, 2, 1, 2), (8, 2, 4, 1), (64, 4, 1, 16)])
def test_accumulation_makes_the_effective_batch(effective: int, micro: int, processes: int, wanted: int) -> None:
    training = Training(effective_batch_blocks=effective, micro_batch_blocks=micro)
    assert accumulation(training, processes) == wanted


def test_processes_that_do_not_divide_the_effective_batch_are_refused() -> None:
    with pytest.raises(ValueError, match="4 processes with micro batches of 2 take 8 at a time"):
        accumulation(BASE, 4)


@pytest.mark.parametrize("with_cache", [False, True])
def test_the_effective_batch_is_true_however_it_is_cut_up(tmp_path: Path, with_cache: bool) -> None:
    cache = cached(tmp_path, tiny_model(3)) if with_cache else None
    found = []
    for micro in (1, 2, 4):
        trainer = trainer_of(tmp_path, BASE.model_copy(update={"micro_batch_blocks": micro}), cache=cache)
        trainer.train()
        assert trainer.state.global_step == BLOCKS // 4
        assert trainer.take_tokens() == BLOCKS * TOKENS
        found.append(weights(trainer))
    # Sums in another order, through Adam's square root: equal to rounding.
    assert close(found[0], found[1], 1e-4)
    assert close(found[0], found[2], 1e-4)


class StopAt(TrainerCallback):
    """Breaks a training off, as a kill would, after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == self.step:
            raise KeyboardInterrupt


@pytest.mark.parametrize("optimizer", ["adamw", "adafactor"])
@pytest.mark.parametrize("lora", [None, Lora(rank=2, dropout=0.1)])
def test_a_run_that_was_broken_off_and_resumed_is_bit_for_bit_the_run(
    tmp_path: Path, optimizer: str, lora: Lora | None
) -> None:
    training = BASE.model_copy(
        update={"optimizer": optimizer, "epochs": 2, "save_every_steps": 2, "evaluate_every_steps": 2, "lora": lora}
    )

    def model() -> Any:
        set_seed(0)
        return with_lora(tiny_model(2), lora) if lora else tiny_model(2)

    cache = cached(tmp_path, tiny_model(3))
    whole = trainer_of(tmp_path / "whole", training, model(), cache)
    whole.train()
    broken = trainer_of(tmp_path / "broken", training, model(), cache, (StopAt(7),))
    with pytest.raises(KeyboardInterrupt):
        broken.train()
    resumed = trainer_of(tmp_path / "broken", training, model(), cache)
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.global_step == whole.state.global_step == 12
    # Steps 1 to 6 are in the checkpoint; what is trained anew is step 7 and on.
    assert resumed.take_tokens() == 6 * 4 * TOKENS
    assert same(weights(whole), weights(resumed))
    assert whole.evaluate()["eval_loss"] == resumed.evaluate()["eval_loss"]


def test_distilling_comes_closer_to_the_teacher_than_text_alone(tmp_path: Path) -> None:
    teacher = trainer_of(tmp_path, BASE.model_copy(update={"epochs": 12}), tiny_model(3))
    teacher.train()
    taught: Any = teacher.model
    cache = cached(tmp_path, taught.eval())
    training = BASE.model_copy(update={"epochs": 8})

    def distance(alpha: float) -> float:
        trainer = trainer_of(tmp_path, training, cache=cache, distillation=Distillation(alpha=alpha))
        trainer.train()
        student: Any = trainer.model
        ids = blocks_of(2, 8)[:]["input_ids"]
        with torch.inference_mode():
            ours, theirs = (torch.log_softmax(m.eval()(input_ids=ids).logits, -1) for m in (student, taught))
        return float((theirs.exp() * (theirs - ours)).sum(-1).mean())

    assert distance(alpha=0.0) < distance(alpha=1.0)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_distilled_student_beats_the_untrained_one_by_a_wide_margin(tmp_path: Path, seed: int) -> None:
    teacher = trainer_of(tmp_path, BASE.model_copy(update={"epochs": 12}), tiny_model(3))
    teacher.train()
    taught: Any = teacher.model
    untrained = heldout_loss(tiny_model(2), blocks_of(1, 4))
    trainer = trainer_of(
        tmp_path, BASE.model_copy(update={"epochs": 8, "seed": seed}), cache=cached(tmp_path, taught.eval())
    )
    trainer.train()
    model: Any = trainer.model
    found = heldout_loss(model.eval(), blocks_of(1, 4))
    assert untrained.loss == pytest.approx(math.log(VOCABULARY), rel=0.1)
    assert found.loss < untrained.loss / 2
    assert (found.tokens, found.blocks) == (4 * TOKENS, 4)


def test_alpha_one_is_plain_fine_tuning_to_rounding(tmp_path: Path) -> None:
    plain = trainer_of(tmp_path)
    plain.train()
    cache = cached(tmp_path, tiny_model(3))
    distilled = trainer_of(tmp_path, cache=cache, distillation=Distillation(alpha=1.0))
    distilled.train()
    assert close(weights(plain), weights(distilled), 1e-4)


def test_gradient_checkpointing_changes_memory_and_not_the_student(tmp_path: Path) -> None:
    plain, frugal = trainer_of(tmp_path), trainer_of(tmp_path, BASE.model_copy(update={"gradient_checkpointing": True}))
    plain.train()
    frugal.train()
    assert close(weights(plain), weights(frugal), 1e-5)


def test_early_stopping_stops_when_nothing_is_gained(tmp_path: Path) -> None:
    stopping = EarlyStopping(tolerance=1e9, patience=2)
    training = BASE.model_copy(update={"epochs": 3, "evaluate_every_steps": 2, "early_stopping": stopping})
    trainer = trainer_of(tmp_path, training)
    trainer.train()
    # The first evaluation sets the mark, the second and third do not beat it by the tolerance.
    assert (trainer.state.global_step, trainer.state.max_steps) == (6, 18)
    patient = trainer_of(tmp_path, training.model_copy(update={"early_stopping": EarlyStopping(tolerance=0.0)}))
    patient.train()
    assert patient.state.global_step > 6


def test_the_schedule_warms_up_and_comes_down_as_a_cosine(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, BASE.model_copy(update={"epochs": 2}))
    trainer.train()
    rates = [entry["learning_rate"] for entry in trainer.state.log_history if "learning_rate" in entry]
    wanted = [step / 2 if step < 2 else 0.5 * (1 + math.cos(math.pi * (step - 2) / 10)) for step in range(12)]
    assert rates == pytest.approx([1e-2 * part for part in wanted], abs=1e-9)


def test_lora_trains_only_its_additions_and_is_merged(tmp_path: Path) -> None:
    before = tiny_model(2).state_dict()
    trainer = trainer_of(tmp_path, BASE.model_copy(update={"lora": Lora()}), with_lora(tiny_model(2), Lora()))
    trainer.train()
    after = weights(trainer)
    assert after.keys() == before.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(any(target in name for target in Lora().targets) for name in changed)
    with pytest.raises(WorkloadError, match="are not in this model"):
        with_lora(tiny_model(2), Lora(targets=("no_such_layer",)))


def test_bfloat16_weights_are_trained_in_bfloat16(tmp_path: Path) -> None:
    training = BASE.model_copy(update={"precision": "bfloat16", "optimizer": "adafactor", "epochs": 4})
    trainer = trainer_of(tmp_path, training, tiny_model(2).to(torch.bfloat16))
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    assert {value.dtype for value in weights(trainer).values()} == {torch.bfloat16}
    assert trainer.evaluate()["eval_loss"] < before - 0.5


def test_a_loss_that_is_no_number_ends_the_training_with_the_remedy(tmp_path: Path) -> None:
    model = tiny_model(2)
    with torch.no_grad():
        model.lm_head.weight[3] = math.nan
    with pytest.raises(WorkloadError, match=r"loss is nan at step 1: lower training\.learning_rate \(now 0\.01\)"):
        trainer_of(tmp_path, model=model).train()


def test_two_processes_train_as_one_and_all_their_tokens_count(
    tmp_path: Path, experiment_file: Callable[..., Path], make_exporter: Callable[..., Any]
) -> None:
    exporter = make_exporter("--source", "cpu_model")
    config = experiment_file("kd", more="")
    work = tmp_path / "work"
    command = [str(config), "--work-dir", str(work), "--url", exporter.url]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}

    (cell,) = cells_of(read_document(config))
    run_phases(cell, "alone", work, url=exporter.url)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    options = ["--name", "together", "--set", "logit_cache.blocks_per_shard=3"]
    done = subprocess.run(
        [*torchrun, "-m", "joulemark_workloads", *command, *options],
        capture_output=True, text=True, env=environment, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    alone, together = (exporter.http.get(f"/api/v1/runs/{name}").json() for name in ("alone", "together"))

    def tokens(record: Any) -> dict[str, Any]:
        return {f"{stage['stage']}/{stage['phase']}": stage["tokens"] for stage in record["stages"]}

    assert tokens(together)["student/kd"] == tokens(alone)["student/kd"] == {"trained": 16 * 32}
    assert tokens(together)["teacher/logit_caching"] == {"cached": 16 * 32}
    assert tokens(together) == tokens(alone)
    one, other = (torch_file(work, name) for name in ("alone", "together"))
    assert close(one, other, 1e-4)


def torch_file(work: Path, name: str) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(work / "runs" / name / "student" / "model.safetensors")
