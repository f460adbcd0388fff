"""Grids: one failure does not stop the rest, budgets stop safely, forecasts are means, the table has a spread."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from joulemark_workloads.config import cells_of, read_document
from joulemark_workloads.errors import BudgetSpent, WorkloadError
from joulemark_workloads.ledger_view import LedgerView
from joulemark_workloads.sweep.budget import Budget
from joulemark_workloads.sweep.command import run_grid
from joulemark_workloads.sweep.energy import together
from joulemark_workloads.sweep.forecast import Cost, forecast
from joulemark_workloads.sweep.runner import Options, run_cells
from joulemark_workloads.sweep.table import table


def cost(pipeline: str, artifact: str = "", **joules: float) -> Cost:
    return Cost(pipeline, artifact, joules, {stage: value / 10 for stage, value in joules.items()})


def test_nothing_is_foretold_from_nothing() -> None:
    assert forecast([], [("sft", "")]) is None


def test_the_rest_is_the_mean_of_its_own_pipeline() -> None:
    done = [cost("sft", student=100.0), cost("sft", student=300.0), cost("kd", "a", teacher=50.0, student=70.0)]
    found = forecast(done, [("sft", ""), ("kd", "a")])
    assert found
    assert found.joules == pytest.approx(270.0)
    assert found.seconds == pytest.approx(27.0)


def test_a_teacher_is_foretold_once_for_each_artifact() -> None:
    done = [cost("kd", "a", teacher=50.0, student=70.0)]
    found = forecast(done, [("kd", "a"), ("kd", "b"), ("kd", "b")])
    assert found
    assert found.joules == pytest.approx(3 * 70.0 + 50.0)


def test_a_pipeline_that_has_not_run_is_foretold_from_the_others() -> None:
    found = forecast([cost("sft", student=100.0)], [("kd", "a")])
    assert found
    assert found.joules == pytest.approx(100.0)


def test_a_budget_of_energy_is_that_and_no_more() -> None:
    spent: list[float | None] = [0.0]
    budget = Budget(lambda: spent[-1], max_kwh=0.5, max_hours=None)
    spent.append(0.4999 * 3.6e6)
    budget.check()
    spent.append(0.5 * 3.6e6)
    with pytest.raises(BudgetSpent, match=r"0\.5 of 0\.5 kWh.*start again to go on"):
        budget.check()
    spent.append(None)
    budget.check()


def test_a_budget_of_energy_needs_a_meter() -> None:
    with pytest.raises(WorkloadError, match="--max-kwh needs an exporter"):
        Budget(lambda: None, max_kwh=1.0, max_hours=None)


def test_a_budget_of_time_counts_from_the_start() -> None:
    now = 100.0
    budget = Budget(lambda: None, max_kwh=None, max_hours=1.0, clock=lambda: now)
    now += 3599.0
    budget.check()
    now += 1.0
    with pytest.raises(BudgetSpent, match="the time is up"):
        budget.check()


def test_the_references_that_a_grid_makes_on_its_way_are_on_its_budget(
    experiment_file: Callable[..., Path],
    tmp_path: Path,
    make_exporter: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exporter = make_exporter("--source", "cpu_model")
    cells = cells_of(read_document(experiment_file("sft"), ["training.seed=[0, 1]"]))
    asked: list[set[str]] = []
    joules = LedgerView.joules

    def noted(view: LedgerView, names: list[str]) -> float | None:
        asked.append(set(names))
        return joules(view, names)

    monkeypatch.setattr(LedgerView, "joules", noted)
    run_cells(cells, Options(tmp_path / "work", "t", url=exporter.url, max_kwh=1.0))
    billed = {run["run"] for run in exporter.http.get("/api/v1/runs").json()}
    assert {name.partition("-")[0] for name in billed} == {"sft", "reference", "untrained"}
    assert asked[-1] >= billed > asked[0] & billed


def test_a_grid_that_ran_out_of_energy_goes_on_with_more(
    experiment_file: Callable[..., Path],
    tmp_path: Path,
    make_exporter: Callable[..., Any],
    capfd: pytest.CaptureFixture[str],
) -> None:
    exporter = make_exporter("--source", "cpu_model")
    cells = cells_of(read_document(experiment_file("sft", "kd"), ["training.seed=[0, 1]"]))
    work = tmp_path / "work"
    with pytest.raises(BudgetSpent):
        run_cells(cells, Options(work, "t", url=exporter.url, max_kwh=1e-9))
    before = {run["run"] for run in exporter.http.get("/api/v1/runs").json()}
    assert "sft-t-seed0" in before
    assert "kd-t-seed0" not in before
    outcome = run_cells(cells, Options(work, "t", url=exporter.url, max_kwh=1.0))
    assert all(record.has("eval") for record in outcome.records.values())
    runs = [exporter.http.get(f"/api/v1/runs/kd-t-seed{seed}").json() for seed in (0, 1)]
    assert [run["baseline"] for run in runs] == ["sft-t-seed0", "sft-t-seed1"]
    assert runs[0]["labels"] == runs[1]["labels"]
    spends = [sum(s["joules"] for s in run["stages"] if s["stage"] == "teacher") for run in runs]
    assert spends[0] > 0
    assert spends[1] == 0
    console = Console(width=200, record=True)
    console.print(table(outcome.runs, outcome.records, LedgerView(exporter.url)))
    shown = {line.split()[0]: line for line in console.export_text().splitlines() if line.strip()}
    assert set(shown) >= {"sft", "kd"}
    assert shown["kd"].split()[1] == "2"
    assert shown["kd"].count("±") >= 3
    # Done already, so that only the tables are new: those of the report, with the same cells.
    run_grid(cells, Options(work, "t", url=exporter.url))
    told = capfd.readouterr().out
    assert "Was it worth it?" in told
    assert all(word in told for word in ("J/token", "N*", "T*", "Q"))


def billed(joules: float, bound: float | None, origin: str = "measured") -> dict[str, Any]:
    return {"joules": joules, "uncertainty_joules": bound, "origin": origin}


def test_the_joules_of_runs_have_their_bounds_together_and_their_origin() -> None:
    assert together([billed(1200.0, 3.5), billed(34.56, 0.25)]) == "1,234.6 ± 3.8 J"
    assert together([billed(1200.0, 3.5), billed(34.56, None)]) == "1,234.6 J", "part must not pass for all"
    assert together([billed(1.0, 0.5), billed(2.0, 0.5, "modelled")]) == "3.0 ± 1.0 J (modelled)"
    assert together([]) == ""


def test_the_joules_of_each_run_are_shown_with_their_bound(
    experiment_file: Callable[..., Path],
    tmp_path: Path,
    make_exporter: Callable[..., Any],
    capfd: pytest.CaptureFixture[str],
) -> None:
    exporter = make_exporter("--source", "cpu_model")
    cells = cells_of(read_document(experiment_file("sft"), ["student=[{layers: 1}, {layers: 2}]"]))
    outcome = run_cells(cells, Options(tmp_path / "work", "t", url=exporter.url))
    assert re.search(r"^[\d,.]+ ± [\d,.]+ J \(modelled\) so far; forecast", capfd.readouterr().out, re.MULTILINE)
    console = Console(width=200, record=True)
    console.print(table(outcome.runs, outcome.records, LedgerView(exporter.url)))
    shown = " ".join(console.export_text().split())
    for _, name in outcome.runs:
        run = exporter.http.get(f"/api/v1/runs/{name}").json()
        assert f" 1 {run['joules']:,.1f} ± {run['uncertainty_joules']:,.1f} " in shown


def test_one_failed_cell_does_not_keep_the_others_from_running(
    experiment_file: Callable[..., Path], tmp_path: Path, make_exporter: Callable[..., Any]
) -> None:
    exporter = make_exporter("--source", "cpu_model")
    cells = cells_of(read_document(experiment_file("sft"), ["student=[{layers: 9}, {layers: 2}]"]))
    options = Options(tmp_path / "work", "t", url=exporter.url)
    outcome = run_cells(cells, options)
    assert list(outcome.failed) == ["sft-t-layers9"]
    assert "has only 3" in str(outcome.failed["sft-t-layers9"])
    assert outcome.records["sft-t-layers2"].has("eval")
    with pytest.raises(WorkloadError, match=r"1 of 2 runs failed \(sft-t-layers9\)"):
        run_grid(cells, options)
