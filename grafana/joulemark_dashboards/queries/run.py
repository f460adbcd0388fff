"""What the board Run asks, of the one run that is chosen."""

from __future__ import annotations

from .selectors import FACTS, RUN, keyed, metric, stage_starts, watt_hours


def rule(name: str, *matchers: str) -> str:
    """Series of a recording rule, of the run."""
    return f"{name}{{{','.join((RUN, *matchers))}}}"


def _one(name: str) -> str:
    return f"max({rule(name)})"


def _now_or_kept(name: str) -> str:
    return f"{rule(f'{name}:sum')} or {rule(f'{name}:kept')}"


FACTS_OF_RUN = f"max by (run, pipeline, student, teacher, dataset, origin) ({FACTS})"
ENERGY = watt_hours(_one("run:joulemark_energy_joules:sum"))
UNCERTAINTY = watt_hours(_one("run:joulemark_energy_uncertainty_joules:sum"))
NET_ENERGY = watt_hours(_one("run:joulemark_net_energy_joules:sum"))
JOULES_PER_TOKEN = _one("run:joulemark_energy_joules_per_token:ratio")
QUALITY = _one("run:joulemark_quality:ratio")
THROUGHPUT = _one("run:joulemark_tokens_per_second:ratio")
CO2E = f"sum({rule('run:joulemark_co2e_grams:sum')})"
COST = f"sum by (currency) ({rule('run:joulemark_cost:sum')})"
REUSES = _one("run:joulemark_breakeven_reuses:ratio")

_ACTIVE = metric("joulemark_stage_active", RUN)


def phases(stage: str) -> str:
    """1 while a phase of the stage holds a device, 0 after that: Grafana draws the last state on where nothing is."""
    active = metric("joulemark_stage_active", RUN, stage)
    return f"max by (stage, phase) ({active}) or 0 * max by (stage, phase) (last_over_time({active}[$__range]))"


DEVICE_WATTS = f"sum by (instance, device) ({metric('joulemark_power_watts', RUN)})"

STAGE_JOULES = f"max by (stage) ({rule('run_stage:joulemark_energy_joules:sum')})"
STAGE_UNCERTAINTY = f"max by (stage) ({rule('run_stage:joulemark_energy_uncertainty_joules:sum')})"
STAGE_SHARE = f"{STAGE_JOULES} / on () group_left () {_one('run:joulemark_energy_joules:sum')}"
STAGE_WATTS = f"max by (stage) ({rule('run_stage:joulemark_power_watts:mean')})"
STAGE_SECONDS = f"max by (stage) ({rule('run_stage:joulemark_stage_seconds:max')}) > 0"
STAGE_TOKENS = f"max by (stage) ({rule('run_stage:joulemark_tokens:sum')})"
STAGE_JOULES_PER_TOKEN = f"max by (stage) ({rule('run_stage:joulemark_energy_joules_per_token:ratio')})"


# A phase is known by two labels: its stage may have others, and other stages one of that name.
PHASE_JOULES = keyed(f"max by (stage, phase) ({rule('run_stage_phase:joulemark_energy_joules:sum')})", "stage", "phase")
PHASE_UNCERTAINTY = (
    f"max by (key) ({keyed(rule('run_stage_phase:joulemark_energy_uncertainty_joules:sum'), 'stage', 'phase')})"
)
PHASE_SHARE = (
    f"max by (key) ({keyed(rule('run_stage_phase:joulemark_energy_joules:sum'), 'stage', 'phase')})"
    f" / on () group_left () {_one('run:joulemark_energy_joules:sum')}"
)

TOKENS = f"sum by (stage, kind) ({rule('run_stage_phase_kind:joulemark_stage_tokens:sum')})"
JOULES_PER_TOKEN_OVER_TIME = STAGE_JOULES_PER_TOKEN

PRODUCED = f"max by (artifact) ({rule('run_artifact:joulemark_artifact_produced:info')})"
CONSUMED = f"max by (artifact) ({rule('run_artifact:joulemark_artifact_consumed:info')})"


def _of_artifacts(name: str) -> str:
    return f"(max by (artifact) ({name}) and on (artifact) ({PRODUCED} or {CONSUMED}))"


ARTIFACT_WATT_HOURS = watt_hours(_of_artifacts("artifact:joulemark_artifact_energy_joules:avg"))
ARTIFACT_UNCERTAINTY = watt_hours(_of_artifacts("artifact:joulemark_artifact_energy_uncertainty_joules:avg"))
ARTIFACT_CONSUMERS = _of_artifacts("artifact:joulemark_artifact_consumers:count")

# Of those devices that have both estimators; the last is Prometheus' own, from scraped watts, of all devices.
BY_COUNTER = f"sum by (stage) ({_now_or_kept('ledger_run_stage:joulemark_integrated_energy_joules')})"
BY_COUNTER_UNCERTAINTY = f"{STAGE_UNCERTAINTY} and on (stage) {BY_COUNTER}"
BY_POWER = f"sum by (stage) ({_now_or_kept('ledger_run_stage:joulemark_power_integral_joules')})"
BY_SCRAPES = f"max by (stage) ({rule('run_stage:joulemark_power_joules:integral')})"
DISAGREEMENT = f"max by (stage) ({rule('run_stage:joulemark_estimators:disagreement_ratio')})"

# Devices that the run held within the range, with what they are.
_HELD = f"max by (job, instance, device) (last_over_time({_ACTIVE}[$__range]))"
_OF_DEVICE = "and on (job, instance, device)"
HARDWARE = (
    "max by (instance, device, model, source, driver) (last_over_time("
    f"{metric('joulemark_device_info')}[$__range]) {_OF_DEVICE} {_HELD})"
)
IDLE_WATTS = f"max by (device) ({metric('joulemark_run_idle_power_watts', RUN)})"
GAP_SECONDS = (
    f"sum by (instance, device) (increase({metric('joulemark_read_gap_seconds_total')}[$__rate_interval])"
    f" {_OF_DEVICE} {_HELD})"
)
BREAKS = (
    f"sum by (instance, device, reason) (increase({metric('joulemark_read_breaks_total')}[$__rate_interval])"
    f" {_OF_DEVICE} {_HELD})"
)
ERRORS = (
    f"sum by (instance, device, reason) (increase({metric('joulemark_read_errors_total')}[$__rate_interval])"
    f" {_OF_DEVICE} {_HELD})"
)
GAP_MARKS = f"({GAP_SECONDS}) > 0"
# Running at the power limit is how a loaded card works, and no fault.
_AT_FAULT = 'reason!="sw_power_cap"'
THROTTLE_MARKS = (
    f"max by (instance, device, reason) ({metric('joulemark_gpu_throttle_active', _AT_FAULT)}"
    f" {_OF_DEVICE} {_ACTIVE}) == 1"
)
STAGE_STARTS = stage_starts()
SCORES = (
    f"max by (benchmark) ({rule('run_benchmark:joulemark_run_score:max')}"
    f" or {rule('run_benchmark:joulemark_run_score:kept')})"
)
REFERENCE_SCORES = f"max by (benchmark) ({rule('run_benchmark:joulemark_reference_score:max')})"
BENCHMARK_QUALITY = f"max by (benchmark) ({rule('run_benchmark:joulemark_quality:ratio')})"
