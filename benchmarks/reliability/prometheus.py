"""A real Prometheus that scrapes one exporter, and what it thinks of the counters it was shown."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path

from joulemark.metrics import TABLE

_COUNTERS = [metric.name for metric in TABLE if metric.type == "counter"]
_RESIDUAL = (
    "max_over_time(max(abs(sum without (run, stage, phase) (joulemark_energy_joules_total)"
    " - joulemark_device_energy_joules_total))[2h:1s])"
)


class Prometheus:
    """Scrapes four times a second; needs `prometheus` on PATH."""

    def __init__(self, folder: Path, exporter_port: int) -> None:
        if shutil.which("prometheus") is None:
            raise SystemExit("prometheus is not installed: apt-get install prometheus")
        folder.mkdir()
        job = {"job_name": "joulemark", "static_configs": [{"targets": [f"127.0.0.1:{exporter_port}"]}]}
        config = {"global": {"scrape_interval": "250ms", "scrape_timeout": "250ms"}, "scrape_configs": [job]}
        (folder / "prometheus.json").write_text(json.dumps(config))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        command = [
            "prometheus", "--config.file=prometheus.json", "--storage.tsdb.path=data", "--log.level=warn",
            f"--web.listen-address={self._url[7:]}",
        ]  # fmt: skip
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        self._wait_until_ready()

    def query(self, text: str) -> dict[str, float]:
        """The samples of an instant vector by their labels as text."""
        body = urllib.parse.urlencode({"query": text}).encode()
        with urllib.request.urlopen(f"{self._url}/api/v1/query", body, timeout=60) as answer:
            rows = json.load(answer)["data"]["result"]
        return {json.dumps(row["metric"], sort_keys=True): float(row["value"][1]) for row in rows}

    def resets(self) -> float:
        """How often any counter of the exporter went down, in all that was scraped."""
        return sum(sum(self.query(f"sum(resets({name}[2h]))").values()) for name in _COUNTERS)

    def worst_residual(self) -> float:
        """The most joules by which stages missed their device at any second."""
        return max(self.query(_RESIDUAL).values(), default=0.0)

    def faults(self) -> list[str]:
        """The counters that went down, by name."""
        return [
            f"Prometheus saw {count:.0f} resets of {name} {labels}"
            for name in _COUNTERS
            for labels, count in self.query(f"resets({name}[2h]) > 0").items()
        ]

    def wait_for_scrape(self) -> None:
        """Wait until it has scraped what is there now."""
        began = time.time()
        deadline = time.monotonic() + 30
        while max(self.query("timestamp(joulemark_build_info)").values(), default=0.0) < began:
            if time.monotonic() > deadline:
                raise SystemExit("Prometheus does not scrape the exporter")
            time.sleep(0.2)

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(timeout=30)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"{self._url}/-/ready", timeout=5):
                    return
            except OSError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise SystemExit("Prometheus did not come up") from None
                time.sleep(0.1)
