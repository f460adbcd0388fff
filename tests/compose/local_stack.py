"""The stack of compose.yaml on an engine of the tests' own, its images made here, Grafana left out."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from exporter_process import free_port
from local_engine import ROOT, LocalEngine
from programs import program

# Grafana's image cannot be had without a registry; the demo is the smallest there can be.
OVERRIDE = """
services:
  grafana: !reset null
  demo-teacher: &demo {{volumes: ["{demo}:/demo.yaml:ro"]}}
  demo-students: *demo
  demo-eval: *demo
"""


class LocalStack:
    """Compose on this engine; ports are free ones, everything else is as a user has it."""

    def __init__(self, engine: LocalEngine) -> None:
        self.engine = engine
        self.ports = {name: free_port() for name in ("JOULEMARK", "PROMETHEUS", "ALERTMANAGER", "VICTORIAMETRICS")}
        self.override = engine.folder / "override.yaml"
        self.override.write_text(OVERRIDE.format(demo=Path(__file__).with_name("demo.yaml")))
        images = ("prometheus", "victoriametrics", "alertmanager")
        self.settings = {
            "COMPOSE_PROJECT_NAME": "joulemark-test",
            "JOULEMARK_DEMO_CONFIG": "/demo.yaml",
            "JOULEMARK_EXPORTER_IMAGE": "joulemark-test/exporter:1",
            "JOULEMARK_WORKLOADS_IMAGE": "joulemark-test/workloads:1",
            "DOCKER_PROXY_IMAGE": "joulemark-test/base:1",
            "DOCKER_SOCKET": str(engine.socket),
            **{f"{name.upper()}_IMAGE": f"joulemark-test/{name}:1" for name in images},
            **{f"{name}_PORT": str(port) for name, port in self.ports.items()},
        }

    def compose(
        self,
        *words: str,
        files: tuple[str, ...] = (),
        profiles: tuple[str, ...] = (),
        check: bool = True,
        **settings: str,
    ) -> tuple[int, str]:
        """Exit code and output of a compose command."""
        chosen = [option for name in ("compose.yaml", *files, str(self.override)) for option in ("-f", name)]
        chosen += [option for name in profiles for option in ("--profile", name)]
        environment = {**self.engine.environment, **self.settings, **settings}
        done = subprocess.run(
            [program("docker-compose") or "", *chosen, *words],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=500,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr + self.logs()
        return done.returncode, done.stdout + done.stderr

    def up(self, files: tuple[str, ...] = (), profiles: tuple[str, ...] = (), **settings: str) -> None:
        """Bring it up with the images that are there."""
        self.compose("up", "-d", "--no-build", files=files, profiles=profiles, check=True, **settings)
        self.until(lambda: self.get("/-/ready") is not None, "the exporter is ready")

    def logs(self) -> str:
        return self.engine.docker("ps", "-a", check=False) + self.compose_logs()

    def compose_logs(self) -> str:
        environment = {**self.engine.environment, **self.settings}
        command = [
            program("docker-compose") or "",
            "-f",
            "compose.yaml",
            "-f",
            str(self.override),
            "logs",
            "--tail",
            "30",
        ]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True).stdout

    def container(self, service: str) -> str:
        """The id of a service's container, running or not."""
        label = "label=com.docker.compose.service"
        return self.engine.docker("ps", "-aq", "--filter", f"{label}={service}").split()[0]

    def exit_code(self, service: str) -> int | None:
        """The exit code of a service; None while it has none."""
        state = json.loads(self.engine.docker("inspect", "--format", "{{json .State}}", self.container(service)))
        return int(state["ExitCode"]) if state["Status"] == "exited" else None

    def token(self) -> str:
        return self.engine.docker("exec", self.container("exporter"), "cat", "/run/joulemark/secrets/token").strip()

    def get(self, path: str) -> Any:
        """What the exporter answers, None when it does not."""
        return self._ask(Request(f"http://127.0.0.1:{self.ports['JOULEMARK']}{path}"))

    def put_stage(self, run: str, stage: str) -> dict[str, Any]:
        return self._write("PUT", "stage", {"run": run, "stage": stage})

    def end_stage(self, window: str) -> dict[str, Any]:
        return self._write("DELETE", f"stage/{window}", {})

    def rows(self, text: str) -> list[tuple[dict[str, str], float]]:
        """The samples of an instant vector."""
        url = f"http://127.0.0.1:{self.ports['PROMETHEUS']}/api/v1/query?{urlencode({'query': text})}"
        answer = self._ask(Request(url))
        rows = answer["data"]["result"] if isinstance(answer, dict) else []
        return [(row["metric"], float(row["value"][1])) for row in rows]

    def value(self, text: str) -> float | None:
        """The value of a query that has one; None while it has none."""
        rows = self.rows(text)
        assert len(rows) < 2, rows
        return rows[0][1] if rows else None

    def copied(self, selector: str) -> list[float]:
        """All values of a series in VictoriaMetrics, whose queries would show none younger than half a minute."""
        url = f"http://127.0.0.1:{self.ports['VICTORIAMETRICS']}/api/v1/export?{urlencode({'match[]': selector})}"
        answer = self._ask(Request(url))
        return list(answer["values"]) if isinstance(answer, dict) else []

    def by_stage(self, run: str) -> dict[tuple[str, ...], float]:
        """Joules of every stage of the runs whose name matches; to Prometheus an empty label is none."""
        text = f'sum by (run, stage, phase) (joulemark_energy_joules_total{{run=~"{run}"}})'
        return {(labels.get("phase", ""), labels["run"], labels["stage"]): v for labels, v in self.rows(text)}

    def alertmanagers(self) -> list[Any]:
        """Those that Prometheus sends its alerts to."""
        answer = self._ask(Request(f"http://127.0.0.1:{self.ports['PROMETHEUS']}/api/v1/alertmanagers"))
        return list(answer["data"]["activeAlertmanagers"]) if isinstance(answer, dict) else []

    def ledger(self) -> dict[tuple[str, ...], float]:
        """Joules of every stage of every run, as the exporter has them on disk."""
        return {
            (stage["phase"], run["run"], stage["stage"]): stage["joules"]
            for run in self.get("/api/v1/runs")
            for stage in self.get(f"/api/v1/runs/{run['run']}")["stages"]
        }

    def until(self, holds: Callable[[], object], what: str, seconds: float = 120.0) -> None:
        """Wait until it holds."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"not in {seconds:.0f} s: {what}\n{self.logs()}"
            time.sleep(0.3)

    def _write(self, method: str, path: str, body: dict[str, str]) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.ports['JOULEMARK']}/api/v1/{path}"
        headers = {"Authorization": f"Bearer {self.token()}"}
        found = self._ask(Request(url, data=json.dumps(body).encode(), method=method, headers=headers))
        assert isinstance(found, dict), found
        return found

    def _ask(self, request: Request) -> Any:
        return self.engine.inside(lambda: _answer(request))


def _answer(request: Request) -> Any:
    """JSON, the bytes where it is none, None where there is no answer."""
    try:
        with urlopen(request, timeout=10) as answer:
            raw = answer.read()
    except (URLError, ConnectionError, TimeoutError):
        return None
    try:
        return json.loads(raw)
    except ValueError:
        return raw
