"""What the doctor makes of an exporter, a Prometheus, addresses, the ledger's folder and the web's files."""

from __future__ import annotations

import http.server
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nvml_mock import Gpu, Square, VirtualBench

from joulemark.addresses import parse_addresses
from joulemark.attribution.agreement import ALERT_RATIO
from joulemark.client.endpoint import Endpoint
from joulemark.doctor.beside_exporter import Mark, booked_between
from joulemark.doctor.exporter import ask_exporter
from joulemark.doctor.facts import Booked, ExporterFacts, StateDirFacts
from joulemark.doctor.findings import Finding
from joulemark.doctor.judge_service import (
    judge_address,
    judge_booked,
    judge_exporter,
    judge_prometheus,
    judge_state_dir,
    judge_web_files,
)
from joulemark.doctor.permissions import address_facts, why_no_web
from joulemark.doctor.prometheus import ask_prometheus
from joulemark.exposition.page import Page
from joulemark.settings import Settings


def kinds(findings: list[Finding]) -> set[str]:
    return {finding.id for finding in findings}


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
# TYPE joulemark_estimator_sampling_ratio gauge
joulemark_estimator_sampling_ratio{device="gpu0"} MISSED
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
        ({"APART": "0.2", "MISSED": "0.16"}, {"exporter", "conservation"}),
        ({"VERSION": "9.9"}, {"exporter", "conservation", "exporter_version"}),
    ],
)
def test_an_exporter_is_judged_by_its_metrics(changed: dict[str, str], expected: set[str]) -> None:
    page = PAGE
    for word, value in {
        "TOTAL": "100",
        "UP": "1",
        "APART": "0.01",
        "MISSED": "0.001",
        "VERSION": "0.1.0",
        **changed,
    }.items():
        page = page.replace(word, value)
    with answering(lambda path, form: page if path == "/metrics" else "") as url:
        assert kinds(judge_exporter(ask_exporter(Endpoint(url), asked=True), "0.1.0")) == expected


@pytest.mark.parametrize(("seconds", "gain", "apart"), [(11, 1.065, False), (60, 1.0, False), (60, 1.1, True)])
def test_what_an_exporter_misses_by_sampling_is_no_disagreement(
    make_bench: Callable[..., VirtualBench], seconds: float, gain: float, apart: bool
) -> None:
    """Power that goes up and down by a gauge that shows so much of it; little time leaves much room."""
    bench = make_bench(Gpu({"power_tick": 0.1, "gain": gain}))
    bench.begin("a", Square(150.0, 650.0, 0.7))
    bench.wait(seconds)
    page = Page("0.1.0").text(bench.meter.snapshot(), openmetrics=False).decode()
    with answering(lambda path, form: page) as url:
        facts = ask_exporter(Endpoint(url), asked=True)
    assert (facts.disagreement_ratio["gpu0"] > ALERT_RATIO) == (gain > 1)
    assert ("exporter_apart" in kinds(judge_exporter(facts, "0.1.0"))) == apart


PATHS = st.lists(st.floats(20.0, 700.0), min_size=3, max_size=40)


@given(watts=PATHS, behind=st.tuples(st.floats(0, 0.5), st.floats(0, 0.5)), seconds=st.floats(3, 300))
def test_an_exporter_that_is_behind_by_some_ticks_books_no_other_joules(
    watts: list[float], behind: tuple[float, float], seconds: float
) -> None:
    booked = looked_at(watts, behind, seconds, gain=1.0)
    assert booked.unexplained_ratio < 1e-9
    assert kinds(judge_booked([booked], "u")) == {"exporter_books"}


@given(behind=st.tuples(st.floats(0, 0.5), st.floats(0, 0.5)), gain=st.sampled_from([0.97, 1.03]))
def test_three_percent_are_found_in_a_long_look_and_let_pass_in_a_short_one(
    behind: tuple[float, float], gain: float
) -> None:
    long, short = looked_at([300.0], behind, 120.0, gain), looked_at([300.0], (behind[0], behind[0]), 5.0, gain)
    assert kinds(judge_booked([long], "u")) == {"exporter_books_otherwise"}
    assert kinds(judge_booked([short], "u")) == {"exporter_books"}


def looked_at(watts: list[float], behind: tuple[float, float], seconds: float, gain: float) -> Booked:
    """Between two marks, an exporter that books `gain` times what is counted, up to so long before each scrape."""

    def energy(at: float) -> float:
        """The counter at an instant, power going through `watts` again and again, each for 0.7 s."""
        whole, rest = divmod(at / 0.7, len(watts))
        return 0.7 * (whole * sum(watts) + sum(watts[: int(rest)]) + watts[int(rest)] * (rest % 1))

    def mark(at: float, late: float) -> Mark:
        page = ExporterFacts(
            "u", True, True, total_joules={"gpu3": gain * energy(at - late)}, source={"gpu3": "nvml_counter"},
            uuid={"gpu3": "GPU-a"}, last_read_at={"gpu3": 1e9 + at},
        )  # fmt: skip
        return Mark(at, 1e9 + at - 0.5, {"GPU-a": energy(at - 0.5)}, page, {"GPU-a": energy(at + 0.01)})

    (booked,) = booked_between(mark(1.0, behind[0]), mark(1.0 + seconds, behind[1]))
    return booked


FRESH = Mark(
    0.0, 0.0, {"GPU-a": 0.0},
    ExporterFacts(
        "u", True, True, total_joules={"gpu0": 0.0}, source={"gpu0": "nvml_counter"}, uuid={"gpu0": "GPU-a"},
        last_read_at={"gpu0": 0.5},
    ),
    {"GPU-a": 0.0},
)  # fmt: skip


@pytest.mark.parametrize(
    "changed",
    [
        {"total_joules": {"gpu0": -1.0}},
        {"source": {"gpu0": "nvml_power"}},
        {"uuid": {"gpu0": "GPU-b"}},
        {"last_read_at": {"gpu0": 0.2}},
        {"gap_seconds": {"gpu0": 1.0}},
    ],
)
def test_what_cannot_be_compared_is_not(changed: dict[str, Any]) -> None:
    later = replace(FRESH, early={"GPU-a": 90.0}, late={"GPU-a": 100.0})
    assert len(booked_between(FRESH, later)) == 1
    other = replace(later, exporter=replace(later.exporter, **changed))
    assert booked_between(FRESH, other) == booked_between(None, later) == booked_between(FRESH, None) == []


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
