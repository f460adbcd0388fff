"""A run that several nodes tell of, put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from ..run_record import RunRecord
from .formulas import sum_if_whole


def joined(records: Iterable[tuple[str, RunRecord]]) -> dict[str, RunRecord]:
    """The runs of several nodes by name: a run that several nodes tell of is one run, its energy that of all.

    Where there is more than one node, devices are named `node/device`. A run's seconds are those of its longest node.
    """
    told = list(records)
    several = len({node for node, _ in told}) > 1
    runs: dict[str, RunRecord] = {}
    for node, record in told:
        record = _on_node(record, node) if several else record
        runs[record.run] = _together(runs[record.run], record) if record.run in runs else record
    return runs


def _on_node(record: RunRecord, node: str) -> RunRecord:
    def named(by_device: Mapping[str, float]) -> dict[str, float]:
        return {f"{node}/{device}": value for device, value in by_device.items()}

    stages = tuple(
        replace(
            stage,
            node=node,
            joules_by_device=named(stage.joules_by_device),
            power_integral_joules_by_device=named(stage.power_integral_joules_by_device),
        )
        for stage in record.stages
    )
    idle = None if record.idle_watts is None else named(record.idle_watts)
    return replace(record, stages=stages, idle_watts=idle)


def _together(one: RunRecord, other: RunRecord) -> RunRecord:
    """Energy and what follows add up; of facts that both tell, the first node's count."""
    facts = {
        name: getattr(one, name) if getattr(one, name) is not None else getattr(other, name)
        for name in ("pipeline", "student", "teacher", "dataset", "seed", "baseline", "reference")
    }
    idle = {**(one.idle_watts or {}), **(other.idle_watts or {})} or None
    scored = {score.benchmark for score in one.scores}
    return replace(
        one,
        **facts,
        origin=max(one.origin, other.origin, key=("measured", "published", "modelled").index),
        created_at=_known(min, one.created_at, other.created_at),
        last_active_at=_known(max, one.last_active_at, other.last_active_at),
        joules=one.joules + other.joules,
        uncertainty_joules=sum_if_whole([one.uncertainty_joules, other.uncertainty_joules]),
        seconds=_known(max, one.seconds, other.seconds),
        stages=one.stages + other.stages,
        scores=one.scores + tuple(score for score in other.scores if score.benchmark not in scored),
        artifacts=tuple(dict.fromkeys(one.artifacts + other.artifacts)),
        labels={**other.labels, **one.labels},
        idle_watts=idle,
    )  # fmt: skip


def _known(choose: Callable[[float, float], float], one: float | None, other: float | None) -> float | None:
    return choose(one, other) if one is not None and other is not None else (one if other is None else other)
