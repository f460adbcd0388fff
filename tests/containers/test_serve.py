"""`joulemark serve --docker` from outside: options, /metrics, and what it says when it cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from exporter_process import Exporter
from fake_engine import FakeEngine

MakeExporter = Callable[..., Exporter]
BOOKED = 'joulemark_docker_containers{state="booked"}'


@pytest.mark.parametrize("how", ["options", "environment", "yaml"])
def test_containers_are_booked_and_counted(
    make_exporter: MakeExporter, engine: FakeEngine, tmp_path: Path, how: str
) -> None:
    (tmp_path / "joulemark.yml").write_text(f"docker: true\ndocker.host: {engine.url}\nsource: replay\n")
    environment = {"JOULEMARK_DOCKER": "1", "JOULEMARK_DOCKER_HOST": engine.url, "JOULEMARK_SOURCE": "replay"}
    exporter = make_exporter(
        *{
            "options": ("--docker", "--docker.host", engine.url, "--source", "replay"),
            "environment": ("--keep-runs", "20"),
            "yaml": ("--config.file", str(tmp_path / "joulemark.yml")),
        }[how],
        env=environment if how == "environment" else None,
    )
    container = engine.run({"joulemark.run": "kd", "joulemark.stage": "teacher"})
    metrics = exporter.wait_for("the container is booked", lambda found: found.get(BOOKED) == 1)
    assert metrics["joulemark_docker_up"] == 1
    assert metrics['joulemark_stage_active{device="gpu0",phase="",run="kd",stage="teacher"}'] == 1
    engine.remove(container)
    exporter.wait_for("it is not", lambda found: found.get(BOOKED) == 0)
    assert exporter.http.get("/api/v1/stage").json() == []


def test_without_an_engine_it_serves_all_the_same_and_says_so(make_exporter: MakeExporter, tmp_path: Path) -> None:
    exporter = make_exporter("--docker", "--docker.host", f"unix://{tmp_path}/none.sock", "--source", "replay")
    assert exporter.metrics()["joulemark_docker_up"] == 0
    assert exporter.put_stage("kd", "teacher")["id"]
    exporter.wait_for("it had time to try", lambda found: found['joulemark_reads_total{device="gpu0"}'] > 30)
    log = exporter.stop_and_read_log()
    assert "none.sock" in log
    assert "start the engine, or name its address in --docker.host" in log
    assert log.count("no container engine") == 1


def test_nothing_is_said_of_containers_without_the_option(exporter: Exporter) -> None:
    assert not [name for name in exporter.metrics() if "joulemark_docker" in name]


def test_an_address_that_is_none_is_refused_at_the_start(make_exporter: MakeExporter) -> None:
    with pytest.raises(AssertionError, match=r"docker\.host"):
        make_exporter("--docker", "--docker.host", "/var/run/docker.sock")
