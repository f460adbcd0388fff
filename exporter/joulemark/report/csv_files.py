"""The report as CSV: one file by stage, one by run; numbers in full precision, nothing where there is none."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields

from ..accounting import ACCOUNTINGS
from . import derived
from .report import Report
from .rows import Account, Row


def by_stage(report: Report) -> str:
    """One line for each stage and phase of each run."""
    head = [*(field.name for field in fields(Row)), "agreement_percent", "disagreement_ratio", "origin"]
    return _written(
        head,
        (
            [*asdict(row).values(), row.agreement_percent, row.disagreement_ratio, account.origin]
            for account in report.accounts
            for row in account.rows
        ),
    )


def by_run(report: Report) -> str:
    """One line for each run with all that follows from its joules."""
    rows = [_run(account, report) for account in report.accounts]
    return _written(list(rows[0]) if rows else ["run"], (row.values() for row in rows))


def _run(account: Account, report: Report) -> dict[str, object]:
    record, figures, bill = account.record, account.figures, account.figures.bill
    return {
        "run": account.run,
        "origin": account.origin,
        **{name: getattr(record, name) for name in ("pipeline", "student", "teacher", "dataset", "seed")},
        "labels": " ".join(f"{name}={value}" for name, value in sorted(record.labels.items())),
        "seconds": record.seconds,
        **{f"{accounting}_joules": bill.joules(accounting) for accounting in ACCOUNTINGS},
        "uncertainty_joules": record.uncertainty_joules,
        **{f"{accounting}_uncertainty_joules": bill.uncertainty_joules(accounting) for accounting in ACCOUNTINGS},
        "net_joules": figures.net_joules,
        "teacher_joules": bill.teacher_joules,
        "teacher_uncertainty_joules": bill.teacher_uncertainty_joules,
        "student_joules": figures.student_joules,
        "student_uncertainty_joules": figures.student_uncertainty_joules,
        "trained_tokens": figures.trained_tokens,
        "joules_per_token": figures.joules_per_token,
        "tokens_per_second": figures.throughput,
        "quality": figures.quality.value,
        "benchmarks": " ".join(figures.quality.used),
        "missing_benchmarks": " ".join(figures.quality.missing),
        "baselines": " ".join(figures.baselines),
        "breakeven_reuses": figures.reuses.value,
        "breakeven_reuses_reason": figures.reuses.reason,
        "breakeven_tokens": figures.served_tokens.value,
        "breakeven_tokens_reason": figures.served_tokens.reason,
        **{f"pareto_optimal_{name}": _flag(figures.optimal.get(name)) for name in ACCOUNTINGS},
        "as_run_co2e_grams": derived.co2e_grams(report.factors, bill.as_run),
        "as_run_cost": derived.cost(report.factors, bill.as_run),
    }


def _flag(value: bool | None) -> int | None:
    return None if value is None else int(value)


def _written(head: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(["" if value is None else value for value in row] for row in rows)
    return out.getvalue()
