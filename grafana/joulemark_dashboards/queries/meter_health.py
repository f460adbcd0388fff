"""What the board Meter health asks."""

from __future__ import annotations

from joulemark.metrics import METRICS

from .selectors import EXPORTER, keyed, metric

_DEVICE = "instance, device"
_NOBODY = 'stage="unattributed"'


def _by_device(query: str, operation: str = "max") -> str:
    return f"{operation} by ({_DEVICE}) ({query})"


def _of_device(name: str, operation: str = "max") -> str:
    return _by_device(metric(name), operation)


def _more(name: str, *labels: str) -> str:
    """How much a counter gained within a scrape window, by device and labels."""
    return f"sum by ({', '.join((_DEVICE, *labels))}) (increase({metric(name)}[$__rate_interval]))"


def _keyed(query: str) -> str:
    return keyed(query, "instance", "device")


def _by_instance(name: str) -> str:
    return f"max by (instance) ({metric(name)})"


DEVICES = f"count({metric('joulemark_source_up')})"
DEVICES_DOWN = f"count({metric('joulemark_source_up')} == 0) or 0 * count({metric('joulemark_source_up')})"
# Targets that are exporters: those that have said so within the time shown.
_EXPORTERS = f"and on (job, instance) last_over_time({metric('joulemark_build_info')}[$__range])"
_UP = f"(up{{{EXPORTER}}} {_EXPORTERS})"
EXPORTERS_DOWN = f"count({_UP} == 0) or 0 * count({_UP})"
WORST_RESIDUAL = f"max(device:joulemark_energy_residual_joules:abs{{{EXPORTER}}})"
GAP_SECONDS_IN_RANGE = f"sum(increase({metric('joulemark_read_gap_seconds_total')}[$__range]))"
UNATTRIBUTED_WATTS = f"sum({metric('joulemark_power_watts', _NOBODY)})"
# A device is known by two labels.
SOURCES = _keyed(f"max by (instance, device, model, source, driver) ({metric('joulemark_device_info')})")
KEYED_SOURCE_UP = f"max by (key) ({_keyed(metric('joulemark_source_up'))})"
KEYED_AGE = f"time() - max by (key) ({_keyed(metric('joulemark_last_read_timestamp_seconds'))})"
KEYED_LATENCY = f"max by (key) ({_keyed(metric('joulemark_read_duration_seconds'))})"
KEYED_TICK = f"max by (key) ({_keyed(metric('joulemark_counter_tick_seconds'))})"
SOURCE_UP = _of_device("joulemark_source_up")
TICK = _of_device("joulemark_counter_tick_seconds")
LATENCY = _of_device("joulemark_read_duration_seconds")
READS = f"sum by ({_DEVICE}) (rate({metric('joulemark_reads_total')}[$__rate_interval]))"
GAPS = _more("joulemark_read_gap_seconds_total")
ERRORS = _more("joulemark_read_errors_total", "reason")
BREAKS = _more("joulemark_read_breaks_total", "reason")
RESIDUAL = _by_device(f"device:joulemark_energy_residual_joules:abs{{{EXPORTER}}}")
DISAGREEMENT = _of_device("joulemark_estimator_disagreement_ratio")

STARTED = metric("joulemark_stage_started_timestamp_seconds")
OPEN_WINDOWS = f"time() - max by (instance, run, stage, phase, lease) ({STARTED})"
EXPIRED = f"sum by (instance) (increase({metric('joulemark_windows_expired_total')}[$__rate_interval]))"
UNSEEN = f"sum by (instance) (increase({metric('joulemark_runs_unseen_total')}[$__rate_interval]))"

LEDGER_UP = _by_instance("joulemark_ledger_up")
LEDGER_WAITING = _by_instance("joulemark_ledger_waiting_rows")
LEDGER_COMMIT = _by_instance("joulemark_ledger_commit_seconds")
LEDGER_FAILURES = _by_instance("joulemark_ledger_commit_failures_total")
LEDGER_SET_ASIDE = _by_instance("joulemark_ledger_set_aside_total")
LEDGER_COPY_AGE = f"time() - {_by_instance('joulemark_ledger_copy_timestamp_seconds')}"
VERSION = f"max by (instance, version) ({metric('joulemark_build_info')})"
GPUS_PRESENT = _by_instance("joulemark_gpus_present")

TEMPERATURE = _of_device("joulemark_gpu_temperature_celsius")
CLOCK = _of_device("joulemark_gpu_sm_clock_hertz")
UTILISATION = _of_device("joulemark_gpu_utilization_ratio")
MEMORY = _of_device("joulemark_gpu_memory_used_bytes")
POWER = _of_device("joulemark_power_watts", "sum")
POWER_LIMIT = _of_device("joulemark_gpu_power_limit_watts")
_THROTTLE = metric("joulemark_gpu_throttle_active")
THROTTLED = (
    f"max by ({_DEVICE}, reason) ({_THROTTLE})"
    f" and max by ({_DEVICE}, reason) (max_over_time({_THROTTLE}[$__range])) == 1"
)

UNATTRIBUTED = f"sum by ({_DEVICE}) ({metric('joulemark_energy_joules_total', _NOBODY)}) / 3600"
UNATTRIBUTED_NOW = _by_device(metric("joulemark_power_watts", _NOBODY), "sum")

# Prometheus' own series.
SCRAPE_SECONDS = f"max by (job, instance) (scrape_duration_seconds{{{EXPORTER}}} {_EXPORTERS})"
SCRAPE_SAMPLES = f"max by (job, instance) (scrape_samples_scraped{{{EXPORTER}}} {_EXPORTERS})"
RULE_SECONDS = (
    'label_replace(max by (rule_group) (prometheus_rule_group_last_duration_seconds{rule_group=~".*joulemark.*"}), '
    '"group", "$1", "rule_group", ".*;joulemark-(.+)")'
)
RULE_FAILURES = (
    'sum(increase(prometheus_rule_evaluation_failures_total{rule_group=~".*joulemark.*"}[$__rate_interval]))'
)
FRONTIER_UP = f"max({METRICS['joulemark_frontier_up'].name})"
FRONTIER_SECONDS = f"max({METRICS['joulemark_frontier_query_duration_seconds'].name})"
