"""`joulemark import alpaca-eval` and `mt-bench`: scores of judged benchmarks, put to a run that is there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from ..errors import CallRefused
from ..imports import ImportFailed
from ..imports.alpaca_eval import alpaca_eval_score
from ..imports.mt_bench import mt_bench_score
from ..ledger.snapshot import Score
from .stage import ask

RunName = Annotated[str, typer.Option("--run", help="The run that the score belongs to; it must be there.")]
Model = Annotated[str, typer.Option("--model", help="The model's name in the file, where it holds several.")]
Teacher = Annotated[
    str, typer.Option("--teacher-model", help="The teacher's name in the file: its score is Q's reference.")
]
Reference = Annotated[float | None, typer.Option("--reference", help="The teacher's score, 0 to 1, from elsewhere.")]
Url = Annotated[str, typer.Option("--url", help="The exporter; default: JOULEMARK_URL, then loopback.")]


def alpaca_eval(
    file: Annotated[Path, typer.Argument(help="leaderboard.csv, as 'alpaca_eval evaluate' wrote it.")],
    run: RunName,
    model: Model = "",
    teacher_model: Teacher = "",
    reference: Reference = None,
    raw: Annotated[bool, typer.Option("--raw", help="The win rate that is not controlled for length.")] = False,
    url: Url = "",
) -> None:
    """AlpacaEval 2's length-controlled win rate, put to a run through its running exporter; said again it replaces."""
    _keep(run, alpaca_eval_score(file, model, teacher_model, raw=raw), reference, url)


def mt_bench(
    file: Annotated[Path, typer.Argument(help="model_judgment/JUDGE_single.jsonl, as FastChat wrote it.")],
    run: RunName,
    model: Model = "",
    teacher_model: Teacher = "",
    reference: Reference = None,
    url: Url = "",
) -> None:
    """MT-Bench's mean score over ten, put to a run through its running exporter; said again it replaces."""
    _keep(run, mt_bench_score(file, model, teacher_model), reference, url)


def _keep(run: str, score: Score, reference: float | None, url: str) -> None:
    if reference is not None:
        if score.reference is not None:
            raise typer.BadParameter("give --teacher-model or --reference, not both")
        score = score._replace(reference=reference)
    if url:
        os.environ["JOULEMARK_URL"] = url
    path = f"/runs/{quote(run, safe='')}"
    try:
        ask("GET", path)
    except CallRefused as error:
        raise ImportFailed(f"{error}: a score needs its run; 'joulemark runs' lists them") from error
    ask("POST", f"{path}/scores", score._asdict())
    told = f"{run}: {score.benchmark} {score.score:.3f}" + ("" if score.stderr is None else f" ± {score.stderr:.3f}")
    told += "" if score.reference is None else f", teacher {score.reference:.3f}"
    typer.echo(f"{told}, n = {score.n}" if score.n else told)
