"""The pipelines `sft` and `kd`: prerun, data, teacher, student, eval, each under its own stage."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

import joulemark

from . import corpus, evaluation, prerun, training
from .config import Experiment
from .corpus import Corpus
from .evaluation import Evaluated, Score
from .language_model import ModelFolder, find_teacher, load, load_tokenizer, make_student
from .logit_cache import CacheKey, LogitCache

console = Console(soft_wrap=True, highlight=False)
Pipeline = Literal["sft", "kd"]


@dataclass
class Context:
    """What the phases of one run hand to each other."""

    experiment: Experiment
    pipeline: Pipeline
    run: joulemark.Run
    folder: Path
    work_dir: Path
    teacher: ModelFolder


def run_pipeline(
    experiment: Experiment,
    pipeline: Pipeline,
    name: str,
    work_dir: Path,
    *,
    url: str | None = None,
    baseline: str | None = None,
) -> dict[str, Any]:
    """Run every phase and return the result, which is also in `work_dir/runs/NAME/result.json`."""
    folder = work_dir / "runs" / name
    folder.mkdir(parents=True, exist_ok=True)
    teacher = _teacher_files(experiment, work_dir, url)
    student_name = f"{experiment.teacher} cut to {experiment.student.layers} layers"
    with joulemark.run(
        name,
        url=url,
        pipeline=pipeline,
        student=student_name,
        teacher=experiment.teacher,
        dataset=corpus.NAME,
        seed=experiment.training.seed,
        baseline=baseline,
        labels={"experiment": experiment.name},
    ) as run:
        context = Context(experiment, pipeline, run, folder, work_dir, teacher)
        _prerun(context)
        blocks = _data(context)
        cache = _teacher(context, blocks) if pipeline == "kd" else None
        student, untrained, trained_loss = _student(context, blocks, cache)
        evaluated = _eval(context, student, blocks)
        # A run of its own: the teacher's own scores are needed once, and belong to no student's bill.
        reference = _reference(experiment, teacher, blocks, work_dir, url)
        _score(run, evaluated, reference)
    console.print(f"held-out loss {untrained:.2f} untrained, [bold]{evaluated.heldout_loss:.2f}[/] trained")
    result = {
        "run": name,
        "pipeline": pipeline,
        "config": experiment.model_dump(mode="json"),
        "teacher": teacher.identity,
        "untrained_heldout_loss": untrained,
        "heldout_loss": evaluated.heldout_loss,
        "training_loss": trained_loss,
        "scores": {name: score.score for name, score in evaluated.scores.items()},
        "reference": {name: score.score for name, score in reference.items()},
    }
    (folder / "result.json").write_text(json.dumps(result, indent=1))
    return result


def _teacher_files(experiment: Experiment, work_dir: Path, url: str | None) -> ModelFolder:
    """Make the teacher loadable; done once for all runs, so it is on the reference run's bill and on no student's."""
    with _reference_run(experiment, url) as run, run.stage("prerun", phase="load"):
        return find_teacher(experiment.teacher, work_dir)


def _reference_run(experiment: Experiment, url: str | None) -> joulemark.Run:
    return joulemark.run(
        f"reference-{experiment.name}", url=url, pipeline="reference", teacher=experiment.teacher, dataset=corpus.NAME
    )


def _prerun(context: Context) -> None:
    wanted = context.experiment.prerun
    with context.run.stage("prerun", phase="idle"):
        idle = prerun.idle_baseline(context.run.power_watts, wanted.idle_seconds)
    if idle:
        context.run.declare(idle_watts=idle)
        console.print("idle baseline: " + ", ".join(f"{name} {watts:.1f} W" for name, watts in idle.items()))
    with context.run.stage("prerun", phase="burn_in"):
        prerun.burn_in(wanted.burn_in_seconds)


def _data(context: Context) -> Corpus:
    with context.run.stage("data") as stage:
        tokenizer = load_tokenizer(context.teacher)
        blocks = corpus.prepare(tokenizer, context.experiment.data, context.folder / "data")
        stage.add_tokens(prompt=blocks.tokens)
    console.print(
        f"data: {blocks.tokens:,} tokens, {len(blocks.train)} blocks to train on, {len(blocks.heldout)} held out"
    )
    return blocks


def _teacher(context: Context, blocks: Corpus) -> LogitCache:
    wanted = context.experiment
    key = CacheKey(
        context.teacher.identity, blocks.identity, len(blocks.train), wanted.data.block_tokens,
        wanted.logit_cache.top_k, wanted.distillation.temperature, wanted.logit_cache.blocks_per_shard,
    )  # fmt: skip
    cache = LogitCache(context.work_dir / "logits", key, made_by=context.run.name)
    done = cache.blocks_done
    tokens = done * wanted.data.block_tokens
    if done:
        what = "reusing" if cache.is_complete else "going on with"
        made = f"{key.identity[:19]}, {tokens:,} tokens, made by run {cache.made_by}"
        console.print(f"[green]{what} cached teacher logits[/] ({made})")
    if not cache.is_complete:
        with context.run.stage("teacher", phase="logit_caching") as stage:
            model, _ = load(context.teacher)
            for fresh in cache.fill(model, blocks.train):
                stage.add_tokens(cached=fresh)
        context.run.artifact(key.identity, kind="logit_cache", role="produced")
    context.run.artifact(key.identity, kind="logit_cache", role="consumed")
    return cache


def _student(context: Context, blocks: Corpus, cache: LogitCache | None) -> tuple[Any, float, float]:
    """The trained student, its held-out loss before training, and its training loss."""
    with context.run.stage("student", phase="init"):
        model, _ = load(context.teacher)
        student = make_student(model, context.experiment.student.layers)
        del model
    with context.run.stage("eval", phase="untrained") as stage:
        untrained, tokens = evaluation.heldout_loss(student, blocks.heldout)
        stage.add_tokens(evaluated=tokens)
    with context.run.stage("student", phase=context.pipeline) as stage:
        rows = cache.read() if cache else None
        loss = training.train(context.experiment, student, blocks.train, rows, stage, context.folder / "student")
    return student, untrained, loss


def _eval(context: Context, student: Any, blocks: Corpus) -> Evaluated:
    wanted = context.experiment.evaluation
    with context.run.stage("eval", phase="benchmarks") as stage:
        tokenizer = load_tokenizer(context.teacher)
        evaluated = evaluation.evaluate(student, tokenizer, blocks.heldout, wanted.tasks, wanted.limit)
        stage.add_tokens(evaluated=evaluated.tokens)
    return evaluated


def _reference(
    experiment: Experiment, teacher: ModelFolder, blocks: Corpus, work_dir: Path, url: str | None
) -> dict[str, Score]:
    """The teacher's own scores, computed once for an experiment and then kept."""
    wanted = experiment.evaluation
    facts = [teacher.identity, blocks.identity, list(wanted.tasks), wanted.limit]
    path = work_dir / "reference" / f"{experiment.name}.json"
    if path.exists():
        kept = json.loads(path.read_text())
        if kept["facts"] == facts:
            return {name: Score(*score) for name, score in kept["scores"].items()}
    console.print("the teacher's own scores, once, as the reference of quality")
    with _reference_run(experiment, url) as run, run.stage("eval", phase="teacher_reference") as stage:
        model, tokenizer = load(teacher)
        evaluated = evaluation.evaluate(model, tokenizer, blocks.heldout, wanted.tasks, wanted.limit)
        stage.add_tokens(evaluated=evaluated.tokens)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"facts": facts, "scores": evaluated.scores}))
    return evaluated.scores


def _score(run: joulemark.Run, evaluated: Evaluated, reference: dict[str, Score]) -> None:
    for name, score in evaluated.scores.items():
        run.score(name, score.score, reference=reference[name].score, n=score.n)
        console.print(f"  {name}: {score.score:.3f} (teacher {reference[name].score:.3f}, n={score.n})")
