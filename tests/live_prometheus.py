"""A real Prometheus for tests, with this repository's rules, that scrapes what it is told."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from exporter_process import free_port

RULES = Path(__file__).parents[1] / "prometheus"
Sample = tuple[dict[str, str], float]


class LivePrometheus:
    """Scrapes `targets` (job, address) every second and evaluates the rules in `folder`; stop it at the end.

    The rules are the repository's own, but every group follows at `pace`: nobody wants to wait for a minute's memory.
    `itself`: it scrapes itself too.
    `scrape` is what every scrape needs beside its target, for example `tls_config`.
    """

    def __init__(
        self,
        folder: Path,
        targets: Sequence[tuple[str, str]],
        *,
        pace: str = "1s",
        rules: Sequence[str] = ("rules",),
        alertmanager: str | None = None,
        itself: bool = False,
        scrape: Mapping[str, Any] | None = None,
    ) -> None:
        if shutil.which("prometheus") is None:
            pytest.skip("prometheus is not installed: apt-get install prometheus")
        self.folder = folder
        self._copy_rules(rules, pace)
        self.url = f"http://127.0.0.1:{free_port()}"
        if itself:
            targets = [*targets, ("prometheus", self.url[7:])]
        scrapes = [
            {"job_name": f"{job}-{number}", "static_configs": [{"targets": [address]}],
             "relabel_configs": [{"target_label": "job", "replacement": job}], **(scrape or {})}
            for number, (job, address) in enumerate(targets)
        ]  # fmt: skip
        settings = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": pace}
        config: dict[str, Any] = {"global": settings, "rule_files": ["*.yml"], "scrape_configs": scrapes}
        if alertmanager:
            config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]}
        (folder / "prometheus.json").write_text(json.dumps(config))
        self.start()

    def start(self) -> None:
        """Start it, or start it again on the data that it has."""
        command = [
            "prometheus", "--config.file=prometheus.json", "--storage.tsdb.path=data", "--log.level=warn",
            f"--web.listen-address={self.url[7:]}",
        ]  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)
        self.http = httpx.Client(base_url=self.url, timeout=30, trust_env=False)
        self.wait_until(self._is_ready, "ready")

    def query(self, text: str) -> list[Sample]:
        """The samples of an instant vector, names left out."""
        answer = self.http.post("/api/v1/query", data={"query": text}).json()
        assert answer["status"] == "success", (text, answer)
        rows = answer["data"]["result"]
        return [
            ({name: value for name, value in row["metric"].items() if name != "__name__"}, float(row["value"][1]))
            for row in rows
        ]

    def by_run(self, text: str) -> dict[str, float]:
        """The values of a vector that has one sample by run."""
        rows = self.query(text)
        values = {labels["run"]: value for labels, value in rows}
        assert len(values) == len(rows), rows
        return values

    def wait_for(self, text: str, value: float, seconds: float = 60) -> None:
        """Wait until a query has this one value."""
        self.wait_until(lambda: [v for _, v in self.query(text)] == [pytest.approx(value, rel=1e-9)], text, seconds)

    def wait_until(self, holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
        """Wait until something holds, and say what did not."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, (
                f"not so: {what}, after {seconds:.0f} s\n{(self.folder / 'log').read_text()}"
            )
            time.sleep(0.2)

    def rule_errors(self) -> list[str]:
        """What went wrong in the last evaluation of any rule."""
        groups: list[dict[str, Any]] = self.http.get("/api/v1/rules").json()["data"]["groups"]
        return [f"{rule['name']}: {rule['lastError']}" for g in groups for rule in g["rules"] if rule.get("lastError")]

    def stop(self) -> None:
        """End it; its data stays in the folder."""
        self.http.close()
        self.process.terminate()
        self.process.wait(timeout=30)

    def _copy_rules(self, folders: Sequence[str], pace: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in (path for name in folders for path in (RULES / name).glob("*.yml")):
            text = re.sub(r"^    interval: \w+$", f"    interval: {pace}", path.read_text(), flags=re.MULTILINE)
            (self.folder / path.name).write_text(text)

    def _is_ready(self) -> bool:
        try:
            return self.http.get("/-/ready").status_code == 200
        except httpx.TransportError:
            return False
