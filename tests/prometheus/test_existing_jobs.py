"""The queries of docs/existing-jobs.md on a real Prometheus, beside an exporter that books the same GPUs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from exporter_process import Exporter
from live_prometheus import LivePrometheus
from nvml_mock import Gpu, LiveMachine
from other_exporters import STEPS_PER_SECOND, serving

pytestmark = pytest.mark.prometheus

WATTS = (100.0, 400.0)
PAGE = Path(__file__).parents[2] / "docs" / "existing-jobs.md"


def queries(heading: str) -> list[str]:
    """The queries under a heading of the page."""
    _, _, section = PAGE.read_text().partition(f"\n## {heading}\n")
    return re.findall(r"```promql\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)


@pytest.fixture(scope="module")
def live(nvml_library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivePrometheus]:
    """A Prometheus that scrapes this exporter, whose stages hold two GPUs, and the others on the same GPUs."""
    folder = tmp_path_factory.mktemp("jobs")
    machine = LiveMachine(nvml_library, folder, [Gpu(), Gpu()], watts=WATTS)
    exporter = Exporter(folder / "state", "--source", "nvml_counter", env=machine.environment).start()
    exporter.put_stage("kd-1b", "teacher", devices=["gpu1"])
    exporter.put_stage("sft-1b", "student", devices=["gpu0"])
    with serving(machine, WATTS) as others:
        live = LivePrometheus(folder / "prometheus", [("joulemark", exporter.url[7:]), *others])
        try:
            yield live
        finally:
            live.stop()
            exporter.http.close()
            exporter.kill()


def answer(live: LivePrometheus, query: str) -> dict[tuple[str, str], float]:
    return {(labels["run"], labels["stage"]): value for labels, value in live.query(query)}


@pytest.mark.parametrize("query", queries("Watts by stage, now"), ids=["dcgm", "nvidia", "kepler"])
def test_watts_by_stage_are_the_ones_that_the_other_exporter_reports(query: str, live: LivePrometheus) -> None:
    wanted = {("kd-1b", "teacher"): WATTS[1], ("sft-1b", "student"): WATTS[0]}
    live.wait_until(lambda: answer(live, query) == wanted, query)


@pytest.mark.parametrize("query", queries("Joules by stage over the last hour"), ids=["dcgm", "nvidia", "kepler"])
def test_joules_by_stage_are_those_watts_times_the_same_seconds(query: str, live: LivePrometheus) -> None:
    quick = query.replace("[1m]", "[5s]").replace("1h:15s", "1h:1s").replace("* 15", "* 1")
    live.wait_until(lambda: len(answer(live, quick)) == 2, quick)
    joules = answer(live, quick)
    # Both stages have lasted as long, so the seconds need not be known.
    assert joules["kd-1b", "teacher"] / joules["sft-1b", "student"] == pytest.approx(WATTS[1] / WATTS[0], rel=0.2)


def test_joules_per_training_step(live: LivePrometheus) -> None:
    so_far, lately = (query.replace('"student"', '"teacher"') for query in queries("Joules per training step"))
    wanted = WATTS[1] / STEPS_PER_SECOND
    # The job began a little after its stage did, which counts less and less.
    live.wait_for(f"round({so_far}, 100)", wanted)
    live.wait_for(f"round({lately.replace('[2m]', '[10s]')}, 50)", wanted)
