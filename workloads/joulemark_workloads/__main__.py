"""`python -m joulemark_workloads CONFIG`: the experiments of one file, each phase under its own stage."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from .config import PHASES, Cell, cells_of, read_document
from .errors import BudgetSpent, WorkloadError
from .phases.hub_keys import hub_keys
from .plan.show import show
from .termination import interrupt_when_terminated

_EPILOG = """Examples:

python -m joulemark_workloads configs/smoke.yaml

python -m joulemark_workloads configs/olmo2/cells.yaml --plan

python -m joulemark_workloads configs/tiny.yaml --pipeline kd --run kd-1 --phase data --phase teacher

torchrun --nproc-per-node 4 -m joulemark_workloads my.yaml --pipeline kd --phase student

A run that is started again goes on from what is on disk; a second run reuses cached logits and generated text."""

_INTERRUPTED, _BUDGET_SPENT = 130, 3
console = Console(stderr=True, soft_wrap=True, highlight=False)
app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command(epilog=_EPILOG)
def run(
    config: Annotated[Path, typer.Argument(help="The experiment, e.g. configs/smoke.yaml.")],
    phase: Annotated[
        list[str] | None, typer.Option(help=f"Only this phase (repeatable): {', '.join(PHASES)}. Default: all.")
    ] = None,
    pipeline: Annotated[
        list[str] | None, typer.Option(help="Only this pipeline (repeatable): sft, kd, synthetic_sft.")
    ] = None,
    # torchrun takes --run for an abbreviation of an option of its own.
    run: Annotated[
        str | None, typer.Option("--run", "--name", help="Name of the run, where the file describes just one.")
    ] = None,
    tag: Annotated[str | None, typer.Option(help="Part of every run's name; default: the experiment's name.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Another value for a key: --set training.seed=1 (repeatable).")
    ] = None,
    work_dir: Annotated[Path, typer.Option(help="Folder of models, artifacts and results.")] = Path(".joulemark/work"),
    url: Annotated[str | None, typer.Option(help="The exporter; default: JOULEMARK_URL, then loopback.")] = None,
    baseline: Annotated[
        str | None, typer.Option(help="The run to compare with; default: the grid's own sft run.")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show phases, tokens, disk and energy; run nothing.")] = False,
    max_kwh: Annotated[float | None, typer.Option(min=0, help="Stop when the grid has used so much energy.")] = None,
    max_hours: Annotated[float | None, typer.Option(min=0, help="Stop after so much time.")] = None,
    even_if_busy: Annotated[
        bool, typer.Option("--even-if-busy", help="Measure although a GPU is in use or throttled.")
    ] = False,
    tables: Annotated[
        bool, typer.Option(help="End with what each cell took: energy, J/token, Q, N*, T*, spread over seeds.")
    ] = True,
) -> None:
    """Run the distillation pipelines that a file describes, and tell Joulemark which stage they are in."""
    cells = _chosen(cells_of(read_document(config, set_ or [])), pipeline or [])
    _check(cells, phase or [], run)
    tag = tag or cells[0].experiment.name
    if plan:
        return show(cells, work_dir, tag, Console(soft_wrap=True, highlight=False))
    _prepare_environment(cells, work_dir)
    # After the environment, which these libraries read when they are imported.
    from . import ranks
    from .sweep.command import run_grid
    from .sweep.runner import Options

    options = Options(work_dir, tag, run, url, phase or PHASES, baseline, even_if_busy, max_kwh, max_hours, tables)
    ranks.join()
    try:
        run_grid(cells, options)
    except KeyboardInterrupt as interrupt:
        console.print("[yellow]interrupted[/]; what is on disk is kept and used next time")
        raise typer.Exit(_INTERRUPTED) from interrupt
    finally:
        ranks.leave()
    return None


def _chosen(cells: list[Cell], pipelines: list[str]) -> list[Cell]:
    known = {cell.pipeline for cell in cells}
    for pipeline in pipelines:
        if pipeline not in known:
            raise WorkloadError(f"pipeline {pipeline!r} is not in this experiment: it has {', '.join(sorted(known))}")
    return [cell for cell in cells if not pipelines or cell.pipeline in pipelines]


def _check(cells: list[Cell], phases: list[str], run: str | None) -> None:
    for phase in phases:
        if phase not in PHASES:
            raise WorkloadError(f"phase {phase!r} is not known: use {', '.join(PHASES)}")
    if run and len(cells) > 1:
        names = ", ".join(cell.run_name("…") for cell in cells[:4])
        raise WorkloadError(
            f"--run names one run, the file describes {len(cells)} ({names} …): choose one with --pipeline or --set, "
            "or give --tag"
        )


def _prepare_environment(cells: list[Cell], work_dir: Path) -> None:
    """Caches in the work folder, offline where nothing needs a hub, libraries that speak up only when it matters."""
    settings = {
        "HF_HOME": str((work_dir / "huggingface").resolve()),
        # What takes long has a bar of its own.
        "TQDM_DISABLE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_VERBOSITY": "error",
        "LMEVAL_LOG_LEVEL": "ERROR",
    }
    if not any(hub_keys(cell.experiment) for cell in cells):
        settings["HF_HUB_OFFLINE"] = "1"
    for key, value in settings.items():
        os.environ.setdefault(key, value)


def main() -> None:
    """Run the command line; an expected error is one clear message and exit code 2."""
    interrupt_when_terminated()
    try:
        app()
    except BudgetSpent as spent:
        console.print("[bold yellow]joulemark:[/]", escape(str(spent)))
        sys.exit(_BUDGET_SPENT)
    except WorkloadError as error:
        console.print("[bold red]joulemark:[/]", escape(str(error)))
        sys.exit(2)


if __name__ == "__main__":
    main()
