"""From a snapshot to samples: the only place that knows which metric says what."""

from __future__ import annotations

from collections.abc import Iterator

from ..cell import cell_of
from ..ledger.snapshot import DeviceView, Host, LedgerHealth, RunView, SeriesView, Snapshot

# Metric name, label values in the order of the table, value.
Sample = tuple[str, tuple[str, ...], float]


def of_moment(snapshot: Snapshot, version: str) -> Iterator[Sample]:
    """The samples that are new at every scrape: devices, health, and what all runs say together."""
    totals = dict(snapshot.gone_joules)
    for view in snapshot.devices:
        totals[view.device.name] = totals.get(view.device.name, 0.0) + view.joules
        yield from _device(view)
        yield from _health(view)
    for name, joules in totals.items():
        yield "joulemark_device_energy_joules_total", (name,), joules
    yield from _references(snapshot.runs)
    for key, started_at, leased in snapshot.open_stages:
        yield "joulemark_stage_started_timestamp_seconds", (*key, "held" if leased else "none"), started_at
    yield from _host(snapshot.host)
    yield "joulemark_windows_expired_total", (), float(snapshot.windows_expired)
    yield "joulemark_runs_unseen_total", (), float(snapshot.runs_unseen)
    yield from _ledger(snapshot.ledger)
    yield "joulemark_build_info", (version,), 1.0


def of_series(view: SeriesView) -> Iterator[Sample]:
    """The samples of one stage and phase of a run."""
    for device, joules in view.joules.items():
        yield "joulemark_energy_joules_total", (device, *view.key), joules
    for device, joules in view.integral_joules.items():
        yield "joulemark_power_integral_joules_total", (device, *view.key), joules
    if not view.key.run:
        return
    if view.uncertainty_joules is not None:
        yield "joulemark_energy_uncertainty_joules", view.key, view.uncertainty_joules
    if view.seconds is not None:
        yield "joulemark_stage_seconds_total", view.key, view.seconds
    for kind, count in view.tokens.items():
        yield "joulemark_stage_tokens_total", (*view.key, kind), float(count)


def of_run(run: RunView) -> Iterator[Sample]:
    """The samples of what is said of a run."""
    facts = (_text(run.declared.get(field)) for field in ("pipeline", "student", "teacher", "dataset"))
    yield "joulemark_run_info", (run.name, *facts, run.origin), 1.0
    for score in run.scores:
        yield "joulemark_run_score", (run.name, score.benchmark), score.score
        if score.reference is not None:
            yield "joulemark_run_reference_score", (run.name, score.benchmark), score.reference
    yield from _relations(run)
    for artifact in run.artifacts:
        yield "joulemark_run_artifact", (run.name, artifact.artifact, artifact.kind, artifact.role), 1.0
    idle = run.declared.get("idle_watts")
    for device, watts in idle.items() if isinstance(idle, dict) else ():
        yield "joulemark_run_idle_power_watts", (run.name, device), float(watts)


def _device(view: DeviceView) -> Iterator[Sample]:
    device, name = view.device, view.device.name
    yield "joulemark_device_info", (name, device.key, device.model, view.source, device.driver), 1.0
    for key in view.holders:
        if view.watts is not None:
            yield "joulemark_power_watts", (name, *key), view.watts / len(view.holders)
        if key.run:
            yield "joulemark_stage_active", (name, *key), 1.0
            yield "joulemark_stage_info", (device.key, name, *key), 1.0
    vitals = view.vitals
    if vitals is None:
        return
    for metric, value in (
        ("joulemark_gpu_utilization_ratio", vitals.utilization_ratio),
        ("joulemark_gpu_memory_used_bytes", vitals.memory_used_bytes),
        ("joulemark_gpu_temperature_celsius", vitals.temperature_celsius),
        ("joulemark_gpu_power_limit_watts", vitals.power_limit_watts),
        ("joulemark_gpu_sm_clock_hertz", vitals.sm_clock_hertz),
    ):
        if value is not None:
            yield metric, (name,), value
    for reason, active in vitals.throttle_reasons.items():
        yield "joulemark_gpu_throttle_active", (name, reason), float(active)


def _health(view: DeviceView) -> Iterator[Sample]:
    name, health = view.device.name, view.health
    yield "joulemark_source_up", (name,), float(health.up)
    yield "joulemark_reads_total", (name,), float(health.reads)
    for reason, count in health.errors.items():
        yield "joulemark_read_errors_total", (name, reason), float(count)
    yield "joulemark_read_duration_seconds", (name,), health.duration_seconds
    yield "joulemark_read_gap_seconds_total", (name,), view.gap_seconds
    if health.last_read_at is not None:
        yield "joulemark_last_read_timestamp_seconds", (name,), health.last_read_at
    for reason, count in view.breaks.items():
        yield "joulemark_read_breaks_total", (name, reason), float(count)
    if view.tick_seconds is not None:
        yield "joulemark_counter_tick_seconds", (name,), view.tick_seconds
    if view.disagreement_ratio is not None:
        yield "joulemark_estimator_disagreement_ratio", (name,), view.disagreement_ratio
    if view.sampling_ratio is not None:
        yield "joulemark_estimator_sampling_ratio", (name,), view.sampling_ratio


def _relations(run: RunView) -> Iterator[Sample]:
    """What a run is compared with."""
    for field in ("baseline", "reference"):
        if run.declared.get(field):
            yield f"joulemark_run_{field}_info", (run.name, _text(run.declared[field])), 1.0
    cell = cell_of(run.declared)
    if cell is not None:
        yield "joulemark_run_cell_info", (run.name, cell, _text(run.declared.get("seed"))), 1.0


def _host(host: Host) -> Iterator[Sample]:
    factors = host.factors
    yield "joulemark_ledger_info", (host.ledger,), 1.0
    yield "joulemark_pue_ratio", (), factors.pue
    if factors.grid is not None:
        labels = (factors.grid.zone, factors.grid.source)
        yield "joulemark_carbon_intensity_grams_per_kwh", labels, factors.grid.grams_per_kwh
    if factors.price_per_kwh is not None:
        yield "joulemark_electricity_price_per_kwh", (_text(factors.currency),), factors.price_per_kwh
    if host.gpus_present is not None:
        yield "joulemark_gpus_present", (), float(host.gpus_present)


def _ledger(health: LedgerHealth) -> Iterator[Sample]:
    yield "joulemark_ledger_up", (), float(health.up)
    yield "joulemark_ledger_waiting_rows", (), float(health.waiting)
    yield "joulemark_ledger_commit_failures_total", (), float(health.failures)
    yield "joulemark_ledger_commit_seconds", (), health.commit_seconds
    yield "joulemark_ledger_set_aside_total", (), float(health.set_aside)
    if health.copied_at is not None:
        yield "joulemark_ledger_copy_timestamp_seconds", (), health.copied_at


def _references(runs: tuple[RunView, ...]) -> Iterator[Sample]:
    """A teacher's scores, once each: the latest run to report one wins."""
    latest = {
        (_text(run.declared.get("teacher")), score.benchmark): score.reference
        for run in runs
        for score in run.scores
        if score.reference is not None
    }
    for (teacher, benchmark), reference in latest.items():
        yield "joulemark_reference_score", (teacher, benchmark), reference


def _text(value: object) -> str:
    return "" if value is None else str(value)
