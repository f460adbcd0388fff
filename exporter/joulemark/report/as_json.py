"""The report as JSON with everything in it; `docs/report_schema.json` is its schema.

The version says what a reader may rely on: a new field raises the second number, a changed or removed one the first.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from ..accounting import ACCOUNTINGS, Breakeven, Spread
from . import derived
from .cells import Cell, names_of, optimal_cells
from .compare import Comparison, StageDifference, explained
from .methods import methods
from .notes import footnotes
from .report import Report
from .rows import Account, Row

SCHEMA_VERSION = "1.1"


def to_json(report: Report) -> str:
    """The report; numbers in full precision, null where there is none. The same report is the same text."""
    return json.dumps(content(report), indent=1, allow_nan=False) + "\n"


def content(report: Report) -> dict[str, Any]:
    """What the JSON holds."""
    return {
        "schema_version": SCHEMA_VERSION,
        "joulemark_version": report.version,
        "read_from": report.read_from,
        "runs": [_run(account, report) for account in report.accounts],
        "cells": _cells(report),
        "artifacts": [asdict(artifact) for artifact in report.artifacts],
        "devices": [asdict(device) for device in report.devices],
        "factors": report.factors.as_json(),
        "power": [asdict(curve) for curve in report.curves],
        "comparison": _comparison(report.comparison) if report.comparison else None,
        "notes": footnotes(report),
        "methods": methods(report),
    }


def _run(account: Account, report: Report) -> dict[str, Any]:
    figures = account.figures
    record = account.record.to_json()
    del record["stages"], record["joules"], record["uncertainty_joules"]
    return {
        **record,
        "total": _row(account.total),
        "stages": [_row(row) for row in account.rows],
        "energy_joules": {name: figures.bill.joules(name) for name in ACCOUNTINGS},
        "energy_uncertainty_joules": {name: figures.bill.uncertainty_joules(name) for name in ACCOUNTINGS},
        "net_joules": figures.net_joules,
        "own_teacher_joules": figures.own_teacher_joules,
        "own_teacher_uncertainty_joules": figures.own_teacher_uncertainty_joules,
        "teacher_joules": figures.bill.teacher_joules,
        "teacher_uncertainty_joules": figures.bill.teacher_uncertainty_joules,
        "teacher_share": account.teacher_share,
        "student_joules": figures.student_joules,
        "student_uncertainty_joules": figures.student_uncertainty_joules,
        "trained_tokens": figures.trained_tokens,
        "joules_per_token": figures.joules_per_token,
        "tokens_per_second": figures.throughput,
        "quality": asdict(figures.quality),
        "baselines": list(figures.baselines),
        "baseline_joules": figures.baseline_joules,
        "baseline_uncertainty_joules": figures.baseline_uncertainty_joules,
        "baseline_student_joules": figures.baseline_student_joules,
        "baseline_student_uncertainty_joules": figures.baseline_student_uncertainty_joules,
        "breakeven_reuses": _breakeven(figures.reuses),
        "serving_joules_per_token": figures.serving_joules_per_token,
        "reference_joules_per_token": figures.reference_joules_per_token,
        "breakeven_tokens": _breakeven(figures.served_tokens),
        "pareto_optimal": dict(figures.optimal),
        "pareto_optimal_with_throughput": dict(figures.optimal_with_throughput),
        "co2e_grams": {name: derived.co2e_grams(report.factors, figures.bill.joules(name)) for name in ACCOUNTINGS},
        "cost": {name: derived.cost(report.factors, figures.bill.joules(name)) for name in ACCOUNTINGS},
    }


def _row(row: Row) -> dict[str, Any]:
    fields = asdict(row)
    del fields["run"]
    return {**fields, "agreement_percent": row.agreement_percent, "disagreement_ratio": row.disagreement_ratio}


def _breakeven(found: Breakeven) -> dict[str, Any]:
    return {"value": found.value, "reason": found.reason}


def _cells(report: Report) -> list[dict[str, Any]]:
    best = {accounting: optimal_cells(report.cells, accounting) for accounting in ACCOUNTINGS}
    return [
        {
            "name": name,
            **{name: getattr(cell.key, name) for name in ("pipeline", "student", "teacher", "dataset", "origin")},
            "labels": dict(cell.key.labels),
            "runs": [account.run for account in cell.runs],
            "energy_joules": {a: _bounded(cell.energy(a), cell.bound(a)) for a in ACCOUNTINGS},
            "stages": {stage: _bounded(cell.stage(stage), cell.bound_of_stage(stage)) for stage in cell.stages()},
            **_cell_figures(cell),
            "pareto_optimal": {a: flags[index] for a, flags in best.items() if index in flags},
        }
        for index, (name, cell) in enumerate(zip(names_of(report.cells), report.cells, strict=True))
    ]


def _cell_figures(cell: Cell) -> dict[str, Any]:
    return {
        "joules_per_token": _spread(cell.of(lambda one: one.figures.joules_per_token)),
        "quality": _spread(cell.quality()),
        "tokens_per_second": _spread(cell.of(lambda one: one.figures.throughput)),
        "breakeven_reuses": _spread(cell.of(lambda one: one.figures.reuses.value)),
        "breakeven_tokens": _spread(cell.of(lambda one: one.figures.served_tokens.value)),
    }


def _spread(spread: Spread) -> dict[str, Any]:
    return asdict(spread)


def _bounded(spread: Spread, bound: float | None) -> dict[str, Any]:
    return {**asdict(spread), "uncertainty_joules": bound}


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        **asdict(comparison),
        **_difference(comparison),
        "stages": [{**asdict(one), **_difference(one)} for one in comparison.stages],
        "explained": explained(comparison),
    }


def _difference(between: Comparison | StageDifference) -> dict[str, float | None]:
    return {"joules": between.joules, "uncertainty_joules": between.uncertainty_joules}
