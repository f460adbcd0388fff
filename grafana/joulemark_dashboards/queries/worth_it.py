"""What the board Was it worth it? asks."""

from __future__ import annotations

from .selectors import FACTS, RUN, by_run, of_runs, watt_hours, with_marked_runs

_ACCOUNTING = 'accounting=~"$accounting"'
_QUALITY = "run:joulemark_quality:ratio"
_FLAG = "run_accounting:joulemark_run_pareto_optimal:max"
# Runs of a cell: declared pipeline and student, whatever the seed.
_CELL_OF_RUN = f"max by (run, cell) (run:joulemark_cell:info{{{RUN}}} and on (run) {FACTS})"
_CELLS = f"max by (cell, pipeline, student, dataset, origin) (run:joulemark_cell:info{{{RUN}}} and on (run) {FACTS})"

ENERGY = by_run("run_accounting:joulemark_energy_joules:sum", _ACCOUNTING)
WATT_HOURS = watt_hours(ENERGY)
UNCERTAINTY = watt_hours(by_run("run_accounting:joulemark_energy_uncertainty_joules:sum", _ACCOUNTING))
QUALITY = by_run(_QUALITY)
FLAG = f"max by (run) ({of_runs(_FLAG, _ACCOUNTING)} and on (run) {_QUALITY})"
THROUGHPUT = by_run("run:joulemark_tokens_per_second:ratio")
FACTS_OF_RUN = f"max by (run, pipeline, student, dataset, origin) ({FACTS})"


def quality(origin: str, *, optimal: bool) -> str:
    """Q of runs of an origin that are on the frontier, or that another run beats."""
    flagged = f"max by (run) ({_FLAG}{{{_ACCOUNTING}}} == {int(optimal)})"
    return f"max by (run) (({by_run(_QUALITY)} and on (run) {flagged}) and on (run) {_of(origin)})"


UNJUDGED = f"{by_run(_QUALITY)} unless on (run) {_FLAG}{{{_ACCOUNTING}}}"


def energy_of(origin: str) -> str:
    """Watt-hours of runs of an origin that have a throughput."""
    return watt_hours(f"({ENERGY} and on (run) {_of(origin)} and on (run) {THROUGHPUT})")


def _of(origin: str) -> str:
    return f'run:joulemark_run_origin:info{{origin="{origin}"}}'


def _cell(rule: str) -> str:
    return f"max by (cell) ({rule} and on (cell) ({_CELLS}))"


CELLS = _CELLS
RUNS_OF_CELL = _cell("cell:joulemark_runs:count")
REUSES = _cell("cell:joulemark_breakeven_reuses:avg")
REUSES_SPREAD = _cell("cell:joulemark_breakeven_reuses:stddev")
TOKENS = _cell("cell:joulemark_breakeven_tokens:avg")


def sentence(rule: str, reason: str, words: str, *, to: float) -> str:
    """1 by cell with a label `verdict`: the figure in words, else the name of the reason why there is none.

    The figure becomes a label, rounded, because only labels can hold words.
    """
    figure = (
        f'label_replace(count_values by (cell) ("figure", round({_cell(rule)}, {to:g})), '
        f'"verdict", "{words}", "figure", "(.+)")'
    )
    reasons = (
        f"max by (cell, reason) ({of_runs(reason)} * on (run) group_left (cell) ({_CELL_OF_RUN}))"
        f" unless on (cell) ({_cell(rule)})"
    )
    named = f'label_replace(topk by (cell) (1, {reasons}), "verdict", "$1", "reason", "(.+)")'
    return f"max by (cell, verdict) ({figure} or {named})"


REUSES_SENTENCE = sentence(
    "cell:joulemark_breakeven_reuses:avg",
    "run:joulemark_breakeven_reuses:reason",
    "break-even after $1 reuses",
    to=0.1,
)
TOKENS_SENTENCE = sentence(
    "cell:joulemark_breakeven_tokens:avg",
    "run:joulemark_breakeven_tokens:reason",
    "break-even after $1 served tokens",
    to=1,
)

# Students that share one teacher's output, as far as a curve is worth looking at.
SHARED_BY = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20)
_STUDENT = by_run("run:joulemark_student_energy_joules:sum")
_TEACHER = f"({by_run('run:joulemark_full_teacher_energy_joules:sum')} > 0)"
_BASELINE = by_run("run:joulemark_baseline_student_energy_joules:avg")
_CURVES = " or ".join(
    f'label_replace(({_STUDENT} + {_TEACHER} / {students}) / {_BASELINE}, "students", "{students}", "", "")'
    for students in SHARED_BY
)
AMORTISED = with_marked_runs(f"({_CURVES})")

_FACILITY_KWH = f"({ENERGY} * ($pue) / 3.6e6)"
CO2E = f"({_FACILITY_KWH} * ($zone)) >= 0"
COST = f"({_FACILITY_KWH} * ($price)) >= 0"
FACILITY_WATT_HOURS = f"({_FACILITY_KWH} * 1000) >= 0"
