"""The teacher's work: cached logits or synthetic responses; what is on disk already is not made again."""

from __future__ import annotations

from typing import Any

from rich.progress import Progress, track

from .. import ranks
from ..data import pack
from ..data.prompts import read_prompts
from ..errors import WorkloadError
from ..models.load import load_teacher, load_tokenizer, teacher_dtype
from ..models.tokenizer import check_vocabulary
from ..teacher import logit_cache, synthetic_set
from ..teacher.artifact import Artifact, Key, is_there, nearest, open_artifact
from ..teacher.cache_size import bytes_per_token
from ..teacher.engine import engine_name, make_engine
from ..terminal import console
from .context import Context
from .pace import Pace
from .record import free_bytes


def run(context: Context) -> dict[str, Any]:
    """Make what is missing of the artifact that this pipeline needs."""
    artifact = artifact_of(context)
    if ranks.is_first():
        with artifact.held() as waited:
            if waited:
                console.print("[dim]waited for another process that was at the same artifact[/]")
            _fill(context, artifact)
    else:
        _fill(context, artifact)
    artifact.refresh()
    return {
        "artifact": artifact.identity,
        "kind": artifact.kind,
        "folder": str(artifact.folder),
        "tokens": artifact.tokens,
        "bytes": artifact.bytes,
        "made_by": artifact.makers,
    }


def artifact_of(context: Context) -> Artifact:
    """The artifact that this run's pipeline needs, as far as it is there."""
    return open_artifact(context.work_dir / "artifacts", *_wanted(context), _use(context))


def is_made(context: Context) -> bool:
    """Whether the artifact seems to be complete already, by a glance; what is made elsewhere is taken for complete."""
    if not context.record.has("data"):
        return _use(context) is not None
    return is_there(context.work_dir / "artifacts", *_wanted(context), _use(context))


def _use(context: Context) -> str | None:
    """The folder of an artifact that was made elsewhere."""
    experiment = context.experiment
    return (experiment.logit_cache if context.cell.pipeline == "kd" else experiment.generation).use


def _wanted(context: Context) -> tuple[str, Key, int]:
    """Kind, everything that decides what is in it, and how many shards it has."""
    experiment, facts = context.experiment, context.record.facts("data")
    made_from = {"teacher": facts["teacher"], "tokenizer": facts["tokenizer"]}
    made_from["teacher_dtype"] = str(teacher_dtype(experiment.teacher.dtype)).removeprefix("torch.")
    if context.cell.pipeline == "kd":
        cache = experiment.logit_cache
        key = {
            **made_from,
            "data": facts["train"],
            "blocks": experiment.data.train_blocks,
            "block_tokens": experiment.data.block_tokens,
            "top_k": cache.top_k,
            "temperature": experiment.distillation.temperature,
            "dtype": cache.dtype,
            "blocks_per_shard": cache.blocks_per_shard,
        }
        return logit_cache.KIND, key, -(-experiment.data.train_blocks // cache.blocks_per_shard)
    wanted = experiment.generation
    prompts = read_prompts(context.folder / "data" / "prompts.arrow")
    key = {
        **made_from,
        "prompts": synthetic_set.prompts_identity(prompts),
        "engine": engine_name(wanted),
        **wanted.model_dump(
            include={"max_new_tokens", "top_p", "temperature", "batch_prompts", "prompts_per_shard", "seed"}
        ),
    }
    return synthetic_set.KIND, key, -(-len(prompts) // wanted.prompts_per_shard)


def _fill(context: Context, artifact: Artifact) -> None:
    missing = ranks.from_first(artifact.missing)
    _announce(context, artifact)
    if not missing:
        return
    if artifact.kind == logit_cache.KIND:
        _cache_logits(context, artifact, missing)
    else:
        _generate(context, artifact, missing)


def _announce(context: Context, artifact: Artifact) -> None:
    what = "cached teacher logits" if artifact.kind == logit_cache.KIND else "synthetic responses"
    if artifact.tokens:
        verb = "reusing" if artifact.is_complete else "going on with"
        made = f"{artifact.identity[:19]}, {artifact.tokens:,} tokens, made by {', '.join(artifact.makers)}"
        console.print(f"[green]{verb} {what}[/] ({made})")
    elif found := nearest(context.work_dir / "artifacts", artifact.kind, artifact.key):
        console.print(f"[dim]no {what} to reuse; the nearest, {found[0].name}, differs: {found[1]}[/]")


def _cache_logits(context: Context, cache: Artifact, missing: list[int]) -> None:
    experiment = context.experiment
    _check_room(context, bytes_per_token(experiment.logit_cache), cache)
    with context.run.stage("teacher", phase="load"):
        model = load_teacher(context.teacher, experiment.teacher.dtype)
        check_vocabulary(load_tokenizer(context.teacher), model, experiment.teacher.model)
        blocks = pack.read(context.folder / "data" / "train")
    mine = missing[ranks.rank() :: ranks.world_size()]
    with context.run.stage("teacher", phase="logit_caching") as stage:
        shards = logit_cache.fill(cache, mine, model, blocks, experiment.logit_cache.batch_blocks, context.run.name)
        # Everybody takes part in every round, also who has no shard left.
        rounds = range(-(-len(missing) // ranks.world_size()))
        for number in track(rounds, description="caching teacher logits", console=console):
            stage.add_tokens(cached=ranks.total(next(shards, 0)))
            if number == 0:
                context.run.artifact(cache.identity, kind=cache.kind, role="produced")
            context.check_budget()


def _generate(context: Context, synthetic: Artifact, missing: list[int]) -> None:
    experiment = context.experiment
    if ranks.world_size() > 1:
        raise WorkloadError("generation runs as one process: start the teacher phase of synthetic_sft without torchrun")
    prompts = read_prompts(context.folder / "data" / "prompts.arrow")
    with context.run.stage("teacher", phase="load"):
        engine = make_engine(context.teacher, experiment.teacher.dtype, experiment.generation)
    asked = min(len(prompts), len(missing) * experiment.generation.prompts_per_shard)
    with Progress(console=console) as bar, Pace(context.run, "teacher", "generation", "ramp_down") as pace:
        task = bar.add_task("generating (tokens, at most)", total=asked * experiment.generation.max_new_tokens)

        def progress(grown: int, full: int) -> None:
            pace.step(grown, min(full, asked))
            bar.advance(task, grown)

        done = synthetic_set.fill(synthetic, missing, engine, prompts, progress, context.run.name)
        for number, tokens in enumerate(done):
            pace.stage.add_tokens(prompt=tokens)
            if number == 0:
                context.run.artifact(synthetic.identity, kind=synthetic.kind, role="produced")
            context.check_budget()


def _check_room(context: Context, bytes_per_token: int, artifact: Artifact) -> None:
    """Better refused now than after hours: what is missing must fit on the disk."""
    data = context.experiment.data
    needed = data.train_blocks * data.block_tokens * bytes_per_token - artifact.bytes
    free = free_bytes(artifact.folder)
    if needed > free:
        raise WorkloadError(
            f"the logit cache needs {needed / 1e9:.1f} GB more, {artifact.folder} has {free / 1e9:.1f} GB: lower "
            "logit_cache.top_k or data.train_blocks, or set --work-dir elsewhere"
        )
