"""Everything that follows from a run's joules, in one record: the one door of the accounting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..run_record import RunRecord
from .breakeven import (
    Breakeven,
    baselines_of,
    breakeven_reuses,
    breakeven_tokens,
    reference_joules_per_token,
    serving_joules_per_token,
    stage_joules,
)
from .formulas import mean_if_whole, run_joules_per_token, sum_if_whole
from .pareto import Point, frontier
from .quality import Quality, quality_of, references_of
from .repeats import Spread
from .reuse import ACCOUNTINGS, Bill, artifacts_of, bill_of, own_teacher_joules, stage_uncertainty_joules


@dataclass(frozen=True)
class RunFigures:
    """What follows from one run's energy, `docs/accounting.md`; None is absent, for a reason where one can be named.

    Energy and its bounds in joules, throughput in trained tokens per second; `baseline_student_deviation` is in joules
    that between several baselines. `optimal` and `optimal_with_throughput` say by accounting whether the run is on the
    frontier; an accounting in which it has no place is left out.
    """

    run: str
    origin: str
    bill: Bill
    own_teacher_joules: float
    own_teacher_uncertainty_joules: float | None
    student_joules: float
    student_uncertainty_joules: float | None
    net_joules: float | None
    trained_tokens: int
    joules_per_token: float | None
    throughput: float | None
    quality: Quality
    baselines: tuple[str, ...]
    baseline_joules: float | None
    baseline_uncertainty_joules: float | None
    baseline_student_joules: float | None
    baseline_student_uncertainty_joules: float | None
    baseline_student_deviation: float | None
    reuses: Breakeven
    serving_joules_per_token: float | None
    reference_joules_per_token: float | None
    served_tokens: Breakeven
    optimal: Mapping[str, bool]
    optimal_with_throughput: Mapping[str, bool]


def figures_of(records: Mapping[str, RunRecord]) -> dict[str, RunFigures]:
    """The figures of every run; all runs that share artifacts, baselines or a frontier must be there."""
    artifacts = artifacts_of(records.values())
    references = references_of(records.values())
    bills = {name: bill_of(record, artifacts) for name, record in records.items()}
    qualities = {name: quality_of(record, references) for name, record in records.items()}
    plain = _frontiers(records, bills, qualities, with_throughput=False)
    fast = _frontiers(records, bills, qualities, with_throughput=True)
    return {
        name: _figures(record, records, bills, qualities[name], (plain[name], fast[name]))
        for name, record in records.items()
    }


def net_joules(record: RunRecord) -> float | None:
    """Energy less what the run's devices draw at rest; None where one of them has no idle power from a prerun."""
    return sum_if_whole(_net(stage.joules_by_device, stage.seconds, record.idle_watts or {}) for stage in record.stages)


def stage_seconds(record: RunRecord, stage: str) -> float | None:
    """Seconds of a stage, all its phases one after another; of several nodes those of the longest."""
    by_node: dict[str, list[float | None]] = {}
    for one in record.stages:
        if one.stage == stage:
            by_node.setdefault(one.node, []).append(one.seconds)
    sums = [sum_if_whole(seconds) for seconds in by_node.values()]
    return max((seconds for seconds in sums if seconds is not None), default=None)


def throughput(record: RunRecord) -> float | None:
    """Tokens trained per second of the student stage; None without tokens or seconds."""
    tokens = sum(one.tokens.get("trained", 0) for one in record.stages if one.stage == "student")
    seconds = stage_seconds(record, "student")
    return tokens / seconds if tokens and seconds else None


def _figures(
    record: RunRecord,
    records: Mapping[str, RunRecord],
    bills: Mapping[str, Bill],
    quality: Quality,
    optimal: tuple[Mapping[str, bool], Mapping[str, bool]],
) -> RunFigures:
    bill = bills[record.run]
    found = baselines_of(record, records)
    trained = [other for other in found if stage_joules(other, "student") > 0]
    students = Spread.of(stage_joules(other, "student") for other in trained)
    tokens = sum(stage.tokens.get("trained", 0) for stage in record.stages)
    return RunFigures(
        run=record.run,
        origin=record.origin,
        bill=bill,
        own_teacher_joules=own_teacher_joules(record),
        own_teacher_uncertainty_joules=stage_uncertainty_joules(record, "teacher"),
        student_joules=stage_joules(record, "student"),
        student_uncertainty_joules=stage_uncertainty_joules(record, "student"),
        net_joules=net_joules(record),
        trained_tokens=tokens,
        joules_per_token=run_joules_per_token(record.joules, tokens),
        throughput=throughput(record),
        quality=quality,
        baselines=tuple(other.run for other in found),
        baseline_joules=mean_if_whole(other.joules for other in found),
        baseline_uncertainty_joules=mean_if_whole(other.uncertainty_joules for other in found),
        baseline_student_joules=students.mean,
        baseline_student_uncertainty_joules=mean_if_whole(
            stage_uncertainty_joules(other, "student") for other in trained
        ),
        baseline_student_deviation=students.deviation,
        reuses=breakeven_reuses(record, bill, trained),
        serving_joules_per_token=serving_joules_per_token([record]),
        reference_joules_per_token=reference_joules_per_token(record, records),
        served_tokens=breakeven_tokens(record, bill, [bills[other.run] for other in trained], records),
        optimal=optimal[0],
        optimal_with_throughput=optimal[1],
    )


def _frontiers(
    records: Mapping[str, RunRecord],
    bills: Mapping[str, Bill],
    qualities: Mapping[str, Quality],
    *,
    with_throughput: bool,
) -> dict[str, dict[str, bool]]:
    """By run and accounting whether the run is on the frontier of the runs of its origin."""
    flags: dict[str, dict[str, bool]] = {name: {} for name in records}
    for accounting in ACCOUNTINGS:
        points: dict[str, tuple[str, Point]] = {}
        for name, record in records.items():
            axes = [bills[name].joules(accounting), qualities[name].value]
            axes += [throughput(record)] if with_throughput else []
            if None not in axes:
                points[name] = record.origin, tuple(axis for axis in axes if axis is not None)
        for name, best in frontier(points).items():
            flags[name][accounting] = best
    return flags


def _net(joules: Mapping[str, float], seconds: float | None, idle_watts: Mapping[str, float]) -> float | None:
    if seconds is None or any(device not in idle_watts for device in joules):
        return None
    return sum(value - idle_watts[device] * seconds for device, value in joules.items())
