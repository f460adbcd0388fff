"""A job that exports metrics of its own: a file in targets/ is enough, and its loss joins its joules by the run."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from exporter_process import Exporter, free_port, wait_for

FOLDER = Path(__file__).parents[2] / "prometheus"

pytestmark = [
    pytest.mark.prometheus,
    pytest.mark.skipif(
        shutil.which("prometheus") is None, reason="prometheus is not installed: apt-get install prometheus"
    ),
]


class Job(BaseHTTPRequestHandler):
    """A job's own /metrics."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(b"training_loss 0.25\ntraining_step 40\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def job() -> Iterator[int]:
    """The port of a job."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Job)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_a_file_in_targets_is_enough(exporter: Exporter, job: int, tmp_path: Path) -> None:
    folder = tmp_path / "prometheus"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("tests"))
    config = folder / "prometheus.yml"
    text = config.read_text().replace("127.0.0.1:9871", f"127.0.0.1:{exporter.port}")
    config.write_text(text.replace("scrape_interval: 5s", "scrape_interval: 1s"))
    target = folder / "targets" / "kd-1b.yml"
    sample = (folder / "targets" / "example.yml.sample").read_text()
    named = sample.replace('["10.0.0.7:8000", "10.0.0.8:8000"]', f'["127.0.0.1:{job}"]')
    assert named != sample
    exporter.put_stage("kd-1b", "student")
    url = f"http://127.0.0.1:{free_port()}"
    command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={tmp_path}/data"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*command, f"--web.listen-address={url[7:]}"], stdout=log, stderr=log)

    def query(text: str) -> list[tuple[dict[str, str], float]]:
        try:
            answer = httpx.post(f"{url}/api/v1/query", data={"query": text}, trust_env=False).json()
        except (httpx.TransportError, ValueError):  # It listens before it is ready, and then says so in plain text.
            return []
        return [(row["metric"], float(row["value"][1])) for row in answer["data"]["result"]]

    try:
        wait_for(lambda: bool(query("up{job='joulemark'} == 1")), 60)
        # While it runs, as somebody would.
        target.with_suffix(".new").write_text(named)
        target.with_suffix(".new").rename(target)
        wait_for(lambda: bool(query('training_loss{job="training"}')), 60)
        [(labels, loss)] = query('training_loss{job="training"}')
        assert (labels["run"], loss) == ("kd-1b", 0.25)
        assert "stage" not in labels
        joined = 'training_loss * on (run) group_left () (run:joulemark_energy_joules:sum{run="kd-1b"} >= bool 0)'
        wait_for(lambda: [value for _, value in query(joined)] == [0.25], 60)
        target.unlink()
        wait_for(lambda: not query('up{job="training"}'), 60)
    finally:
        process.terminate()
        process.wait(timeout=30)
