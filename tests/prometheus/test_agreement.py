"""PromQL and the accounting module say the same of the same runs, to 1e-9: the published tables and hand-made cases.

A real Prometheus with this repository's rules scrapes two exporters on ledgers that hold these runs, one of them twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest
from accounting_cases import NODE_A, NODE_B
from exporter_process import Exporter
from live_prometheus import LivePrometheus

from joulemark.accounting import ACCOUNTINGS, RunFigures, Spread, cells_of, co2e_grams, cost, figures_of, joined
from joulemark.imports import book
from joulemark.run_record import RunRecord

pytestmark = pytest.mark.prometheus

GRAMS, PUE, PRICE = 344.14, 1.25, 0.3
FACTORS = ("--carbon.zone", "DE", "--pue", str(PUE), "--price.per-kwh", str(PRICE), "--price.currency", "EUR")


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LivePrometheus, list[Exporter]]]:
    folder = tmp_path_factory.mktemp("agreement")
    exporters = []
    for name, runs in (("a", NODE_A), ("b", NODE_B)):
        book(runs, folder / name)
        exporters.append(Exporter(folder / name, "--source", "replay", "--keep-runs", "1000", *FACTORS).start())
    a, b = (exporter.url[7:] for exporter in exporters)
    live = LivePrometheus(folder / "prometheus", [("joulemark", a), ("joulemark", b), ("again", a)])
    try:
        # The last figures to follow; what comes from two exporters must be complete as well.
        live.wait_until(lambda: len(live.by_run("run:joulemark_breakeven_tokens:reason")) > 20, "figures have come")
        live.wait_for('count(run_accounting:joulemark_energy_joules:sum{run="elsewhere"})', 3)
        live.wait_until(lambda: bool(live.query("cell:joulemark_breakeven_reuses:stddev")), "cells have come")
        live.wait_until(settled(live), "the figures do not move any more")
        yield live, exporters
    finally:
        live.stop()
        for exporter in exporters:
            exporter.http.close()
            exporter.kill()


def settled(live: LivePrometheus) -> Callable[[], bool]:
    """True once all that is derived has stayed the same for some evaluations."""
    seen: list[str] = []
    derived = '{__name__=~"(run|cell)[a-z_]*:joulemark_.+",__name__!~".+:(kept|seen.+)|.*power.*|.*seen.*"}'

    def same() -> bool:
        seen.append(repr(sorted(map(repr, live.query(derived)))))
        return len(seen) > 15 and len(set(seen[-15:])) == 1

    return same


@pytest.fixture(scope="module")
def records(prometheus: tuple[LivePrometheus, list[Exporter]]) -> dict[str, RunRecord]:
    told = []
    for number, exporter in enumerate(prometheus[1]):
        for run in exporter.http.get("/api/v1/runs").json():
            record = exporter.http.get(f"/api/v1/runs/{run['run']}").json()
            told.append((f"node{number}", RunRecord.from_json(record)))
    return joined(told)


@pytest.fixture(scope="module")
def figures(records: dict[str, RunRecord]) -> dict[str, RunFigures]:
    return figures_of(records)


@pytest.fixture
def live(prometheus: tuple[LivePrometheus, list[Exporter]]) -> LivePrometheus:
    return prometheus[0]


FIGURES: dict[str, Callable[[RunFigures], float | None]] = {
    "run:joulemark_energy_joules:sum": lambda f: f.bill.as_run,
    "run:joulemark_teacher_energy_joules:sum": lambda f: f.own_teacher_joules,
    "run:joulemark_student_energy_joules:sum": lambda f: f.student_joules or None,
    "run:joulemark_full_teacher_energy_joules:sum": lambda f: f.bill.teacher_joules,
    "run:joulemark_energy_joules_per_token:ratio": lambda f: f.joules_per_token,
    "run:joulemark_tokens_per_second:ratio": lambda f: f.throughput,
    "run:joulemark_net_energy_joules:sum": lambda f: f.net_joules,
    "run:joulemark_quality:ratio": lambda f: f.quality.value,
    "run:joulemark_quality_benchmarks:count": lambda f: len(f.quality.used) or None,
    "run:joulemark_baseline_student_energy_joules:avg": lambda f: f.baseline_student_joules,
    "run:joulemark_breakeven_reuses:ratio": lambda f: f.reuses.value,
    "run:joulemark_serving_joules_per_token:ratio": lambda f: f.serving_joules_per_token,
    "run:joulemark_reference_serving_joules_per_token:ratio": lambda f: f.reference_joules_per_token,
    "run:joulemark_breakeven_tokens:ratio": lambda f: f.served_tokens.value,
    "run:joulemark_co2e_grams:sum": lambda f: co2e_grams(f.bill.as_run, PUE, GRAMS),
    "run:joulemark_cost:sum": lambda f: cost(f.bill.as_run, PUE, PRICE),
    **{
        f'run_accounting:joulemark_energy_joules:sum{{accounting="{accounting}"}}': (
            lambda f, accounting=accounting: f.bill.joules(accounting)  # type: ignore[misc]
        )
        for accounting in ACCOUNTINGS
    },
}


@pytest.mark.parametrize("query", FIGURES)
def test_rules_and_module_agree(query: str, live: LivePrometheus, figures: dict[str, RunFigures]) -> None:
    wanted = {run: FIGURES[query](figure) for run, figure in figures.items()}
    expected = {run: value for run, value in wanted.items() if value is not None}
    assert expected, "nothing to compare"
    found = live.by_run(query)
    assert set(found) ^ set(expected) == set()
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("what", ["reuses", "tokens"])
def test_rules_and_module_give_the_same_reasons(
    what: str, live: LivePrometheus, figures: dict[str, RunFigures]
) -> None:
    found = {labels["run"]: labels["reason"] for labels, _ in live.query(f"run:joulemark_breakeven_{what}:reason")}
    breakevens = {run: f.reuses if what == "reuses" else f.served_tokens for run, f in figures.items()}
    assert found == {run: one.reason for run, one in breakevens.items() if one.reason}
    assert len(set(found.values())) >= 5, "the cases cover most reasons"


CELL_FIGURES: dict[str, Callable[[RunFigures], float | None]] = {
    'cell_accounting:joulemark_energy_joules:%s{accounting="amortized"}': lambda f: f.bill.amortized,
    "cell:joulemark_quality:%s": lambda f: f.quality.value,
    "cell:joulemark_energy_joules_per_token:%s": lambda f: f.joules_per_token,
    "cell:joulemark_breakeven_reuses:%s": lambda f: f.reuses.value,
}


@pytest.mark.parametrize("query", CELL_FIGURES)
@pytest.mark.parametrize("operation", ["avg", "stddev"])
def test_rules_and_module_make_the_same_of_repeats(
    query: str,
    operation: str,
    live: LivePrometheus,
    records: dict[str, RunRecord],
    figures: dict[str, RunFigures],
) -> None:
    cell_of = {labels["run"]: (labels["cell"], labels["origin"]) for labels, _ in live.query("run:joulemark_cell:info")}
    expected = {}
    for key, names in cells_of(records).items():
        if key.pipeline and key.student:
            assert {run for run, cell in cell_of.items() if cell == cell_of[names[0]]} == set(names)
            spread = Spread.of(CELL_FIGURES[query](figures[run]) for run in names)
            expected[cell_of[names[0]]] = spread.mean if operation == "avg" else spread.deviation
    rows = live.query(query % operation)
    found = {(labels["cell"], labels["origin"]): value for labels, value in rows}
    known = {cell: value for cell, value in expected.items() if value is not None}
    assert known, "nothing to compare"
    assert found == pytest.approx(known, rel=1e-9, abs=1e-12)


def test_the_published_tables_come_out_of_promql(live: LivePrometheus) -> None:
    kwh = {
        run: joules / 3.6e6 for run, joules in live.by_run('run:joulemark_energy_joules:sum{run=~"paper-.+"}').items()
    }
    assert kwh["paper-kd-1b"] == pytest.approx(16.90, rel=1e-9)
    assert kwh["paper-kd-1b"] / kwh["paper-sft-1b"] == pytest.approx(16.90 / 7.00, rel=1e-9)
    reuses = live.by_run('run:joulemark_breakeven_reuses:ratio{run=~"paper-.+"}')
    assert {run: round(value, 2) for run, value in reuses.items()} == {
        "paper-kd-1b": 10.0,
        "paper-kd-13b": 3.55,
        "paper-synthetic-sft-1b": 11.16,
        "paper-synthetic-sft-13b": 2.36,
    }
    per_token = live.by_run('run:joulemark_energy_joules_per_token:ratio{run=~"paper-.+"}')
    printed = {
        "sft-1b": 0.84,
        "sft-7b": 2.34,
        "sft-13b": 4.15,
        "kd-1b": 2.03,
        "kd-13b": 5.10,
        "synthetic-sft-13b": 4.88,
    }
    assert {run.removeprefix("paper-"): round(value, 2) for run, value in per_token.items()} == printed


def test_no_rule_failed(live: LivePrometheus) -> None:
    assert live.rule_errors() == []


def test_absent_is_absent_and_nothing_is_infinite(live: LivePrometheus) -> None:
    odd = live.query('{__name__=~"(run|cell)[a-z_]*:joulemark_.+:(ratio|sum|avg|stddev)"} == Inf')
    assert odd == []
    values = live.query('{__name__=~"run:joulemark_breakeven_(reuses|tokens):ratio"}')
    assert all(value > 0 and math.isfinite(value) for _, value in values)
