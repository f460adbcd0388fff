"""Every metric that Joulemark publishes, in one table: name, type, help, labels."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Metric(NamedTuple):
    """One metric family; a counter's name ends in `_total`, as it shows on /metrics."""

    name: str
    type: Literal["counter", "gauge"]
    help: str
    labels: tuple[str, ...] = ()


_STAGE = ("run", "stage", "phase")

TABLE = (
    Metric(
        "joulemark_energy_joules_total",
        "counter",
        'Energy by device and stage in joules. Run "" is what no run on this page used: stage unattributed is claimed '
        "by no window, stage retired is of runs beyond --keep-runs. "
        "The hardware counter is read at every transition and at every scrape.",
        ("device", *_STAGE),
    ),
    Metric(
        "joulemark_power_integral_joules_total",
        "counter",
        "Second estimator: sampled power integrated, in joules; absent where power has no sensor of its own.",
        ("device", *_STAGE),
    ),
    Metric(
        "joulemark_power_watts",
        "gauge",
        "Latest power in watts, labelled with the stage that holds the device; a shared device is split equally.",
        ("device", *_STAGE),
    ),
    Metric("joulemark_device_energy_joules_total", "counter", "Energy by device in joules.", ("device",)),
    Metric(
        "joulemark_energy_uncertainty_joules",
        "gauge",
        "Bound y of x ± y J: three standard deviations of what boundaries and sampling leave unknown, and all that may "
        "be missing in gaps. The sensor's own accuracy is not in it.",
        _STAGE,
    ),
    Metric("joulemark_stage_seconds_total", "counter", "Time in which the stage held a device, in seconds.", _STAGE),
    Metric("joulemark_stage_tokens_total", "counter", "Tokens handled by the stage, by kind.", (*_STAGE, "kind")),
    Metric("joulemark_stage_active", "gauge", "1 while a window of the stage holds the device.", ("device", *_STAGE)),
    Metric(
        "joulemark_stage_started_timestamp_seconds",
        "gauge",
        "Unix time at which the stage's oldest open window began; lease none: it stays open until somebody ends it.",
        (*_STAGE, "lease"),
    ),
    Metric(
        "joulemark_stage_info",
        "gauge",
        "1 while the stage holds the device, keyed by uuid to join stages onto other exporters' series.",
        ("uuid", "device", *_STAGE),
    ),
    Metric(
        "joulemark_run_info",
        "gauge",
        "Facts about a run; origin says whether its energy was measured, modelled or published.",
        ("run", "pipeline", "student", "teacher", "dataset", "origin"),
    ),
    Metric(
        "joulemark_run_cell_info",
        "gauge",
        "1 with the cell of a run: what repeats of it, that differ only in seed, have in common.",
        ("run", "cell", "seed"),
    ),
    Metric("joulemark_run_baseline_info", "gauge", "1 with the run that a run is compared with.", ("run", "baseline")),
    Metric(
        "joulemark_run_reference_info",
        "gauge",
        "1 with the run or model whose serving a run's is compared with; its teacher where there is no such series.",
        ("run", "reference"),
    ),
    Metric("joulemark_run_score", "gauge", "Score of a run's student on a benchmark.", ("run", "benchmark")),
    Metric(
        "joulemark_run_reference_score",
        "gauge",
        "The teacher's score that came with a run's own on a benchmark.",
        ("run", "benchmark"),
    ),
    Metric(
        "joulemark_reference_score",
        "gauge",
        "Score of a teacher on a benchmark, the reference of quality.",
        ("teacher", "benchmark"),
    ),
    Metric(
        "joulemark_run_artifact",
        "gauge",
        "1 for each teacher artifact that a run produced or consumed.",
        ("run", "artifact", "kind", "role"),
    ),
    Metric(
        "joulemark_run_idle_power_watts",
        "gauge",
        "Idle power measured in the run's prerun, in watts.",
        ("run", "device"),
    ),
    Metric(
        "joulemark_device_info",
        "gauge",
        "Facts about a device; source cpu_model and replay are not measurements.",
        ("device", "uuid", "model", "source", "driver"),
    ),
    Metric("joulemark_gpu_utilization_ratio", "gauge", "Share of time with a kernel running, 0 to 1.", ("device",)),
    Metric("joulemark_gpu_memory_used_bytes", "gauge", "Memory in use on the GPU in bytes.", ("device",)),
    Metric("joulemark_gpu_temperature_celsius", "gauge", "GPU temperature in degrees Celsius.", ("device",)),
    Metric("joulemark_gpu_power_limit_watts", "gauge", "Enforced power limit of the GPU in watts.", ("device",)),
    Metric("joulemark_gpu_sm_clock_hertz", "gauge", "Clock of the streaming multiprocessors in hertz.", ("device",)),
    Metric(
        "joulemark_gpu_throttle_active", "gauge", "1 while the GPU is throttled for the reason.", ("device", "reason")
    ),
    Metric("joulemark_source_up", "gauge", "1 when the device's latest reading succeeded.", ("device",)),
    Metric("joulemark_reads_total", "counter", "Readings that succeeded.", ("device",)),
    Metric("joulemark_read_errors_total", "counter", "Readings that failed, by reason.", ("device", "reason")),
    Metric("joulemark_read_duration_seconds", "gauge", "Duration of the latest reading in seconds.", ("device",)),
    Metric("joulemark_read_gap_seconds_total", "counter", "Time that no reading covers, in seconds.", ("device",)),
    Metric(
        "joulemark_last_read_timestamp_seconds", "gauge", "Unix time of the latest reading that succeeded.", ("device",)
    ),
    Metric(
        "joulemark_counter_tick_seconds",
        "gauge",
        "Time between refreshes of the energy counter in seconds, measured on this device; none where its calls are "
        "too slow to tell.",
        ("device",),
    ),
    Metric(
        "joulemark_estimator_disagreement_ratio",
        "gauge",
        "|integrated power / energy counter - 1| of the device over the last minute; absent where it has only one.",
        ("device",),
    ),
    Metric(
        "joulemark_estimator_sampling_ratio",
        "gauge",
        "By how much of the last minute's energy sampling alone may have the device's two estimators apart, three "
        "standard deviations; absent where it has only one.",
        ("device",),
    ),
    Metric(
        "joulemark_pue_ratio",
        "gauge",
        "Facility power over device power, from configuration; 1 counts no overhead. No joule is multiplied by it.",
    ),
    Metric(
        "joulemark_carbon_intensity_grams_per_kwh",
        "gauge",
        "Grams of CO2e per kWh of the zone's grid, from configuration, with the source of the figure.",
        ("zone", "source"),
    ),
    Metric(
        "joulemark_electricity_price_per_kwh",
        "gauge",
        "Price of a kWh in the currency, from configuration.",
        ("currency",),
    ),
    Metric(
        "joulemark_gpus_present",
        "gauge",
        "NVIDIA GPUs that this machine shows, whether or not they can be read; absent where it does not show its bus.",
    ),
    Metric(
        "joulemark_ledger_info",
        "gauge",
        "1 with the id of the exporter's ledger, which tells two jobs on one exporter from two exporters.",
        ("ledger",),
    ),
    Metric(
        "joulemark_read_breaks_total",
        "counter",
        "Times that a device's readings could not be joined to those before, by reason: reboot, driver_reload, "
        "source_changed, counter_reset, absurd_delta or no_reading. Each is a gap, and no joule is made up for it.",
        ("device", "reason"),
    ),
    Metric("joulemark_windows_expired_total", "counter", "Windows closed because their lease ended."),
    Metric(
        "joulemark_runs_unseen_total",
        "counter",
        "Finished runs that left this page before any scrape had seen their final values.",
    ),
    Metric(
        "joulemark_ledger_up",
        "gauge",
        "1 when the ledger is on disk; 0 while the disk is full, read-only or away: totals are then in memory only.",
    ),
    Metric("joulemark_ledger_waiting_rows", "gauge", "Rows of the ledger that wait for the disk."),
    Metric("joulemark_ledger_commit_failures_total", "counter", "Commits of the ledger that failed."),
    Metric("joulemark_ledger_commit_seconds", "gauge", "Duration of the latest ledger commit in seconds."),
    Metric(
        "joulemark_ledger_set_aside_total",
        "counter",
        "Ledger files that were damaged and set aside; totals went on from the last good copy.",
    ),
    Metric("joulemark_ledger_copy_timestamp_seconds", "gauge", "Unix time of the last good copy of the ledger file."),
    Metric(
        "joulemark_device_process_info",
        "gauge",
        "1 for each process that computes on the GPU, with whom its control group says it belongs to: kind container, "
        "slurm, systemd, none or unseen. A guess for joining, no accounting; absent without --processes.",
        ("device", "uuid", "pid", "kind", "owner"),
    ),
    Metric(
        "joulemark_device_processes",
        "gauge",
        "Processes that compute on the GPU, those beyond the 64 that are named included; absent without --processes.",
        ("device",),
    ),
    Metric(
        "joulemark_docker_up",
        "gauge",
        "1 while the container engine is followed, 0 while it is away; absent without --docker.",
    ),
    Metric(
        "joulemark_docker_containers",
        "gauge",
        "Labelled containers that run: booked, stepped_back (their job tells its stages itself) or refused (see the "
        "log).",
        ("state",),
    ),
    Metric("joulemark_build_info", "gauge", "The version that runs.", ("version",)),
)

