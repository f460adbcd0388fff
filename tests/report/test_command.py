"""`joulemark report` as a user calls it: from a ledger, an exporter, Prometheus alone, and several nodes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from exporter_process import Exporter
from prometheus_process import backfilled, sample
from typer.testing import CliRunner, Result

from joulemark.cli.main import app
from joulemark.clock import ManualClock
from joulemark.imports import book
from joulemark.imports.paper import paper_runs
from joulemark.ledger.state import StageRequest
from joulemark.meter.meter import Meter
from joulemark.sources.replay import ReplaySource, Trace

DEVICE = {"job": "joulemark", "instance": "a:9871", "device": "gpu0"}
RUN = {"run": "kd-1"}
FACTS = {"pipeline": "kd", "student": "s", "teacher": "t", "dataset": "d", "origin": "measured"}


def called(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["report", *(str(one) for one in arguments)])


def report(*arguments: object) -> str:
    done = called(*arguments)
    assert done.exit_code == 0, f"{done.output}{done.exception}"
    return done.stdout


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ledger")
    book(paper_runs(), folder)
    return folder


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Prometheus with one run: ten seconds of a teacher at 300 W, ten of a student at 100 W, scraped by two jobs."""
    now = time.time() - 120
    lines = []
    for second in range(20):
        stage, watts = ("teacher", 300) if second < 10 else ("student", 100)
        for job in ("joulemark", "again"):
            labels = {**DEVICE, "job": job, **RUN, "stage": stage, "phase": ""}
            lines.append(sample("joulemark_power_watts", labels, watts, now + second))
    for stage, joules in (("teacher", 3000), ("student", 1000)):
        labels = {**DEVICE, **RUN, "stage": stage, "phase": ""}
        lines.append(sample("joulemark_energy_joules_total", labels, joules, now + 20))
    lines.append(sample("joulemark_run_info", {**DEVICE, **RUN, **FACTS}, 1, now + 20))
    gpu = {**DEVICE, "source": "nvml_counter", "model": "A GPU", "driver": "570"}
    lines.append(sample("joulemark_device_info", gpu, 1, now))
    lines.append(sample("joulemark_counter_tick_seconds", DEVICE, 0.02, now))
    with backfilled(tmp_path_factory.mktemp("prometheus"), "\n".join(lines)) as url:
        yield url


def test_a_ledger_alone_gives_every_run_and_the_named_ones(ledger: Path) -> None:
    text = report("--ledger", ledger)
    assert "paper-synthetic-sft-13b" in text
    assert "11.16" in text
    named = report("--ledger", ledger, "--run", "paper-kd-1b", "paper-sft-1b")
    assert "paper-kd-13b: " not in named
    assert "2.41 times the energy of its baseline paper-sft-1b" in named


@pytest.mark.parametrize("format_", ["csv", "json", "md", "latex", "html"])
def test_a_format_goes_to_the_terminal_or_into_one_file(format_: str, ledger: Path, tmp_path: Path) -> None:
    text = report("--ledger", ledger, "--format", format_)
    suffix = {"latex": "tex"}.get(format_, format_)
    path = tmp_path / f"figures.{suffix}"
    assert report("--ledger", ledger, "--output", path) == ""
    assert path.read_text() == text
    assert "paper-kd-1b" in text or "kd OLMo-2-1B" in text


def test_a_folder_gets_the_page_the_pictures_and_the_format(ledger: Path, tmp_path: Path) -> None:
    text = report("--ledger", ledger, "--output", tmp_path / "report")
    assert "Where the joules went" in text, "the table is shown all the same"
    report("--ledger", ledger, "--output", tmp_path / "report", "--format", "json")
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert {"index.html", "report.json", "energy_quality.pdf", "amortisation.svg", "stage_breakdown.png"} <= names


def test_what_does_not_fit_is_said_with_the_remedy(ledger: Path, tmp_path: Path) -> None:
    wrong = called("--ledger", ledger, "--format", "pdf")
    assert wrong.exit_code == 2
    assert "use table, csv, json" in " ".join(wrong.output.split())
    misfit = called("--ledger", ledger, "--format", "csv", "--output", tmp_path / "x.json")
    assert "does not fit --format csv" in " ".join(misfit.output.replace("│", " ").split())
    assert not (tmp_path / "x.json").exists()
    assert "known: paper-kd-13b" in str(called("--ledger", ledger, "--run", "gone").exception)
    assert "no ledger at" in str(called("--ledger", tmp_path / "none").exception)


def test_a_comparison_reports_its_two_runs(ledger: Path) -> None:
    text = report("--ledger", ledger, "--compare", "paper-sft-1b", "paper-kd-1b")
    assert "paper-kd-1b used 9.90 kWh more than paper-sft-1b (2.41 times)." in text
    assert "teacher: +11.0 kWh, as only paper-kd-1b has it." in text
    assert "paper-kd-13b: " not in text


