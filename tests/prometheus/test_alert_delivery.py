"""An alert on its whole way: a job dies, the exporter counts it, Prometheus sees it, Alertmanager tells somebody."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from exporter_process import Exporter, free_port
from live_prometheus import RULES, LivePrometheus

BINARY = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")

pytestmark = [
    pytest.mark.prometheus,
    pytest.mark.skipif(BINARY is None, reason="no Alertmanager is installed: apt-get install prometheus-alertmanager"),
]


class Inbox:
    """Takes what Alertmanager sends to a webhook."""

    def __init__(self) -> None:
        inbox: list[dict[str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                inbox.extend(json.loads(body)["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                return None

        self.alerts = inbox
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self, seconds: float = 60) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while not self.alerts:
            assert time.monotonic() < deadline, "no alert came"
            time.sleep(0.1)
        return self.alerts[0]


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    box = Inbox()
    yield box
    box.server.shutdown()
    box.server.server_close()


@pytest.fixture
def alertmanager(tmp_path: Path, inbox: Inbox) -> Iterator[str]:
    """The address of an Alertmanager on this repository's configuration, told where to send and not to wait."""
    assert BINARY is not None
    config = yaml.safe_load((RULES / "alertmanager.yml").read_text())
    config["route"]["group_wait"] = "0s"
    config["receivers"][0]["webhook_configs"] = [{"url": inbox.url}]
    (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    command = [
        BINARY, "--config.file=alertmanager.yml", "--storage.path=alertmanager", f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ]  # fmt: skip
    with (tmp_path / "alertmanager.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
    yield address
    process.terminate()
    process.wait(timeout=30)


def test_a_job_that_dies_is_told_to_whoever_is_on_call(
    tmp_path: Path, make_exporter: Callable[..., Exporter], alertmanager: str, inbox: Inbox
) -> None:
    exporter = make_exporter()
    live = LivePrometheus(
        tmp_path / "prometheus", [("joulemark", exporter.url[7:])], rules=("rules", "alerts"), alertmanager=alertmanager
    )
    try:
        live.wait_until(lambda: bool(live.query("joulemark_windows_expired_total == 0")), "scraped before it happens")
        exporter.put_stage("kd-1", "teacher", ttl_seconds=1)  # and then no heartbeat, as of a killed job
        alert = inbox.wait()
    finally:
        live.stop()
    assert alert["status"] == "firing"
    assert alert["labels"]["alertname"] == "JoulemarkStageLeaseExpired"
    assert alert["labels"]["severity"] == "warning"
    assert exporter.url[7:] in alert["annotations"]["summary"]
    assert alert["annotations"]["runbook_url"] == "docs/runbook.md#joulemarkstageleaseexpired"
