"""From records of runs to the rows that every form of the report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .. import accounting
from ..promql import StageKey


@dataclass(frozen=True)
class Row:
    """One stage and phase of a run; joules are the ledger's, `prometheus_joules` None where it was not asked."""

    run: str
    stage: str
    phase: str
    seconds: float
    joules: float
    uncertainty_joules: float
    share: float | None
    tokens: int
    joules_per_token: float | None
    prometheus_joules: float | None = None

    @property
    def agreement_percent(self) -> float | None:
        """How far ledger and Prometheus agree on these joules."""
        if self.prometheus_joules is None:
            return None
        return accounting.agreement_percent(self.joules, self.prometheus_joules)


@dataclass(frozen=True)
class Account:
    """A run: its rows, what they add up to, and what is known about it.

    `inherited` names artifacts that another run produced, as (artifact, kind, run, joules of that run's teacher stage).
    """

    run: str
    pipeline: str
    origin: str
    rows: tuple[Row, ...]
    total: Row
    quality: float | None
    scores: tuple[tuple[str, float, float | None], ...]
    inherited: tuple[tuple[str, str, str, float], ...]
    devices: tuple[str, ...]

    @property
    def teacher_share(self) -> float | None:
        """The teacher stage's share of the run's joules, 0 to 1."""
        teacher = sum(row.joules for row in self.rows if row.stage == accounting.TEACHER_STAGE)
        return accounting.share(teacher, self.total.joules)

    def joules_by_stage(self) -> dict[str, float]:
        """Joules by stage, phases together, in the order of the stages."""
        stages: dict[str, float] = {}
        for row in self.rows:
            stages[row.stage] = stages.get(row.stage, 0.0) + row.joules
        return stages


def accounts_of(
    names: Sequence[str], records: Mapping[str, Mapping[str, Any]], prometheus: Mapping[StageKey, float] | None
) -> list[Account]:
    """Accounts of the named runs; `records` holds every run that is known, for artifacts made by others."""
    return [_account(records[name], records, prometheus) for name in names]


def _account(
    record: Mapping[str, Any], records: Mapping[str, Mapping[str, Any]], prometheus: Mapping[StageKey, float] | None
) -> Account:
    rows = tuple(_row(record, stage, prometheus) for stage in record["stages"])
    scores = tuple((s["benchmark"], s["score"], s["reference"]) for s in record["scores"])
    return Account(
        run=record["run"],
        pipeline=record["pipeline"] or "",
        origin=record["origin"],
        rows=rows,
        total=_total(record, rows),
        quality=accounting.quality([(score, reference) for _, score, reference in scores]),
        scores=scores,
        inherited=tuple(_inherited(record, records)),
        devices=tuple(sorted({device for stage in record["stages"] for device in stage["joules_by_device"]})),
    )


def _row(record: Mapping[str, Any], stage: Mapping[str, Any], prometheus: Mapping[StageKey, float] | None) -> Row:
    key = (record["run"], stage["stage"], stage["phase"])
    return Row(
        *key,
        seconds=stage["seconds"],
        joules=stage["joules"],
        uncertainty_joules=stage["uncertainty_joules"],
        share=accounting.share(stage["joules"], record["joules"]),
        tokens=accounting.stage_tokens(stage["tokens"]),
        joules_per_token=stage["joules_per_token"],
        prometheus_joules=None if prometheus is None else prometheus.get(key, 0.0),
    )


def _total(record: Mapping[str, Any], rows: Sequence[Row]) -> Row:
    trained = sum(stage["tokens"].get("trained", 0) for stage in record["stages"])
    seen = [row.prometheus_joules for row in rows if row.prometheus_joules is not None]
    return Row(
        run=record["run"],
        stage="total",
        phase="",
        seconds=record["seconds"],
        joules=record["joules"],
        uncertainty_joules=record["uncertainty_joules"],
        share=accounting.share(record["joules"], record["joules"]),
        tokens=trained,
        joules_per_token=accounting.run_joules_per_token(record["joules"], trained),
        prometheus_joules=sum(seen) if seen else None,
    )


def _inherited(
    record: Mapping[str, Any], records: Mapping[str, Mapping[str, Any]]
) -> list[tuple[str, str, str, float]]:
    roles = {(a["artifact"], a["role"]) for a in record["artifacts"]}
    found = []
    for one in record["artifacts"]:
        if one["role"] != "consumed" or (one["artifact"], "produced") in roles:
            continue
        for other in records.values():
            made = any(a["artifact"] == one["artifact"] and a["role"] == "produced" for a in other["artifacts"])
            if made:
                teacher = sum(s["joules"] for s in other["stages"] if s["stage"] == accounting.TEACHER_STAGE)
                found.append((one["artifact"], one["kind"], other["run"], teacher))
    return found
