"""`joulemark import`: figures of others beside one's own, each marked with where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..imports import ImportedRun, book
from ..imports.codecarbon import codecarbon_runs
from ..imports.harness import harness_run
from ..imports.paper import paper_runs
from ..imports.stage_map import StageMap
from ..imports.zeus import zeus_run
from ..settings import default_state_dir
from . import import_scores

app = typer.Typer(
    no_args_is_help=True,
    help="Bring figures of others into a ledger as runs, each marked with its origin. The exporter of that ledger must "
    "be stopped meanwhile; started again, it shows them on /metrics. Importing twice changes nothing. alpaca-eval and "
    "mt-bench are other: they put a score to a run that is there, through the exporter that runs.",
)
app.command("alpaca-eval")(import_scores.alpaca_eval)
app.command("mt-bench")(import_scores.mt_bench)
StateDir = Annotated[Path | None, typer.Option("--state-dir", help="The ledger's folder, as of 'joulemark serve'.")]
Prefix = Annotated[str, typer.Option("--prefix", help="Put this before the names of the runs.")]
RunName = Annotated[str, typer.Option("--run", help="Name of the run.")]
Map = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="NAME=STAGE[/PHASE]", help="Which stage a name of the file is; may be given again."),
]
Estimates = Annotated[
    bool,
    typer.Option("--with-estimates", help="Take CPU and RAM energy too, which may be a model's: origin modelled."),
]
Pipeline = Annotated[str, typer.Option("--pipeline", help="What the run is: sft, kd, …")]
Student = Annotated[str, typer.Option("--student", help="The student model.")]
Teacher = Annotated[str, typer.Option("--teacher", help="The teacher model.")]
Dataset = Annotated[str, typer.Option("--dataset", help="The data set.")]
Seed = Annotated[int | None, typer.Option("--seed", help="The seed; runs that differ in it alone are repeats.")]


@app.command("paper")
def paper(state_dir: StateDir = None, prefix: Prefix = "") -> None:
    """The published tables of arXiv 2605.13981, to see one's own points beside the paper's. Origin: published."""
    _book(paper_runs(), state_dir, prefix)


@app.command("harness")
def harness(
    folders: Annotated[list[Path], typer.Argument(help="Run folders of the paper's harness; all make one run.")],
    run: RunName,
    map_: Map = None,
    with_estimates: Estimates = False,
    pipeline: Pipeline = "",
    student: Student = "",
    teacher: Teacher = "",
    dataset: Dataset = "",
    seed: Seed = None,
    state_dir: StateDir = None,
) -> None:
    """Output folders of the paper's harness: one file for each stage. Origin: measured (GPU energy alone)."""
    facts = _facts(pipeline, student, teacher, dataset, seed)
    found = harness_run(folders, run, StageMap.parse(map_ or ()), facts, with_estimates=with_estimates)
    _book([found], state_dir, "")


@app.command("codecarbon")
def codecarbon(
    file: Annotated[Path, typer.Argument(help="emissions.csv, or the file by task.")],
    run: Annotated[str, typer.Option("--run", help="Name of the run, where the file holds one.")] = "",
    stage: Annotated[str, typer.Option("--stage", help="STAGE[/PHASE] of what is not split by task.")] = "",
    map_: Map = None,
    with_estimates: Estimates = False,
    pipeline: Pipeline = "",
    student: Student = "",
    teacher: Teacher = "",
    dataset: Dataset = "",
    seed: Seed = None,
    state_dir: StateDir = None,
    prefix: Prefix = "",
) -> None:
    """CodeCarbon's emissions.csv, a run for each of its runs. Origin: measured (GPU energy alone); PUE is taken out."""
    stages = StageMap.parse(map_ or ())
    if stage:
        stages = StageMap({**stages.said, "": StageMap.parse([f"all={stage}"]).said["all"]})
    facts = _facts(pipeline, student, teacher, dataset, seed)
    _book(codecarbon_runs(file, stages, facts, name=run, with_estimates=with_estimates), state_dir, prefix)


@app.command("zeus")
def zeus(
    file: Annotated[Path, typer.Argument(help="The CSV that ZeusMonitor(log_file=…) wrote.")],
    run: RunName,
    windows: Annotated[
        list[str] | None, typer.Option("--window", help="Take this window only; may be given again.")
    ] = None,
    map_: Map = None,
    pipeline: Pipeline = "",
    student: Student = "",
    teacher: Teacher = "",
    dataset: Dataset = "",
    seed: Seed = None,
    state_dir: StateDir = None,
) -> None:
    """Zeus' window log; a window inside another takes its energy away from that one. Origin: measured."""
    facts = _facts(pipeline, student, teacher, dataset, seed)
    _book([zeus_run(file, run, StageMap.parse(map_ or ()), facts, windows or ())], state_dir, "")


def _facts(pipeline: str, student: str, teacher: str, dataset: str, seed: int | None) -> dict[str, object]:
    texts = {"pipeline": pipeline, "student": student, "teacher": teacher, "dataset": dataset}
    facts: dict[str, object] = {name: text for name, text in texts.items() if text}
    return facts if seed is None else {**facts, "seed": seed}


def _book(runs: Sequence[ImportedRun], state_dir: Path | None, prefix: str) -> None:
    folder = state_dir or default_state_dir()
    named = [replace(run, name=prefix + run.name) for run in runs]
    booked = book(named, folder)
    origins = {run.name: run.origin for run in named}
    for name in booked.added:
        typer.echo(f"{name} ({origins[name]})")
    told = f"{len(booked.added)} runs added to {folder}"
    typer.echo(told + (f", {len(booked.unchanged)} were there already" if booked.unchanged else ""), err=True)