# What `joulemark frontier` publishes, a process of its own.
FRONTIER_TABLE = (
    Metric(
        "joulemark_run_pareto_optimal",
        "gauge",
        "1 when no other run of the same origin is at least as good in energy (in that accounting) and quality and "
        "better in one, else 0; runs without both are absent.",
        ("run", "accounting"),
    ),
    Metric(
        "joulemark_run_pareto_optimal_with_throughput",
        "gauge",
        "The same with training throughput as third axis; runs without all three are absent.",
        ("run", "accounting"),
    ),
    Metric(
        "joulemark_frontier_up", "gauge", "1 when Prometheus could be asked at this scrape; at 0 there are no flags."
    ),
    Metric("joulemark_frontier_query_duration_seconds", "gauge", "Time that asking Prometheus took in seconds."),
)

METRICS = {metric.name: metric for metric in (*TABLE, *FRONTIER_TABLE)}


def reference_page() -> str:
    """The metric reference as Markdown; `docs/metrics.md` is this text."""
    head = [
        "# Metrics",
        "",
        "Made from the tables in `exporter/joulemark/metrics.py` by `python -m joulemark.metrics > docs/metrics.md`.",
        "",
    ]
    frontier = ["", "## joulemark frontier", "", "A process of its own, computed from Prometheus.", ""]
    return "\n".join([*head, *_rows(TABLE), *frontier, *_rows(FRONTIER_TABLE)]) + "\n"


def _rows(table: tuple[Metric, ...]) -> list[str]:
    return [
        "| name | type | labels | meaning |",
        "|---|---|---|---|",
        *(
            f"| `{metric.name}` | {metric.type} | {', '.join(metric.labels) or 'none'} | {metric.help} |"
            for metric in table
        ),
    ]


if __name__ == "__main__":
    print(reference_page(), end="")
