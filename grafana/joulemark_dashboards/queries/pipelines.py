"""What the board Pipelines asks."""

from __future__ import annotations

from .selectors import FACTS, by_origin, by_run, keyed, metric, of_runs, stage_starts, watt_hours, with_marked_runs

_ENERGY = "run_accounting:joulemark_energy_joules:sum"
_ACCOUNTING = 'accounting=~"$accounting"'
# Devices that are read; those of imported runs are not.
_READ = metric("joulemark_source_up")
_UNATTRIBUTED = 'stage="unattributed"'

TOTAL_WATT_HOURS = watt_hours(by_origin("run:joulemark_energy_joules:sum"))
TEACHER_SHARE = (
    f"{by_origin('run:joulemark_teacher_energy_joules:sum')} / {by_origin('run:joulemark_energy_joules:sum')}"
)
# A run of no pipeline is in no share by pipeline; its bar would be named after the query.
_OF_A_PIPELINE = 'pipeline!=""'
_PIPELINE = f"max by (run, pipeline) ({of_runs('run:joulemark_run_facts:info', _OF_A_PIPELINE)})"
TEACHER_SHARE_BY_PIPELINE = (
    f"sum by (pipeline) ({by_run('run:joulemark_teacher_energy_joules:sum')} * on (run) group_right () {_PIPELINE})"
    f" / sum by (pipeline) ({by_run('run:joulemark_energy_joules:sum')} * on (run) group_right () {_PIPELINE})"
)
WATTS = f"sum({metric('joulemark_power_watts')})"
UNATTRIBUTED_SHARE = (
    f"sum({metric('joulemark_energy_joules_total', _UNATTRIBUTED)})"
    f" / sum({metric('joulemark_device_energy_joules_total')} and on (job, instance, device) {_READ})"
)

RUN_WATT_HOURS = watt_hours(by_run(_ENERGY, _ACCOUNTING))
RUN_UNCERTAINTY = watt_hours(by_run("run_accounting:joulemark_energy_uncertainty_joules:sum", _ACCOUNTING))
RUN_JOULES_PER_TOKEN = by_run("run:joulemark_energy_joules_per_token:ratio")
RUN_QUALITY = by_run("run:joulemark_quality:ratio")
RUN_TEACHER_SHARE = by_run("run:joulemark_teacher_share:ratio")
RUN_CO2E = by_run("run:joulemark_co2e_grams:sum", operation="sum")
RUN_COST = f"sum by (run, currency) ({of_runs('run:joulemark_cost:sum')})"
RUN_FACTS = f"max by (run, pipeline, student, teacher, dataset, origin) ({FACTS})"

# More bars than this nobody can read.
BARS = 30
_DEAREST = f"topk({BARS}, {by_run('run:joulemark_energy_joules:sum')})"


def _by_stage(rule: str) -> str:
    return f"(max by (run, stage) ({of_runs(rule)}) and on (run) {_DEAREST})"


_STAGE_JOULES = _by_stage("run_stage:joulemark_energy_joules:sum")
STAGE_WATT_HOURS = watt_hours(with_marked_runs(_STAGE_JOULES))
# A stage of a run is known by two labels.
KEYED_STAGE_WATT_HOURS = watt_hours(with_marked_runs(keyed(_STAGE_JOULES, "run", "stage")))
KEYED_STAGE_UNCERTAINTY = watt_hours(
    f"max by (key) ({keyed(_by_stage('run_stage:joulemark_energy_uncertainty_joules:sum'), 'run', 'stage')})"
)


def stage_watts(stage: str) -> str:
    """Watts of a stage, over the chosen runs; of energy that no stage claims, of all exporters."""
    if stage == _UNATTRIBUTED:
        return f"sum by (stage) (stage:joulemark_power_watts:sum{{{_UNATTRIBUTED}}})"
    return f"sum by (stage) ({of_runs('run_stage:joulemark_power_watts:sum', stage)})"


STAGE_STARTS = stage_starts("run")