def test_an_exporter_is_read_with_its_devices(exporter: Exporter) -> None:
    exporter.put_stage("kd-1", "student")
    data = json.loads(report("--url", exporter.url, "--format", "json"))
    assert [run["run"] for run in data["runs"]] == ["kd-1"]
    (device,) = data["devices"]
    assert (device["device"], device["source"]) == ("gpu0", "replay")
    assert device["tick_seconds"] is None or device["tick_seconds"] > 0
    assert data["read_from"] == "read from its exporter"


@pytest.mark.prometheus
def test_prometheus_alone_gives_joules_devices_and_power(prometheus: str, tmp_path: Path) -> None:
    data = json.loads(report("--prometheus", prometheus, "--format", "json"))
    (run,) = data["runs"]
    assert {row["stage"]: row["joules"] for row in run["stages"]} == {"teacher": 3000.0, "student": 1000.0}
    assert data["devices"] == [
        {"device": "gpu0", "source": "nvml_counter", "model": "A GPU", "driver": "570", "tick_seconds": 0.02}
    ]
    assert "gpu0 (A GPU, driver 570) came from the GPU's own energy counter" in data["methods"]
    assert "refresh interval was 20 ms" in data["methods"]
    (curve,) = data["power"]
    assert curve["step_seconds"] == pytest.approx(1.0)
    assert [watts for watts in curve["watts"]["teacher"] if watts is not None] == [300.0] * 10, "each device once"
    assert curve["watts"]["student"] == [None] * 10 + [100.0] * 10
    report("--prometheus", prometheus, "--output", tmp_path / "report")
    assert (tmp_path / "report" / "power_over_time.pdf").exists()


@pytest.mark.prometheus
def test_prometheus_beside_a_ledger_is_compared_with_it(prometheus: str, tmp_path: Path) -> None:
    measured(tmp_path / "state", 10.0)
    data = json.loads(report("--ledger", tmp_path / "state", "--prometheus", prometheus, "--format", "json"))
    (run,) = data["runs"]
    (teacher,) = run["stages"]
    assert teacher["joules"] == pytest.approx(1000.0, abs=teacher["uncertainty_joules"])
    assert teacher["prometheus_joules"] == 3000.0
    assert data["read_from"] == "read from its ledger, beside Prometheus"


def measured(folder: Path, seconds: float) -> None:
    """A ledger with a teacher stage at 100 W."""
    clock = ManualClock()
    meter = Meter([ReplaySource(clock, {"gpu0": Trace(((60.0, 100.0),))})], folder, clock)
    window, _ = meter.begin(StageRequest("kd-1", "teacher"))
    for _ in range(round(seconds / 0.125)):
        clock.advance(0.125)
        meter.sample()
    meter.end(str(window["id"]), {"cached": 50})
    for _ in range(40):
        clock.advance(0.125)
        meter.sample()
    meter.close()


def test_ledgers_of_several_nodes_are_one_run_with_the_joules_of_all(tmp_path: Path) -> None:
    for node, seconds in (("a", 10.0), ("b", 20.0)):
        measured(tmp_path / node, seconds)
    data = json.loads(report("--ledger", tmp_path / "a", "--ledger", tmp_path / "b", "--format", "json"))
    (run,) = data["runs"]
    assert run["total"]["joules"] == pytest.approx(3000.0, abs=run["total"]["uncertainty_joules"])
    assert run["total"]["seconds"] == pytest.approx(20.0)
    assert [row["tokens"] for row in run["stages"]] == [100]
    assert len(data["devices"]) == 2


def test_factors_are_those_given_else_those_configured(
    make_exporter: Callable[..., Exporter], ledger: Path, tmp_path: Path
) -> None:
    exporter = make_exporter("--source", "replay", "--pue", "1.3", "--carbon.zone", "FR")
    exporter.put_stage("kd-1", "student")
    configured = json.loads(report("--url", exporter.url, "--format", "json"))["factors"]
    assert (configured["pue"], configured["zone"], configured["price_per_kwh"]) == (1.3, "FR", None)
    assert configured["carbon_source"]
    priced = ["--price.per-kwh", "0.2", "--price.currency", "EUR", "--carbon.grams-per-kwh", "100"]
    mixed = json.loads(report("--url", exporter.url, "--format", "json", *priced))["factors"]
    assert (mixed["pue"], mixed["grams_per_kwh"], mixed["price_per_kwh"]) == (1.3, 100.0, 0.2)
    alone = json.loads(report("--ledger", ledger, "--format", "json", "--pue", "1.2", *priced))
    kd = next(run for run in alone["runs"] if run["run"] == "paper-kd-1b")
    assert kd["co2e_grams"]["as_run"] == pytest.approx(16.90 * 1.2 * 100, rel=1e-9)
    assert kd["cost"]["amortized"] == pytest.approx(11.40 * 1.2 * 0.2, rel=1e-9)
    assert kd["total"]["joules"] == pytest.approx(16.90 * 3.6e6, rel=1e-9), "no joule changes"
    assert "lacks" in str(called("--ledger", ledger, "--carbon.zone", "FR", "--carbon.file", __file__).exception)
