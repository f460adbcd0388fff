"""All that the boards show, on real processes: exporters, the frontier, and a Prometheus with this repository's rules.

Four exporters: two replayed devices and two mock GPUs with runs that go on while one looks, a ledger of finished demo
runs, and the published tables. What is scripted or mocked is so by origin, too: the boards mark it as modelled.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from answers import TimeRange
from demo_ledger import demo_runs
from exporter_process import Exporter, free_port
from live_prometheus import LivePrometheus
from nvml_mock import Gpu, LiveMachine, build

from joulemark.imports import book

GRAMS, PUE, PRICE = 344.14, 1.25, 0.3
FACTORS = ("--carbon.zone", "DE", "--pue", str(PUE), "--price.per-kwh", str(PRICE), "--price.currency", "EUR")
# The last trains on what the first one's teacher made.
LIVE_RUN, GPU_RUN, REUSE_RUN = "replay-kd", "mock-gpu-sft", "replay-reuse"
# Stage, phase, seconds, tokens, and whether it is nested in the one before.
SCRIPT: tuple[tuple[str, str, float, dict[str, int], bool], ...] = (
    ("prerun", "", 2.0, {}, False),
    ("data", "", 2.0, {}, False),
    ("teacher", "logit_caching", 6.0, {"prompt": 900, "cached": 5_000}, False),
    ("student", "kd", 4.0, {}, False),
    ("eval", "gsm8k", 3.0, {"evaluated": 700}, True),
)
TRACE = "gpu0: [[4, 70], [6, 310], [3, 180]]\ngpu1: [[5, 80], [5, 290], [2, 150]]\n"


class Scene:
    """Everything started, and the live run set off; stop it at the end.

    `ledger` is a folder with the ledger of a real demo, to be shown in place of the runs of demo_ledger.py.
    """

    def __init__(self, folder: Path, ledger: Path | None = None) -> None:
        self.folder = folder
        self._exporters: list[Exporter] = []
        self._is_real = ledger is not None
        self._frontier: subprocess.Popen[bytes] | None = None
        self.machine = self._machine()
        self.replay = self._exporter("replay", "--source", "replay", "--replay.trace", str(self._trace()))
        self.gpus = self._exporter("gpus", "--source", "auto", env=self.machine.environment)
        if ledger:
            shutil.copytree(ledger, folder / "demo")
        else:
            book(demo_runs(), folder / "demo")
        self.demo = self._exporter("demo", "--source", "replay", "--keep-runs", "1000", *FACTORS)
        _import_paper(folder / "paper")
        self.paper = self._exporter("paper", "--source", "replay", *FACTORS)
        frontier = f"127.0.0.1:{free_port()}"
        targets = [("joulemark", exporter.url[7:]) for exporter in self._exporters]
        self.prometheus = LivePrometheus(
            folder / "prometheus", [*targets, ("joulemark-frontier", frontier)], itself=True
        )
        self._frontier = _start_frontier(self.prometheus.url, frontier)
        self._began = self._settled = time.time()
        everyone = len(self._exporters) + 2
        self.prometheus.wait_until(
            lambda: sum(v for _, v in self.prometheus.query("up")) == everyone, "all are scraped"
        )
        self._driver = threading.Thread(target=self._drive, daemon=True)
        self._driver.start()

    @property
    def shown(self) -> TimeRange:
        """What a board should show: from before it began until it had settled, however long ago that is."""
        return TimeRange(self._settled, int(self._settled - self._began) + 5)

    def settle(self) -> None:
        """Wait until the live run has been through its script and nothing that is derived is missing any more."""
        self._driver.join(timeout=120)
        demo = (
            []
            if self._is_real
            else [
                'run_accounting:joulemark_run_pareto_optimal:max{run="demo-kd-2",accounting="amortized"}',
                'cell:joulemark_breakeven_tokens:avg{pipeline="kd"}',
            ]
        )
        for query in (
            *demo,
            'run_accounting:joulemark_run_pareto_optimal:max{run="paper-kd-13b",accounting="one_off"}',
            f'run:joulemark_quality:ratio{{run="{LIVE_RUN}"}}',
            "prometheus_rule_group_last_duration_seconds",
            "joulemark_estimator_disagreement_ratio",
        ):
            self.prometheus.wait_until(lambda asked=query: bool(self.prometheus.query(asked)), query)  # type: ignore[misc]
        # A graph ends at a whole step and shows what was scraped and derived some seconds before that.
        time.sleep(5)
        self._settled = time.time()

    def stop(self) -> None:
        """End all processes."""
        self.prometheus.stop()
        if self._frontier:
            self._frontier.terminate()
            self._frontier.communicate(timeout=30)
        for exporter in self._exporters:
            exporter.http.close()
            exporter.kill()

    def _machine(self) -> LiveMachine:
        library = self.folder / "nvml"
        library.mkdir(parents=True)
        build(library)
        return LiveMachine(library, self.folder, [Gpu(), Gpu()], watts=[210.0, 390.0])

    def _trace(self) -> Path:
        path = self.folder / "trace.yml"
        path.write_text(TRACE)
        return path

    def _exporter(self, name: str, *options: str, env: dict[str, str] | None = None) -> Exporter:
        exporter = Exporter(self.folder / name, *options, env=env)
        self._exporters.append(exporter)
        return exporter.start()

    def _drive(self) -> None:
        """The live run, stage by stage; beside it one that reuses its teacher, and one that loses a mock GPU."""
        self._start_gpu_run()
        reuse = self.demo.put_stage(REUSE_RUN, "student", ttl_seconds=600)["id"]
        declare(
            self.replay, LIVE_RUN, pipeline="kd", student="S", teacher="T", dataset="D",
            idle_watts={"gpu0": 60.0, "gpu1": 60.0},
        )  # fmt: skip
        for stage, phase, seconds, tokens, nested in SCRIPT:
            if nested:
                self.machine.fault("lost", 1)
            window = self.replay.put_stage(LIVE_RUN, stage, phase=phase, ttl_seconds=600, nest=nested)["id"]
            for part in range(1, 11):
                time.sleep(seconds / 10)
                _beat(self.replay, window, {kind: count * part // 10 for kind, count in tokens.items()})
            if nested:
                self.replay.http.delete(f"/api/v1/stage/{window}").raise_for_status()
                self.machine.mend()
        outer = next(w for w in self.replay.http.get("/api/v1/stage").json() if w["run"] == LIVE_RUN)
        _beat(self.replay, outer["id"], {"trained": 12_000})
        for role in ("produced", "consumed"):
            _tell(self.replay, LIVE_RUN, "artifacts", artifact="replay-logits", kind="logit_cache", role=role)
        _tell(self.demo, REUSE_RUN, "artifacts", artifact="replay-logits", kind="logit_cache", role="consumed")
        self.demo.end_stage(reuse)
        _tell(self.replay, LIVE_RUN, "scores", benchmark="gsm8k", score=0.41, reference=0.62, n=1319)
        time.sleep(8)

    def _start_gpu_run(self) -> None:
        declare(self.gpus, GPU_RUN, pipeline="sft", student="S", dataset="D")
        window = self.gpus.put_stage(GPU_RUN, "student", phase="sft", ttl_seconds=600)["id"]
        _beat(self.gpus, window, {"trained": 50_000})
        _tell(self.gpus, GPU_RUN, "scores", benchmark="gsm8k", score=0.38, reference=0.62, n=1319)


def declare(exporter: Exporter, run: str, **facts: Any) -> None:
    """Say what a run is."""
    exporter.http.put(f"/api/v1/runs/{run}", json=facts).raise_for_status()


def _tell(exporter: Exporter, run: str, what: str, **facts: Any) -> None:
    exporter.http.post(f"/api/v1/runs/{run}/{what}", json=facts).raise_for_status()


def _beat(exporter: Exporter, window: str, tokens: dict[str, int]) -> None:
    exporter.http.post(f"/api/v1/stage/{window}/heartbeat", json={"tokens": tokens}).raise_for_status()


def _import_paper(state: Path) -> None:
    command = [sys.executable, "-c", "from joulemark.cli import main; main()", "import", "paper"]
    done = subprocess.run([*command, "--state-dir", str(state)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def _start_frontier(prometheus: str, address: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "from joulemark.cli import main; main()", "frontier"]
    return subprocess.Popen(
        [*command, "--prometheus", prometheus, "--web.listen-address", address],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ},
    )  # fmt: skip
