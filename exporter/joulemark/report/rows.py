"""From records of runs to the rows that every form of the report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .. import accounting
from ..accounting import RunFigures, figures_of, sum_if_whole
from ..prometheus_runs import StageKey
from ..run_record import RunRecord, StageRecord

# What a run's rows together are called.
TOTAL = "total"


@dataclass(frozen=True)
class Row:
    """One stage and phase of a run, all its nodes together. Seconds and bound are None where an import lacks them.

    `prometheus_joules` is None where Prometheus was not asked or has never scraped the stage, and
    `power_integral_joules` (the exporter's second estimator) where no device has one; `integrated_joules` is the energy
    of those devices that have it.
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
    integrated_joules: float | None = None
    prometheus_joules: float | None = None

    @property
    def agreement_percent(self) -> float | None:
        """How far ledger and Prometheus agree on these joules."""
        if self.prometheus_joules is None:
            return None
        return accounting.agreement_percent(self.joules, self.prometheus_joules)

    @property
    def disagreement_ratio(self) -> float | None:
        """|integrated power / counter - 1| of the devices that have both estimators."""
        if self.power_integral_joules is None or not self.integrated_joules:
            return None
        return abs(self.power_integral_joules / self.integrated_joules - 1)


@dataclass(frozen=True)
class Account:
    """A run: what it says of itself, its rows, what they add up to, and all that follows; instants are Unix seconds.

    `compared` says whether Prometheus was asked for its own joules.
    """

    record: RunRecord
    rows: tuple[Row, ...]
    total: Row
    figures: RunFigures
    compared: bool

    @property
    def run(self) -> str:
        """The run's name."""
        return self.record.run

    @property
    def origin(self) -> str:
        """Where its energy comes from: measured, modelled or published."""
        return self.record.origin

    @property
    def teacher_share(self) -> float | None:
        """The teacher stage's share of the run's own joules, 0 to 1."""
        return accounting.share(self.figures.own_teacher_joules, self.total.joules)

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices that it used."""
        return tuple(sorted({device for stage in self.record.stages for device in stage.joules_by_device}))

    def joules_by_stage(self) -> dict[str, float]:
        """Joules by stage, phases together, in the order of the stages."""
        stages: dict[str, float] = {}
        for row in self.rows:
            stages[row.stage] = stages.get(row.stage, 0.0) + row.joules
        return stages

    def bound_of_stage(self, stage: str) -> float | None:
        """The bound of a stage's joules, phases together; None where one of them has none."""
        return sum_if_whole(row.uncertainty_joules for row in self.rows if row.stage == stage)


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
    figures = figures_of(known)
    return [_account(known[name], figures[name], prometheus) for name in names]


def _account(record: RunRecord, figures: RunFigures, prometheus: Mapping[StageKey, float] | None) -> Account:
    together: dict[tuple[str, str], list[StageRecord]] = {}
    for stage in record.stages:
        together.setdefault((stage.stage, stage.phase), []).append(stage)
    rows = tuple(_row(record, stages, prometheus or {}) for stages in together.values())
    return Account(record, rows, _total(record, rows), figures, compared=prometheus is not None)


def _row(record: RunRecord, stages: Sequence[StageRecord], prometheus: Mapping[StageKey, float]) -> Row:
    """The row of a stage and phase, told by one node or by several."""
    key = (record.run, stages[0].stage, stages[0].phase)
    joules = sum(stage.joules for stage in stages)
    tokens: dict[str, int] = {}
    for stage in stages:
        for kind, number in stage.tokens.items():
            tokens[kind] = tokens.get(kind, 0) + number
    seconds = max((stage.seconds for stage in stages if stage.seconds is not None), default=None)
    integral = [value for stage in stages for value in stage.power_integral_joules_by_device.values()]
    both = [
        stage.joules_by_device[device]
        for stage in stages
        for device in stage.power_integral_joules_by_device
        if device in stage.joules_by_device
    ]
    return Row(
        *key,
        seconds=seconds,
        joules=joules,
        uncertainty_joules=sum_if_whole(stage.uncertainty_joules for stage in stages),
        share=accounting.share(joules, record.joules),
        tokens=accounting.stage_tokens(tokens),
        joules_per_token=accounting.joules_per_token(joules, tokens),
        mean_watts=joules / seconds if seconds else None,
        peak_watts=sum_if_whole(stage.peak_watts for stage in stages),
        power_integral_joules=sum(integral) if integral else None,
        integrated_joules=sum(both) if both else None,
        prometheus_joules=prometheus.get(key),
    )


def _total(record: RunRecord, rows: Sequence[Row]) -> Row:
    trained = sum(stage.tokens.get("trained", 0) for stage in record.stages)
    return Row(
        run=record.run,
        stage=TOTAL,
        phase="",
        seconds=record.seconds,
        joules=record.joules,
        uncertainty_joules=record.uncertainty_joules,
        share=accounting.share(record.joules, record.joules),
        tokens=trained,
        joules_per_token=accounting.run_joules_per_token(record.joules, trained),
        mean_watts=record.joules / record.seconds if record.seconds else None,
        peak_watts=max((row.peak_watts for row in rows if row.peak_watts is not None), default=None),
        power_integral_joules=sum_if_whole(row.power_integral_joules for row in rows),
        integrated_joules=sum_if_whole(row.integrated_joules for row in rows),
        prometheus_joules=sum_if_whole(row.prometheus_joules for row in rows),
    )
