"""What the doctor makes of what it saw: judgements, and ticks and estimators measured on made-up readings."""

from __future__ import annotations

import http.server
import json
import math
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from joulemark import doctor
from joulemark.addresses import parse_addresses
from joulemark.client.endpoint import Endpoint
from joulemark.doctor.call_times import percentile
from joulemark.doctor.comparison import compare
from joulemark.doctor.exporter import ask_exporter
from joulemark.doctor.facts import ClockFacts, GpuState, SourceState, StateDirFacts, Versions
from joulemark.doctor.findings import CATALOGUE, Finding
from joulemark.doctor.judge_machine import judge_clocks, judge_sources
from joulemark.doctor.judge_service import (
    judge_address,
    judge_exporter,
    judge_prometheus,
    judge_state_dir,
    judge_web_files,
)
from joulemark.doctor.machine import look_at_clocks, versions
from joulemark.doctor.permissions import address_facts, why_no_web
from joulemark.doctor.prometheus import ask_prometheus
from joulemark.doctor.reference import reference_page
from joulemark.doctor.tick_times import tick_times
from joulemark.settings import Settings
from joulemark.sources.base import Reading

ROOT = Path(__file__).parents[2]


def kinds(findings: list[Finding]) -> set[str]:
    return {finding.id for finding in findings}


# -- the catalogue -----------------------------------------------------------------------------------------


def test_the_page_of_findings_is_current() -> None:
    assert (ROOT / "docs" / "findings.md").read_text() == reference_page()


def test_every_kind_of_finding_is_used_and_every_warning_has_a_remedy() -> None:
    source = "".join(path.read_text() for path in Path(doctor.__path__[0]).glob("*.py"))
    for kind in CATALOGUE.values():
        assert f'"{kind.id}"' in source or kind.id.startswith("address_"), kind.id
        assert kind.remedy or kind.severity in ("ok", "info"), kind.id
        assert kind.meaning.endswith("."), kind.id


# -- ticks and estimators ----------------------------------------------------------------------------------


def looks(period: float, jitter: float, watts: float = 300.0, seconds: float = 6.0) -> list[Reading]:
    """Looks every 1.1 ms at a counter that refreshes every `period`, each refresh off by up to half of `jitter`."""
    chance = random.Random(1)
    ticks = [n * period + jitter * (chance.random() - 0.5) for n in range(int(seconds / period))]
    readings = []
    for step in range(int((seconds - period) / 0.0011)):
        at = 0.0011 * step
        energy = watts * max((tick for tick in ticks if tick <= at), default=-1.0)
        readings.append(Reading(at, energy + 1000.0, watts, sensor=True, called=at - 0.0001, answered=at))
    return readings


@pytest.mark.parametrize("period", [0.02, 0.1])
def test_an_even_beat_is_measured(period: float) -> None:
    tick = tick_times(looks(period, 0.0))
    assert tick is not None
    assert tick.seconds == pytest.approx(period, rel=0.06)
    assert tick.even
    assert tick.jitter_seconds < 0.0005


def test_ticks_that_stray_are_no_even_beat() -> None:
    tick = tick_times(looks(0.1, 0.09))
    assert tick is not None
    assert not tick.even
    # Two ticks that are each off by a uniform part of 90 ms are apart by 100 ms ± 90 ms / sqrt(6).
    assert tick.jitter_seconds == pytest.approx(0.09 / math.sqrt(6), rel=0.3)


def test_a_counter_that_does_not_move_has_no_tick() -> None:
    assert tick_times([Reading(0.01 * n, 5.0, None) for n in range(300)]) is None


def test_estimators_are_compared_over_the_same_ticks() -> None:
    found = compare(looks(0.1, 0.0), 0.0, "as_found")
    assert found.counter_joules == pytest.approx(300 * 0.1 * round(found.seconds / 0.1))
    assert found.disagreement_ratio == pytest.approx(0.0, abs=0.001)


def test_a_gauge_that_shows_too_much_is_found_by_as_much() -> None:
    readings = [replace(reading, watts=330.0) for reading in looks(0.1, 0.0)]
    assert compare(readings, 0.0, "as_found").disagreement_ratio == pytest.approx(0.1, abs=0.001)


def test_an_averaging_gauge_speaks_of_the_middle_of_its_average() -> None:
    """Power that rises by 100 W in a second: an average over the last second shows what was half a second ago."""

    def rising(at: float) -> Reading:
        ticked = math.floor(at / 0.02) * 0.02
        energy = 100 * ticked + 50 * ticked**2
        return Reading(at, energy, 100 + 100 * (at - 0.5), sensor=True, called=at, answered=at)

    readings = [rising(0.001 * n) for n in range(1000, 6000)]
    assert compare(readings, 1.0, "as_found").disagreement_ratio == pytest.approx(0.0, abs=0.001)
    assert (compare(readings, 0.0, "as_found").disagreement_ratio or 0.0) > 0.05


