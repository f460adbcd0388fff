"""`python -m joulemark_workloads run`: one pipeline of one experiment, each phase under its own stage."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from .config import load_experiment
from .errors import WorkloadError

console = Console(stderr=True, soft_wrap=True, highlight=False)
app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def _root() -> None:
    """Distillation workloads that tell Joulemark which stage they are in."""


@app.command()
def run(
    config: Annotated[Path, typer.Option("--config", help="The experiment, e.g. configs/smoke.yaml.")],
    pipeline: Annotated[str, typer.Option("--pipeline", help="sft (baseline) or kd (cached teacher logits).")],
    name: Annotated[str, typer.Option("--run", help="Name of the run, e.g. kd-1.")],
    work_dir: Annotated[Path, typer.Option("--work-dir", help="Folder of models, caches and results.")] = Path(
        ".joulemark/work"
    ),
    url: Annotated[str | None, typer.Option("--url", help="The exporter; JOULEMARK_URL when left out.")] = None,
    baseline: Annotated[str | None, typer.Option("--baseline", help="The run to compare with.")] = None,
) -> None:
    """Run prerun, data, teacher (kd), student and eval."""
    if pipeline not in ("sft", "kd"):
        raise WorkloadError(f"pipeline {pipeline!r} is not known: use sft or kd")
    experiment = load_experiment(config)
    _prepare_environment(work_dir)
    from .pipeline import run_pipeline  # after the environment, which these libraries read when imported

    try:
        run_pipeline(experiment, "kd" if pipeline == "kd" else "sft", name, work_dir, url=url, baseline=baseline)
    except KeyboardInterrupt as interrupt:
        console.print("[yellow]interrupted[/]; what is on disk is kept and used next time")
        raise typer.Exit(130) from interrupt


def _prepare_environment(work_dir: Path) -> None:
    """Offline unless told otherwise, caches in the work folder, and libraries that speak up only when it matters."""
    for key, value in {
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str((work_dir / "huggingface").resolve()),
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_VERBOSITY": "error",
        "LMEVAL_LOG_LEVEL": "ERROR",
    }.items():
        os.environ.setdefault(key, value)


def main() -> None:
    """Run the command line; an expected error is one clear message and exit code 2."""
    try:
        app()
    except WorkloadError as error:
        console.print("[bold red]joulemark:[/]", escape(str(error)))
        sys.exit(2)


if __name__ == "__main__":
    main()
