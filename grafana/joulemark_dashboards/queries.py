"""What the boards ask: PromQL apart from panels. `$run` is the board's variable, matched as a regular expression."""

from __future__ import annotations

_STAGE = 'run=~"$run"'
_EXPORTER = 'job=~"$job", instance=~"$instance"'

# Finished runs leave /metrics: the latest value within the board's range is a run's final one.
TOTAL_JOULES = f"sum(last_over_time(run:joulemark_energy_joules:sum{{{_STAGE}}}[$__range]))"
TEACHER_SHARE = (
    f'sum by (run) (last_over_time(run_stage:joulemark_energy_joules:sum{{{_STAGE}, stage="teacher"}}[$__range]))'
    f" / sum by (run) (last_over_time(run:joulemark_energy_joules:sum{{{_STAGE}}}[$__range]))"
)
STAGE_JOULES = f"sum by (run, stage) (last_over_time(run_stage:joulemark_energy_joules:sum{{{_STAGE}}}[$__range]))"
# Watt-hours, because Grafana scales them to the kWh in which papers report.
RUN_WATT_HOURS = f"sum by (run) (last_over_time(run:joulemark_energy_joules:sum{{{_STAGE}}}[$__range])) / 3600"
RUN_JOULES_PER_TOKEN = (
    f"sum by (run) (last_over_time(run:joulemark_energy_joules_per_token:ratio{{{_STAGE}}}[$__range]))"
)
RUN_FACTS = (
    "max by (run, pipeline, student, teacher, dataset, origin) "
    f"(last_over_time(joulemark_run_info{{{_EXPORTER}, {_STAGE}}}[$__range]))"
)
STAGE_WATTS = f'sum by (stage) (joulemark_power_watts{{{_EXPORTER}, run=~"$run|"}})'

RUNS = f"label_values(joulemark_run_info{{{_EXPORTER}}}, run)"
JOBS = "label_values(joulemark_build_info, job)"
INSTANCES = 'label_values(joulemark_build_info{job=~"$job"}, instance)'

ALL = (TOTAL_JOULES, TEACHER_SHARE, STAGE_JOULES, RUN_WATT_HOURS, RUN_JOULES_PER_TOKEN, RUN_FACTS, STAGE_WATTS)
