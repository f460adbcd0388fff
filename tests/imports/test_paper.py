"""The paper's tables as runs: in the ledger, on /metrics of an exporter started on it, and only once."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from exporter_process import Exporter
from typer.testing import CliRunner

from joulemark.accounting import JOULES_PER_KWH
from joulemark.cli.main import app
from joulemark.clock import ManualClock
from joulemark.imports import ImportFailed, book
from joulemark.imports.paper import CELLS, paper_runs
from joulemark.ledger.state import StageRequest
from joulemark.meter.meter import Meter
from joulemark.sources.replay import ReplaySource

TOTALS = {
    "paper-sft-1b": 7.00, "paper-sft-7b": 19.50, "paper-sft-13b": 34.60, "paper-kd-1b": 16.90,
    "paper-kd-13b": 42.50, "paper-synthetic-sft-1b": 16.65, "paper-synthetic-sft-13b": 40.70,
}  # fmt: skip


def rows(folder: Path) -> list[str]:
    """Everything in the ledger, as text."""
    with sqlite3.connect(folder / "ledger.sqlite") as db:
        return list(db.iterdump())


def imported(folder: Path, *options: str) -> str:
    done = CliRunner().invoke(app, ["import", "paper", "--state-dir", str(folder), *options])
    assert done.exit_code == 0, done.output
    return done.output


def test_an_exporter_started_on_it_shows_the_published_runs(
    tmp_path: Path, make_exporter: Callable[..., Exporter]
) -> None:
    imported(tmp_path / "state")
    exporter = make_exporter()
    metrics = exporter.metrics()
    for run, kwh in TOTALS.items():
        energy = [
            v for k, v in metrics.items() if k.startswith("joulemark_energy_joules_total{") and f'run="{run}"' in k
        ]
        assert math.fsum(energy) == pytest.approx(kwh * JOULES_PER_KWH, rel=1e-12)
        assert exporter.http.get(f"/api/v1/runs/{run}").json()["origin"] == "published"
    teacher = (
        'joulemark_energy_joules_total{device="published",phase="logit_caching",run="paper-kd-1b",stage="teacher"}'
    )
    assert metrics[teacher] == 11.0 * JOULES_PER_KWH
    assert metrics['joulemark_run_score{benchmark="paper_mean_q",run="paper-kd-1b"}'] == 0.70
    assert metrics['joulemark_reference_score{benchmark="paper_mean_q",teacher="OLMo-2-32B-SFT"}'] == 1.0
    trained = [v for k, v in metrics.items() if k.startswith("joulemark_stage_tokens_total{") and 'kind="trained"' in k]
    assert trained == [30e6] * 6
    shared = [k for k in metrics if k.startswith("joulemark_run_artifact{") and 'artifact="paper-logits"' in k]
    assert len(shared) == 4, "two runs, each made and used it"


def test_what_is_not_printed_is_absent(tmp_path: Path, make_exporter: Callable[..., Exporter]) -> None:
    imported(tmp_path / "state")
    exporter = make_exporter()
    ours = [name for name in exporter.metrics() if 'run="paper-' in name]
    assert not [name for name in ours if "stage_seconds" in name or "uncertainty" in name]
    record = exporter.http.get("/api/v1/runs/paper-sft-7b").json()
    assert (record["seconds"], record["uncertainty_joules"]) == (None, None)
    assert [stage["stage"] for stage in record["stages"]] == ["end_to_end"]
    assert exporter.http.get("/api/v1/runs/paper-synthetic-sft-1b").json()["scores"] == []


def test_conservation_holds_with_imported_runs_also_when_they_retire(tmp_path: Path) -> None:
    book(paper_runs(), tmp_path)
    for keep_runs in (20, 2):
        clock = ManualClock()
        source = ReplaySource(clock)
        meter = Meter([source], tmp_path, clock, keep_runs=keep_runs)
        snapshot = meter.snapshot()
        booked = math.fsum(series.joules.get("published", 0.0) for series in snapshot.series)
        assert booked == pytest.approx(sum(TOTALS.values()) * JOULES_PER_KWH, rel=1e-12)
        assert snapshot.gone_joules["published"] == pytest.approx(booked, rel=1e-12)
        meter.close()


def test_importing_again_changes_nothing(tmp_path: Path) -> None:
    imported(tmp_path)
    before = rows(tmp_path)
    assert "7 were there already" in imported(tmp_path)
    assert rows(tmp_path) == before


def test_an_import_leaves_what_was_measured_as_it_was(tmp_path: Path) -> None:
    clock = ManualClock(boot="an earlier boot")
    meter = Meter([ReplaySource(clock)], tmp_path, clock)
    meter.begin(StageRequest("own", "student", ttl_seconds=60))
    for _ in range(20):
        clock.advance(0.1)
        meter.sample()
    meter.close()
    before = [row for row in rows(tmp_path) if "paper" not in row]
    imported(tmp_path)
    after = [
        row for row in rows(tmp_path) if "paper" not in row and '"published"' not in row and "'published'" not in row
    ]
    assert after == before


def test_a_run_of_that_name_with_other_figures_is_refused(tmp_path: Path) -> None:
    clock = ManualClock()
    meter = Meter([ReplaySource(clock)], tmp_path, clock)
    meter.declare("paper-kd-1b", {"pipeline": "mine"})
    meter.close()
    before = rows(tmp_path)
    with pytest.raises(ImportFailed, match=r"has a run 'paper-kd-1b' with other figures: .* --prefix"):
        book(paper_runs(), tmp_path)
    assert rows(tmp_path) == before, "all or nothing"
    assert "their-paper-kd-1b (published)" in imported(tmp_path, "--prefix", "their-")


def test_a_running_exporter_is_named_as_the_cause(exporter: Exporter) -> None:
    with pytest.raises(ImportFailed, match="stop it, import, and start it again"):
        book(paper_runs(), exporter.state_dir)


def test_stages_add_up_to_the_printed_totals() -> None:
    for cell, run in zip(CELLS, paper_runs(), strict=True):
        total = math.fsum(joules for stage in run.stages for joules in stage.joules.values())
        assert total == pytest.approx(TOTALS[run.name] * JOULES_PER_KWH, rel=1e-12)
        assert cell.total in (None, TOTALS[run.name])
