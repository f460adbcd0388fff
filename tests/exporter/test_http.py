"""The HTTP face of a real exporter process: bodies, refusals, metrics, restarts."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from exporter_process import Exporter
from scrape_headers import ACCEPT, is_taken

from joulemark.metrics import METRICS


def test_the_shell_one_liner_works_whatever_its_content_type(exporter: Exporter) -> None:
    answer = exporter.http.put(
        "/api/v1/stage",
        content='{"run":"kd-1b","stage":"teacher"}',
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == 200
    assert answer.json()["ended"] is None
    assert exporter.http.get("/api/v1/stage").json()[0]["run"] == "kd-1b"


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ('{"run":"a","stage":', 400, None),
        ("[1]", 422, None),
        ('{"run":"a"}', 422, "stage"),
        ('{"run":"a b","stage":"teacher"}', 422, "run"),
        ('{"run":"a","stage":"teacher","colour":1}', 422, "colour"),
        ('{"run":"a","stage":"teacher","devices":["gpu7"]}', 422, "devices"),
        ('{"run":"a","stage":"' + "x" * 70_000 + '"}', 413, None),
    ],
)
def test_a_bad_request_is_a_problem_that_names_the_field_and_the_remedy(
    exporter: Exporter, body: str, status: int, field: str | None
) -> None:
    answer = exporter.http.put("/api/v1/stage", content=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["remedy"]
    assert problem.get("field") == field
    assert exporter.http.get("/api/v1/stage").json() == []
    assert exporter.http.get("/api/v1/runs").json() == []


def test_a_second_run_claiming_a_held_device_is_told_who_holds_it(exporter: Exporter) -> None:
    exporter.put_stage("first", "teacher")
    answer = exporter.http.put("/api/v1/stage", json={"run": "second", "stage": "teacher"})
    assert answer.status_code == 409
    assert "'first'" in answer.json()["detail"]


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://example.org"}, {"Host": "rebound.example.org"}, {"Origin": "null"}]
)
def test_a_page_in_a_browser_may_not_write(exporter: Exporter, headers: dict[str, str]) -> None:
    answer = exporter.http.put("/api/v1/stage", json={"run": "a", "stage": "teacher"}, headers=headers)
    assert answer.status_code == 403
    assert exporter.http.get("/api/v1/stage").json() == []


def test_a_short_stage_is_on_metrics_with_all_its_joules_and_tokens(exporter: Exporter) -> None:
    window = exporter.put_stage("kd", "teacher", phase="logit_caching")["id"]
    time.sleep(0.5)
    summary = exporter.http.request("DELETE", f"/api/v1/stage/{window}", json={"tokens": {"cached": 4096}}).json()
    time.sleep(0.3)
    metrics = exporter.metrics()
    key = 'phase="logit_caching",run="kd",stage="teacher"'
    assert metrics[f'joulemark_stage_tokens_total{{kind="cached",{key}}}'] == 4096
    joules = metrics[f'joulemark_energy_joules_total{{device="gpu0",{key}}}']
    assert joules > 0
    assert abs(joules - summary["joules"]) <= summary["uncertainty_joules"] + 1e-6
    assert summary["joules_per_token"] == pytest.approx(summary["joules"] / 4096)


def test_stages_add_up_to_the_device_at_every_scrape(exporter: Exporter) -> None:
    for stage in ("data", "teacher", "student"):
        exporter.put_stage("kd", stage)
        time.sleep(0.15)
        metrics = exporter.metrics()
        stages = sum(v for k, v in metrics.items() if k.startswith("joulemark_energy_joules_total"))
        assert stages == pytest.approx(metrics['joulemark_device_energy_joules_total{device="gpu0"}'], rel=1e-12)


def test_scores_and_declarations_reach_metrics_and_the_run(exporter: Exporter) -> None:
    facts = {"pipeline": "kd", "teacher": "T", "student": "S", "dataset": "D", "idle_watts": {"gpu0": 61.5}}
    assert exporter.http.put("/api/v1/runs/kd", json=facts).status_code == 200
    score = {"benchmark": "gsm8k", "score": 0.41, "reference": 0.62, "n": 1319, "stderr": 0.0135}
    assert exporter.http.post("/api/v1/runs/kd/scores", json=score).status_code == 200
    metrics = exporter.metrics()
    info = 'joulemark_run_info{dataset="D",origin="modelled",pipeline="kd",run="kd",student="S",teacher="T"}'
    assert metrics[info] == 1
    assert metrics['joulemark_run_score{benchmark="gsm8k",run="kd"}'] == 0.41
    assert metrics['joulemark_reference_score{benchmark="gsm8k",teacher="T"}'] == 0.62
    assert metrics['joulemark_run_idle_power_watts{device="gpu0",run="kd"}'] == 61.5
    assert exporter.http.get("/api/v1/runs/kd").json()["scores"] == [score]
    assert exporter.http.get("/api/v1/runs/nobody").status_code == 404


def test_openmetrics_is_negotiated_and_every_family_is_in_the_table(exporter: Exporter) -> None:
    exporter.put_stage("kd", "teacher")
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    answer = exporter.http.get("/metrics", headers=accept)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
    plain = exporter.http.get("/metrics").text
    assert set(re.findall(r"^# TYPE (\S+)", plain, re.MULTILINE)) <= set(METRICS)


@pytest.mark.parametrize("release", ACCEPT)
def test_every_prometheus_is_answered_in_a_type_that_it_takes(exporter: Exporter, release: str) -> None:
    answer = exporter.http.get("/metrics", headers={"Accept": ACCEPT[release]})
    assert is_taken(answer.headers["content-type"], answer.text)


@pytest.mark.prometheus
@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed: apt-get install prometheus")
def test_promtool_accepts_the_metrics(exporter: Exporter) -> None:
    exporter.put_stage("kd", "teacher")
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=exporter.http.get("/metrics").content, capture_output=True
    )
    # promtool reads the word "counter" as a type; here it is the hardware's energy counter.
    known = "joulemark_counter_tick_seconds metric name should not include type 'counter'"
    assert [line for line in checked.stderr.decode().splitlines() if line != known] == []


def test_sigkill_in_a_stage_loses_no_total_and_the_window_goes_on(exporter: Exporter) -> None:
    window = exporter.put_stage("kd", "student", ttl_seconds=60)["id"]
    time.sleep(1.0)
    exporter.http.post(f"/api/v1/stage/{window}/heartbeat", json={"tokens": {"trained": 100}})
    time.sleep(0.5)
    before = exporter.metrics()
    exporter.kill()
    exporter.start()
    after = exporter.metrics()
    counters = [name for name in before if "_total" in name and "reads" not in name]
    assert len(counters) > 5
    assert all(after[name] >= before[name] for name in counters)
    assert exporter.http.get("/api/v1/stage").json()[0]["id"] == window
    ended = exporter.http.delete(f"/api/v1/stage/{window}").json()
    assert ended["tokens"] == {"trained": 100}
    energy = 'joulemark_energy_joules_total{device="gpu0",phase="",run="kd",stage="student"}'
    assert after[energy] > before[energy]


def test_sigterm_ends_cleanly_with_the_ledger_committed(exporter: Exporter) -> None:
    exporter.put_stage("kd", "student")
    before = exporter.metrics()
    assert exporter.terminate() == 0
    assert "stopped, ledger committed" in exporter.log()
    exporter.start()
    name = 'joulemark_device_energy_joules_total{device="gpu0"}'
    assert exporter.metrics()[name] >= before[name]


def test_a_port_in_use_is_named_with_the_remedy(make_exporter: Callable[..., Exporter], tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AssertionError, match=f"port {port} on 127.0.0.1 is in use"):
            make_exporter("--source", "replay", "--web.listen-address", f"127.0.0.1:{port}")
    assert not (tmp_path / "state" / "ledger.sqlite").exists()
