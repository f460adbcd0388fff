"""How long each board's queries take at 200 finished runs: `python -m benchmarks.boards [--runs 200] [--write]`.

An exporter on a ledger of imported runs, a real Prometheus with this repository's rules. All queries of a board, those
of variables and annotations included, are asked as a screen of 1280 pixels asks them over the last hour, one after
another, so that the sum is what a browser waits for at worst: Grafana asks several at once.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
# What the tests ask the boards with.
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "grafana")]

from answers import ask, last_hour  # noqa: E402
from board_files import boards  # noqa: E402
from exporter_process import Exporter  # noqa: E402
from live_prometheus import LivePrometheus  # noqa: E402

from joulemark.imports import ImportedRun, ImportedStage, book  # noqa: E402
from joulemark.ledger.snapshot import Artifact, Score  # noqa: E402

RESULT = ROOT / "benchmarks" / "results" / "boards.md"
ROUNDS = 5


def runs(count: int) -> list[ImportedRun]:
    """So many finished runs of three pipelines: seven stages and phases each, scores, artifacts, idle baselines."""
    return [_run(number) for number in range(count)]


def _run(number: int) -> ImportedRun:
    pipeline = ("sft", "kd", "synthetic_sft")[number % 3]
    teacher = () if pipeline == "sft" else (_stage("teacher", 900.0 + number, "generation", generated=40_000),)
    stages = (
        _stage("prerun", 60.0), _stage("data", 30.0), *teacher,
        _stage("student", 1200.0 + 3 * number, pipeline, trained=80_000),
        _stage("eval", 200.0, "gsm8k", evaluated=4_000), _stage("eval", 40.0, "serving", generated=1000),
    )  # fmt: skip
    facts = {
        "pipeline": pipeline, "student": f"S{number // 30}", "dataset": f"D{number % 2}", "seed": number,
        "idle_watts": {"gpu9": 6.0}, **({"teacher": "T"} if teacher else {}),
    }  # fmt: skip
    made = tuple(Artifact(f"a{number // 6}", "generations", role) for role in ("produced", "consumed") if teacher)
    scores = tuple(Score(name, 0.4 + number / 1000, 0.8, 500) for name in ("gsm8k", "mmlu"))
    return ImportedRun(f"run-{number:04}", "modelled", "benchmark", stages, facts, scores=scores, artifacts=made)


def _stage(name: str, joules: float, phase: str = "", **tokens: int) -> ImportedStage:
    return ImportedStage(name, {"gpu9": joules}, phase, seconds=joules / 25, tokens=tokens)


@contextmanager
def prometheus(count: int) -> Iterator[LivePrometheus]:
    """One that knows all the runs, their derived figures included, and some history."""
    with tempfile.TemporaryDirectory() as folder:
        book(runs(count), Path(folder) / "state")
        options = ("--source", "replay", "--keep-runs", "10000", "--carbon.zone", "DE", "--price.per-kwh", "0.3")
        exporter = Exporter(Path(folder) / "state", *options, "--price.currency", "EUR").start()
        live = LivePrometheus(Path(folder) / "prometheus", [("joulemark", exporter.url[7:])], pace="5s", itself=True)
        try:
            live.wait_for("count(run:joulemark_quality:ratio)", count, 300)
            live.wait_until(lambda: bool(live.query("cell:joulemark_breakeven_reuses:avg")), "cells", 300)
            time.sleep(20)
            yield live
        finally:
            live.stop()
            exporter.http.close()
            exporter.kill()


def measure(live: LivePrometheus) -> list[tuple[str, int, float, float]]:
    """By board: number of queries, median and largest time in seconds over some rounds."""
    rows = []
    for name, board in boards().items():
        chosen = {"run": "run-0001"} if name == "run" else {}
        times, count = [], 0
        for _ in range(ROUNDS):
            began = time.perf_counter()
            count = len(ask(live.http, name, board, last_hour(), **chosen).data)
            times.append(time.perf_counter() - began)
        rows.append((name, count, statistics.median(times), max(times)))
    return rows


def main() -> None:
    """Measure and print; write the result where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--write", action="store_true", help=f"write {RESULT.relative_to(ROOT)}")
    options = parser.parse_args()
    with prometheus(options.runs) as live:
        version = live.http.get("/api/v1/status/buildinfo").json()["data"]["version"]
        rows = measure(live)
    command = f"python -m benchmarks.boards --runs {options.runs} --write"
    head = f"# Query time of the boards at {options.runs} finished runs\n\n`{command}`, {time.strftime('%Y-%m-%d')}, "
    about = f"Prometheus {version}, {platform.machine()}, {ROUNDS} rounds.\n\n{_READ}\n\n"
    table = ["| board | queries | median s | largest s |", "|---|---:|---:|---:|"]
    table += [f"| {name} | {count} | {median:.3f} | {largest:.3f} |" for name, count, median, largest in rows]
    text = head + about + "\n".join(table) + "\n"
    print(text)
    if options.write:
        RESULT.write_text(text)


_READ = (
    "All queries of a board one after another, variables and annotations included, over an hour at 120 points; all "
    "runs chosen (one on the board Run). A browser asks several at once and waits for less. Prometheus had scraped for "
    "about a minute, so curves are as short: the figures are of asking for 200 runs, not of reading long histories."
)

if __name__ == "__main__":
    main()
