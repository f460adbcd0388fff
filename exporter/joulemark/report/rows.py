"""From records of runs to the rows that every form of the report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .. import accounting
from ..prometheus_runs import StageKey
from ..run_record import RunRecord, StageRecord

Records = Mapping[str, RunRecord]


@dataclass(frozen=True)
class Row:
    """One stage and phase of a run; joules are the ledger's. Seconds and bound are None where an import lacks them.

    `prometheus_joules` is None where Prometheus was not asked or has never scraped the stage, and
    `power_integral_joules` (the exporter's second estimator) where the device has only one.
    """

    run: str
    stage: str
    phase: str
    seconds: float | None
    joules: float
    uncertainty_joules: float | None
    share: float | None
    tokens: int
    joules_per_token: float | None
    mean_watts: float | None = None
    peak_watts: float | None = None
    power_integral_joules: float | None = None
    prometheus_joules: float | None = None

    @property
    def agreement_percent(self) -> float | None:
        """How far ledger and Prometheus agree on these joules."""
        if self.prometheus_joules is None:
            return None
        return accounting.agreement_percent(self.joules, self.prometheus_joules)


@dataclass(frozen=True)
class Inherited:
    """An artifact that a run consumed and did not make; its energy is on the bill of `maker`.

    `maker` and the joules of its teacher stage are None where no known run made it.
    """

    artifact: str
    kind: str
    maker: str | None
    teacher_joules: float | None


@dataclass(frozen=True)
class Account:
    """A run: its rows, what they add up to, and what is known about it; instants are Unix seconds.

    `baseline_ratio` is this run's joules over its baseline's, None where that run is not known.
    `compared` says whether Prometheus was asked.
    """

    run: str
    pipeline: str
    student: str | None
    teacher: str | None
    dataset: str | None
    seed: int | None
    origin: str
    created_at: float | None
    rows: tuple[Row, ...]
    total: Row
    quality: float | None
    scores: tuple[tuple[str, float, float | None], ...]
    inherited: tuple[Inherited, ...]
    devices: tuple[str, ...]
    idle_watts: Mapping[str, float] | None
    baseline: str | None
    baseline_ratio: float | None
    compared: bool

    @property
    def teacher_joules(self) -> float:
        """Joules of this run's own teacher stage."""
        return accounting.teacher_joules((row.stage, row.joules) for row in self.rows)

    @property
    def teacher_share(self) -> float | None:
        """The teacher stage's share of the run's joules, 0 to 1."""
        return accounting.share(self.teacher_joules, self.total.joules)

    def joules_by_stage(self) -> dict[str, float]:
        """Joules by stage, phases together, in the order of the stages."""
        stages: dict[str, float] = {}
        for row in self.rows:
            stages[row.stage] = stages.get(row.stage, 0.0) + row.joules
        return stages


def accounts_of(
    names: Sequence[str],
    records: Mapping[str, RunRecord | Mapping[str, object]],
    prometheus: Mapping[StageKey, float] | None,
) -> list[Account]:
    """Accounts of the named runs; raises RecordError where a record is malformed.

    `records` holds every run that is known, for baselines and for artifacts made by others, parsed or as JSON.
    `prometheus` holds its joules by (run, stage, phase), None where it was not asked.
    """
    known = {
        name: record if isinstance(record, RunRecord) else RunRecord.from_json(record)
        for name, record in records.items()
    }
    return [_account(known[name], known, prometheus) for name in names]


def _account(record: RunRecord, records: Records, prometheus: Mapping[StageKey, float] | None) -> Account:
    rows = tuple(_row(record, stage, prometheus or {}) for stage in record.stages)
    baseline = records.get(record.baseline) if record.baseline and record.baseline != record.run else None
    return Account(
        run=record.run,
        pipeline=record.pipeline or "",
        student=record.student,
        teacher=record.teacher,
        dataset=record.dataset,
        seed=record.seed,
        origin=record.origin,
        created_at=record.created_at,
        rows=rows,
        total=_total(record, rows),
        quality=accounting.quality([(score.score, score.reference) for score in record.scores]),
        scores=tuple((score.benchmark, score.score, score.reference) for score in record.scores),
        inherited=tuple(_inherited(record, records)),
        devices=tuple(sorted({device for stage in record.stages for device in stage.joules_by_device})),
        idle_watts=record.idle_watts,
        baseline=record.baseline,
        baseline_ratio=accounting.share(record.joules, baseline.joules) if baseline else None,
        compared=prometheus is not None,
    )


def _row(record: RunRecord, stage: StageRecord, prometheus: Mapping[StageKey, float]) -> Row:
    key = (record.run, stage.stage, stage.phase)
    return Row(
        *key,
        seconds=stage.seconds,
        joules=stage.joules,
        uncertainty_joules=stage.uncertainty_joules,
        share=accounting.share(stage.joules, record.joules),
        tokens=accounting.stage_tokens(stage.tokens),
        joules_per_token=stage.joules_per_token,
        mean_watts=stage.mean_watts,
        peak_watts=stage.peak_watts,
        power_integral_joules=stage.power_integral_joules,
        prometheus_joules=prometheus.get(key),
    )


def _total(record: RunRecord, rows: Sequence[Row]) -> Row:
    trained = sum(stage.tokens.get("trained", 0) for stage in record.stages)
    return Row(
        run=record.run,
        stage="total",
        phase="",
        seconds=record.seconds,
        joules=record.joules,
        uncertainty_joules=record.uncertainty_joules,
        share=accounting.share(record.joules, record.joules),
        tokens=trained,
        joules_per_token=accounting.run_joules_per_token(record.joules, trained),
        mean_watts=record.joules / record.seconds if record.seconds else None,
        peak_watts=max((row.peak_watts for row in rows if row.peak_watts is not None), default=None),
        power_integral_joules=_sum_if_whole([row.power_integral_joules for row in rows]),
        prometheus_joules=_sum_if_whole([row.prometheus_joules for row in rows]),
    )


def _sum_if_whole(values: Sequence[float | None]) -> float | None:
    """The sum, None where a part is not known: part of a run must not pass for all of it."""
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _inherited(record: RunRecord, records: Records) -> list[Inherited]:
    own = {one.artifact for one in record.artifacts if one.role == "produced"}
    found = []
    for one in record.artifacts:
        if one.role != "consumed" or one.artifact in own:
            continue
        makers = [
            other
            for other in records.values()
            if any(made.artifact == one.artifact and made.role == "produced" for made in other.artifacts)
        ]
        found += [Inherited(one.artifact, one.kind, maker.run, _teacher_joules(maker)) for maker in makers]
        if not makers:
            found.append(Inherited(one.artifact, one.kind, None, None))
    return found


def _teacher_joules(record: RunRecord) -> float:
    return accounting.teacher_joules((stage.stage, stage.joules) for stage in record.stages)