def test_without_a_counter_only_power_is_told() -> None:
    readings = [replace(reading, energy_joules=None) for reading in looks(0.1, 0.0)]
    found = compare(readings, 0.0, "as_found")
    assert (found.counter_joules, found.disagreement_ratio, found.counter_read) == (None, None, False)
    assert found.mean_watts == pytest.approx(300)


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1.0, 100)])
def test_percentile_is_the_least_value_that_enough_do_not_exceed(share: float, value: float) -> None:
    assert percentile([float(x) for x in range(100, 0, -1)], share) == value


# -- the machine -------------------------------------------------------------------------------------------

INSTALLED = Versions("0.1.0", "3.11", "6.1")


def test_a_gpu_on_the_bus_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    for name, vendor, kind in (
        ("gpu", "0x10de", "0x030200"),
        ("nic", "0x8086", "0x020000"),
        ("hub", "0x10de", "0x0c03"),
    ):
        folder = tmp_path / "bus" / "pci" / "devices" / name
        folder.mkdir(parents=True)
        (folder / "vendor").write_text(f"{vendor}\n")
        (folder / "class").write_text(f"{kind}\n")
    installed = versions(tmp_path)
    assert installed.nvidia_gpus_on_pci == 1
    absent = SourceState("nvml_counter", False, False, "NVML: libnvidia-ml.so.1 is not installed")
    rapl = SourceState("rapl", True, True, devices=("cpu0",))
    assert {"gpu_unused", "source_broken"} <= kinds(judge_sources([absent, rapl], installed, "auto"))
    without = judge_sources([absent, rapl], replace(installed, nvidia_gpus_on_pci=0), "auto")
    assert kinds(without) == {"source_absent", "source_read"}


def test_what_a_source_warns_of_is_a_finding() -> None:
    state = SourceState("rapl", True, True, devices=("cpu0",), warnings=("dram0 not readable",))
    warned = [finding for finding in judge_sources([state], INSTALLED, "auto") if finding.severity == "warning"]
    assert [(finding.id, finding.found) for finding in warned] == [("source_warning", "dram0 not readable")]


GOOD = ClockFacts("tsc", 1e-7, True, 0.0, 0.0, 60.0)


@pytest.mark.parametrize(
    ("clocks", "expected"),
    [
        (GOOD, {"clock"}),
        (replace(GOOD, step_seconds=-3.0), {"clock", "clock_stepped"}),
        (replace(GOOD, suspended_seconds=90.0), {"clock", "clock_suspended"}),
        (replace(GOOD, synchronised=False), {"clock", "clock_unsynchronised"}),
        (replace(GOOD, source="hpet"), {"clock_coarse"}),
        (replace(GOOD, resolution_seconds=0.004), {"clock_coarse"}),
    ],
)
def test_clocks(clocks: ClockFacts, expected: set[str]) -> None:
    assert kinds(judge_clocks(clocks)) == expected


def test_this_machines_clocks_go_on_together() -> None:
    before = look_at_clocks()
    time.sleep(0.01)
    after = look_at_clocks()
    assert after.boot - before.boot == pytest.approx(after.monotonic - before.monotonic, abs=0.005)


@pytest.mark.parametrize(
    ("processes", "used", "busy"),
    [(0, 0.0, False), (1, 0.0, False), (1, 0.9, True), (0, 0.9, False), (1, None, True), (None, 0.9, False)],
)
def test_a_gpu_is_busy_when_a_job_is_at_work_on_it(processes: int | None, used: float | None, busy: bool) -> None:
    assert GpuState(used, processes).busy == busy


# -- services ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        (StateDirFacts("/s", True, "", "ext4", 10**10), "state_dir"),
        (StateDirFacts("/s", True, "", "nfs4", 10**10), "state_dir_network"),
        (StateDirFacts("/s", True, "", "ext4", 10**7), "state_dir_full"),
        (StateDirFacts("/s", False, "not writable", "ext4", 10**10), "state_dir_refused"),
    ],
)
def test_state_dir(facts: StateDirFacts, kind: str) -> None:
    assert judge_state_dir(facts).id == kind


@contextmanager
def answering(answer: Callable[[str, str], str]) -> Iterator[str]:
    """A server on loopback that answers every call with what `answer` makes of its path and its form."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say("")

        def do_POST(self) -> None:
            self._say(self.rfile.read(int(self.headers["Content-Length"])).decode())

        def _say(self, form: str) -> None:
            body = answer(self.path, form).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is http.server's
            return None

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


PAGE = """# TYPE joulemark_energy_joules counter
joulemark_energy_joules_total{device="gpu0",run="r",stage="teacher",phase=""} 70
joulemark_energy_joules_total{device="gpu0",run="",stage="unattributed",phase=""} 30
# TYPE joulemark_device_energy_joules counter
joulemark_device_energy_joules_total{device="gpu0"} TOTAL
# TYPE joulemark_source_up gauge
joulemark_source_up{device="gpu0"} UP
# TYPE joulemark_estimator_disagreement_ratio gauge
joulemark_estimator_disagreement_ratio{device="gpu0"} APART
# TYPE joulemark_build_info gauge
joulemark_build_info{version="VERSION"} 1
"""


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, {"exporter", "conservation"}),
        ({"TOTAL": "101"}, {"exporter", "conservation_broken"}),
        ({"UP": "0"}, {"exporter", "conservation", "exporter_device_down"}),
        ({"APART": "0.2"}, {"exporter", "conservation", "exporter_apart"}),
        ({"VERSION": "9.9"}, {"exporter", "conservation", "exporter_version"}),
    ],
)
def test_an_exporter_is_judged_by_its_metrics(changed: dict[str, str], expected: set[str]) -> None:
    page = PAGE
    for word, value in {"TOTAL": "100", "UP": "1", "APART": "0.01", "VERSION": "0.1.0", **changed}.items():
        page = page.replace(word, value)
    with answering(lambda path, form: page if path == "/metrics" else "") as url:
        assert kinds(judge_exporter(ask_exporter(Endpoint(url), asked=True), "0.1.0")) == expected


def test_what_is_no_exporter_is_named() -> None:
    with answering(lambda path, form: "<html>hello</html>") as url:
        (finding,) = judge_exporter(ask_exporter(Endpoint(url), asked=True), "0.1.0")
    assert finding.id == "exporter_unreachable"
    (nobody,) = judge_exporter(ask_exporter(Endpoint(url), asked=False), "0.1.0")
    assert (nobody.id, nobody.severity) == ("exporter_none", "info")


@pytest.mark.parametrize(
    ("exporters", "ahead", "expected"),
    [(2, 0.0, {"prometheus"}), (0, 0.0, {"prometheus_empty"}), (1, 90.0, {"prometheus", "prometheus_clock"})],
)
def test_prometheus_is_judged_by_its_answers(exporters: int, ahead: float, expected: set[str]) -> None:
    def answer(path: str, form: str) -> str:
        (query,) = parse_qs(form)["query"]
        value = time.time() + ahead if "time()" in query else exporters
        result = [{"metric": {}, "value": [0, str(value)]}] if value else []
        return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}})

    with answering(answer) as url:
        facts = ask_prometheus(url)
    assert kinds(judge_prometheus(facts)) == expected


def test_no_prometheus_is_a_warning_that_says_so() -> None:
    with answering(lambda path, form: "") as url:
        pass
    (finding,) = judge_prometheus(ask_prometheus(url))
    assert finding.id == "prometheus_unreachable"
    assert re.search(r"no Prometheus at http", finding.found)


def addresses(tmp_path: Path, *texts: str) -> list[str]:
    settings = Settings(tmp_path, listen_addresses=parse_addresses(",".join(texts)))
    return [judge_address(facts).id for facts in address_facts(settings)]


def test_addresses_are_judged_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    served, left = f"unix:{tmp_path}/served", f"unix:{tmp_path}/left"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as old:
        listener.bind(str(tmp_path / "served"))
        listener.listen()
        old.bind(str(tmp_path / "left"))
        found = addresses(tmp_path, "127.0.0.1:0", "192.0.2.1:9871", served, left, f"unix:{tmp_path}/file")
    assert found == ["address_free", "address_refused", "address_taken", "address_free", "address_refused"]
    assert addresses(tmp_path, f"unix:{tmp_path}/nowhere/x.sock") == ["address_refused"]
    # A socket that was left is the exporter's to remove.
    assert (tmp_path / "left").is_socket()


def test_a_token_file_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    assert judge_web_files(why_no_web(Settings(tmp_path))) == []
    (finding,) = judge_web_files(why_no_web(Settings(tmp_path, token_file=tmp_path / "missing")))
    assert (finding.id, finding.severity) == ("web_files_refused", "error")
    assert str(tmp_path / "missing") in finding.found
